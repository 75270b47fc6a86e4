"""`tell` and `ask`: the part of a reference that runs for each message.

`ActorRef` is this and the rest of the public vocabulary.
"""

from __future__ import annotations

from typing import Any

from greenlet import getcurrent

from ..errors import AskDeadlock
from .cell import Cell
from .dispatcher import Worker, get_ident
from .envelope import Envelope, Sink

__all__ = ["Sender"]

#: Seconds that an ask waits for its answer unless told otherwise.
ASK_TIMEOUT = 5.0


class Sender(Cell):
    """A cell that can be told and asked."""

    __slots__ = ()

    def tell(self, message: Any) -> None:
        dispatcher = self._dispatcher
        if get_ident() != dispatcher.thread:
            dispatcher.check_thread()
        if self._idle:
            self._idle = False
            self._first = message
            dispatcher.schedule(self)
        else:
            queue = self._inbox
            if queue is not None:
                queue.append(message)
            else:
                self._put(message)

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        dispatcher = self._dispatcher
        if get_ident() != dispatcher.thread:
            dispatcher.check_thread()
        me = getcurrent()
        asker = me.cell if isinstance(me, Worker) else None
        if asker is not None and (self is asker or self._asking is not None):
            refuse_cycle(asker, self)
        envelope = Envelope(message, self, dispatcher)
        if timeout is not None:
            dispatcher.fresh.append((envelope, dispatcher.clock() + check_timeout(timeout)))
        if self._idle:
            self._idle = False
            self._first = envelope
            dispatcher.schedule(self)
        elif self._inbox is not None:
            self._inbox.append(envelope)
        else:
            self._put(envelope, timeout=timeout)
        if not envelope.done:
            if asker is not None:
                asker._asking = envelope
            try:
                dispatcher.suspend(envelope)
            finally:
                if asker is not None:
                    asker._asking = None
                if not envelope.done:
                    envelope.abandon()
        error = envelope.error
        if error is not None:
            try:
                raise error
            finally:
                del error, envelope
        return envelope.value

    def _submit(self, message: Any, timeout: float | None, sink: Sink) -> Envelope:
        """Ask without waiting: the answer goes to `sink`."""
        dispatcher = self._dispatcher
        dispatcher.check_thread()
        envelope = Envelope(message, self, dispatcher)
        envelope.sink = sink
        if timeout is not None:
            dispatcher.timeouts.add(envelope, dispatcher.clock() + check_timeout(timeout))
        self._put(envelope)
        return envelope


def check_timeout(timeout: float) -> float:
    """`timeout` if it is a number of seconds >= 0, else ValueError."""
    if not timeout >= 0:
        raise ValueError(f"timeout must be seconds >= 0, or None for ever, not {timeout!r}")
    return timeout


def refuse_cycle(asker: Cell, target: Cell) -> None:
    """Raise AskDeadlock if `asker` waiting for `target` would wait for itself.

    An actor that deferred or passed on a question is not waited for: somebody else may answer.
    """
    circle = [asker, target]
    while target is not asker:
        waits = target._asking
        if waits is None or waits.done or waits.passed or waits.cell is None:
            return
        target = waits.cell
        circle.append(target)
        if target is circle[1]:
            return  # a circle that this asker is no part of; its members were told
    raise AskDeadlock(
        " -> ".join(cell.path for cell in circle) + " would wait for each other for ever;"
        " use tell or ask_nowait for one of the asks, or answer one later with defer_reply()"
    )
