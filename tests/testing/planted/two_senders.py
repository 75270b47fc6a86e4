"""First the key by one way, then the data by another: order holds only for each pair of actors.

Repaired: the data set out when the key is known to have arrived.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef
from actorkit.testing import Simulation


class Receiver(Actor):
    def __init__(self) -> None:
        self.key: str | None = None
        self.read: list[str] = []

    def receive(self, message: Any) -> list[str]:
        match message:
            case ("key", str() as key):
                self.key = key
            case ("data", str() as data):
                if self.key is None:
                    raise LookupError("there is no key yet")
                self.read.append(data)
        return self.read


class Carrier(Actor):
    def __init__(self, receiver: ActorRef[Receiver]) -> None:
        self.receiver = receiver

    def receive(self, message: Any) -> bool:
        self.receiver.ask(message)
        return True


def run(sim: Simulation, waits: bool) -> None:
    system = sim.system("post")
    receiver = system.spawn(Receiver, name="receiver")
    one, other = (system.spawn(Carrier, receiver, name=name) for name in ("one", "other"))
    if waits:
        one.ask(("key", "xyzzy"))
    else:
        one.tell(("key", "xyzzy"))
    other.tell(("data", "hello"))
    gevent.sleep(1)
    assert receiver.ask("read") == ["hello"]


def broken(sim: Simulation) -> None:
    run(sim, waits=False)


def repaired(sim: Simulation) -> None:
    run(sim, waits=True)
