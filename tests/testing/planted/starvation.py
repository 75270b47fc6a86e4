"""Urgent work goes first, and there is always some more of it: the backup never has its turn.

Repaired: the inbox is ordered by deadlines, which everything comes to in time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gevent

from actorkit import Actor, ActorRef, Inbox
from actorkit.testing import Simulation


class Job(NamedTuple):
    name: str
    urgency: int
    deadline: float


class Worker(Actor):
    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.done: set[str] = set()

    def receive(self, job: Job) -> None:
        gevent.sleep(0.8 + self.sim.random.randrange(5) / 10)
        self.done.add(job.name)


class Alarm(Actor):
    """Sends urgent jobs, one a second."""

    def __init__(self, sim: Simulation, worker: ActorRef[Worker]) -> None:
        self.sim = sim
        self.worker = worker

    def on_start(self) -> None:
        self.every(1.0, "alarm")

    def receive(self, message: Any) -> None:
        self.worker.tell(Job("alarm", 0, self.sim.time() + 2))


def run(sim: Simulation, inbox: Inbox) -> None:
    system = sim.system("ops")
    done: set[str] = set()

    class Watched(Worker):
        def __init__(self) -> None:
            super().__init__(sim)
            self.done = done

    worker: ActorRef[Worker] = system.spawn(Watched, name="worker", inbox=inbox)
    worker.tell(Job("alarm", 0, 2))
    worker.tell(Job("backup", 1, 5))
    system.spawn(Alarm, sim, worker, name="alarm")
    sim.eventually("the backup is done", lambda: "backup" in done, within=15)


def broken(sim: Simulation) -> None:
    run(sim, Inbox(priority=lambda job: job.urgency))


def repaired(sim: Simulation) -> None:
    run(sim, Inbox(priority=lambda job: job.deadline))
