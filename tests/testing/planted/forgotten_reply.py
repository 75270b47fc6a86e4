"""The answer is kept for later in one variable; a second question overwrites the first one's.

Repaired: all who wait are kept.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef
from actorkit.actor import Reply
from actorkit.testing import Simulation


class Door(Actor):
    """Whoever asks for it waits until it is opened."""

    def __init__(self, keeps_all: bool) -> None:
        self.keeps_all = keeps_all
        self.open = False
        self.waiting: list[Reply] = []

    def receive(self, message: Any) -> Any:
        match message:
            case "open":
                self.open = True
                for reply in self.waiting:
                    reply.set("come in")
                self.waiting = []
            case "knock" if self.open:
                return "come in"
            case "knock" if self.keeps_all:
                self.waiting.append(self.defer_reply())
            case "knock":
                self.waiting = [self.defer_reply()]
        return None


class Guest(Actor):
    def __init__(self, sim: Simulation, door: ActorRef[Door]) -> None:
        self.sim = sim
        self.door = door

    def receive(self, message: Any) -> None:
        gevent.sleep(self.sim.random.randrange(20) / 10)
        assert self.door.ask("knock", timeout=None) == "come in"


def run(sim: Simulation, keeps_all: bool) -> None:
    system = sim.system("house")
    door = system.spawn(Door, keeps_all, name="door")
    for name in ("ann", "bob"):
        system.spawn(Guest, sim, door, name=name).tell("go")
    gevent.sleep(0.5)
    door.tell("open")
    gevent.sleep(5)


def broken(sim: Simulation) -> None:
    run(sim, keeps_all=False)


def repaired(sim: Simulation) -> None:
    run(sim, keeps_all=True)
