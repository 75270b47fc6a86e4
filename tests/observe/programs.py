"""Programs to look at and to look with, started by tests."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

__all__ = ["start_observer", "start_town"]


def start_town(running: ExitStack, *options: str) -> str:
    """Start the program town.py; returns its address. It ends with `running`."""
    return _start(running, "tests.observe.town", *options)


def start_observer(running: ExitStack, address: str, *options: str) -> str:
    """Start `actorkit observe`; returns the page's address. It ends with `running`."""
    return _start(running, "actorkit", "observe", address, "--interval", "0.2", *options)


def _start(running: ExitStack, module: str, *options: str) -> str:
    program = subprocess.Popen(
        [sys.executable, "-m", module, *options], stdout=subprocess.PIPE, text=True
    )
    running.callback(_end, program)
    assert program.stdout is not None
    return program.stdout.readline().strip()


def _end(program: subprocess.Popen[str]) -> None:
    program.kill()
    program.wait()
    if program.stdout is not None:
        program.stdout.close()
