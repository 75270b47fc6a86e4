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

    def make_ref(self, cell: Cell) -> Any:
        """The reference of a cell."""


class Spec:
    """What all actors of one class and set of spawn options share."""

    __slots__ = (
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
        #: An end needs no turn, since there is nothing to call ...
        self.ordered_plainly = not self.on_stop
        #: ... and, where it is the actor's own end, nothing to restart.
        self.plain_end = self.ordered_plainly and restart != "permanent"


class Cell:
    """One actor.

    `idle`: alive, nothing in the inbox, in nobody's hands: the next message may go to `first` and
    the cell to the ready deque. Otherwise messages go to `queue` (made when needed, given back
    when drained), or to `box`, where the inbox has limits.
    `handler` is called as `handler(instance, message)`; it is None whenever the worker's short way
    does not apply, and then `step` is called instead.
    """

    __slots__ = (
        "args",
        "asking",
        "box",
        "dispatcher",
        "first",
        "handled",
        "handler",
        "host",
        "idle",
        "instance",
        "key",
        "kwargs",
        "life",
        "parent",
        "queue",
        "spec",
        "state",
        "uid",
        "worker",
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
        self.host = host
        self.dispatcher = dispatcher
        self.parent = parent
        self.spec = spec
        self.key = key
        self.uid = uid
        self.args = args
        self.kwargs = kwargs
        self.idle = False
        self.first: Any = EMPTY
        self.queue: deque[Any] | None = None
        self.box: Box | None = None
        self.handler: Callable[[Any, Any], Any] | None = None
        self.life: Life | None = None
        self.state = State.STARTING
        self.handled = 0
        self.asking: Envelope | None = None
        self.worker: Worker | None = None
        self.instance: Any = None

    @property
    def name(self) -> str:
        key = self.key
        return key if isinstance(key, str) else f"${key}"

    @property
    def path(self) -> str:
        """The names from the root down, "/parent/child"; "/" for the root itself."""
        names = []
        cell: Cell = self
        while cell.parent is not None:
            names.append(cell.name)
            cell = cell.parent
        return "/" + "/".join(reversed(names))

    @property
    def ref(self) -> Any:
        """A reference to the cell; they are equal, made when asked for, and cost a cell nothing."""
        return self.host.make_ref(self)

    def get_life(self) -> Life:
        """The cell's `Life`, made on first need."""
        life = self.life
        return Cell.make_life(self) if life is None else life

    def put(self, message: Any, block: bool = True, timeout: float | None = None) -> None:
        """Queue a message wherever it belongs: the long way of `tell`, for every state.

        Raises Full as the inbox's policy says; never because the actor is dead.
        """
        if self.idle:
            self.idle = False
            self.first = message
            self.dispatcher.schedule(self)
        elif self.state is STOPPED:
            self.dead_letter(message)
        elif self.box is not None:
            self.box.put(self, message, block, timeout)
        elif self.queue is not None:
            self.queue.append(message)
        else:
            spare = self.dispatcher.spare
            self.queue = spare.pop() if spare else deque()
            self.queue.append(message)

    def step(self, worker: Worker) -> None:
        """The worker's long way: whatever else there is to do than plain messages."""
        life = self.life
        if life is not None:
            life.turn(worker)
        elif self.state is RUNNING:
            self.end()  # only `stop_plainly` sends a cell without a life here

    def stop_plainly(self) -> None:
        """End after the current message, where nobody needs to be asked or called."""
        self.handler = None
        if self.idle:
            self.idle = False
            self.dispatcher.schedule(self)

    def end(self, reason: Reason = Reason.NORMAL) -> None:
        """The end of an actor that has no life but its slots."""
        self.state = STOPPED
        self.instance = None
        self.idle = False
        siblings = self.parent.life.children  # type: ignore[union-attr]
        del siblings[self.key]
        if self.first is not EMPTY or self.queue is not None:
            self.flush()
        events = self.host.events
        if events.wants(ActorStopped):
            events.publish(ActorStopped(f"{self.path} ended", ref=self.ref, reason=reason))
        if self.parent.life.when_childless is not None:  # type: ignore[union-attr]
            self.parent.life.child_gone()  # type: ignore[union-attr]

    def failed(self, error: BaseException, envelope: Envelope | None) -> None:
        """A turn ended with `error`, while `envelope` (if any) was being answered."""
        self.get_life().failed(error, envelope)

    def flush(self) -> None:
        """Give up what is still queued: questions fail, the rest are dead letters."""
        pending: list[Any] = []
        if self.first is not EMPTY:
            pending.append(self.first)
            self.first = EMPTY
        if self.queue is not None:
            pending.extend(self.queue)
            self.queue = None
        if self.box is not None:
            pending.extend(self.box.drain())
        for message in pending:
            self.dead_letter(message)

    def dead_letter(self, message: Any, reason: str = "the actor has stopped") -> None:
        """`message` will not be delivered: tell its asker, or publish it."""
        if type(message) is Envelope:
            if message.cell is not None:
                message.fail(self.stopped_error())
                return
            if message.gate is not None:
                return  # a timer or a mark of our own, nobody's message
            message = message.message
        events = self.host.events
        if events.wants(DeadLetter):
            events.publish(DeadLetter(message, self.ref, reason))

    def stopped_error(self) -> BaseException:
        return ActorStopped(
            f"{self.path} has stopped; watch the ref to learn of that in time", ref=self.ref
        )
