"""A soak: failures, kills, stops and blocking among thousands of actors, with the books kept.

    python -m tests.soak --minutes 10 --actors 10000 --seed 1

At the end nothing may be missing and nothing may have come twice: each message has a number, and
told = handled + dead letters + dropped by a bounded inbox + refused at the sender + still queued;
asked = answered + failed. It prints a line for each period, so that memory is seen to be flat.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import gevent
import structlog
from gevent.queue import Full

from actorkit import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    Backoff,
    DeadLetter,
    Inbox,
    InboxOverflow,
    OneForAll,
    OneForOne,
    Strategy,
)

INBOXES = (None, None, Inbox(maxsize=16), Inbox(maxsize=8, overflow="drop_old"), Inbox(maxsize=64))


class World:
    """What the actors share: the chance of each act, and the books."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.books: Counter[str] = Counter()
        self.actors: list[ActorRef[Any]] = []
        self.under_way: set[int] = set()
        self.uncertain: set[int] = set()
        self.ending = False

    def anybody(self) -> ActorRef[Any]:
        return self.random.choice(self.actors)

    def tell(self, ref: ActorRef[Any]) -> None:
        self.books["told"] += 1
        number = self.books["told"]
        self.under_way.add(number)
        try:
            # With a timeout: actors that wait for room in each other's inboxes wait for ever.
            ref.inbox.put(number, timeout=0.05)
        except Full:
            self.arrived("refused", number)
        except BaseException:
            # Killed while it waited for room; the message may have got its place just before.
            self.uncertain.add(number)
            raise

    def arrived(self, entry: str, number: int) -> None:
        """Enter the end of a message into the books; a second end of the same one is an error."""
        if number in self.under_way:
            self.under_way.remove(number)
            self.books[entry] += 1
        else:
            self.books["twice"] += 1

    def ask(self, ref: ActorRef[Any], timeout: float) -> None:
        self.books["asked"] += 1
        try:
            ref.ask("question", timeout)
        except BaseException as error:
            self.books["failed"] += 1
            if not isinstance(error, (ActorError, TimeoutError, RuntimeError)):
                raise
        else:
            self.books["answered"] += 1


class Citizen(Actor):
    """Does something random at each message."""

    supervision: ClassVar[Strategy] = OneForOne(
        intensity=1000, period=1.0, backoff=Backoff(minimum=0.001)
    )

    def __init__(self, world: World) -> None:
        self.world = world

    def receive(self, message: Any) -> Any:
        world = self.world
        if message == "question":
            if world.random.random() < 0.05:
                raise RuntimeError("question not liked")
            return "answer"
        if not isinstance(message, int):
            return None
        world.arrived("handled", message)
        if world.ending:
            return None
        chance = world.random.random()
        if chance < 0.45:
            world.tell(world.anybody())
        elif chance < 0.60:
            world.ask(world.anybody(), world.random.choice([0.01, 0.5]))
        elif chance < 0.75:
            gevent.sleep(world.random.random() * 0.01)
        elif chance < 0.80:
            raise RuntimeError("bad day")
        elif chance < 0.82:
            world.anybody().kill()
        elif chance < 0.84:
            world.anybody().stop(drain=world.random.random() < 0.5)
        elif chance < 0.86:
            self.stop()
        elif chance < 0.88:
            self.after(0.005, "tick")
        elif chance < 0.90 and len(self.children) < 2:
            self.spawn(Citizen, world, restart="temporary")
        elif chance < 0.92:
            self.watch(world.anybody())
        return None


class Village(Citizen):
    """Some citizens that fall and rise together."""

    supervision: ClassVar[Strategy] = OneForAll(intensity=1000, period=1.0, backoff=None)


def soak(seconds: float, actors: int, seed: int, period: float = 30.0) -> Counter[str]:
    """Run for `seconds` with about `actors` of them; returns the books."""
    world = World(seed)
    books = world.books

    def dead(letter: DeadLetter) -> None:
        if isinstance(letter.message, int):
            world.arrived("dead letters", letter.message)

    def dropped(overflow: InboxOverflow) -> None:
        if isinstance(overflow.message, int):
            world.arrived("dropped", overflow.message)

    started = time.monotonic()
    with ActorSystem("soak") as system:
        system.events.subscribe(DeadLetter, dead)
        system.events.subscribe(InboxOverflow, dropped)

        def spawn() -> ActorRef[Any]:
            cls = Village if world.random.random() < 0.1 else Citizen
            restart = world.random.choice(["permanent", "transient", "temporary"])
            inbox = world.random.choice(INBOXES)
            return system.spawn(cls, world, restart=restart, inbox=inbox, shutdown=0.5)

        world.actors = [spawn() for _ in range(actors)]
        report = started + period
        while (now := time.monotonic()) < started + seconds:
            for position in world.random.sample(range(actors), max(1, actors // 100)):
                if world.actors[position].ready():
                    world.actors[position] = spawn()
                    books["replaced"] += 1
            for _ in range(min(actors // 20, actors - len(world.under_way))):
                gevent.spawn(world.tell, world.anybody())
            gevent.sleep(0.01)
            if now >= report:
                report += period
                gc.collect()
                rate = books["handled"] / (now - started)
                print(
                    f"{now - started:6.0f} s  {rss():5.0f} MB  {rate:7.0f} handled/s"
                    f"  {len(system.tree())} actors",
                    flush=True,
                )
        world.ending = True
        deadline = time.monotonic() + 30
        while any(info.inbox_size for info in system.tree()) and time.monotonic() < deadline:
            gevent.sleep(0.05)
        gevent.sleep(0.6)
        books["queued"] = sum(info.inbox_size for info in system.tree())
        books["stuck"] = sum(info.state != "running" for info in system.tree())
    for number in world.under_way & world.uncertain:
        world.arrived("refused", number)
    books["missing"] = len(world.under_way)
    return books


def rss() -> float:
    """Megabytes of memory in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def silence(*event: Any) -> Any:
    """A log of a million expected failures tells nothing."""
    raise structlog.DropEvent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--actors", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(processors=[silence])
    books = soak(options.minutes * 60, options.actors, options.seed)
    for entry, count in sorted(books.items()):
        print(f"{entry:>14} {count:12,}")


if __name__ == "__main__":
    main()
