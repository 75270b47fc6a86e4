"""Acknowledged, then written: what a power cut takes in between was promised and is gone.

Repaired: the disk is synced before the answer.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorSystem
from actorkit.testing import Disk, Simulation


class Counter(Actor):
    def __init__(self, disk: Disk, syncs_first: bool) -> None:
        self.disk = disk
        self.syncs_first = syncs_first
        self.count: int = disk.get("count", 0)

    def on_start(self) -> None:
        self.every(1.0, "sync")

    def receive(self, message: Any) -> int:
        match message:
            case "add":
                self.count += 1
                self.disk["count"] = self.count
                if self.syncs_first:
                    self.disk.sync()
            case "sync":
                self.disk.sync()
        return self.count


def run(sim: Simulation, syncs_first: bool) -> None:
    def boot(system: ActorSystem) -> None:
        system.spawn(Counter, sim.disk("store"), syncs_first, name="counter")

    sim.system("store", boot=boot)
    promised = 0
    for _ in range(10):
        gevent.sleep(0.3)
        if sim.fault(0.02):
            sim.restart("store")
        counter = sim.system("store").lookup("/counter")
        assert counter.ask("count") >= promised
        promised = counter.ask("add")


def broken(sim: Simulation) -> None:
    run(sim, syncs_first=False)


def repaired(sim: Simulation) -> None:
    run(sim, syncs_first=True)
