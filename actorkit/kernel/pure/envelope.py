"""Envelopes: a message that is more than itself (a question, a timer's, a method call).

A plain `tell` puts the bare message into the inbox; an `Envelope` goes there when somebody waits
for an answer, or when it must be asked at delivery whether it still stands. Uses only errors and
messages; everything else of the kernel is built on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import AskTimeout
from ...messages import Call

if TYPE_CHECKING:
    from greenlet import greenlet

    from ..cell import Cell
    from ..dispatcher import Dispatcher, Worker
    from ..terms import Sink

__all__ = ["Envelope", "Waiter"]


class Waiter:
    """A greenlet that waits for something within this hub, as an entry of the ready deque.

    `Dispatcher.suspend(waiter)` waits; whoever has what it waits for schedules the waiter, and the
    active worker switches straight to the greenlet.
    """

    __slots__ = ("greenlet",)

    #: Tells the worker's loop that this entry of the ready deque is no cell with plain mail.
    _handler: Any = None

    def __init__(self) -> None:
        self.greenlet: greenlet | None = None

    def _step(self, worker: Worker) -> greenlet | None:
        """The waiting greenlet, which is to have the thread of control (it may have gone)."""
        waiting = self.greenlet
        self.greenlet = None
        return waiting


class Envelope(Waiter):
    """A message together with where its answer goes, or with a gate that may withdraw it.

    One object is the envelope in the inbox, the promise of its answer, and the entry of the ready
    deque that wakes the asker: a whole `ask` makes nothing else.
    """

    __slots__ = (
        "bucket",
        "cell",
        "deadline",
        "dispatcher",
        "done",
        "error",
        "gate",
        "message",
        "passed",
        "sink",
        "trace",
        "value",
    )

    def __init__(
        self,
        message: Any,
        cell: Cell | None,
        dispatcher: Dispatcher | None = None,
        gate: Callable[[], bool] | None = None,
    ) -> None:
        self.greenlet = None
        self.message = message
        self.cell = cell  # who is asked; None when nobody waits for an answer
        self.dispatcher = dispatcher
        self.gate = gate
        self.done = False
        self.passed = False  # deferred, forwarded or stashed: the end of the turn is no answer
        self.sink: Sink | None = None
        #: Where the way of messages is recorded: the trace, or its text on the way to another node.
        self.trace: Any = None
        self.bucket: dict[Any, None] | None = None
        self.value: Any = None
        self.deadline: float  #: on the dispatcher's clock; set where the asker waits in `ask`
        self.error: BaseException | None = None

    def deliver(self, worker: Worker, handler: Callable[[Any, Any], Any], instance: Any) -> None:
        """Run the message's turn and answer with what it returns."""
        gate = self.gate
        if gate is not None and not gate():
            return
        worker.envelope = self
        message = self.message
        if self.trace is not None:
            value = self.trace.run(handler, instance, message)
        elif type(message) is Call:
            value = instance._on_call(message)
        else:
            value = handler(instance, message)
        worker.envelope = None
        if not self.passed:
            self.answer(value)

    def answer(self, value: Any) -> bool:
        """Settle with a value; False when it was settled before (the answer is dropped)."""
        return self._settle(value, None)

    def fail(self, error: BaseException) -> bool:
        """Settle with an error; False when it was settled before."""
        return self._settle(None, error)

    def _settle(self, value: Any, error: BaseException | None) -> bool:
        if self.done:
            if self.cell is not None:
                self.cell._host.late_answers += 1
            return False
        self.done = True
        if self.cell is None:
            return True
        self.value = value
        self.error = error
        bucket = self.bucket
        if bucket is not None:
            del bucket[self]
            self.bucket = None
        if self.greenlet is not None:
            self.dispatcher.schedule(self)  # type: ignore[union-attr]
        elif self.sink is not None:
            self.sink.settle(value, error)
        return True

    def abandon(self) -> None:
        """The asker waits no more; an answer that still comes is dropped."""
        self.done = True
        if self.bucket is not None:
            del self.bucket[self]
            self.bucket = None

    def expire(self) -> None:
        """The asker's time is over (called by the timeout wheel)."""
        self.fail(AskTimeout(f"no answer from {self.cell.path} in time; it may be busy or blocked"))  # type: ignore[union-attr]
