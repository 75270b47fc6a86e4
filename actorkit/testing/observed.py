"""Systems and references that tell the footprints what they touch, besides their own actor.

`ObservedSystem` is what an exhaustive exploration makes its nodes of. That a step touches the actor
whose turn it is, is known without; here is what it does to others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from ..actor import _Forwarded as Forwarded
from ..errors import AskDeadlock
from ..events import EventStream
from ..groups import Groups
from ..kernel import Cell, Envelope, InboxQueue, Life, Worker
from ..kernel.asking import ASK_TIMEOUT
from ..messages import Reason, Terminated
from ..ref import ActorRef
from .reduction import WRITE
from .system import SimulatedRef, SimulatedSystem

if TYPE_CHECKING:
    from ..observe.tree import ActorInfo
    from .footprints import Footprints

__all__ = ["ASK", "READ", "REMOVE", "ObservedRef", "ObservedSystem", "observed_queues"]

#: Ways to touch that commute with themselves: looking; asking; leaving the tree of actors.
READ = "read"
ASK = "ask"
REMOVE = "remove"


class ObservedRef(SimulatedRef):
    """A reference that tells what is done by it."""

    __slots__ = ()

    @property
    def _footprints(self) -> Footprints:
        footprints = self._dispatcher.simulation.footprints
        assert footprints is not None
        return footprints

    def _touch(self, what: str, way: str = WRITE) -> None:
        self._footprints.touch_actor(what, self, way)

    def _touch_urgently(self) -> None:
        """Something goes ahead of the messages in the inbox, those that come later too."""
        self._touch("actor")
        if self._footprints.turn is not self:
            self._touch("inbox")

    # -- messages -------------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        with self._putting():
            super().tell(message)

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        footprints = self._footprints
        me = getcurrent()
        asker = me.cell if isinstance(me, Worker) else None
        footprints.touch_node("asks", self._dispatcher, ASK)
        footprints.asks(asker, self)
        try:
            return super().ask(message, timeout)
        except BaseException as error:
            # It may wait no more, so that an answer comes too late.
            footprints.touch_node("questions", self._dispatcher)
            self._touch("inbox")
            if isinstance(error, AskDeadlock):
                footprints.refused(self, message)
            raise
        finally:
            footprints.asks_no_more(asker)

    def _submit(self, message: Any, timeout: float | None, sink: Any) -> Envelope:
        if isinstance(sink, Forwarded):
            self._footprints.passed_on(sink._envelope)
        return super()._submit(message, timeout, sink)

    def _put(self, message: Any, block: bool = True, timeout: float | None = None) -> None:
        with self._putting():
            super()._put(message, block, timeout)

    @contextmanager
    def _putting(self) -> Iterator[None]:
        """A message is put into the inbox, which may take several steps."""
        self._touch("inbox")
        try:
            yield
        except BaseException:
            self._touch("inbox")  # thrown out of the wait for room
            raise

    @property
    def inbox(self) -> InboxQueue:
        self._touch("inbox", READ)
        self._touch("actor", READ)
        return super().inbox

    # -- life -----------------------------------------------------------------------------------

    def stop(self, drain: bool = False) -> None:
        self._touch("end", READ)
        super().stop(drain)

    def kill(self) -> None:
        self._touch("end", READ)
        super().kill()

    def ready(self) -> bool:
        self._touch("end", READ)
        return super().ready()

    def rawlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        self._touch("end")
        super().rawlink(callback)

    def unlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        self._touch("end")
        super().unlink(callback)

    def _add_watcher(self, life: Life) -> None:
        self._touch("end")
        super()._add_watcher(life)

    def _remove_watcher(self, life: Life) -> None:
        self._touch("end")
        super()._remove_watcher(life)

    def _add_link(self, other: ActorRef[Any]) -> None:
        self._touch("end")
        super()._add_link(other)

    def _remove_link(self, other: ActorRef[Any]) -> None:
        self._touch("end")
        super()._remove_link(other)

    def _linked_ended(
        self, other: ActorRef[Any], reason: Reason, error: BaseException | None
    ) -> None:
        self._touch("end", READ)
        super()._linked_ended(other, reason, error)

    def _stop_plainly(self) -> None:
        self._touch_urgently()
        super()._stop_plainly()

    def _end(self, reason: Reason = Reason.NORMAL, handled: int = 0) -> None:
        _ends(self)
        super()._end(reason, handled)

    def _get_life(self) -> Life:
        return ObservedLife(self) if self._life is None else self._life


@contextmanager
def observed_queues() -> Iterator[None]:
    """Meanwhile it is told when an actor looks how many messages wait, in its own inbox too."""
    look = InboxQueue.qsize

    def qsize(queue: InboxQueue) -> int:
        if isinstance(queue._cell, ObservedRef):
            queue._cell._touch("inbox", READ)
        return look(queue)

    InboxQueue.qsize = qsize  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        InboxQueue.qsize = look  # type: ignore[method-assign]


def _ends(cell: Cell) -> None:
    """An actor is over, for everyone who could reach it."""
    if isinstance(cell, ObservedRef):
        for what in ("actor", "inbox", "end"):
            cell._touch(what)
        cell._footprints.touch_node("tree", cell._dispatcher, REMOVE)


class ObservedLife(Life):
    """A life that tells what others do to it, and it to others."""

    __slots__ = ()

    cell: ObservedRef

    def _touch(self) -> None:
        self.cell._touch_urgently()

    def _touch_parent(self) -> None:
        """What happens now is the supervisor's matter."""
        parent = self.cell._parent
        footprints = self.cell._footprints
        if parent is not None:
            footprints.touch_actor("actor", parent)
        footprints.touch_node("tree", self.cell._dispatcher, READ)

    def signal(self, function: Callable[[], None]) -> None:
        self._touch()
        super().signal(function)

    def terminated(self, message: Terminated) -> None:
        self._touch()
        self.cell._touch("end", READ)
        super().terminated(message)

    def fail(self, error: BaseException) -> None:
        self._touch_parent()
        super().fail(error)

    def end_itself(self) -> None:
        if self.cell._spec.restart == "permanent":
            self._touch_parent()
        super().end_itself()

    def resume(self) -> None:
        self._touch()
        super().resume()

    def order_stop(
        self, reason: Reason, error: BaseException | None = None, within: float | None = None
    ) -> None:
        self._touch()
        super().order_stop(reason, error, within)

    def kill(self) -> None:
        self._touch()
        super().kill()

    def halt(self, reason: Reason, then: Callable[[], None]) -> None:
        self._touch()
        super().halt(reason, then)

    def finish(self, reason: Reason, error: BaseException | None) -> None:
        _ends(self.cell)
        if self.regroup is not None:
            self._touch_parent()
        super().finish(reason, error)

    def stop_children(self, then: Callable[[], None]) -> None:
        if self.children:
            self.cell._footprints.touch_node("node", self.cell._dispatcher)
        super().stop_children(then)

    def child_gone(self) -> None:
        if self.when_childless is not None:
            self.cell._footprints.touch_node("node", self.cell._dispatcher)
        super().child_gone()


class ObservedEvents(EventStream):
    """An event stream whose order all who publish to somebody share."""

    __slots__ = ("_system",)

    def __init__(self, system: ObservedSystem) -> None:
        super().__init__()
        self._system = system

    def subscribe(self, kinds: Any, subscriber: Any) -> None:
        self._system._touch("node")
        super().subscribe(kinds, subscriber)

    def unsubscribe(self, subscriber: Any, kinds: Any = object) -> None:
        self._system._touch("node")
        super().unsubscribe(subscriber, kinds)

    def publish(self, event: Any) -> None:
        if self.wants(type(event)):
            self._system._touch("events")
        super().publish(event)


class ObservedGroups(Groups):
    """Groups that all who use them share."""

    _system: ObservedSystem

    def join(self, group: str, ref: ActorRef[Any]) -> None:
        self._system._touch("groups")
        super().join(group, ref)

    def leave(self, group: str, ref: ActorRef[Any]) -> None:
        self._system._touch("groups")
        super().leave(group, ref)

    def members(self, group: str) -> list[ActorRef[Any]]:
        self._system._touch("groups")
        return super().members(group)

    def names(self) -> list[str]:
        self._system._touch("groups")
        return super().names()


class ObservedSystem(SimulatedSystem):
    """A node of an exhaustive exploration."""

    cell_type = ObservedRef

    def _touch(self, what: str, way: str = WRITE) -> None:
        footprints = self.simulation.footprints
        assert footprints is not None
        footprints.touch_node(what, self._given, way)

    @property
    def events(self) -> EventStream:
        return self._events

    @events.setter
    def events(self, _: EventStream) -> None:
        self._events = ObservedEvents(self)

    @property
    def groups(self) -> Groups:
        if self._groups is None:
            self._groups = ObservedGroups(self)
        return self._groups

    _groups: Groups | None = None

    def spawn(self, *args: Any, **kwargs: Any) -> Any:
        return self._made(super().spawn, *args, **kwargs)

    def _spawn(self, *args: Any) -> Any:
        return self._made(super()._spawn, *args)

    def _made(self, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._touch("tree")  # also where the name is taken
        ref = make(*args, **kwargs)
        if isinstance(ref, ObservedRef):
            ref._footprints.made(ref)
        return ref

    def lookup(self, path: str) -> ActorRef[Any]:
        self._touch("tree", READ)
        return super().lookup(path)

    def tree(self) -> list[ActorInfo]:
        self._touch("node")
        return super().tree()

    @property
    def counters(self) -> dict[str, int]:
        self._touch("node")
        return super().counters

    def shutdown(self, timeout: float | None = None) -> None:
        self._touch("node")
        super().shutdown(timeout)
