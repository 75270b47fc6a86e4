"""zmq sockets in gevent's loop: one ROUTER for a listening node, a DEALER for each connection.

ZMQ_FD is edge-triggered, and any send, receive or look at the events takes the edge. So after each
wake-up the socket is drained until it has nothing more, and after each burst of sends it is looked
at again. Knows nothing of actors: bytes come in by `on_message`, ends by `on_lost`.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import gevent
import gevent.socket
import zmq
from zmq.auth import Authenticator
from zmq.utils.monitor import parse_monitor_message

from .door import EVENTS, LAST_WORDS, Connection, Door, connection
from .link import WINDOW_RECORDS
from .security import (
    Curve,
    Insecure,
    check_exposure,
    check_security,
    check_server_key,
    split_address,
)
from .wire import MAX_FRAME

__all__ = ["DealerWire", "RouterWire", "Transport"]

#: Messages taken from one socket before the loop has its turn.
DRAIN = 100
#: Milliseconds between two heartbeats of zmq, and until a silent peer is lost.
HEARTBEAT_MS = 1_000
HEARTBEAT_TIMEOUT_MS = 5_000
#: Milliseconds that a peer has for zmq's own handshake.
HANDSHAKE_MS = 5_000
#: Messages of one peer that wait to be read: more than a peer that keeps the rules ever sends.
QUEUED = 2 * WINDOW_RECORDS
#: Bytes from which a frame is sent without a copy.
COPIED = 65_536
#: Milliseconds that are as good as never.
NEVER_MS = 2**31 - 1
#: Milliseconds that a closing socket still sends.
LINGER_MS = 1_000

OnMessage = Callable[[Any, list[Any]], None]
OnLost = Callable[[Any, str, bool], None]

#: How a connection ends that we made: in words, and whether the other side did not let us in.
_ENDS: dict[int, tuple[str, bool]] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: ("the other side refused our key", True),
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: ("the other side refused the handshake", True),
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: ("the other side does not speak as we do", True),
    zmq.EVENT_DISCONNECTED: ("the connection was lost", False),
    zmq.EVENT_CLOSED: ("nobody listens there", False),
}


# As plain integers: pyzmq's enums cost more than what they name.
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_NOBLOCK, _SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)


class _Drained:
    """A zmq socket that is read whenever it can be; its frames are zmq's own, not copied."""

    def __init__(self, loop: Any, socket: Any, on_frames: Callable[[list[Any]], None]) -> None:
        self.socket = socket
        self.closed = False
        self._loop = loop
        self._on_frames = on_frames
        self._look_planned = False
        self._again = loop.timer(0.0)
        self._watcher = loop.io(socket.getsockopt(zmq.FD), 1)
        self._watcher.start(self.drain)
        _all_drained.add(self)
        self.look()  # what was done with the socket until now may have taken the first edge

    def look(self) -> None:
        """Look for messages soon: a send may have taken the edge that told of them."""
        if not self._look_planned and not self.closed:
            self._look_planned = True
            self._loop.run_callback(self.drain)

    def drain(self) -> None:
        self._look_planned = False
        for _ in range(DRAIN):
            # Asking first costs a tenth of being refused by an exception.
            if self.closed or not self.socket.get(_EVENTS) & _POLLIN:
                return
            try:
                frame = self.socket.recv(_NOBLOCK, False)
                frames = [frame]
                while frame.more:
                    frame = self.socket.recv(_NOBLOCK, False)
                    frames.append(frame)
            except zmq.ZMQError:
                return
            self._on_frames(frames)
        if not self.closed:
            self._again.start(self.drain)

    def drain_all(self) -> None:
        """Read whatever has come; a peer that keeps the rules has no more than this under way."""
        for _ in range(QUEUED // DRAIN):
            if self.closed or not self.socket.get(_EVENTS) & _POLLIN:
                return
            self.drain()

    def send(self, frames: list[Any]) -> None:
        """Send one message of several frames, the big ones without a copy. Raises OSError."""
        if self.closed:
            raise OSError("closed")
        try:
            for frame in frames[:-1]:
                self.socket.send(frame, _NOBLOCK | _SNDMORE, len(frame) < COPIED)
            self.socket.send(frames[-1], _NOBLOCK, len(frames[-1]) < COPIED)
        except zmq.ZMQError as error:
            raise OSError(str(error)) from error
        self.look()

    def abandon(self) -> None:
        """Touch the socket no more: it is a copy in a forked child."""
        self.closed = True
        self._watcher.stop()
        self._again.stop()

    def close(self, linger: int) -> None:
        if not self.closed:
            self.closed = True
            self._watcher.stop()
            self._watcher.close()
            self._again.stop()
            self._again.close()
            self.socket.close(linger)


_all_drained: WeakSet[_Drained] = WeakSet()


def _after_fork() -> None:
    # There libzmq calls every use of a socket interrupted, and pyzmq tries again, for ever.
    for drained in list(_all_drained):
        drained.abandon()


os.register_at_fork(after_in_child=_after_fork)


class RouterWire:
    """The way back to one peer that connected to us."""

    def __init__(
        self, transport: Transport, identity: bytes, host: str, through: Connection | None
    ) -> None:
        self._transport = transport
        self.identity = identity
        self.host = f"[{host}]" if ":" in host else host
        self.through = through
        self.closed = False

    def send(self, frames: list[Any]) -> None:
        if self.closed:
            raise OSError("closed")
        self._transport.send_to(self.identity, frames)

    def drain(self) -> None:
        self._transport.drain()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._transport.see_out(self)


class DealerWire:
    """A connection that we made."""

    def __init__(self, transport: Transport, address: str, on_lost: OnLost) -> None:
        self.address = address
        self.host = ""
        self._transport = transport
        self._on_lost = on_lost
        self._shaken = False
        #: What is unsent at the end is of use to nobody before the other side has spoken, nor once
        #: the connection is gone: no shutdown has to wait for it.
        self._linger = 0
        #: Where the name in the address leads, and what is to be said once it is known.
        self._places: list[str] = []
        self._unsaid: list[list[Any]] | None = []
        self._resolving: gevent.Greenlet[..., None] | None = None
        security = transport.security
        try:
            check_server_key(security)
        except ValueError as error:
            raise OSError(str(error)) from error
        socket = transport.socket(zmq.DEALER)
        if isinstance(security, Curve) and security.server_key is not None:
            socket.curve_publickey = security.keys.public.encode()
            socket.curve_secretkey = security.keys.secret.encode()
            socket.curve_serverkey = security.server_key.encode()
        # An association ends with its connection: zmq must not make another one by itself. (With
        # -1, which says so, a disconnect also throws away what came in before it.)
        socket.setsockopt(zmq.RECONNECT_IVL, NEVER_MS)
        events = zmq.EVENT_HANDSHAKE_SUCCEEDED
        for event in _ENDS:
            events |= event
        loop = transport.loop
        self._drained = _Drained(loop, socket, self._received)
        self._monitor = _Drained(loop, socket.get_monitor_socket(events), self._monitored)
        try:
            self._places = numeric_places(address)
            if self._places:
                self._connect_next()
            else:
                self._resolving = gevent.spawn(self._resolve)
        except BaseException:
            self.close()  # a watcher of a descriptor that is gone would abort the process
            raise

    def send(self, frames: list[Any]) -> None:
        if self._unsaid is None or self._drained.closed:
            self._drained.send(frames)
        else:
            self._unsaid.append(frames)

    def drain(self) -> None:
        self._drained.drain_all()

    def close(self) -> None:
        if self._resolving is not None:
            self._resolving.kill(block=False)
        if not self._drained.closed:
            self._drained.socket.disable_monitor()
            self._monitor.close(0)
            self._drained.close(self._linger)

    def _resolve(self) -> None:
        """Look the name up, in gevent's resolver: zmq would hold up every other connection."""
        try:
            self._places = resolved_places(self.address)
            self._resolving = None
            self._connect_next()
        except OSError as error:
            self._resolving = None
            self._end(str(error), False)

    def _connect_next(self) -> None:
        place = self._places.pop(0)
        try:
            self._drained.socket.connect(place)
        except zmq.ZMQError as error:
            raise OSError(f"cannot connect to {self.address}: {error}") from error
        unsaid, self._unsaid = self._unsaid or [], None
        for frames in unsaid:
            self.send(frames)

    def _received(self, frames: list[Any]) -> None:
        self._linger = LINGER_MS
        self._transport.on_message(self, [frame.buffer for frame in frames])

    def _monitored(self, frames: list[Any]) -> None:
        event = parse_monitor_message([frame.bytes for frame in frames])["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._shaken = True
        elif event == zmq.EVENT_CLOSED and self._places:
            self._connect_next()
        elif event in _ENDS:
            reason, refused = _ENDS[event]
            if event == zmq.EVENT_DISCONNECTED and not self._shaken:
                reason, refused = (
                    "the other side refused the handshake; does it allow our key?",
                    True,
                )
            self._drained.drain_all()  # what came before the end
            self._end(reason, refused)

    def _end(self, reason: str, refused: bool) -> None:
        if not self._drained.closed:
            self._linger = 0
            self._on_lost(self, reason, refused)


def numeric_places(address: str) -> list[str]:
    """The address itself if no name in it is to be looked up. Raises OSError for what is none."""
    try:
        host, _ = split_address(address)
    except ValueError as error:
        raise OSError(str(error)) from error
    with suppress(ValueError):
        if host:
            ipaddress.ip_address(host.partition("%")[0])
        return [address]
    return []


def resolved_places(address: str) -> list[str]:
    """Every address that the name in this one leads to. Raises OSError when there is none."""
    host, port = split_address(address)
    found = gevent.socket.getaddrinfo(host, port, type=gevent.socket.SOCK_STREAM)
    hosts = dict.fromkeys(str(place[4][0]) for place in found)
    return [f"tcp://[{each}]:{port}" if ":" in each else f"tcp://{each}:{port}" for each in hosts]


class Transport:
    """The sockets of one system."""

    def __init__(self, loop: Any, security: Curve | Insecure | None, on_message: OnMessage) -> None:
        check_security(security)
        self.loop = loop
        self.security = security
        self.on_message = on_message
        self._context = zmq.Context()
        self._router: _Drained | None = None
        self._monitor: _Drained | None = None
        self._door = Door(self._later)
        self._planned: set[Any] = set()
        self._wires: dict[bytes, RouterWire] = {}
        self._zap: _Drained | None = None
        self._authenticator: Authenticator | None = None

    def socket(self, kind: int) -> Any:
        socket = self._context.socket(kind)
        for option, value in (
            (zmq.LINGER, LINGER_MS),
            (zmq.SNDHWM, 0),
            (zmq.RCVHWM, QUEUED),
            (zmq.MAXMSGSIZE, MAX_FRAME),
            (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS),
            (zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS),
            # zmq sends no heartbeat, and so misses none, while TCP takes no more from it: a link
            # that is cut under load would be lost after a quarter of an hour only.
            (zmq.TCP_MAXRT, HEARTBEAT_TIMEOUT_MS),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
            (zmq.IPV6, 1),
        ):
            socket.setsockopt(option, value)
        return socket

    def listen(self, address: str) -> str:
        """Bind the ROUTER; returns the address with the port that it got.

        Raises OSError, and ValueError for an address that others reach without any security.
        """
        check_exposure(address, self.security)
        socket = self.socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # An address in four numbers stays one: else it comes back as "[::ffff:127.0.0.1]".
        socket.setsockopt(zmq.IPV6, "[" in address or "*" in address)
        if isinstance(self.security, Curve):
            self._start_zap()
            socket.curve_server = True
            socket.curve_publickey = self.security.keys.public.encode()
            socket.curve_secretkey = self.security.keys.secret.encode()
            socket.zap_domain = b"actorkit"
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            socket.close(0)
            raise OSError(f"cannot listen at {address}: {error}") from error
        self._router = _Drained(self.loop, socket, self._routed)
        self._monitor = _Drained(self.loop, socket.get_monitor_socket(EVENTS), self._monitored)
        bound: str = socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        return bound

    def connect(self, address: str, on_lost: OnLost) -> DealerWire:
        """A wire to the node at `address`; that it stands is known when it answers."""
        return DealerWire(self, address, on_lost)

    def send_to(self, identity: bytes, frames: list[Any]) -> None:
        if self._router is None:
            raise OSError("closed")
        self._router.send([identity, *frames])

    def drain(self) -> None:
        if self._router is not None:
            self._router.drain_all()

    @property
    def counters(self) -> dict[str, int]:
        return {"silent_connections": self._door.shut}

    def see_out(self, wire: RouterWire) -> None:
        """We are done with a peer: end its connection, and drop what it still says until then."""
        if wire.through is not None:
            self._door.see_out(wire.through)
        self._later(2 * LAST_WORDS, lambda: self._wires.pop(wire.identity, None))

    def close(self) -> None:
        if self._router is not None and not self._router.closed:
            self._router.socket.disable_monitor()
        for drained in (self._monitor, self._router, self._zap):
            if drained is not None:
                drained.close(LINGER_MS)
        for timer in self._planned:
            timer.stop()
            timer.close()
        self._planned.clear()
        self._context.destroy(LINGER_MS)

    def _routed(self, frames: list[Any]) -> None:
        identity = frames[0].bytes
        wire = self._wires.get(identity)
        if wire is None:
            try:
                wire = self._wires[identity] = self._first_words(identity, frames[0])
            except zmq.ZMQError:
                return  # of a zmq so old that nothing is known of its connection; the door shuts it
        if not wire.closed:
            self.on_message(wire, [frame.buffer for frame in frames[1:]])

    def _first_words(self, identity: bytes, frame: Any) -> RouterWire:
        descriptor = int(frame.get("__fd"))
        if self._monitor is not None:
            self._monitor.drain()  # it may not have told of this connection yet
        self._door.spoke(descriptor)
        through = connection(descriptor)
        host = "" if through is None else frame.get("Peer-Address")
        return RouterWire(self, identity, host, through)

    def _monitored(self, frames: list[Any]) -> None:
        event = parse_monitor_message([frame.bytes for frame in frames])
        self._door.happened(event["event"], event["value"])

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        timer = self.loop.timer(seconds)
        self._planned.add(timer)

        def run() -> None:
            self._planned.discard(timer)
            timer.close()
            action()

        timer.start(run)

    def _start_zap(self) -> None:
        """Answer zmq's question who may connect (ZAP) from the allow-list, within this loop."""
        authenticator = self._authenticator = Authenticator(self._context)
        authenticator.start()
        authenticator.configure_curve_callback("actorkit", self)
        self._zap = _Drained(self.loop, authenticator.zap_socket, self._answer_zap)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether the client with this public key may connect (called by the authenticator)."""
        return isinstance(self.security, Curve) and self.security.allows(key.decode("ascii"))

    def _answer_zap(self, frames: list[Any]) -> None:
        assert self._authenticator is not None
        answering = self._authenticator.handle_zap_message([frame.bytes for frame in frames])
        with suppress(StopIteration):
            answering.send(None)  # it never waits: the callback above answers at once
