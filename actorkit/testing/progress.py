"""How far an exploration is, on a terminal: by rich where it is installed, else as a plain line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

__all__ = ["progress"]

#: Seconds between two plain lines.
EVERY = 0.5


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` runs are done; call what this gives with their number."""
    if not sys.stderr.isatty():
        yield lambda done: None
    elif find_spec("rich") is None:
        yield from _plain(title, total)
    else:
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)


def _plain(title: str, total: int) -> Iterator[Callable[[int], None]]:
    shown = time.perf_counter()

    def show(done: int) -> None:
        nonlocal shown
        if time.perf_counter() - shown >= EVERY:
            shown = time.perf_counter()
            sys.stderr.write(f"\r{title}: {done} of {total} runs")
            sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\x1b[K")
