"""A timer goes on after the file is closed: its message is in the inbox before the order to stop.

Repaired: closing cancels the timer, and a cancelled timer never delivers.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor
from actorkit.testing import Simulation


class Journal(Actor):
    """Writes what it has to a file, now and then."""

    def __init__(self, cancels: bool) -> None:
        self.cancels = cancels
        self.open = True

    def on_start(self) -> None:
        self.every(1.0, "flush", key="flush")

    def receive(self, message: Any) -> None:
        match message:
            case "flush":
                if not self.open:
                    raise ValueError("I/O operation on closed file")
            case "close":
                if self.cancels:
                    self.cancel("flush")
                self.open = False
                self.ref.stop(drain=True)


def run(sim: Simulation, cancels: bool) -> None:
    journal = sim.system("disk").spawn(Journal, cancels, name="journal")
    gevent.sleep(sim.random.randrange(1, 30) / 10)
    journal.tell("close")
    journal.join()


def broken(sim: Simulation) -> None:
    run(sim, cancels=False)


def repaired(sim: Simulation) -> None:
    run(sim, cancels=True)
