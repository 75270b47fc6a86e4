"""A websocket's side of the chat, with wsproto, a library that only turns bytes into events.

It does no input or output, so nothing needs to be monkey-patched: the two greenlets of a connection
read and write gevent's socket. The first message of a client is its hello; see protocol.py.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, BinaryIO

import gevent
from gevent.lock import BoundedSemaphore
from gevent.socket import SHUT_RDWR, SO_SNDBUF, SOL_SOCKET, socket
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from actorkit import ActorError, Refused

from . import protocol
from .clients import Client, Entrance
from .users import Displaced

#: Seconds that one send may take; who reads so slowly is disconnected.
SEND_TIME = 10.0
#: Bytes that the system holds for a slow reader; the rest waits in the user's outbox.
SEND_BUFFER = 65_536

NORMAL, UNSUPPORTED, POLICY, TOO_BIG = 1000, 1003, 1008, 1009


def serve(sock: socket, stream: BinaryIO, environ: dict[str, Any], entrance: Entrance) -> None:
    """Answer the request for a websocket in `environ`, and talk until either side ends it."""
    connection = _Connection(sock, stream)
    # An ActorError: nobody is left to say hello to, as when the chat ends; the client tries again.
    with suppress(OSError, LocalProtocolError, RemoteProtocolError, ActorError):
        if connection.open(environ):
            connection.talk(entrance)


class _Connection:
    def __init__(self, sock: socket, stream: BinaryIO) -> None:
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
        self._sock = sock
        self._stream = stream
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._sending = BoundedSemaphore()

    def open(self, environ: dict[str, Any]) -> bool:
        """The handshake; False when it was refused."""
        headers = [
            (key[5:].replace("_", "-").encode(), str(value).encode("latin-1"))
            for key, value in environ.items()
            if key.startswith("HTTP_")
        ]
        try:
            self._protocol.initiate_upgrade_connection(headers, environ["PATH_INFO"])
            requests = [e for e in self._protocol.events() if isinstance(e, Request)]
        except (RemoteProtocolError, ValueError) as error:
            hint = getattr(error, "event_hint", None)
            self._send(hint if isinstance(hint, RejectConnection) else RejectConnection())
            return False
        if not requests:
            self._send(RejectConnection())
            return False
        self._send(AcceptConnection())
        return True

    def talk(self, entrance: Entrance) -> None:
        messages = self._messages()
        client = None
        for message in messages:
            try:
                client = entrance.hello(protocol.parse(message))
                break
            except Refused as refusal:
                self._say({"op": "hello", "error": str(refusal)})
        if client is None:
            return
        self._say(client.greeting())
        writer = gevent.spawn(self._follow, client)
        try:
            for message in messages:
                try:
                    operation = protocol.parse(message)
                except Refused as refusal:
                    self._say({"op": "", "error": str(refusal)})
                else:
                    self._say(client.answer(operation))
        finally:
            writer.kill()

    def _follow(self, client: Client) -> None:
        """Send what happens, until the user has ended or the client does not read."""
        try:
            while True:
                batch = client.next_batch()
                self._say(protocol.batch_as_json(batch))
                if not batch.events:
                    self._send(Ping())  # a browser answers it by itself: it is there
        except Displaced as refusal:
            self._end(POLICY, str(refusal))
        except ActorError:
            self._end(NORMAL, "signed out")
        except (OSError, LocalProtocolError):
            with suppress(OSError):
                self._sock.shutdown(SHUT_RDWR)  # ends the other greenlet's reading, too

    def _messages(self) -> Any:
        """The texts that come in, whole; answers pings and the closing handshake."""
        parts: list[str] = []
        while True:
            # What the web server's stream has read ahead comes first.
            data = self._stream.read1(65_536)  # type: ignore[attr-defined]
            if not data:
                return
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                match event:
                    case TextMessage(data=text):
                        parts.append(text)
                        if sum(map(len, parts)) > protocol.MAX_OPERATION:
                            self._end(TOO_BIG, f"over {protocol.MAX_OPERATION} bytes")
                            return
                        if event.message_finished:
                            yield "".join(parts)
                            parts.clear()
                    case BytesMessage():
                        self._end(UNSUPPORTED, "text only")
                        return
                    case Ping():
                        self._send(event.response())
                    case CloseConnection():
                        with suppress(LocalProtocolError):
                            self._send(event.response())
                        return

    def _say(self, value: dict[str, Any]) -> None:
        self._send(TextMessage(protocol.encode(value)))

    def _end(self, code: int, reason: str) -> None:
        with suppress(OSError, LocalProtocolError):
            self._send(CloseConnection(code, reason[:100]))

    def _send(self, event: Event) -> None:
        with gevent.Timeout(SEND_TIME, TimeoutError("the client does not read")), self._sending:
            self._sock.sendall(self._protocol.send(event))
