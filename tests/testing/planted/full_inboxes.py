"""Two actors with bounded inboxes write to each other: both full, each waits for the other.

Repaired: what goes back (the acknowledgement) is the answer to an ask, which needs no room.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef, Inbox
from actorkit.testing import Simulation


class Store(Actor):
    inbox = Inbox(maxsize=2)

    def receive(self, message: Any) -> Any:
        match message:
            case (int(), ActorRef() as sender):
                sender.tell("stored")
            case _:
                return "stored"
        return None


class Sender(Actor):
    inbox = Inbox(maxsize=2)

    def __init__(self, store: ActorRef[Store], asks: bool) -> None:
        self.store = store
        self.asks = asks
        self.stored = 0

    def receive(self, message: Any) -> int:
        match message:
            case ("send", int() as count):
                for number in range(count):
                    if self.asks:
                        self.store.ask(number)
                        self.stored += 1
                    else:
                        self.store.tell((number, self.ref))
            case "stored":
                self.stored += 1
        return self.stored


def run(sim: Simulation, asks: bool) -> None:
    system = sim.system("store")
    store = system.spawn(Store, name="store")
    senders = [system.spawn(Sender, store, asks, name=f"sender-{n}") for n in range(2)]
    for sender in senders:
        sender.tell(("send", 4))
    gevent.sleep(1)
    for sender in senders:
        assert sender.ask("stored?", timeout=5) == 4


def broken(sim: Simulation) -> None:
    run(sim, asks=False)


def repaired(sim: Simulation) -> None:
    run(sim, asks=True)
