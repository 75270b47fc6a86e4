"""The last failures of a system, each with its traceback, kept from the beginning.

The kernel adds to it when an actor fails. Holds no frame and no exception, so that nothing of a
failed actor lives on in it. The inspector reads it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from traceback import TracebackException
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..kernel import Cell

__all__ = ["KEPT", "Failure", "Failures"]

#: Failures that are remembered, and of how many in a second; the others are counted.
KEPT = 100
RATE = 50
#: Frames of a traceback, the innermost ones, and its characters.
MAX_FRAMES = 30
MAX_TRACE = 8_000


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of an actor; `at` is a time of the dispatcher's clock."""

    number: int
    at: float
    path: str
    cls: str
    error: str  #: the name of its class
    trace: TracebackException

    def text(self) -> str:
        """What the error says, and the traceback, as Python prints it."""
        return _ending("".join(self.trace.format()))

    def places(self) -> str:
        """Where it came from, without what the error says."""
        return _ending("".join(self.trace.stack.format()))


class Failures:
    """The last `KEPT` failures; `count` is how many there were in all."""

    __slots__ = ("_in_second", "_kept", "_second", "count")

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[Failure] = deque(maxlen=KEPT)
        self._second = -1
        self._in_second = 0

    def add(self, cell: Cell, error: BaseException) -> None:
        """Remember that this actor failed."""
        self.count += 1
        now = cell._dispatcher.clock()
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        if self._in_second > RATE:
            return
        trace = TracebackException(
            type(error), error, error.__traceback__, limit=-MAX_FRAMES, lookup_lines=False
        )
        self._kept.append(
            Failure(
                self.count,
                now,
                cell.path,
                cell._spec.cls.__qualname__,
                type(error).__qualname__,
                trace,
            )
        )

    def after(self, number: int) -> list[Failure]:
        """Those that came after failure `number`, oldest first."""
        return [failure for failure in self._kept if failure.number > number]


def _ending(text: str) -> str:
    return text if len(text) <= MAX_TRACE else "..." + text[-MAX_TRACE:]
