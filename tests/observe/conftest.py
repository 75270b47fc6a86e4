"""Programs to look at, and to look with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

Town = Callable[..., str]


@pytest.fixture
def town() -> Iterator[Town]:
    """`town("--branches", "5")` starts the program town.py, and gives its address."""
    with ExitStack() as running:

        def start(*options: str) -> str:
            program = subprocess.Popen(
                [sys.executable, "-m", "tests.observe.town", *options],
                stdout=subprocess.PIPE,
                text=True,
            )
            running.callback(_end, program)
            assert program.stdout is not None
            return program.stdout.readline().strip()

        yield start


def _end(program: subprocess.Popen[str]) -> None:
    program.kill()
    program.wait()
    if program.stdout is not None:
        program.stdout.close()
