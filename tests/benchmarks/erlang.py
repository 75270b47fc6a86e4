"""How the programs in Erlang are compiled and started: one scheduler, as actorkit has one core."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def compiled(source: Path) -> Iterator[str]:
    """The folder of the compiled module."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["erlc", "-o", folder, str(source)], check=True, capture_output=True)
        yield folder


def release() -> str:
    """The release of Erlang/OTP, as in "25"."""
    show = 'io:format("~s", [erlang:system_info(otp_release)]), halt().'
    done = subprocess.run(["erl", "-noshell", "-eval", show], capture_output=True, text=True)
    return done.stdout


def command(folder: str, module: str, *arguments: str, flags: tuple[str, ...] = ()) -> list[str]:
    """The command that runs `module:main(arguments)`."""
    erl = ["erl", "+S", "1:1", "+P", "2000000", "-noshell", "-pa", folder, *flags]
    return [*erl, "-run", module, "main", *arguments]


def output(command: list[str]) -> float:
    """The figure that the command prints."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)
