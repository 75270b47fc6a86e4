"""The remote cases on actorkit: what is asked and told are the actors of another node."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import gevent

from actorkit import Actor, ActorRef, ActorSystem, Curve, NodePool, generate_keys
from actorkit.remote.node import Node
from actorkit.remote.security import Keys

from ..measure import quiet, resident_bytes
from ..peers.actorkit_peer import Counter, Echo
from .load import milliseconds
from .messages import sample
from .process import station


class Memory(Actor):
    """Answers how much memory its process has."""

    def receive(self, message: Any) -> int:
        return resident_bytes()


@contextmanager
def _connected(curve: bool) -> Iterator[Node]:
    """Another node; with `curve`, the keys of both are made for this run."""
    here = there = None
    arguments: tuple[str, ...] = ()
    if curve:
        there, here = generate_keys(), generate_keys()
        arguments = (*there, here.public)
    with station("actorkit", *arguments) as address:
        security = Curve(here, server_key=there.public) if here and there else None
        with ActorSystem("visitor", security=security) as system:
            yield system.connect(address)


def _asks_per_second(echo: ActorRef[Any], n: int, at_once: int) -> float:
    echo.ask("ready")
    started = time.perf_counter()
    if at_once == 1:
        for number in range(n):
            assert echo.ask(number) == number
    else:
        for first in range(0, n, at_once):
            numbers = range(first, first + at_once)
            futures = [echo.ask_nowait(number) for number in numbers]
            assert [future.get() for future in futures] == list(numbers)
    return n / (time.perf_counter() - started)


def ask(n: int, at_once: str, curve: bool = False) -> float:
    with _connected(curve) as node:
        return _asks_per_second(node.lookup("/echo"), n, int(at_once))


def tell(n: int, kind: str, curve: bool = False) -> float:
    message = sample(kind)
    with _connected(curve) as node:
        assert repr(node.lookup("/echo").ask(message)) == repr(message)
        counter = node.lookup("/counter")
        tell = counter.tell
        started = time.perf_counter()
        for _ in range(n):
            tell(message)
        assert counter.ask(None, timeout=None) == n
        return n / (time.perf_counter() - started)


def ask_curve(n: int, at_once: str) -> float:
    return ask(n, at_once, curve=True)


def tell_curve(n: int, kind: str) -> float:
    return tell(n, kind, curve=True)


def latency(n: int, per_cent: str) -> float:
    with _connected(curve=False) as node:
        echo = node.lookup("/echo")
        rate = _asks_per_second(echo, n, 1000) / 2
        return milliseconds(
            rate, n, per_cent, lambda answered: echo.ask_nowait("question").rawlink(answered)
        )


def memory(n: int) -> float:
    """Bytes that each of `n` associations takes at the node that listens."""
    with station("actorkit") as address, ExitStack() as systems:

        def resident(visitor: str) -> int:
            system = systems.enter_context(ActorSystem(visitor))
            used: int = system.connect(address).lookup("/memory").ask("how much?")
            return used

        before = resident("first")
        return (max(resident(f"visitor-{number}") for number in range(n)) - before) / n


class Hasher(Actor):
    """Work that only a core can do."""

    def receive(self, seed: int) -> str:
        digest = str(seed).encode()
        for _ in range(2_000):
            digest = hashlib.sha256(digest).digest()
        return digest.hex()


def pool(n: int, processes: str) -> float:
    """Pieces of work a second on a NodePool, 20 at once for each process."""
    with NodePool(int(processes)) as processes_, ActorSystem("main") as system:
        workers = [system.spawn(Hasher, on=processes_) for _ in range(processes_.processes)]
        for worker in workers:
            worker.ask(0)
        started = time.perf_counter()
        for first in range(0, n, 20 * len(workers)):
            futures = [
                worker.ask_nowait(seed) for seed in range(first, first + 20) for worker in workers
            ]
            gevent.joinall(futures, raise_error=True)
        return n / (time.perf_counter() - started)


def main() -> None:
    quiet()
    security = None
    if sys.argv[1:]:
        public, secret, visitor = sys.argv[1:]
        security = Curve(Keys(public, secret), allow=[visitor])
    with ActorSystem("station", listen="tcp://127.0.0.1:0", security=security) as system:
        system.spawn(Echo, name="echo")
        system.spawn(Counter, name="counter")
        system.spawn(Memory, name="memory")
        print(system.address, flush=True)
        system.wait()


if __name__ == "__main__":
    main()
