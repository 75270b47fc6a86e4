"""`RemoteRef`: the reference of an actor on another node, with the words of every reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from gevent.queue import Full

from ..errors import ActorError, CodecError, NotInActor
from ..events import DeadLetter
from ..kernel import Envelope, Life
from ..kernel.asking import ASK_TIMEOUT, check_timeout
from ..kernel.dispatcher import await_answer
from ..kernel.twin import get_ident
from ..messages import Call, Reason, Terminated
from ..ref import ActorRef

if TYPE_CHECKING:
    from .node import Network
    from .peer import Peer

__all__ = ["Incarnation", "NodeKey", "RemoteRef"]

#: A node: its name and its incarnation.
NodeKey = tuple[str, str]


class Incarnation:
    """One life of a node, shared by all references to its actors.

    `address`: where it listens as far as is known, or empty. `peer`: while it is connected.
    """

    __slots__ = ("__weakref__", "address", "key", "peer")

    def __init__(self, key: NodeKey, address: str) -> None:
        self.key = key
        self.address = address
        self.peer: Peer | None = None

    @property
    def name(self) -> str:
        return self.key[0]


class RemoteRef(ActorRef[Any]):
    """Reaches an actor on another node, over the association with that node.

    At most once, in order for each sending node. What cannot be sent is a dead letter here. A node
    that is not connected and listens somewhere is connected to on first use.
    """

    __slots__ = ("__weakref__", "_dispatcher", "_end", "_network", "_path", "node", "uid")

    #: A remote actor's own waits are not known here; the deadlock check ends at it.
    _asking: Envelope | None = None

    def __init__(self, network: Network, node: Incarnation, path: str, uid: int) -> None:
        self._network = network
        self._dispatcher = network.dispatcher
        self.node = node
        self._path = path
        self.uid = uid
        #: How it ended, once that is known.
        self._end: Terminated | None = None

    # -- messages -------------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        peer = self.node.peer
        if get_ident() != self._dispatcher.thread:
            self._dispatcher.check_thread()
        if peer is not None:
            peer.tell(self.uid, message)
        elif self._end is not None:
            self._undelivered(message)
        else:
            self._tell_later(message, None)

    def _tell_later(self, message: Any, carrier: dict[str, str] | None) -> None:
        """Have the node connected and the message sent, with the trace that it is part of."""
        data = self._network.codec.pack(message)
        self._network.when_connected(
            self,
            lambda peer: peer.tell_packed(self.uid, data, carrier),
            lambda error: self._undelivered(message, str(error)),
        )

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        envelope = Envelope(None, self, self._dispatcher)  # type: ignore[arg-type]
        self._send_question(envelope, message, timeout)
        return await_answer(envelope, self._dispatcher)

    def _submit(self, message: Any, timeout: float | None, sink: Any) -> Envelope:
        envelope = Envelope(None, self, self._dispatcher)  # type: ignore[arg-type]
        envelope.sink = sink
        self._send_question(envelope, message, timeout)
        return envelope

    def _send_question(self, envelope: Envelope, message: Any, timeout: float | None) -> None:
        dispatcher = self._dispatcher
        dispatcher.check_thread()
        deadline = None
        if timeout is not None:
            deadline = dispatcher.clock() + check_timeout(timeout)
        peer = self.node.peer
        if peer is not None and self._end is None:
            peer.ask(self, message, envelope, deadline)
        elif self._end is not None:
            envelope.fail(self._network.gone(self))
        else:
            data = self._network.codec.pack(message)
            self._network.when_connected(
                self,
                lambda peer: peer.ask_packed(self, data, envelope),
                envelope.fail,
            )
        if deadline is not None and not envelope.done:
            dispatcher.timeouts.add(envelope, deadline)

    def _cast(self, call: Call) -> None:
        self.tell(call)

    def _tell_unblocked(self, message: Any) -> None:
        try:
            self.tell(message)
        except (Full, CodecError) as error:
            self._undelivered(message, str(error))

    def _check_callable(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(f"names with _ cannot be called from outside: {name!r}")

    def _undelivered(self, message: Any, reason: str | None = None) -> None:
        events = self._network.system.events
        events.publish(DeadLetter(message, self, reason or str(self._network.gone(self))))

    @property
    def inbox(self) -> Any:
        return RemoteInbox(self)

    # -- life -----------------------------------------------------------------------------------

    def stop(self, drain: bool = False) -> None:
        self._order(Call("stop", (self.uid, drain)))

    def kill(self) -> None:
        self._order(Call("kill", (self.uid,)))

    def _order(self, call: Call) -> None:
        self._dispatcher.check_thread()
        if self._end is None:
            self._network.when_connected(self, lambda peer: peer.tell(0, call), lambda error: None)

    def ready(self) -> bool:
        """Whether it has ended, as far as is known here, or its node is out of reach."""
        return self._end is not None or self.node.peer is None

    @property
    def exception(self) -> BaseException | None:
        return None if self._end is None else self._end.error

    @property
    def value(self) -> None:
        """None: results of `run` stay on their node; have the actor send what it found."""
        return None

    def rawlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        if not callable(callback):
            raise TypeError(f"rawlink takes a callable, not {callback!r}")
        self._dispatcher.check_thread()
        if self._end is not None:
            self._dispatcher.loop.run_callback(callback, self)
            return
        self._network.when_connected(
            self,
            lambda peer: peer.watch(self).observers.append(callback),
            lambda error: self._dispatcher.loop.run_callback(callback, self),
        )

    def unlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        peer = self.node.peer
        watched = None if peer is None else peer.watched.get(self.uid)
        if watched is not None and callback in watched.observers:
            watched.observers.remove(callback)

    # -- address --------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        return self._path

    @property
    def name(self) -> str:
        return self._path.rsplit("/", 1)[-1]

    @property
    def address(self) -> str:
        place = self.node.address.partition("://")[2]
        return f"actorkit://{self.node.name}{'@' if place else ''}{place}{self._path}#{self.uid}"

    @property
    def _host(self) -> Any:
        return self._network.system

    # -- what actors on either side need of each other ------------------------------------------

    def _add_watcher(self, life: Life) -> None:
        def watch(peer: Peer) -> None:
            peer.watch(self).lives[life] = None

        def lost(error: ActorError) -> None:
            life.terminated(Terminated(self, Reason.NODE_LOST, error))

        if self._end is not None:
            life.terminated(self._end)
        else:
            self._network.when_connected(self, watch, lost)

    def _remove_watcher(self, life: Life) -> None:
        peer = self.node.peer
        watched = None if peer is None else peer.watched.get(self.uid)
        if watched is not None:
            watched.lives.pop(life, None)

    def _add_link(self, other: ActorRef[Any]) -> None:
        def link(peer: Peer) -> None:
            peer.links[other, self] = None
            peer.tell(0, Call("link", (self.uid, other)))

        def lost(error: ActorError) -> None:
            other._linked_ended(self, Reason.NODE_LOST, error)

        if self._end is not None:
            other._linked_ended(self, self._end.reason, self._end.error)
        else:
            self._network.when_connected(self, link, lost)

    def _remove_link(self, other: ActorRef[Any]) -> None:
        peer = self.node.peer
        if peer is not None and peer.links.pop((other, self), 0) is None:
            peer.tell(0, Call("unlink", (self.uid, other)))

    def _linked_ended(
        self, other: ActorRef[Any], reason: Reason, error: BaseException | None
    ) -> None:
        peer = self.node.peer
        if peer is not None:
            peer.links.pop((other, self), None)
            peer.tell(0, Call("linked_ended", (self.uid, other, reason, error)))


class RemoteInbox:
    """The inbox of an actor on another node: one can put."""

    __slots__ = ("_ref",)

    def __init__(self, ref: RemoteRef) -> None:
        self._ref = ref

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Send `item`, as `tell` does."""
        self._ref.tell(item)

    put_nowait = put

    def __getattr__(self, name: str) -> NoReturn:
        raise NotInActor(f"{name}() of an inbox works on the actor's own node; ask the actor")
