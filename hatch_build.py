"""Compiles what runs for every message into a wheel or an editable install, where that is possible.

Without a C compiler, or on a Python that is not CPython, actorkit installs with the pure kernel.
ACTORKIT_PURE=1 in the environment skips the compiler; ACTORKIT_COMPILED=1 makes its failure fatal.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: What is compiled: the kernel, and the batches of messages between nodes.
SOURCES = (Path("actorkit/kernel/compiled/core.pyx"), Path("actorkit/remote/batch/compiled.pyx"))


class CompileKernel(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own configuration
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        if version == "editable":
            for source in SOURCES:
                for stale in (Path(self.root) / source.parent).glob(f"{source.stem}.*.so"):
                    stale.unlink()
        try:
            built = self.compiled(Path(self.folder.name))
        except (Exception, SystemExit) as error:
            if asked_for("ACTORKIT_COMPILED"):
                raise
            self.app.display_warning(f"actorkit: pure kernel, since it did not compile: {error}")
            return
        if not built:
            self.app.display_info("actorkit: pure kernel")
            return
        for source, module in zip(SOURCES, built, strict=True):
            if version == "editable":
                shutil.copy(module, Path(self.root) / source.parent)
            else:
                build_data["force_include"][str(module)] = str(source.parent / module.name)
        if version != "editable":
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
        self.app.display_info("actorkit: compiled kernel")

    def compiled(self, folder: Path) -> list[Path]:
        """The extension modules, made in `folder`; none where they are not wanted."""
        if asked_for("ACTORKIT_PURE") or sys.implementation.name != "cpython":
            return []
        import greenlet
        from Cython.Build import cythonize
        from setuptools import Distribution, Extension

        extensions = [
            Extension(
                ".".join(source.with_suffix("").parts),
                [str(source)],
                include_dirs=[str(Path(greenlet.__file__).parent.parent)],
            )
            for source in SOURCES
        ]
        distribution = Distribution({"ext_modules": cythonize(extensions, build_dir=str(folder))})
        build: Any = distribution.get_command_obj("build_ext")
        build.build_lib = build.build_temp = str(folder)
        build.ensure_finalized()
        build.run()
        return [Path(output) for output in build.get_outputs()]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.folder.cleanup()


def asked_for(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")
