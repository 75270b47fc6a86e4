"""Nodes: a system that listens or connects, the others that it is connected with, and their actors.

`Network` is a system's side of it all: who is connected, the handshake, references. What goes over
an association is peer.py's, how connections come about dial.py's, what nodes do for each other
service.py's.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from .. import kernel
from ..actor import Actor
from ..errors import ActorError, ActorStopped, CodecError, NodeLost, NodeUnreachable
from ..events import NodeDown, NodeUnresponsive, NodeUp
from ..kernel import Dispatcher
from ..kernel.asking import ASK_TIMEOUT, check_timeout
from ..log import get_logger
from ..messages import Call, Reason, Terminated
from ..ref import ActorRef, LocalRef
from .codec import Codec
from .dial import Dial
from .link import Association, Transport, Wire
from .peer import Peer, Watched
from .refs import Incarnation, NodeKey, RemoteRef
from .security import is_local
from .service import serve
from .wire import Batch, Goodbye, Hello, Offer, Refusal, Welcome, read

if TYPE_CHECKING:
    from ..system import ActorSystem

__all__ = ["Network", "Node", "spawn_name"]

#: The largest number that a reference may have: heads of records have 64 bits.
MAX_UID = (1 << 59) - 1
#: Seconds between two signs of life to a silent peer.
PING = 1.0
#: Seconds of silence from which a peer is `NodeUnresponsive`.
UNRESPONSIVE = 3.0
#: Seconds of silence from which a peer is lost although its connection stands.
SILENCE_LIMIT = 60.0
#: Nodes connected at the same time; one more is refused.
MAX_NODES = 10_000
#: Seconds between two looks whether the claim to a name can be decided.
RECHECK = 0.1
#: References of other nodes to our actors from which the dead are swept out.
SWEEP_EXPORTS = 10_000

FEATURES = frozenset({"groups", "trace"})


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
        """Where it listens, as far as is known here; empty if it does not."""
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
        options = {"name": name, "restart": restart, "shutdown": shutdown}
        return self.start(cls, args, kwargs, options, timeout)

    def start(
        self,
        cls: type[Actor] | str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
        timeout: float | None,
    ) -> ActorRef[Any]:
        """`spawn`, with the constructor's arguments and the options apart."""
        named = cls if isinstance(cls, str) else spawn_name(cls)
        ref: ActorRef[Any] = self._call("spawn", timeout, named, args, kwargs, options)
        return ref

    def disconnect(self, reason: str = "disconnected") -> None:
        """End the association in order; neither side makes a new one by itself."""
        self._peer.network.dispatcher.check_thread()
        self._peer.association.end(reason, again=False)

    @property
    def system(self) -> ActorSystem:
        """The system that is connected with it."""
        return self._peer.network.system

    @property
    def service(self) -> RemoteRef:
        """The node itself, which answers calls: docs/wire-protocol.md has the table of them."""
        return RemoteRef(self._peer.network, self._peer.node, "/", 0)

    def _call(self, name: str, timeout: float | None, *args: Any) -> Any:
        self._peer.network.dispatcher.check_thread()
        return self.service.ask(Call(name, args), timeout)

    def __repr__(self) -> str:
        return f"<Node {self.name!r} at {self.address}{'' if self.connected else ', gone'}>"


def spawn_name(cls: type[Any]) -> str:
    """The name by which a class is asked for on another node."""
    return f"{cls.__module__}.{cls.__qualname__}"


class Network:
    """A system's connections: made when it listens or connects for the first time.

    `make_transport(on_message)` gives what carries the bytes: zmq, or a simulation.
    """

    serve = staticmethod(serve)

    def __init__(
        self,
        system: ActorSystem,
        dispatcher: Dispatcher,
        make_transport: Callable[[Callable[[Any, list[Any]], None]], Transport],
        spawnable: Iterable[Any],
        outbound: str,
    ) -> None:
        self.system = system
        self.outbound = outbound
        self.dispatcher = dispatcher
        self.key: NodeKey = (system.name, self.token())
        self.address = ""
        self.offer = Offer(features=FEATURES)
        #: The class of references to actors of other nodes.
        self.ref_type = RemoteRef if system.tracing is None else system.tracing.remote_type
        self.peers: dict[NodeKey, Peer] = {}
        self.exports: dict[int, LocalRef[Any]] = {}
        self.codec = Codec(self._write_ref, self._read_ref)
        self.spawnable = dict(_spawnable(spawnable))
        #: How often what went wrong, in words: see `ActorSystem.counters`.
        self.counters: Counter[str] = Counter()
        self.dials: dict[str, Dial] = {}
        self.dials_by_wire: dict[Any, Dial] = {}
        self.transport = make_transport(self._on_message)
        self.node = Incarnation(self.key, "")
        self._nodes: WeakValueDictionary[NodeKey, Incarnation] = WeakValueDictionary()
        self._nodes[self.key] = self.node
        self._refs: WeakValueDictionary[tuple[Incarnation, int], RemoteRef] = WeakValueDictionary()
        self._wires: dict[Any, Peer] = {}
        #: Since when a wire has waited for the decision on its hello.
        self._claims: dict[Any, float] = {}
        #: The last incarnation of each name that was connected.
        self._latest: dict[str, NodeKey] = {}
        self._sweep_at = SWEEP_EXPORTS
        self._ping_timer = dispatcher.timers.after(PING, self._ping)
        system.groups.announce = self._announce_member

    def token(self) -> str:
        """A random text that no other program has: an incarnation, a session."""
        return self.dispatcher.token(8).hex()

    # -- listening and connecting ---------------------------------------------------------------

    def listen(self, address: str) -> None:
        self.address = self.node.address = self.transport.listen(address)

    def connect(self, address: str, timeout: float | None) -> Node:
        """Connect to the node at `address`, trying until `timeout` seconds have passed.

        When that connection breaks it is made anew, until someone disconnects.
        """
        if timeout is not None:
            check_timeout(timeout)
        dial = self._dial(address)
        if dial.peer is None and not dial.trying:
            for peer in self.peers.values():
                if peer.address == address:
                    dial.stood(peer)
                    break
        peer_there = dial.peer or dial.wait(timeout)
        if peer_there is None:
            raise NodeUnreachable(
                f"no node answered at {address} within {timeout} s ({dial.trouble}); is it"
                " running, and does its security= fit?"
            )
        dial.kept = True
        return Node(peer_there)

    def forget(self, address: str) -> None:
        """There is no node at `address` any more: try to connect no longer."""
        dial = self.dials.pop(address, None)
        if dial is not None:
            dial.close(f"nothing is at {address} any more")

    def when_connected(
        self,
        ref: RemoteRef,
        then: Callable[[Peer], None],
        otherwise: Callable[[ActorError], object],
    ) -> None:
        """Do `then` with the peer of `ref`, connecting to it if need be; else `otherwise`."""
        node = ref.node
        if node.peer is not None:
            then(node.peer)
        elif self._is_over(node) or not node.address or self.system.stopping:
            otherwise(self.gone(ref))
        else:
            self._dial(node.address).hold(node, then, otherwise)

    def _dial(self, address: str) -> Dial:
        """The one way to an address, made when there is none."""
        dial = self.dials.get(address)
        if dial is None:
            dial = self.dials[address] = Dial(self, address)
        return dial

    @property
    def is_local(self) -> bool:
        """Whether it reaches no further than this machine, and nobody reaches it from elsewhere."""
        return all(is_local(address) for address in (*self.dials, self.address) if address)

    def close(self) -> None:
        """End every association in order, and free the sockets."""
        self._ping_timer.cancel()
        for dial in list(self.dials.values()):
            dial.close("the system shut down")
        for peer in list(self.peers.values()):
            peer.association.end("the system shut down")
        self.transport.close()

    # -- the handshake --------------------------------------------------------------------------

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
        dial = self.dials_by_wire.get(wire)
        match message:
            case Hello() if dial is None:
                self._claims.setdefault(wire, self.dispatcher.clock())
                self._greet(wire, message)
            case Welcome() if dial is not None:
                self._welcomed(dial, message)
            case Refusal(reason) | Goodbye(reason):
                self._claims.pop(wire, None)
                if dial is not None:
                    dial.failed(reason, refused=True)
                else:
                    wire.close()
            case Batch():
                self._refuse(wire, "no association stands; say hello first")
            case _:
                self._refuse(wire, "not expected here")

    def _greet(self, wire: Wire, hello: Hello) -> None:
        """Another node wants an association; decide now, or look again in a moment."""
        since = self._claims.get(wire)
        if since is None:
            return  # it has left
        key = (hello.name, hello.incarnation)
        other = self._named(hello.name)
        if hello.name == self.key[0]:
            self._refuse(wire, f"the name {hello.name!r} is mine; give the other node another one")
            return
        if other is None and len(self.peers) >= MAX_NODES:
            self._refuse(wire, f"{len(self.peers)} nodes are connected, and that is the limit")
            return
        if other is not None and other.node.key != key:
            if not self._replaced(other, since):
                if other.association.heard > since:
                    self._refuse(wire, f"another node named {hello.name!r} lives; names are unique")
                else:
                    self.dispatcher.timers.after(RECHECK, lambda: self._greet(wire, hello))
                return
            other = None
        if other is None and self.key < key and self._is_dialled(hello.address):
            # Both connect at once, and the smaller one's connection stays: that is ours.
            self.dispatcher.timers.after(RECHECK, lambda: self._greet(wire, hello))
            return
        del self._claims[wire]
        if other is not None and hello.replaces == other.session:
            other.association.end("the other side lost it")
            other = None
        session = hello.session if other is None else other.session
        with suppress(OSError):
            wire.send([Welcome(*self.key, self.address, session, self.offer).write()])
            if other is None:
                self._stand(wire, hello, self._reached_at(hello.address, wire), session)

    def _welcomed(self, dial: Dial, welcome: Welcome) -> None:
        key = (welcome.name, welcome.incarnation)
        other = self._named(welcome.name)
        if key == self.key:
            dial.failed("that address is this system's own", refused=True)
            return
        if other is not None and other.node.key != key:
            if not self._replaced(other, dial.since):
                lives = other.association.heard > dial.since
                dial.failed(f"another node named {welcome.name!r} is connected", refused=lives)
                return
            other = None
        if other is None and welcome.session != dial.session:
            dial.insist(welcome.session)
        elif other is not None and (welcome.session != dial.session or key < self.key):
            dial.stood(other)
        else:
            wire = dial.release()
            if other is not None:
                # Both connected at once and neither knew: the smaller one's connection stays.
                other.association.end("both connected at once")
            dial.stood(self._stand(wire, welcome, dial.address, welcome.session))

    def _replaced(self, other: Peer, since: float) -> bool:
        """Whether `other` must make way for one of its name that has claimed it since then."""
        other.association.ping()
        waited = self.dispatcher.clock() - since
        if waited >= UNRESPONSIVE and other.association.heard <= since:
            other.association.end("another incarnation took its place", tell=False)
        return not other.association.alive

    def _is_dialled(self, address: str) -> bool:
        dial = self.dials.get(address)
        return dial is not None and dial.trying

    def _named(self, name: str) -> Peer | None:
        return next((peer for peer in self.peers.values() if peer.name == name), None)

    def _reached_at(self, address: str, wire: Wire) -> str:
        """Where a node that listens at `address` is reached from here."""
        for anywhere in ("tcp://0.0.0.0:", "tcp://[::]:", "tcp://*:"):
            if address.startswith(anywhere) and wire.host:
                return f"tcp://{wire.host}:{address.removeprefix(anywhere)}"
        return address

    def _refuse(self, wire: Wire, reason: str) -> None:
        self.counters["handshakes_refused"] += 1
        self._claims.pop(wire, None)
        dial = self.dials_by_wire.get(wire)
        if dial is not None:
            dial.failed(reason, refused=True)
            return
        with suppress(OSError):
            wire.send([Refusal(reason).write()])
        wire.close()

    def _stand(self, wire: Wire, who: Hello | Welcome, address: str, session: str) -> Peer:
        """The association stands."""
        node = self._incarnation((who.name, who.incarnation), address)
        node.address = address or node.address
        peer = Peer(self, node, who.offer.features & FEATURES, session)
        peer.association = Association(
            wire,
            who.offer,
            self.dispatcher,
            peer.take,
            lambda association, reason, again: self._ended(peer, reason, again),
            peer.repair,
            peer.unsent,
        )
        self._latest[node.name] = node.key
        node.peer = self.peers[node.key] = self._wires[wire] = peer
        self.counters["associations"] += 1
        self.system.events.publish(NodeUp(peer.name, peer.address))
        get_logger(system=self.system.name).info(
            "node up", node=peer.name, address=peer.address, kernel=kernel.NAME
        )
        if "groups" in peer.features:
            for group, ref in self.system.groups.joined_here():
                peer.tell(0, Call("joined", (group, ref)))
        return peer

    def on_lost(self, wire: Any, reason: str, refused: bool) -> None:
        """The transport says that a wire broke."""
        peer = self._wires.get(wire)
        if peer is not None:
            peer.association.end(reason, tell=False)
        elif wire in self.dials_by_wire:
            self.dials_by_wire[wire].failed(reason, refused)

    def _ended(self, peer: Peer, reason: str, again: bool) -> None:
        node = peer.node
        address = node.address
        node.peer = None
        self.peers.pop(node.key, None)
        self._wires.pop(peer.association.wire, None)
        if not again:
            node.address = ""  # references connect no more by themselves
        self.counters["associations_ended"] += 1
        self.system.events.publish(NodeDown(peer.name, address, reason))
        get_logger(system=self.system.name).info("node down", node=peer.name, reason=reason)
        self.system.groups.node_lost(node)
        peer.lost(reason)
        for dial in peer.dials:
            dial.lost(again and not self.system.stopping)

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
            peer.sweep()

    def _announce_member(self, call: str, group: str, ref: ActorRef[Any]) -> None:
        """Tell the other nodes that `ref` has "joined" or "left" a group here."""
        for peer in self.peers.values():
            if "groups" in peer.features:
                peer.tell(0, Call(call, (group, ref)))

    # -- references -----------------------------------------------------------------------------

    def _write_ref(self, ref: ActorRef[Any]) -> list[Any]:
        if isinstance(ref, RemoteRef) and ref._network is self:
            return [*ref.node.key, ref.node.address, ref.path, ref.uid]
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
            case [str(name), str(incarnation), str(address), str(path), int(uid), *_] if (
                0 < uid <= MAX_UID
            ):
                node = self._incarnation((name, incarnation), address)
                if node is self.node and uid in self.exports:
                    return self.exports[uid]
                return self.ref_of(node, uid, path)
        raise CodecError("a reference of no known shape")

    def ref_of(self, node: Incarnation, uid: int, path: str) -> RemoteRef:
        """The reference of an actor over there, always the same one."""
        ref = self._refs.get((node, uid))
        if ref is None:
            ref = self._refs[node, uid] = self.ref_type(self, node, path, uid)
        return ref

    def _incarnation(self, key: NodeKey, address: str) -> Incarnation:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = Incarnation(key, address)
        return node

    def gone(self, ref: RemoteRef) -> ActorError:
        """The error that says why `ref` cannot be reached."""
        if ref._end is not None or ref.node is self.node:
            return ActorStopped(f"{ref.address}: the actor has stopped", ref=ref)
        if self._is_over(ref.node):
            text = f"its node is gone; another incarnation of {ref.node.name!r} took its place"
        else:
            text = f"its node {ref.node.name!r} is not connected; connect to it first"
        return NodeLost(f"{ref.address}: {text}", ref=ref)

    def _is_over(self, node: Incarnation) -> bool:
        """Whether another incarnation has taken the place of `node`, or it is this one."""
        return node is self.node or self._latest.get(node.name, node.key) != node.key

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
