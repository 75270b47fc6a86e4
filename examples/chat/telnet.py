"""The chat for a terminal: `telnet 127.0.0.1 8023`, one line a message."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import BinaryIO

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import socket

from actorkit import ActorError, Refused

from .clients import Client, Entrance
from .messages import Entered, Event, Left, RoomLost, RoomOpened, Said

#: Connections at once.
MAX_CONNECTIONS = 1_000
#: Bytes of a line; a longer one ends the connection.
MAX_LINE = 8_192
#: Seconds without a line after which the connection ends, and that one to send may take.
READ_TIME, SEND_TIME = 1_800.0, 10.0

HELP = "/room NAME goes to a room, /quit ends; all else is said"

#: Telnet's own words among what is typed.
_COMMANDS = re.compile(rb"\xff[\xfb-\xfe].|\xff[^\xff]", re.DOTALL)


def serve(entrance: Entrance, host: str, port: int) -> StreamServer:
    """Start to listen."""

    def handle(sock: socket, address: object) -> None:
        with suppress(OSError, ActorError), sock, sock.makefile("rb") as lines:
            _Terminal(sock, lines, entrance).run()

    server = StreamServer((host, port), handle, spawn=Pool(MAX_CONNECTIONS))
    server.start()
    return server


class _Terminal:
    def __init__(self, sock: socket, lines: BinaryIO, entrance: Entrance) -> None:
        sock.settimeout(READ_TIME)
        self._sock = sock
        self._lines = lines
        self._sending = BoundedSemaphore()
        self._entrance = entrance

    def run(self) -> None:
        self._write("Welcome. Your name?")
        while (line := self._read()) is not None:
            try:
                client = self._entrance.hello({"op": "hello", "name": line})
            except Refused as refusal:
                self._write(f"* {refusal}. Your name?")
                continue
            return self._chat(client)
        return None

    def _chat(self, client: Client) -> None:
        reader = gevent.getcurrent()
        writer = gevent.spawn(self._follow, client)
        writer.link(lambda _: reader.kill(block=False))  # type: ignore[attr-defined]
        try:
            self._write(f"* {HELP}")
            self._do(client, "enter", room="lobby")
            while (line := self._read()) is not None and line != "/quit":
                match line.split(maxsplit=1):
                    case ["/room", room]:
                        self._do(client, "enter", room=room)
                    case [word, *_] if word.startswith("/"):
                        self._write(f"* {HELP}")
                    case [_, *_]:
                        self._do(client, "say", text=line)
        finally:
            writer.unlink_all()
            writer.kill()
            client.user.stop()

    def _do(self, client: Client, op: str, **more: str) -> None:
        answer = client.answer({"op": op, **more})
        if "error" in answer:
            self._write(f"* {answer['error']}")

    def _follow(self, client: Client) -> None:
        """Show what happens, until nobody reads it or the user has ended."""
        with suppress(OSError, ActorError):
            while True:
                batch = client.next_batch()
                if batch.missed:
                    self._write(f"* you are slow: {batch.missed} lines were dropped")
                if batch.events:
                    self._write("\n".join(_show(event) for event in batch.events))

    def _read(self) -> str | None:
        line = self._lines.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            return None
        return _COMMANDS.sub(b"", line).decode(errors="replace").strip()

    def _write(self, text: str) -> None:
        with gevent.Timeout(SEND_TIME, TimeoutError("the terminal does not read")), self._sending:
            self._sock.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")


def _show(event: Event) -> str:
    match event:
        case Said(name=name, text=text, at=at):
            first, *more = text.split("\n")
            lead = f"{time.strftime('%H:%M', time.localtime(at))} <{name}> "
            return "\n".join([lead + first, *(" " * len(lead) + line for line in more)])
        case Entered(name=name):
            return f"* {name} came in"
        case Left(name=name):
            return f"* {name} left"
        case RoomLost(room, why):
            return f"* {room} is moving: {why}"
        case RoomOpened(room, _, node, people, recent):
            lines = [f"* {room} is open on {node}; here: {', '.join(sorted(people))}"]
            return "\n".join([*lines, *map(_show, recent)])
