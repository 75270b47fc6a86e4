"""Clients of the chat for its tests and its load: a websocket, long polling, a terminal.

They work on any socket with `sendall` and `recv`, of the standard library or of gevent.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

ROOT = Path(__file__).parents[2]


class Closed(Exception):
    """The server ended the connection; the code is that of the websocket."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WebSocket:
    """A websocket on a connected socket."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._texts: list[str] = []
        self._part = ""
        self._code: int | None = None
        self._open = False
        sock.sendall(self._protocol.send(Request(host="chat", target="/ws")))
        while not self._open:
            self._receive()

    def send(self, operation: dict[str, Any] | str) -> None:
        text = operation if isinstance(operation, str) else json.dumps(operation)
        self.sock.sendall(self._protocol.send(TextMessage(text)))

    def read(self) -> dict[str, Any]:
        """The next thing that the server says: an answer or a batch. Raises Closed."""
        while not self._texts:
            if self._code is not None:
                raise Closed(self._code)
            self._receive()
        said: dict[str, Any] = json.loads(self._texts.pop(0))
        return said

    def ask(self, **operation: Any) -> dict[str, Any]:
        """Send an operation and return its answer; passes over batches before it."""
        self.send(operation)
        while "op" not in (said := self.read()):
            pass
        return said

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of this type; passes over others."""
        while True:
            for event in self.read().get("events", ()):
                if event["type"] == kind:
                    return dict(event)

    def _receive(self) -> None:
        data = self.sock.recv(65_536)
        if not data:
            raise Closed(1006)
        self._protocol.receive_data(data)
        for event in self._protocol.events():
            match event:
                case AcceptConnection():
                    self._open = True
                case TextMessage(data=text):
                    self._part += text
                    if event.message_finished:
                        self._texts.append(self._part)
                        self._part = ""
                case Ping():
                    self.sock.sendall(self._protocol.send(event.response()))
                case CloseConnection(code=code):
                    self._code = int(code)


class Server:
    """The chat as a user starts it: a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        told = {}
        while (line := process.stdout.readline().strip()) != "ready":
            if process.poll() is not None:
                raise AssertionError("the chat did not start")
            key, _, told[key] = re.split(r"(\s+)", line, maxsplit=1)
        self.url = told["page"]
        self.port = int(self.url.rpartition(":")[2])
        self.telnet_port = int(told["telnet"].rpartition(" ")[2])
        self.address = told.get("node", "")
        # What it logs comes here too. Unread, it would fill the pipe, and the next line would stop
        # the whole chat, deaf to SIGTERM as to everything else.
        threading.Thread(target=_read_to_the_end, args=(process.stdout,), daemon=True).start()


def _read_to_the_end(stream: IO[str]) -> None:
    with stream:
        deque(stream, maxlen=0)


@contextmanager
def chat_server(*options: str, port: int = 0) -> Iterator[Server]:
    """Run `python -m examples.chat` until the block ends."""
    ports = ["--port", str(port), "--telnet-port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.chat", *ports, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Server(process)
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
