"""Nodes: a system that listens or connects, the others that it is connected with, and their actors.

`Network` is a system's side of it all; it speaks to each `Peer` over an `Association`. Tells, asks
and replies are all that travels; orders such as lookup, spawn and watch are calls to the service of
the other node, which has the uid 0.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import gevent
from gevent.event import AsyncResult
from gevent.queue import Full

from ..actor import Actor
from ..errors import (
    ActorError,
    ActorStopped,
    CodecError,
    HandshakeRefused,
    NodeLost,
    NodeUnreachable,
    Refused,
)
from ..events import DeadLetter, NodeDown, NodeUnresponsive, NodeUp
from ..kernel import Dispatcher, Envelope
from ..kernel.sender import ASK_TIMEOUT, check_timeout
from ..log import get_logger
from ..messages import Call, Reason, Terminated
from ..ref import ActorRef, LocalRef
from .codec import BIG, Codec
from .link import Association, Wire
from .refs import NodeKey, RemoteRef
from .security import Curve, Insecure, check_exposure
from .transport import DealerWire, Transport
from .wire import Batch, Goodbye, Hello, Refusal, Welcome, read

if TYPE_CHECKING:
    from ..system import ActorSystem

__all__ = ["Network", "Node", "Peer"]

#: Seconds between two signs of life to a silent peer.
PING = 1.0
#: Seconds of silence from which a peer is `NodeUnresponsive`.
UNRESPONSIVE = 3.0
#: Seconds of silence from which a peer is lost although its connection stands.
SILENCE_LIMIT = 60.0
#: Seconds before the first new try to connect, and the most between two.
RETRY_FIRST, RETRY_MOST = 0.05, 1.0
#: References of other nodes to our actors from which the dead are swept out.
SWEEP_EXPORTS = 10_000

PLAIN, TUPLE, ERROR, PACKED = 0, 1, 2, 3
ASK = 4

_SCALARS = frozenset({int, float, bool, type(None), str, bytes})
_TEXT = frozenset({str})


class Watched:
    """Who here wants to know of the end of one actor over there."""

    __slots__ = ("lives", "observers", "ref")

    def __init__(self, ref: RemoteRef) -> None:
        self.ref = ref
        self.lives: dict[Any, None] = {}
        self.observers: list[Callable[[Any], Any]] = []


class Watcher:
    """Stands among the watchers of one of our actors for a node that watches it."""

    __slots__ = ("peer",)

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def terminated(self, message: Terminated) -> None:
        uid = message.ref.uid
        self.peer.watchers.pop(uid, None)
        self.peer.tell(0, Call("down", (uid, message.reason, message.error)))


class Peer:
    """One other node, for the life of one association."""

    def __init__(
        self, network: Network, association: Association, address: str, session: str
    ) -> None:
        self.network = network
        self.session = session
        self.association = association
        self.name = association.peer.name
        self.address = address
        self.questions: dict[int, Envelope] = {}
        self.watched: dict[int, Watched] = {}
        self.watchers: dict[int, tuple[LocalRef[Any], Watcher]] = {}
        self.links: dict[tuple[Any, Any], None] = {}
        self.unresponsive = False
        self._ids = count(1)

    # -- out ------------------------------------------------------------------------------------

    def tell(self, uid: int, message: Any) -> None:
        """Send a message to the actor `uid` over there (0: the node itself)."""
        association = self.association
        if uid and association.full:
            self._wait_for_room()
        kind, body = self.encode(message)
        association.put(uid << 3 | kind, body)

    def ask(self, uid: int, message: Any, envelope: Envelope) -> None:
        """Send a question; its answer settles `envelope`."""
        if self.association.full:
            self._wait_for_room()
        kind, body = self.encode(message)
        if not self.association.alive:
            envelope.fail(NodeLost(f"the connection to {self.name} broke"))
            return
        number = next(self._ids)
        self.questions[number] = envelope
        self.association.put(uid << 3 | ASK | kind, [number, body])

    def reply(self, number: int, value: Any, error: BaseException | None) -> None:
        """Answer question `number` of the other side."""
        if error is not None:
            kind, body = ERROR, self.network.codec.pack(error)
        else:
            try:
                kind, body = self.encode(value)
            except CodecError as unsendable:
                kind, body = ERROR, self.network.codec.pack(unsendable)
        self.association.put(-(number << 2 | kind) - 1, body)

    def encode(self, value: Any) -> tuple[int, Any]:
        """How `value` travels: as it is, as a flat tuple, or packed by the codec."""
        kind = type(value)
        if kind in _SCALARS:
            if kind is not bytes or len(value) < BIG:
                return PLAIN, value
        elif kind is tuple:
            if _SCALARS.issuperset(map(type, value)):
                return TUPLE, value
        elif kind is dict:
            if _SCALARS.issuperset(map(type, value.values())) and _TEXT.issuperset(
                map(type, value)
            ):
                return PLAIN, value.copy()
        elif kind is list and _SCALARS.issuperset(map(type, value)):
            return PLAIN, value.copy()
        return PACKED, self.network.codec.pack(value, self.association.buffers)

    def repair(self, records: list[Any], buffers: list[Any]) -> list[Any]:
        """Pack what looked plain and is not: integers of more than 64 bits."""
        mended = []
        for head, body in zip(records[::2], records[1::2], strict=True):
            code = head if head >= 0 else -head - 1
            content = body[1] if head >= 0 and head & ASK else body
            if code & 3 in (PLAIN, TUPLE):
                code |= PACKED
                content = self.network.codec.pack(content, buffers)
            if head >= 0 and head & ASK:
                content = [body[0], content]
            mended += [code if head >= 0 else -code - 1, content]
        return mended

    def _wait_for_room(self) -> None:
        network = self.network
        if network.outbound == "fail" or gevent.getcurrent() is network.dispatcher.hub:
            raise Full(f"too much is on its way to {self.name}")
        self.association.wait_for_room()

    def watch(self, ref: RemoteRef) -> Watched:
        """Have the other side tell of the end of `ref`."""
        watched = self.watched.get(ref.uid)
        if watched is None:
            watched = self.watched[ref.uid] = Watched(ref)
            self.tell(0, Call("watch", (ref.uid,)))
        return watched

    # -- in -------------------------------------------------------------------------------------

    def take(self, association: Association, records: list[Any], buffers: list[Any]) -> None:
        """Deliver what came in, in order. Raises CodecError when it breaks the rules."""
        if len(records) % 2:
            raise CodecError("a record without a body")
        exports = self.network.exports
        parts = iter(records)
        for head, body in zip(parts, parts, strict=True):
            if type(head) is not int:
                raise CodecError("a record without a head")
            if head < 0:
                self._answered(-head - 1, body, buffers)
                continue
            number = 0
            if head & ASK:
                match body:
                    case [int(number), body]:
                        pass
                    case _:
                        raise CodecError("a question without a number")
            uid = head >> 3
            try:
                message = self._decode(head & 3, body, buffers)
            except CodecError as error:
                self._unreadable(exports.get(uid), body, number, error)
                continue
            if uid == 0:
                self._serve(message, number)
            else:
                self._deliver(exports.get(uid), message, number)
            if not association.alive:
                return

    def _decode(self, kind: int, body: Any, buffers: list[Any]) -> Any:
        if kind == PLAIN:
            return body
        if kind == TUPLE and type(body) is list:
            return tuple(body)
        if kind == PACKED and type(body) is bytes:
            return self.network.codec.unpack(body, buffers)
        raise CodecError("a body that is not of its kind")

    def _deliver(self, ref: LocalRef[Any] | None, message: Any, number: int) -> None:
        if number:
            if ref is None or ref.ready():
                self.reply(number, None, ActorStopped("the actor has stopped"))
                return
            try:
                ref._submit(message, None, Answer(self, number))
            except Full as error:
                self.reply(number, None, error)
        elif ref is None:
            self.network.unknown_letters += 1
        elif type(message) is Call:
            ref._cast(message)
        else:
            ref._tell_unblocked(message)

    def _unreadable(
        self, ref: LocalRef[Any] | None, body: Any, number: int, error: CodecError
    ) -> None:
        """The envelope is sound, its content is not: the sender's fault, and nobody else's."""
        if number:
            self.reply(number, None, error)
        elif ref is not None:
            self.network.system.events.publish(DeadLetter(body, ref, str(error)))

    def _answered(self, head: int, body: Any, buffers: list[Any]) -> None:
        envelope = self.questions.pop(head >> 2, None)
        if envelope is None or envelope.done:
            self.network.system.late_answers += 1
            return
        try:
            if head & 3 == ERROR:
                error = self.network.codec.unpack(body)
                if not isinstance(error, BaseException):
                    raise CodecError("an error that is none")
                envelope.fail(error)
            else:
                envelope.answer(self._decode(head & 3, body, buffers))
        except CodecError as error:
            envelope.fail(error)

    # -- the service ----------------------------------------------------------------------------

    def _serve(self, call: Any, number: int) -> None:
        """Do what the other node asks of this node itself."""
        service = _SERVICES.get(call.name) if type(call) is Call else None
        try:
            if service is None:
                raise CodecError("no such service")
            inspect.signature(service).bind(self, *call.args)
        except (CodecError, TypeError) as error:
            if number:
                self.reply(number, None, CodecError(str(error)))
            return
        if service is Peer._spawn:
            gevent.spawn(self._run, service, call.args, number)  # a constructor may block
        else:
            self._run(service, call.args, number)

    def _run(self, service: Callable[..., Any], args: tuple[Any, ...], number: int) -> None:
        try:
            value = service(self, *args)
        except Exception as error:
            if number:
                self.reply(number, None, error)
        else:
            if number:
                self.reply(number, value, None)

    def _lookup(self, path: str) -> ActorRef[Any]:
        return self.network.system.lookup(path)

    def _spawn(self, name: str, args: tuple[Any, ...], kwargs: Any, options: Any) -> ActorRef[Any]:
        cls = self.network.spawnable.get(name)
        if cls is None:
            raise Refused(
                f"{self.network.system.name!r} does not let others spawn {name!r}; it must name the"
                " class or its module in spawnable="
            )
        return self.network.system.spawn(cls, *args, **(options | kwargs))

    def _watch(self, uid: int) -> None:
        ref = self.network.exports.get(uid)
        if ref is None:
            self.tell(0, Call("down", (uid, Reason.NOT_FOUND, None)))
        elif uid not in self.watchers:
            watcher = Watcher(self)
            if not ref.ready():
                self.watchers[uid] = (ref, watcher)
            ref._add_watcher(watcher)  # type: ignore[arg-type]

    def _unwatch(self, uid: int) -> None:
        ref, watcher = self.watchers.pop(uid, (None, None))
        if ref is not None:
            ref._remove_watcher(watcher)  # type: ignore[arg-type]

    def _stop(self, uid: int, drain: bool) -> None:
        ref = self.network.exports.get(uid)
        if ref is not None:
            ref.stop(drain=bool(drain))

    def _kill(self, uid: int) -> None:
        ref = self.network.exports.get(uid)
        if ref is not None:
            ref.kill()

    def _down(self, uid: int, reason: Reason, error: BaseException | None) -> None:
        watched = self.watched.pop(uid, None)
        if watched is not None:
            self.network.report_end(watched, reason, error)

    def _link(self, uid: int, other: ActorRef[Any]) -> None:
        ref = self.network.exports.get(uid)
        if ref is None or ref.ready():
            other._linked_ended(_dead(self, uid), Reason.NOT_FOUND, None)
            return
        self.links[ref, other] = None
        ref._add_link(other)

    def _unlink(self, uid: int, other: ActorRef[Any]) -> None:
        ref = self.network.exports.get(uid)
        if ref is not None:
            self.links.pop((ref, other), None)
            ref._remove_link(other)

    def _linked_ended(
        self, uid: int, other: ActorRef[Any], reason: Reason, error: BaseException | None
    ) -> None:
        ref = self.network.exports.get(uid)
        if ref is not None:
            self.links.pop((ref, other), None)
            ref._linked_ended(other, reason, error)

    # -- the end --------------------------------------------------------------------------------

    def lost(self, reason: str) -> None:
        """The association is over: everyone who waits for the other node learns it now."""
        error = NodeLost(f"the connection to {self.name} ended: {reason}")
        for envelope in self.questions.values():
            envelope.fail(error)
        self.questions.clear()
        for ref, watcher in self.watchers.values():
            ref._remove_watcher(watcher)  # type: ignore[arg-type]
        for watched in self.watched.values():
            self.network.report_end(watched, Reason.NODE_LOST, error, known=False)
        for here, there in self.links:
            here._linked_ended(there, Reason.NODE_LOST, error)


_SERVICES: dict[str, Callable[..., Any]] = {
    "lookup": Peer._lookup,
    "spawn": Peer._spawn,
    "watch": Peer._watch,
    "unwatch": Peer._unwatch,
    "stop": Peer._stop,
    "kill": Peer._kill,
    "down": Peer._down,
    "link": Peer._link,
    "unlink": Peer._unlink,
    "linked_ended": Peer._linked_ended,
}


class Answer:
    """Where the answer to a question of another node goes."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer = peer
        self._number = number

    def settle(self, value: Any, error: BaseException | None) -> None:
        self._peer.reply(self._number, value, error)


def _dead(peer: Peer, uid: int) -> RemoteRef:
    """A reference to an actor of this node that is gone."""
    network = peer.network
    return RemoteRef(network, network.key, network.address, "/", uid)


class Node:
    """Another node, as `system.connect` gives it.

    node = system.connect("tcp://host:7001")
    pong = node.lookup("/pong")
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    @property
    def name(self) -> str:
        """The name of its system."""
        return self._peer.name

    @property
    def address(self) -> str:
        """Where it was reached."""
        return self._peer.address

    @property
    def connected(self) -> bool:
        """Whether the association that this object stands for lives."""
        return self._peer.association.alive

    def lookup(self, path: str, timeout: float | None = ASK_TIMEOUT) -> ActorRef[Any]:
        """The reference of the living actor at `path` over there; raises ActorNotFound."""
        ref: ActorRef[Any] = self._call("lookup", timeout, path)
        return ref

    def spawn(
        self,
        cls: type[Actor] | str,
        *args: Any,
        name: str | None = None,
        restart: str = "transient",
        shutdown: float = 5.0,
        timeout: float | None = ASK_TIMEOUT,
        **kwargs: Any,
    ) -> ActorRef[Any]:
        """Start an actor over there, of a class that the other side lets others spawn.

        Raises Refused when it does not, and what the constructor raises there.
        """
        named = cls if isinstance(cls, str) else spawn_name(cls)
        options = {"name": name, "restart": restart, "shutdown": shutdown}
        ref: ActorRef[Any] = self._call("spawn", timeout, named, args, kwargs, options)
        return ref

    def disconnect(self, reason: str = "disconnected") -> None:
        """End the association in order."""
        self._peer.association.end(reason)

    def _call(self, name: str, timeout: float | None, *args: Any) -> Any:
        network = self._peer.network
        network.dispatcher.check_thread()
        service = RemoteRef(network, self._peer.association.key, self.address, "/", 0)
        return service.ask(Call(name, args), timeout)

    def __repr__(self) -> str:
        return f"<Node {self.name!r} at {self.address}{'' if self.connected else ', gone'}>"


def spawn_name(cls: type[Any]) -> str:
    """The name by which a class is asked for on another node."""
    return f"{cls.__module__}.{cls.__qualname__}"


class Network:
    """A system's connections: made when it listens or connects for the first time."""

    def __init__(
        self,
        system: ActorSystem,
        dispatcher: Dispatcher,
        security: Curve | Insecure | None,
        spawnable: Iterable[Any],
        outbound: str,
    ) -> None:
        self.system = system
        self.outbound = outbound
        self.dispatcher = dispatcher
        self.key: NodeKey = (system.name, os.urandom(8).hex())
        self.address = ""
        self.peers: dict[NodeKey, Peer] = {}
        self.exports: dict[int, LocalRef[Any]] = {}
        self.codec = Codec(self._write_ref, self._read_ref)
        self.spawnable = dict(_spawnable(spawnable))
        #: Tells of other nodes to actors that are gone.
        self.unknown_letters = 0
        self._refs: WeakValueDictionary[tuple[NodeKey, int], RemoteRef] = WeakValueDictionary()
        self._wires: dict[Any, Peer] = {}
        self._hellos: dict[DealerWire, tuple[AsyncResult[Peer], str]] = {}
        self._transport = Transport(dispatcher.loop, security, self._on_message)
        self._sweep_at = SWEEP_EXPORTS
        self._ping_timer = dispatcher.timers.after(PING, self._ping)

    # -- listening and connecting ---------------------------------------------------------------

    def listen(self, address: str) -> None:
        check_exposure(address, self._transport.security)
        self.address = self._transport.listen(address)

    def connect(self, address: str, timeout: float | None) -> Node:
        """Connect to the node at `address`, trying until `timeout` seconds have passed."""
        for peer in self.peers.values():
            if peer.address == address:
                return Node(peer)
        clock = self.dispatcher.clock
        deadline = None if timeout is None else clock() + check_timeout(timeout)
        pause = RETRY_FIRST
        while True:
            left = None if deadline is None else max(0.0, deadline - clock())
            try:
                return Node(self._connect_once(address, left))
            except HandshakeRefused:
                raise
            except (OSError, gevent.Timeout) as error:
                if deadline is not None and clock() + pause >= deadline:
                    raise NodeUnreachable(
                        f"no node answered at {address} within {timeout} s ({error}); is it"
                        " running, and does its security= fit?"
                    ) from error
            gevent.sleep(pause)
            pause = min(pause * 2, RETRY_MOST)

    def _connect_once(self, address: str, timeout: float | None) -> Peer:
        wire = self._transport.connect(address, self._on_lost)
        standing: AsyncResult[Peer] = AsyncResult()
        session = os.urandom(8).hex()
        self._hellos[wire] = (standing, session)
        try:
            wire.send([Hello(*self.key, self.address, session).write()])
            peer: Peer = standing.get(timeout=timeout)  # type: ignore[assignment]
            return peer
        except BaseException:
            if wire not in self._wires:
                wire.close()
            raise
        finally:
            self._hellos.pop(wire, None)

    def close(self) -> None:
        """End every association in order, and free the sockets."""
        self._ping_timer.cancel()
        for peer in list(self.peers.values()):
            peer.association.end("the system shut down")
        self._transport.close()

    # -- the wire's side ------------------------------------------------------------------------

    def _on_message(self, wire: Any, frames: list[Any]) -> None:
        peer = self._wires.get(wire)
        if peer is not None:
            peer.association.received(frames)
            return
        try:
            message = read(frames[0])
        except (CodecError, IndexError) as error:
            self._refuse(wire, str(error))
            return
        match message:
            case Hello() if wire not in self._hellos:
                self._greeted(wire, message)
            case Welcome() if wire in self._hellos:
                self._welcomed(wire, message)
            case Refusal(reason) | Goodbye(reason):
                if wire in self._hellos:
                    self._hellos[wire][0].set_exception(HandshakeRefused(reason))
            case Batch():
                self._refuse(wire, "no association stands; say hello first")
            case _:
                self._refuse(wire, "not expected here")

    def _greeted(self, wire: Wire, hello: Hello) -> None:
        """Another node wants an association."""
        key = (hello.name, hello.incarnation)
        other = self._same_name(hello.name)
        if hello.name == self.key[0]:
            self._refuse(wire, f"the name {hello.name!r} is mine; give the other node another one")
            return
        if other is not None and other.association.key != key:
            self._refuse(wire, f"another node named {hello.name!r} is connected; names are unique")
            return
        if other is not None and hello.replaces == other.session:
            other.association.end("the other side lost it")
            other = None
        session = hello.session if other is None else other.session
        with suppress(OSError):
            wire.send([Welcome(*self.key, self.address, session).write()])
            if other is None:
                self._stand(wire, hello, hello.address, session)

    def _welcomed(self, wire: DealerWire, welcome: Welcome) -> None:
        standing, session = self._hellos[wire]
        key = (welcome.name, welcome.incarnation)
        other = self._same_name(welcome.name)
        if key == self.key:
            standing.set_exception(HandshakeRefused("that address is this system's own"))
        elif other is not None and other.association.key != key:
            standing.set_exception(
                HandshakeRefused(f"another node named {welcome.name!r} is connected")
            )
        elif welcome.session != session and other is None:
            hello = Hello(*self.key, self.address, session, replaces=welcome.session)
            with suppress(OSError):
                wire.send([hello.write()])
        elif other is not None and (welcome.session != session or key < self.key):
            # There is one already; or both connected at once, and the smaller one's stays.
            wire.close()
            standing.set(other)
        else:
            if other is not None:
                other.association.end("both connected at once")
            standing.set(self._stand(wire, welcome, wire.address, session))

    def _same_name(self, name: str) -> Peer | None:
        return next((peer for peer in self.peers.values() if peer.name == name), None)

    def _refuse(self, wire: Wire, reason: str) -> None:
        with suppress(OSError):
            wire.send([Refusal(reason).write()])
        if wire not in self._hellos:
            wire.close()

    def _stand(self, wire: Wire, who: Hello | Welcome, address: str, session: str) -> Peer:
        """The association stands."""
        association = Association(
            wire,
            who,
            self.dispatcher,
            self._take,
            self._ended,
            lambda records, buffers: peer.repair(records, buffers),
        )
        peer = Peer(self, association, address, session)
        self.peers[association.key] = peer
        self._wires[wire] = peer
        self.system.events.publish(NodeUp(peer.name, address))
        get_logger(system=self.system.name).info("node up", node=peer.name, address=address)
        return peer

    def _take(self, association: Association, records: list[Any], buffers: list[Any]) -> None:
        self.peers[association.key].take(association, records, buffers)

    def _on_lost(self, wire: DealerWire, reason: str) -> None:
        peer = self._wires.get(wire)
        if peer is not None:
            peer.association.end(reason, tell=False)
        elif wire in self._hellos:
            standing = self._hellos[wire][0]
            if "refused" in reason or "speak" in reason:
                standing.set_exception(HandshakeRefused(reason))
            else:
                standing.set_exception(OSError(reason))

    def _ended(self, association: Association, reason: str) -> None:
        peer = self.peers.pop(association.key, None)
        self._wires.pop(association.wire, None)
        if peer is not None:
            self.system.events.publish(NodeDown(peer.name, peer.address, reason))
            get_logger(system=self.system.name).info("node down", node=peer.name, reason=reason)
            peer.lost(reason)

    def _ping(self) -> None:
        """Say something to everyone, and see who has been silent for too long."""
        self._ping_timer = self.dispatcher.timers.after(PING, self._ping)
        now = self.dispatcher.clock()
        for peer in list(self.peers.values()):
            silent = now - peer.association.heard
            if silent >= SILENCE_LIMIT:
                peer.association.end(f"silent for {silent:.0f} s")
                continue
            if silent < UNRESPONSIVE:
                peer.unresponsive = False
            elif not peer.unresponsive:
                peer.unresponsive = True
                self.system.events.publish(NodeUnresponsive(peer.name, peer.address, silent))
            peer.association.ping()

    # -- references -----------------------------------------------------------------------------

    def _write_ref(self, ref: ActorRef[Any]) -> list[Any]:
        if isinstance(ref, RemoteRef):
            return [*ref.node, ref.node_address, ref.path, ref.uid]
        if not isinstance(ref, LocalRef) or ref._host is not self.system:
            raise CodecError(f"{ref!r} belongs to another system of this process")
        if not ref.ready():
            self.exports[ref.uid] = ref
            if len(self.exports) > self._sweep_at:
                for uid in [uid for uid, other in self.exports.items() if other.ready()]:
                    del self.exports[uid]
                self._sweep_at = max(SWEEP_EXPORTS, 2 * len(self.exports))
        return [*self.key, self.address, ref.path, ref.uid]

    def _read_ref(self, content: Any) -> ActorRef[Any]:
        match content:
            case [str(name), str(incarnation), str(address), str(path), int(uid), *_]:
                key = (name, incarnation)
                if key == self.key and uid in self.exports:
                    return self.exports[uid]
                ref = self._refs.get((key, uid))
                if ref is None:
                    ref = RemoteRef(self, key, address, path, uid)
                    self._refs[key, uid] = ref
                return ref
        raise CodecError("a reference of no known shape")

    def why_gone(self, ref: RemoteRef) -> str:
        """Why `ref` cannot be reached, in words."""
        if ref._end is not None or ref.node == self.key:
            return "the actor has stopped"
        return f"its node {ref.node[0]!r} is not connected; connect to it first"

    def gone(self, ref: RemoteRef) -> ActorError:
        error = ActorStopped if ref._end is not None or ref.node == self.key else NodeLost
        return error(f"{ref.address}: {self.why_gone(ref)}", ref=ref)

    def report_end(
        self,
        watched: Watched,
        reason: Reason,
        error: BaseException | None,
        known: bool = True,
    ) -> None:
        """Tell everyone here who wanted to know of the end of an actor over there."""
        ref = watched.ref
        ended = Terminated(ref, reason, error)
        if known:
            ref._end = ended
        for life in list(watched.lives):
            life.terminated(ended)
        for observer in watched.observers:
            self.dispatcher.loop.run_callback(observer, ref)


def _spawnable(entries: Iterable[Any]) -> Iterable[tuple[str, type[Actor]]]:
    """The classes that others may spawn, by name: classes, and all those that a module defines."""
    for entry in entries:
        if isinstance(entry, type) and issubclass(entry, Actor):
            yield spawn_name(entry), entry
        elif inspect.ismodule(entry):
            for value in vars(entry).values():
                if (
                    isinstance(value, type)
                    and issubclass(value, Actor)
                    and value.__module__ == entry.__name__
                ):
                    yield spawn_name(value), value
        else:
            raise TypeError(f"spawnable= takes actor classes and modules, not {entry!r}")
