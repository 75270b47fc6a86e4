"""`Tap`: the messages of one actor as they come, in bounded words, for as long as someone looks.

While it is on, the actor's messages go the kernel's long way (`Life.tap`); while it is off it
costs nothing. Made and ended by the inspector.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from ..kernel import EMPTY, STOPPED, Cell, Envelope
from ..kernel.inbox import payload
from .brief import brief

__all__ = ["Tap"]

#: Messages that a tap keeps for its watchers, and after how many it ends by itself.
TAP_KEPT = 200
TAP_MESSAGES = 10_000
#: Messages a second that are described; the others are counted.
TAP_RATE = 100
#: Seconds after which a tap ends, however many look.
TAP_TIME = 600.0


class Tap:
    """The last messages of one actor.

    Each is [number, time, how, message, seconds, outcome]. `how`: "told", "asked" or "timer".
    `seconds` that its turn took and `outcome` (the answer, "ok", "failed: ...") are None while it
    runs; what an actor reads from its inbox by itself takes no time.
    """

    def __init__(self, cell: Cell) -> None:
        self.ended = ""
        self.skipped = 0
        #: When a watcher last looked.
        self.seen = cell._dispatcher.clock()
        self._cell = cell
        self._clock = cell._dispatcher.clock
        self._began = self.seen
        self._count = 0
        self._kept: deque[list[Any]] = deque(maxlen=TAP_KEPT)
        self._second = -1
        self._in_second = 0
        cell._get_life().set_tap(self._took)

    @property
    def last(self) -> int:
        """The number of the last message so far."""
        return self._count

    def after(self, number: int) -> list[list[Any]]:
        """The messages after `number` that are still kept, oldest first."""
        self.seen = self._clock()
        if self._cell._state is STOPPED:
            self.end("the actor has stopped")
        return [entry for entry in self._kept if entry[0] > number]

    def end(self, reason: str) -> None:
        """Off: the actor's messages go their short way again."""
        if not self.ended:
            self.ended = reason
            self._cell._get_life().set_tap(None)

    def _took(self, message: Any) -> Callable[[bool], None] | None:
        """The actor takes `message`; what is returned is called when its turn has ended."""
        now = self._clock()
        if now - self._began >= TAP_TIME:
            self.end(f"{TAP_TIME:.0f} seconds are over")
            return None
        if self._count >= TAP_MESSAGES:
            self.end(f"{TAP_MESSAGES:,} messages have passed")
            return None
        envelope = message if type(message) is Envelope else None
        if envelope is not None and envelope.gate is not None:
            return self._gated(envelope, now)
        asked = envelope is not None and envelope.cell is not None
        entry = self._note("asked" if asked else "told", payload(message), now)
        return None if entry is None else lambda ok: self._finished(entry, envelope, ok)

    def _gated(self, envelope: Envelope, now: float) -> Callable[[bool], None]:
        """A timer's message, which may have been withdrawn: only its gate knows."""
        gate = envelope.gate
        noted: list[list[Any]] = []

        def stands() -> bool:
            if not gate():  # type: ignore[misc]
                return False
            entry = self._note("timer", envelope.message, now)
            if entry is not None:
                noted.append(entry)
            return True

        envelope.gate = stands
        return lambda ok: self._finished(noted[0], envelope, ok) if noted else None

    def _note(self, how: str, message: Any, now: float) -> list[Any] | None:
        if message is EMPTY:
            return None  # a mark of the kernel's own
        self._count += 1
        if int(now) != self._second:
            self._second, self._in_second = int(now), 0
        self._in_second += 1
        if self._in_second > TAP_RATE:
            self.skipped += 1
            return None
        entry = [self._count, now, how, brief(message), None, None]
        self._kept.append(entry)
        return entry

    def _finished(self, entry: list[Any], envelope: Envelope | None, ok: bool) -> None:
        entry[4] = self._clock() - entry[1]
        if envelope is None or envelope.cell is None:
            entry[5] = "ok" if ok else "failed"
        elif not envelope.done:
            entry[5] = "no answer yet"
        elif envelope.error is not None:
            entry[5] = f"failed: {brief(envelope.error)}"
        else:
            entry[5] = brief(envelope.value)
