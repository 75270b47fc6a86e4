"""The cell: what one actor is to the kernel, as small as it can be, since there are a million.

A cell that only receives, never fails and has no children consists of its slots. Anything that
needs more (children, watchers, timers, a stop, a failure) gives it a `Life`, which lives in
`life.py` and is made on first need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ActorStopped
from ..events import DeadLetter
from ..messages import Reason
from .terms import EMPTY, RUNNING, STOPPED
from .twin import Envelope, Mailbox

if TYPE_CHECKING:
    from ..ref import ActorRef
    from .dispatcher import Worker
    from .inbox import Box
    from .life import Life

__all__ = ["Cell"]


class Cell(Mailbox):
    """One actor; as `LocalRef` also what everyone knows it by.

    That a local reference is the cell itself saves an object and a step for each message. Hence
    the underscores: to users these names are private, to the kernel they are not.
    """

    __slots__ = ()

    #: Made by life.py, which this module does not import.
    make_life: ClassVar[Callable[[Cell], Life]]

    @property
    def name(self) -> str:
        """The last part of the path."""
        name = self._name
        return f"${self.uid}" if name is None else name

    @property
    def path(self) -> str:
        """The names from the root down, "/parent/child"; "/" for the root itself."""
        names = []
        cell: Cell = self
        while cell._parent is not None:
            names.append(cell.name)
            cell = cell._parent
        return "/" + "/".join(reversed(names))

    @property
    def _key(self) -> str | int:
        """What its parent knows it by: its name, or its uid where it has none."""
        return self.uid if self._name is None else self._name

    @property
    def _box(self) -> Box | None:
        """The storage of an inbox that has limits."""
        life = self._life
        return None if life is None else life.box

    @property
    def _ref(self) -> ActorRef[Any]:
        """The cell by its public type."""
        return self  # type: ignore[return-value]

    def _get_life(self) -> Life:
        """The cell's `Life`, made on first need."""
        life = self._life
        return Cell.make_life(self) if life is None else life

    def _offer(self, message: Any, block: bool, timeout: float | None) -> None:
        """`inbox.put`, by the actor itself or anybody else."""
        self._dispatcher.check_thread()
        self._put(message, block, timeout)

    def _step(self, worker: Worker) -> None:
        """The worker's long way: whatever else there is to do than plain messages.

        (What a waiter's `_step` returns is the greenlet that it stands for.)
        """
        life = self._life
        if life is not None:
            life.turn(worker)
        elif self._state is RUNNING:
            self._end()  # only `stop_plainly` sends a cell without a life here

    def _failed(self, error: BaseException, envelope: Envelope | None) -> None:
        """A turn ended with `error`, while `envelope` (if any) was being answered."""
        self._get_life().failed(error, envelope)

    def _flush(self) -> None:
        """Give up what is still queued: questions fail, the rest are dead letters."""
        pending: list[Any] = []
        if self._first is not EMPTY:
            pending.append(self._first)
            self._first = EMPTY
        if self._inbox is not None:
            pending.extend(self._inbox)
            self._inbox = None
        box = self._box
        if box is not None:
            pending.extend(box.drain())
        for message in pending:
            self._dead_letter(message)

    def _discard(self) -> None:
        """The constructor has failed: end what it began, and leave nothing behind."""
        self._state = STOPPED
        self._instance = None
        self._parent._get_life().children.pop(self._key, None)  # type: ignore[union-attr]
        if self._life is not None:
            for child in reversed(list(self._life.children.values())):
                child._get_life().order_stop(Reason.SHUTDOWN)
        self._flush()

    def _dead_letter(self, message: Any, reason: str = "the actor has stopped") -> None:
        """`message` will not be delivered: tell its asker, or publish it."""
        if type(message) is Envelope:
            if message.cell is not None:
                message.fail(self._stopped_error())
                return
            if message.gate is not None:
                return  # a timer or a mark of our own, nobody's message
            message = message.message
        events = self._host.events
        if events.wants(DeadLetter):
            events.publish(DeadLetter(message, self._ref, reason))

    def _stopped_error(self) -> BaseException:
        return ActorStopped(
            f"{self.path} has stopped; watch the ref to learn of that in time", ref=self._ref
        )
