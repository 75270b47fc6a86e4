"""Sphinx settings: `sphinx-build -W docs docs/_build`."""

project = "actorkit"
author = "actorkit contributors"
copyright = "actorkit contributors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "actorkit"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]
