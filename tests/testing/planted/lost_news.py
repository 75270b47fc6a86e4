"""First read, then watch: what changes in between is never heard of.

Repaired: one message subscribes, and its answer is the state from which the news go on.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef
from actorkit.testing import Simulation


class Config(Actor):
    def __init__(self) -> None:
        self.value = 0
        self.watchers: list[ActorRef[Any]] = []

    def receive(self, message: Any) -> int:
        match message:
            case ("set", int() as value):
                self.value = value
                for watcher in self.watchers:
                    watcher.tell(("news", value))
            case ("watch", ActorRef() as watcher):
                self.watchers.append(watcher)
        return self.value


class Reader(Actor):
    def __init__(self, config: ActorRef[Config], reads_first: bool) -> None:
        self.config = config
        self.reads_first = reads_first
        self.value = -1

    def receive(self, message: Any) -> int:
        match message:
            case "begin" if self.reads_first:
                self.value = self.config.ask("get")
                self.config.tell(("watch", self.ref))
            case "begin":
                self.value = self.config.ask(("watch", self.ref))
            case ("news", int() as value):
                self.value = value
        return self.value


class Writer(Actor):
    def __init__(self, config: ActorRef[Config]) -> None:
        self.config = config

    def receive(self, value: int) -> None:
        self.config.tell(("set", value))


def run(sim: Simulation, reads_first: bool) -> None:
    system = sim.system("config")
    config = system.spawn(Config, name="config")
    reader = system.spawn(Reader, config, reads_first, name="reader")
    writer = system.spawn(Writer, config, name="writer")
    writer.tell(1)
    reader.tell("begin")
    gevent.sleep(1)
    assert reader.ask("value") == config.ask("value")


def broken(sim: Simulation) -> None:
    run(sim, reads_first=True)


def repaired(sim: Simulation) -> None:
    run(sim, reads_first=False)
