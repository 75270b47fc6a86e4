"""The other process: started for one figure, and ended with it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def started(command: list[str]) -> Iterator[str]:
    """Run `command` beside this process; yields the line that it prints when it is ready."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                raise RuntimeError(f"ended before it was ready: {' '.join(command)}")
            yield line
        finally:
            process.kill()


@contextmanager
def station(peer: str, *arguments: str) -> Iterator[str]:
    """The program of a peer's module as the other process."""
    module = f"{__package__}.{peer}_peer"
    with started([sys.executable, "-m", module, *arguments]) as line:
        yield line


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
