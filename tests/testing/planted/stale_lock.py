"""A lock with a lease: its holder is slow, the lease runs out, another writes, then the first too.

Repaired: the lock counts its holders, and the store refuses a number below one that it has seen.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef
from actorkit.testing import Simulation

LEASE = 2.0


class Lock(Actor):
    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.until = 0.0
        self.number = 0

    def receive(self, message: Any) -> int | None:
        match message:
            case "acquire" if self.sim.time() >= self.until:
                self.until = self.sim.time() + LEASE
                self.number += 1
                return self.number
            case ("release", int() as number) if number == self.number:
                self.until = 0.0
        return None


class Store(Actor):
    def __init__(self, fences: bool) -> None:
        self.fences = fences
        self.seen = 0
        self.order: list[int] = []

    def receive(self, message: Any) -> list[int]:
        if isinstance(message, int) and (not self.fences or message >= self.seen):
            self.seen = message
            self.order.append(message)
        return self.order


class Writer(Actor):
    def __init__(self, sim: Simulation, lock: ActorRef[Lock], store: ActorRef[Store]) -> None:
        self.sim = sim
        self.lock = lock
        self.store = store

    def receive(self, message: Any) -> None:
        while (number := self.lock.ask("acquire")) is None:
            gevent.sleep(0.5)
        if self.sim.fault(0.05):
            gevent.sleep(3)  # the garbage collector, a full disk, a laptop lid
        self.store.ask(number)
        self.lock.tell(("release", number))


def run(sim: Simulation, fences: bool) -> None:
    system = sim.system("store")
    lock = system.spawn(Lock, sim, name="lock")
    store = system.spawn(Store, fences, name="store")
    for name in ("one", "two"):
        system.spawn(Writer, sim, lock, store, name=name).tell("write")
    gevent.sleep(20)
    order = store.ask("order")
    assert order == sorted(order)


def broken(sim: Simulation) -> None:
    run(sim, fences=False)


def repaired(sim: Simulation) -> None:
    run(sim, fences=True)
