"""The cell: what one actor is to the kernel, as small as it can be, since there are a million.

A cell that only receives, never fails and has no children consists of its slots. Anything that
needs more (children, watchers, timers, a stop, a failure) gives it a `Life`, which lives in
`life.py` and is made on first need.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..errors import ActorStopped
from ..events import DeadLetter
from ..messages import Reason
from .envelope import EMPTY, Envelope

if TYPE_CHECKING:
    from ..events import EventStream
    from ..ref import ActorRef
    from .dispatcher import Dispatcher, Worker
    from .inbox import Box, Inbox
    from .life import Life

__all__ = ["Cell", "Host", "Spec", "State"]


class State(enum.Enum):
    """Where an actor is in its life. `Life` makes every transition, `Cell.end` the last one."""

    STARTING = "starting"  #: made; `on_start` has not ended
    RUNNING = "running"  #: handles messages
    FAILED = "failed"  #: waits for its supervisor's decision
    RESTARTING = "restarting"  #: the old instance is ending, or the new one is due or starting
    STOPPING = "stopping"  #: its children, then it, are ending
    STOPPED = "stopped"  #: over, for good


RUNNING = State.RUNNING
STOPPED = State.STOPPED


class Host(Protocol):
    """What the kernel needs of the system that an actor belongs to."""

    name: str
    events: EventStream
    stopping: bool
    late_answers: int  #: answers that came second, or when the asker had gone

    #: The class of its cells: what users know as references.
    cell_type: ClassVar[type[Cell]]


class Spec:
    """What all actors of one class and set of spawn options share."""

    __slots__ = (
        "begins",
        "bounded",
        "cls",
        "dedicated",
        "inbox",
        "init",
        "judges",
        "new",
        "on_start",
        "on_stop",
        "ordered_plainly",
        "plain_end",
        "process",
        "receive",
        "restart",
        "shutdown",
    )

    def __init__(
        self,
        cls: type[Any],
        restart: str,
        shutdown: float,
        inbox: Inbox,
        base: type[Any],
    ) -> None:
        self.cls = cls
        self.restart = restart
        self.shutdown = shutdown
        self.inbox = inbox
        new: Any = cls.__new__
        self.new: Callable[..., Any] | None = None if new is object.__new__ else new
        self.init: Callable[..., None] = cls.__init__
        self.receive: Callable[[Any, Any], Any] = cls.receive
        self.on_start: bool = cls.on_start is not base.on_start
        self.on_stop: bool = cls.on_stop is not base.on_stop
        self.judges: bool = cls.on_child_failure is not base.on_child_failure
        self.process: bool = cls.run is not base.run
        self.dedicated: bool = self.process or bool(cls.dedicated)
        #: The actor has a first turn of its own.
        self.begins = self.on_start or self.dedicated
        self.bounded = not inbox.plain
        #: An end needs no turn, since there is nothing to call ...
        self.ordered_plainly = not self.on_stop
        #: ... and, where it is the actor's own end, nothing to restart.
        self.plain_end = self.ordered_plainly and restart != "permanent"


class Cell:
    """One actor; as `LocalRef` also what everyone knows it by.

    That a local reference is the cell itself saves an object and a step for each message. Hence
    the underscores: to users these names are private, to the kernel they are not.

    `_idle`: alive, nothing in the inbox, in nobody's hands: the next message may go to `_first`
    and the cell to the ready deque. Otherwise messages go to `_inbox` (made when needed, given back
    when drained), or to `_box`, where the inbox has limits.
    `_handler` is called as `handler(instance, message)`; it is None whenever the worker's short way
    does not apply, and then `_step` is called instead.
    """

    __slots__ = (
        "__weakref__",
        "_args",
        "_asking",
        "_box",
        "_dispatcher",
        "_first",
        "_handled",
        "_handler",
        "_host",
        "_idle",
        "_inbox",
        "_instance",
        "_key",
        "_kwargs",
        "_life",
        "_parent",
        "_spec",
        "_state",
        "_worker",
        "uid",
    )

    #: Made by life.py, which this module does not import.
    make_life: ClassVar[Callable[[Cell], Life]]

    def __init__(
        self,
        host: Host,
        dispatcher: Dispatcher,
        parent: Cell | None,
        spec: Spec,
        key: str | int,
        uid: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
    ) -> None:
        self._host = host
        self._dispatcher = dispatcher
        self._parent = parent
        self._spec = spec
        self._key = key
        self.uid = uid
        self._args = args
        self._kwargs = kwargs
        self._idle = False
        self._first: Any = EMPTY
        self._inbox: deque[Any] | None = None
        self._box: Box | None = None
        self._handler: Callable[[Any, Any], Any] | None = None
        self._life: Life | None = None
        self._state = State.STARTING
        self._handled = 0
        self._asking: Envelope | None = None
        self._worker: Worker | None = None
        self._instance: Any = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        key = self._key
        return key if isinstance(key, str) else f"${key}"

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
    def _ref(self) -> ActorRef[Any]:
        """The cell by its public type."""
        return self  # type: ignore[return-value]

    def _get_life(self) -> Life:
        """The cell's `Life`, made on first need."""
        life = self._life
        return Cell.make_life(self) if life is None else life

    def _put(self, message: Any, block: bool = True, timeout: float | None = None) -> None:
        """Queue a message wherever it belongs: the long way of `tell`, for every state.

        Raises Full as the inbox's policy says; never because the actor is dead.
        """
        if self._idle:
            self._idle = False
            self._first = message
            self._dispatcher.schedule(self)
        elif self._state is STOPPED:
            self._dead_letter(message)
        elif self._box is not None:
            self._box.put(self, message, block, timeout)
        elif self._inbox is not None:
            self._inbox.append(message)
        else:
            spare = self._dispatcher.spare
            self._inbox = spare.pop() if spare else deque()
            self._inbox.append(message)

    def _step(self, worker: Worker) -> None:
        """The worker's long way: whatever else there is to do than plain messages."""
        life = self._life
        if life is not None:
            life.turn(worker)
        elif self._state is RUNNING:
            self._end()  # only `stop_plainly` sends a cell without a life here

    def _stop_plainly(self) -> None:
        """End after the current message, where nobody needs to be asked or called."""
        self._handler = None
        if self._idle:
            self._idle = False
            self._dispatcher.schedule(self)

    def _end(self, reason: Reason = Reason.NORMAL) -> None:
        """The end of an actor that has no life but its slots."""
        self._state = STOPPED
        self._instance = None
        self._idle = False
        siblings = self._parent._life.children  # type: ignore[union-attr]
        del siblings[self._key]
        if self._first is not EMPTY or self._inbox is not None:
            self._flush()
        events = self._host.events
        if events.subscriptions:
            events.publish(ActorStopped(f"{self.path} ended", ref=self._ref, reason=reason))
        if self._parent._life.when_childless is not None:  # type: ignore[union-attr]
            self._parent._life.child_gone()  # type: ignore[union-attr]

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
        if self._box is not None:
            pending.extend(self._box.drain())
        for message in pending:
            self._dead_letter(message)

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
