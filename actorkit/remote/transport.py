"""zmq sockets in gevent's loop: one ROUTER for a listening node, a DEALER for each connection.

ZMQ_FD is edge-triggered, and any send, receive or look at the events takes the edge. So after each
wake-up the socket is drained until it has nothing more, and after each burst of sends it is looked
at again. Knows nothing of actors: bytes come in by `on_message`, ends by `on_lost`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import zmq
from zmq.auth import Authenticator
from zmq.utils.monitor import parse_monitor_message

from .security import Curve, Insecure

__all__ = ["DealerWire", "RouterWire", "Transport"]

#: Messages taken from one socket before the loop has its turn.
DRAIN = 100
#: Milliseconds between two heartbeats of zmq, and until a silent peer is lost.
HEARTBEAT_MS = 1_000
HEARTBEAT_TIMEOUT_MS = 5_000
#: Milliseconds that a peer has for zmq's own handshake.
HANDSHAKE_MS = 5_000
#: Bytes that one frame may have; a peer that sends more is cut off.
MAX_FRAME = 256 * 1024 * 1024
#: Milliseconds that are as good as never.
NEVER_MS = 2**31 - 1
#: Milliseconds that a closing socket still sends.
LINGER_MS = 200

OnMessage = Callable[[Any, list[Any]], None]


class _Drained:
    """A zmq socket that is read whenever it can be."""

    def __init__(self, loop: Any, socket: Any, on_frames: Callable[[list[Any]], None]) -> None:
        self.socket = socket
        self.closed = False
        self._loop = loop
        self._on_frames = on_frames
        self._look_planned = False
        self._again = loop.timer(0.0)
        self._watcher = loop.io(socket.getsockopt(zmq.FD), 1)
        self._watcher.start(self.drain)
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
            if self.closed or not self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                return
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.ZMQError:
                return
            self._on_frames(frames)
        if not self.closed:
            self._again.start(self.drain)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._watcher.stop()
            self._watcher.close()
            self._again.stop()
            self._again.close()
            self.socket.close(LINGER_MS)


class RouterWire:
    """The way back to one peer that connected to us."""

    def __init__(self, transport: Transport, identity: bytes) -> None:
        self._transport = transport
        self.identity = identity

    def send(self, frames: list[Any]) -> None:
        self._transport.send_to(self.identity, frames)

    def close(self) -> None:
        self._transport.forget(self.identity)


class DealerWire:
    """A connection that we made."""

    def __init__(
        self,
        transport: Transport,
        address: str,
        on_message: OnMessage,
        on_lost: Callable[[DealerWire, str], None],
    ) -> None:
        self.address = address
        self._transport = transport
        self._on_message = on_message
        self._on_lost = on_lost
        self._shaken = False
        security = transport.security
        if isinstance(security, Curve) and security.server_key is None:
            raise ValueError("to connect, Curve needs server_key=, the public key over there")
        socket = transport.socket(zmq.DEALER)
        if isinstance(security, Curve) and security.server_key is not None:
            socket.curve_publickey = security.keys.public.encode()
            socket.curve_secretkey = security.keys.secret.encode()
            socket.curve_serverkey = security.server_key.encode()
        # An association ends with its connection: zmq must not make another one by itself. (With
        # -1, which says so, a disconnect also throws away what came in before it.)
        socket.setsockopt(zmq.RECONNECT_IVL, NEVER_MS)
        events = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        events |= zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        events |= zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_SUCCEEDED
        loop = transport.loop
        self._drained = _Drained(loop, socket, self._received)
        self._monitor = _Drained(loop, socket.get_monitor_socket(events), self._monitored)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            self.close()
            raise OSError(f"cannot connect to {address}: {error}") from error

    def send(self, frames: list[Any]) -> None:
        if self._drained.closed:
            raise OSError("closed")
        try:
            self._drained.socket.send_multipart(frames, zmq.NOBLOCK, copy=len(frames) == 1)
        except zmq.ZMQError as error:
            raise OSError(str(error)) from error
        self._drained.look()

    def close(self) -> None:
        if not self._drained.closed:
            self._drained.socket.disable_monitor()
            self._monitor.close()
            self._drained.close()

    def _received(self, frames: list[Any]) -> None:
        self._on_message(self, frames)

    def _monitored(self, frames: list[Any]) -> None:
        event = parse_monitor_message(frames)["event"]
        reasons: dict[int, str] = {
            zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the other side refused our key",
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the other side refused the handshake",
            zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the other side does not speak as we do",
            zmq.EVENT_DISCONNECTED: "the connection was lost",
            zmq.EVENT_CLOSED: "nobody listens there",
        }
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._shaken = True
        elif event in reasons:
            self._drained.drain()  # what came before the end
            reason = reasons[event]
            if event == zmq.EVENT_DISCONNECTED and not self._shaken:
                reason = "the other side refused the handshake; does it allow our key?"
            if not self._drained.closed:
                self._on_lost(self, reason)


class Transport:
    """The sockets of one system."""

    def __init__(self, loop: Any, security: Curve | Insecure | None, on_message: OnMessage) -> None:
        self.loop = loop
        self.security = security
        self._on_message = on_message
        self._context = zmq.Context()
        self._router: _Drained | None = None
        self._wires: dict[bytes, RouterWire] = {}
        self._zap: _Drained | None = None
        self._authenticator: Authenticator | None = None

    def socket(self, kind: int) -> Any:
        socket = self._context.socket(kind)
        for option, value in (
            (zmq.LINGER, LINGER_MS),
            (zmq.SNDHWM, 0),
            (zmq.RCVHWM, 0),
            (zmq.MAXMSGSIZE, MAX_FRAME),
            (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS),
            (zmq.HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
            (zmq.IPV6, 1),
        ):
            socket.setsockopt(option, value)
        return socket

    def listen(self, address: str) -> str:
        """Bind the ROUTER; returns the address with the port that it got. Raises OSError."""
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
        bound: str = socket.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
        return bound

    def connect(self, address: str, on_lost: Callable[[DealerWire, str], None]) -> DealerWire:
        """A wire to the node at `address`; that it stands is known when it answers."""
        return DealerWire(self, address, self._on_message, on_lost)

    def send_to(self, identity: bytes, frames: list[Any]) -> None:
        if self._router is None or self._router.closed:
            raise OSError("closed")
        try:
            self._router.socket.send_multipart(
                [identity, *frames], zmq.NOBLOCK, copy=len(frames) == 1
            )
        except zmq.ZMQError as error:
            raise OSError(str(error)) from error
        self._router.look()

    def forget(self, identity: bytes) -> None:
        self._wires.pop(identity, None)

    def close(self) -> None:
        for drained in (self._router, self._zap):
            if drained is not None:
                drained.close()
        self._context.destroy(LINGER_MS)

    def _routed(self, frames: list[Any]) -> None:
        identity = frames[0]
        wire = self._wires.get(identity)
        if wire is None:
            wire = self._wires[identity] = RouterWire(self, identity)
        self._on_message(wire, frames[1:])

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
        answering = self._authenticator.handle_zap_message(frames)
        with suppress(StopIteration):
            answering.send(None)  # it never waits: the callback above answers at once
