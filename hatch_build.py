"""Compiles the kernel into a wheel or an editable install, where that is possible.

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

KERNEL = Path("actorkit/kernel/compiled")


class CompileKernel(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own configuration
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        if version == "editable":
            for stale in (Path(self.root) / KERNEL).glob("core.*.so"):
                stale.unlink()
        try:
            built = self.compiled(Path(self.folder.name))
        except (Exception, SystemExit) as error:
            if asked_for("ACTORKIT_COMPILED"):
                raise
            self.app.display_warning(f"actorkit: pure kernel, since it did not compile: {error}")
            return
        if built is None:
            self.app.display_info("actorkit: pure kernel")
        elif version == "editable":
            shutil.copy(built, Path(self.root) / KERNEL)
            self.app.display_info("actorkit: compiled kernel")
        else:
            build_data["force_include"][str(built)] = str(KERNEL / built.name)
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            self.app.display_info("actorkit: compiled kernel")

    def compiled(self, folder: Path) -> Path | None:
        """The extension module, made in `folder`; None where it is not wanted."""
        if asked_for("ACTORKIT_PURE") or sys.implementation.name != "cpython":
            return None
        import greenlet
        from Cython.Build import cythonize
        from setuptools import Distribution, Extension

        core = Extension(
            "actorkit.kernel.compiled.core",
            [str(KERNEL / "core.pyx")],
            include_dirs=[str(Path(greenlet.__file__).parent.parent)],
        )
        distribution = Distribution({"ext_modules": cythonize([core], build_dir=str(folder))})
        build: Any = distribution.get_command_obj("build_ext")
        build.build_lib = build.build_temp = str(folder)
        build.ensure_finalized()
        build.run()
        return Path(build.get_outputs()[0])

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self.folder.cleanup()


def asked_for(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")
