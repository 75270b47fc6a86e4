"""After a restart the numbers of questions begin at 0 again: a late answer reaches the wrong asker.

Repaired: the question itself is passed on with its asker, and nobody counts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent

from actorkit import Actor, ActorRef, OneForOne, ReplyDropped
from actorkit.actor import Reply
from actorkit.testing import Simulation


class Library(Actor):
    """Takes a while to find a book."""

    def receive(self, message: Any) -> Any:
        gevent.sleep(1)
        match message:
            case ("find", int() as number, str() as title, ActorRef() as desk):
                desk.tell(("found", number, title.upper()))
            case str() as title:
                return title.upper()
        return None


class Desk(Actor):
    """Passes questions on to the library, and answers when it has answered."""

    def __init__(self, library: ActorRef[Library], counts: bool) -> None:
        self.library = library
        self.counts = counts
        self.number = 0
        self.waiting: dict[int, Reply] = {}

    def receive(self, message: Any) -> Any:
        match message:
            case "spill coffee":
                raise OSError("the desk is wet")
            case ("found", int() as number, str() as answer):
                reply = self.waiting.pop(number, None)
                if reply is not None:
                    reply.set(answer)
            case str() as title if self.counts:
                self.waiting[self.number] = self.defer_reply()
                self.library.tell(("find", self.number, title, self.ref))
                self.number += 1
            case title:
                self.forward(self.library, title)


class Office(Actor):
    supervision = OneForOne(backoff=None)

    def __init__(self, library: ActorRef[Library], counts: bool) -> None:
        self.desk = self.spawn(Desk, library, counts, name="desk")

    def receive(self, message: Any) -> ActorRef[Desk]:
        return self.desk


def run(sim: Simulation, counts: bool) -> None:
    system = sim.system("office")
    library = system.spawn(Library, name="library")
    desk = system.spawn(Office, library, counts, name="office").ask("desk")

    def reader(title: str) -> None:
        with suppress(ReplyDropped):  # the desk says so; one could ask again
            assert desk.ask(title) == title.upper(), title

    readers = [gevent.spawn(reader, "faust")]
    gevent.sleep(0.5)
    if sim.fault(0.1):
        desk.tell("spill coffee")
    readers.append(gevent.spawn(reader, "hamlet"))
    gevent.joinall(readers, raise_error=True)


def broken(sim: Simulation) -> None:
    run(sim, counts=True)


def repaired(sim: Simulation) -> None:
    run(sim, counts=False)


failures = OSError
