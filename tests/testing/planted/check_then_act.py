"""Is the seat free? Then book it: between the answer and the booking somebody else books it too.

Repaired: one message that books if the seat is free, and says whether it did.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef
from actorkit.testing import Simulation


class Hall(Actor):
    def __init__(self) -> None:
        self.bookings: list[str] = []

    def receive(self, message: Any) -> Any:
        match message:
            case "free?":
                return not self.bookings
            case ("book", str() as guest):
                self.bookings.append(guest)
            case ("book if free", str() as guest):
                if not self.bookings:
                    self.bookings.append(guest)
                    return True
                return False
        return self.bookings


class Guest(Actor):
    def __init__(self, hall: ActorRef[Hall], asks_first: bool) -> None:
        self.hall = hall
        self.asks_first = asks_first

    def receive(self, pause: float) -> None:
        gevent.sleep(pause)
        if not self.asks_first:
            self.hall.ask(("book if free", self.ref.path))
        elif self.hall.ask("free?"):
            self.hall.tell(("book", self.ref.path))


def run(sim: Simulation, asks_first: bool) -> None:
    system = sim.system("hall")
    hall = system.spawn(Hall, name="hall")
    for name in ("ann", "bob"):
        guest = system.spawn(Guest, hall, asks_first, name=name)
        guest.tell(sim.random.randrange(20) / 10)
    gevent.sleep(3)
    assert len(hall.ask("bookings")) == 1


def broken(sim: Simulation) -> None:
    run(sim, asks_first=True)


def repaired(sim: Simulation) -> None:
    run(sim, asks_first=False)
