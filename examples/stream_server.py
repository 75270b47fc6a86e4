"""A stream server: a small store over TCP, with an actor for each connection and one for the data.

    python examples/stream_server.py --port 7000
    nc 127.0.0.1 7000                  # set colour blue / get colour / fail / quit

A connection that fails hurts nobody else. It serves for --seconds, or until Ctrl-C.
"""

from __future__ import annotations

import argparse
from typing import Any

import gevent
from gevent.server import StreamServer

from actorkit import Actor, ActorRef, ActorSystem, Reason, Refused


class Store(Actor):
    def __init__(self) -> None:
        self.items: dict[str, str] = {}

    def receive(self, line: str) -> str:
        match line.split(maxsplit=2):
            case ["set", key, value]:
                self.items[key] = value
                return "stored"
            case ["get", key]:
                return self.items.get(key, "unknown")
            case _:
                raise Refused("set KEY VALUE, get KEY, fail or quit")


class Connection(Actor):
    """Reads lines for as long as the client sends them: the loop that gevent's tutorial has too."""

    def __init__(self, socket: Any, store: ActorRef[Store]) -> None:
        self.socket, self.store = socket, store

    def run(self) -> None:
        for line in self.socket.makefile(encoding="utf-8", errors="replace"):
            if line == "quit\n":
                return
            if line == "fail\n":
                raise RuntimeError("as you wish")
            try:
                answer = self.store.ask(line)
            except Refused as refusal:
                answer = str(refusal)
            self.socket.sendall(f"{answer}\n".encode())

    def on_stop(self, reason: Reason) -> None:
        self.socket.close()


class Server(Actor):
    """gevent's server as an actor: spawned last, it is the first to stop."""

    def __init__(self, port: int, store: ActorRef[Store]) -> None:
        self.store = store
        self.server = StreamServer(("127.0.0.1", port), self._serve)
        self.server.start()

    def _serve(self, socket: Any, address: Any) -> None:
        """Runs in a greenlet of gevent's for each client; the socket is closed after it."""
        # Nobody restarts a connection. At the end one that waits for a line is not waited for.
        self.system.spawn(Connection, socket, self.store, restart="temporary", shutdown=0).join()

    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.server.server_port}"

    def on_stop(self, reason: Reason) -> None:
        self.server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="any free one by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to serve")
    options = parser.parse_args()
    with ActorSystem("store") as system:
        store = system.spawn(Store, name="store")
        server = system.spawn(Server, options.port, store, name="server").proxy()
        print(f"serving at {server.url()}", flush=True)
        gevent.spawn_later(options.seconds, system.shutdown)
        system.wait()


if __name__ == "__main__":
    main()
