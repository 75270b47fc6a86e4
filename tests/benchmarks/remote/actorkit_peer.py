"""The remote cases on actorkit: what it asks and tells are the actors of another node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from actorkit import ActorSystem
from actorkit.remote.node import Node

from ..measure import quiet
from ..peers.actorkit_peer import Counter, Echo
from .messages import sample
from .process import station


@contextmanager
def _connected() -> Iterator[Node]:
    with station("actorkit") as address, ActorSystem("visitor") as system:
        yield system.connect(address)


def ask(n: int, at_once: str) -> float:
    many = int(at_once)
    with _connected() as node:
        echo = node.lookup("/echo")
        echo.ask("ready")
        started = time.perf_counter()
        if many == 1:
            for number in range(n):
                assert echo.ask(number) == number
        else:
            for first in range(0, n, many):
                futures = [echo.ask_nowait(first + number) for number in range(many)]
                assert [future.get() for future in futures] == list(range(first, first + many))
        return n / (time.perf_counter() - started)


def tell(n: int, kind: str) -> float:
    message = sample(kind)
    with _connected() as node:
        assert node.lookup("/echo").ask(message) == message
        counter = node.lookup("/counter")
        tell = counter.tell
        started = time.perf_counter()
        for _ in range(n):
            tell(message)
        assert counter.ask(None, timeout=None) == n
        return n / (time.perf_counter() - started)


def main() -> None:
    quiet()
    with ActorSystem("station", listen="tcp://127.0.0.1:0") as system:
        system.spawn(Echo, name="echo")
        system.spawn(Counter, name="counter")
        print(system.address, flush=True)
        system.wait()


if __name__ == "__main__":
    main()
