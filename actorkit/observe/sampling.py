"""Times the turns of some messages, so that they stand for all: the clock is read for few of them.

`Dispatcher.tick`, which a worker calls every few messages, asks the sampler how many more. When a
sample is due, the handler of the cell that is next is replaced for one message by a `Sample`, which
times it: the loop for each message knows nothing of it. Used by counts.py; uses the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..kernel import Dispatcher, Envelope
from ..messages import Call

if TYPE_CHECKING:
    from ..kernel import Cell, Worker

__all__ = ["MAX_MEAN", "SAMPLE_TIME", "Sampler", "Timed"]

#: Seconds between two samples under load; where messages come more slowly, each is one.
SAMPLE_TIME = 0.0005
#: Samples that may come at once after a rest.
BURST = 100.0
#: So many times as long without a sample means that the load has gone.
OVERDUE = 10
#: The most messages, on average, that one sample stands for.
MAX_MEAN = 1024.0


class Timed(Protocol):
    """Who gets the times of the actors of one system."""

    def tally(self, cls: type[Any]) -> Callable[[float, int], None]:
        """What is to be called with seconds, and how many messages they stand for."""


class Sampler:
    """Decides which messages of one dispatcher are timed.

    Each message is as likely as any other: the number of messages from one sample to the next is
    drawn at random, between 1 and twice a mean that follows the load. A sample stands for itself
    and the messages that its worker has handled since the one before.
    """

    #: Seconds between two samples; 0 makes every message one.
    time: ClassVar[float] = SAMPLE_TIME

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.clock = dispatcher.clock
        #: The systems whose actors are timed; they have this dispatcher.
        self.systems: dict[Any, Timed] = {}
        self._dispatcher = dispatcher
        self._mean = 1.0
        self._saved = BURST
        #: How many messages of the long way there are until one is timed, that one included, and
        #: how many it will stand for. The worker that handles them counts down.
        self.left = self._drawn = 1
        self._sampled = self.clock()

    @classmethod
    def add(cls, dispatcher: Dispatcher, system: Any, timed: Timed) -> None:
        """Have the actors of `system` timed."""
        if dispatcher.sampler is None:
            dispatcher.sampler = cls(dispatcher)
            dispatcher.dismiss_idle()
        dispatcher.sampler.systems[system] = timed

    @staticmethod
    def remove(dispatcher: Dispatcher, system: Any) -> None:
        """Time the actors of `system` no more."""
        sampler = dispatcher.sampler
        if sampler is not None:
            sampler.systems.pop(system, None)
            if not sampler.systems:
                dispatcher.sampler = None

    def plan(self, worker: Worker, stride: int, now: float) -> int:
        """How many messages `worker` may take until it asks again, `stride` at most."""
        passed = worker.passed = worker.passed + worker.granted
        elapsed = now - self._sampled
        if elapsed > OVERDUE * self.time:  # the load has gone: what was drawn under it is too much
            self._mean = max(1.0, self._mean * self.time / elapsed)
            worker.due = min(worker.due, passed + self._draw())
            sooner = min(self.left, self._draw())
            self._drawn -= self.left - sooner
            self.left = sooner
        if passed >= worker.due:
            ready = self._dispatcher.ready
            if not ready:
                worker.granted = 0
                return 0  # it rests, and asks again when there is something
            if ready[0]._handler is not None:
                self._time_next(ready[0], passed + 1)
                self._adapt(elapsed)
            worker.passed = passed = -1
            worker.due = self._draw() - 1
        granted = worker.due - passed
        if granted > stride:
            granted = stride
        worker.granted = granted
        return granted

    def weigh(self) -> int:
        """A message of the long way is to be timed, `left` being 0: how many it stands for."""
        weight = self._drawn
        self._adapt(self.clock() - self._sampled)
        self._drawn = self.left = self._draw()
        return weight

    def handled(self, cell: Cell, began: float, weight: int) -> None:
        """That message is handled."""
        timed = self.systems.get(cell._host)
        if timed is not None:
            timed.tally(cell._spec.cls)(self.clock() - began, weight)

    def _adapt(self, elapsed: float) -> None:
        """Follow the load: a sample takes one from what is saved, time adds to it."""
        self._sampled += elapsed
        if not self.time:
            return
        self._saved = min(self._saved + elapsed / self.time, BURST) - 1.0
        if self._saved < 0.0:
            self._saved = 0.0
            self._mean = min(2.0 * self._mean, MAX_MEAN)
        elif self._saved > BURST / 2:
            self._mean = max(self._mean / 2.0, 1.0)

    def _draw(self) -> int:
        return 1 + int(random() * (2.0 * self._mean - 1.0))

    def _time_next(self, entry: Any, weight: int) -> None:
        """Time the next message of this entry of the ready queue, a cell with plain mail.

        (Any other is a greenlet that waits, which is no message, or takes the long way, which times
        its own.)
        """
        handler = entry._handler
        if type(handler) is Sample:
            return
        timed = self.systems.get(entry._host)
        if timed is None:
            return
        sample = Sample(entry, handler, timed.tally(entry._spec.cls), weight, self.clock)
        envelope = entry._first
        if type(envelope) is Envelope and type(envelope.message) is Call and envelope.gate is None:
            call = envelope.message
            sample.envelope = envelope
            envelope.message = SampledCall(call.name, call.args, call.kwargs)
        entry._handler = sample


class SampledCall(Call):
    """A method call on its way to a `Sample`: of no type for which there is a shorter way."""

    __slots__ = ()


class Sample:
    """Stands in for the handler of a cell for one message."""

    __slots__ = ("cell", "clock", "envelope", "handler", "tally", "weight")

    def __init__(
        self,
        cell: Cell,
        handler: Callable[[Any, Any], Any],
        tally: Callable[[float, int], None],
        weight: int,
        clock: Callable[[], float],
    ) -> None:
        self.cell = cell
        self.handler = handler
        self.tally = tally
        self.weight = weight
        self.clock = clock
        self.envelope: Envelope | None = None

    def __call__(self, instance: Any, message: Any) -> Any:
        cell = self.cell
        if cell._handler is self:
            cell._handler = self.handler
        envelope = self.envelope
        call = None
        if envelope is not None:
            call = envelope.message = Call(message.name, message.args, message.kwargs)
        began = self.clock()
        try:
            if call is not None:
                return instance._on_call(call)
            return self.handler(instance, message)
        finally:
            self.tally(self.clock() - began, self.weight)
