"""`actorkit new`: a project to begin with, whose test passes."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from .app import app
from .failure import Exit, Failure

#: Names of packages that the project itself would then find in place of the real ones.
_TAKEN = sys.stdlib_module_names | {"actorkit", "gevent", "pytest", "structlog", "tests", "zmq"}


@app.command()
def new(
    directory: Annotated[
        Path, typer.Argument(metavar="NAME", help="The project: a directory that does not exist.")
    ],
) -> None:
    """Make a project with an actor and a test of it."""
    name = directory.name
    package = name.replace("-", "_").lower()
    if not package.isascii() or not package.isidentifier() or package.startswith("_"):
        raise Failure(
            f"a name is made of letters, digits, - and _, and begins with a letter: not {name!r}",
            Exit.USAGE,
        )
    if package in _TAKEN or keyword.iskeyword(package):
        raise Failure(f"{package!r} means something else to Python; take another name", Exit.USAGE)
    try:
        directory.mkdir(parents=True)
    except FileExistsError as error:
        raise Failure(f"{directory} exists; nothing is overwritten") from error
    for path, text in _FILES.items():
        file = directory / Template(path).substitute(package=package)
        file.parent.mkdir(exist_ok=True)
        file.write_text(Template(text).substitute(name=name, package=package), encoding="utf-8")
    print(f"{directory} is made; now: cd {directory} && python -m pytest")


_FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "$name"
version = "0.1.0"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["actorkit"]

[project.optional-dependencies]
dev = ["actorkit[cli,testing]"]

[tool.hatch.build.targets.wheel]
packages = ["$package"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
""",
    "README.md": """\
# $name

An actor that greets, on [actorkit](https://pypi.org/project/actorkit/).

```sh
python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'
.venv/bin/python -m pytest
```

Run it, and talk to it from another terminal:

```sh
.venv/bin/actorkit run $package:Greeter "Good day" --listen tcp://127.0.0.1:7001
.venv/bin/actorkit ask tcp://127.0.0.1:7001/greeter Ada
.venv/bin/actorkit call tcp://127.0.0.1:7001/greeter count
```
""",
    ".gitignore": """\
__pycache__/
.pytest_cache/
.venv/
dist/
""",
    "$package/__init__.py": '''\
"""$name: an actor that greets."""

from .greeter import Greeter

__all__ = ["Greeter"]
''',
    "$package/greeter.py": '''\
"""`Greeter`: answers a name with a greeting, and counts."""

from actorkit import Actor, Refused


class Greeter(Actor):
    """Greets by name, in the words that it was made with."""

    def __init__(self, greeting: str = "Hello") -> None:
        self.greeting = greeting
        self.greeted = 0

    def receive(self, message: object) -> str:
        match message:
            case str(name) if name:
                self.greeted += 1
                self.log.info("greeted", name=name)
                return f"{self.greeting}, {name}!"
        raise Refused("tell me a name")

    def count(self) -> int:
        """How many were greeted so far."""
        return self.greeted
''',
    "tests/test_greeter.py": '''\
"""`actor_system` and `probe` come with actorkit, whose pytest plugin is always there."""

import pytest
from actorkit import ActorSystem, Refused
from actorkit.testing import Probe

from $package import Greeter


def test_it_greets_whoever_asks_and_counts_them(actor_system: ActorSystem) -> None:
    greeter = actor_system.spawn(Greeter, "Good day")
    assert greeter.ask("Ada") == "Good day, Ada!"
    assert greeter.ask("Grace") == "Good day, Grace!"
    assert greeter.proxy().count() == 2


def test_what_is_no_name_is_refused_and_harms_nobody(actor_system: ActorSystem) -> None:
    greeter = actor_system.spawn(Greeter)
    with pytest.raises(Refused, match="a name"):
        greeter.ask(42)
    assert greeter.ask("Ada") == "Hello, Ada!"


def test_it_ends_when_it_is_told_to(actor_system: ActorSystem, probe: Probe) -> None:
    greeter = actor_system.spawn(Greeter)
    greeter.stop()
    probe.expect_terminated(greeter)
''',
}
