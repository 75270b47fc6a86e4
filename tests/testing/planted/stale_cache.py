"""A reader fills the cache with what it read before a writer changed it and emptied the cache.

Repaired: what is read has a version, and the cache takes no older one than was emptied last.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef
from actorkit.testing import Simulation


class Database(Actor):
    def __init__(self) -> None:
        self.version = 0

    def receive(self, message: Any) -> int:
        if message == "write":
            self.version += 1
        return self.version


class Cache(Actor):
    def __init__(self, checks: bool) -> None:
        self.checks = checks
        self.version: int | None = None
        self.emptied = 0

    def receive(self, message: Any) -> int | None:
        match message:
            case ("fill", int() as version):
                if not self.checks or version >= self.emptied:
                    self.version = version
            case ("empty", int() as version):
                self.version = None
                self.emptied = version
        return self.version


class Reader(Actor):
    def __init__(self, database: ActorRef[Database], cache: ActorRef[Cache]) -> None:
        self.database = database
        self.cache = cache

    def receive(self, message: Any) -> int:
        version: int | None = self.cache.ask("get")
        if version is None:
            version = self.database.ask("read")
            self.cache.tell(("fill", version))
        return version


class Writer(Reader):
    def receive(self, message: Any) -> int:
        version: int = self.database.ask("write")
        self.cache.ask(("empty", version))
        return version


def run(sim: Simulation, checks: bool) -> None:
    system = sim.system("site")
    database = system.spawn(Database, name="database")
    cache = system.spawn(Cache, checks, name="cache")
    reader = system.spawn(Reader, database, cache, name="reader")
    writer = system.spawn(Writer, database, cache, name="writer")
    reader.tell("read")
    writer.tell("write")
    gevent.sleep(1)
    assert reader.ask("read") == database.ask("read")


def broken(sim: Simulation) -> None:
    run(sim, checks=False)


def repaired(sim: Simulation) -> None:
    run(sim, checks=True)
