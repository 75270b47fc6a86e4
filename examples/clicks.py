"""Websockets: a counter that everybody clicks and everybody sees, an actor for each connection.

    python examples/clicks.py --port 8000
    > new WebSocket("ws://127.0.0.1:8000/").onmessage = event => console.log(event.data)

wsproto knows the protocol and touches no socket, so it fits into an actor as it is. It serves for
--seconds, or until Ctrl-C.
"""

from __future__ import annotations

import argparse
from typing import Any

import gevent
from gevent.server import StreamServer
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Message,
    Ping,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from actorkit import Actor, ActorRef, ActorSystem, Reason

#: Seconds that a browser may take to read what is sent to it.
PATIENCE = 10.0


class Clicks(Actor):
    """Counts, and tells the group of those who look on."""

    def __init__(self) -> None:
        self.total = 0

    def join(self, ref: ActorRef[Browser]) -> None:
        self.system.groups.join("browsers", ref)
        ref.tell(self.total)

    def click(self) -> None:
        self.total += 1
        self.system.groups.publish("browsers", self.total)


class Browser(Actor):
    """One connection. What the browser sends and what is sent to it are both messages."""

    def __init__(self, socket: Any, clicks: ActorRef[Clicks]) -> None:
        self.socket, self.clicks = socket, clicks
        self.protocol = WSConnection(ConnectionType.SERVER)

    def on_start(self) -> None:
        self.task(self.read)

    def read(self) -> None:
        """Waits until each piece is handled: what comes faster stays in the network."""
        while data := self.socket.recv(4096):
            self.ref.ask(data, timeout=None)
        self.ref.stop()

    def receive(self, message: bytes | int) -> None:
        if isinstance(message, int):
            self.send(TextMessage(data=str(message)))
            return
        try:
            self.protocol.receive_data(message)
            for event in self.protocol.events():
                self.handle(event)
        except RemoteProtocolError as error:  # no websocket; the hint is what to answer
            if error.event_hint is not None:
                self.send(error.event_hint)
            self.stop()

    def handle(self, event: Event) -> None:
        match event:
            case Request():
                self.send(AcceptConnection())
                self.clicks.cast("join", self.ref)
            case Message(message_finished=True):
                self.clicks.cast("click")
            case Ping():
                self.send(event.response())
            case CloseConnection():
                self.send(event.response())
                self.stop()

    def send(self, event: Event) -> None:
        with gevent.Timeout(PATIENCE):
            self.socket.sendall(self.protocol.send(event))

    def on_stop(self, reason: Reason) -> None:
        self.socket.close()


class Server(Actor):
    """gevent's server as an actor: spawned last, it is the first to stop."""

    def __init__(self, port: int, clicks: ActorRef[Clicks]) -> None:
        self.clicks = clicks
        self.server = StreamServer(("127.0.0.1", port), self._serve)
        self.server.start()

    def _serve(self, socket: Any, address: Any) -> None:
        """Runs in a greenlet of gevent's for each browser; the socket is closed after it."""
        self.system.spawn(Browser, socket, self.clicks, restart="temporary").join()

    def url(self) -> str:
        return f"ws://127.0.0.1:{self.server.server_port}/"

    def on_stop(self, reason: Reason) -> None:
        self.server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="any free one by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to serve")
    options = parser.parse_args()
    with ActorSystem("clicks") as system:
        clicks = system.spawn(Clicks, name="clicks")
        server = system.spawn(Server, options.port, clicks, name="server").proxy()
        print(f"serving at {server.url()}", flush=True)
        gevent.spawn_later(options.seconds, system.shutdown)
        system.wait()


if __name__ == "__main__":
    main()
