"""Dining philosophers: forks are actors that lend themselves to one philosopher at a time.

    python examples/dining_philosophers.py --philosophers 5 --meals 3

A fork that is in use keeps the question and answers it when it is laid down: `defer_reply`.
Nobody starves, since a fork answers in the order of asking, and nobody deadlocks, since each takes
the fork with the lower number first.
"""

from __future__ import annotations

import argparse
from collections import deque
from typing import Literal

import gevent

from actorkit import Actor, ActorRef, ActorSystem, Reply


class Fork(Actor):
    def __init__(self) -> None:
        self.waiting: deque[Reply] = deque()
        self.lent = False

    def receive(self, message: Literal["take", "lay down"]) -> None:
        if message == "take":
            self.waiting.append(self.defer_reply())
        else:
            self.lent = False
        if self.waiting and not self.lent:
            self.lent = True
            self.waiting.popleft().set()


class Philosopher(Actor):
    """Thinks and eats in a loop of its own: the process style."""

    def __init__(self, forks: list[ActorRef[Fork]], meals: int) -> None:
        self.forks = forks
        self.meals = meals

    def run(self) -> int:
        for meal in range(self.meals):
            gevent.sleep(0.001)
            for fork in self.forks:
                fork.ask("take", timeout=None)
            self.log.info("eats", meal=meal + 1)
            gevent.sleep(0.001)
            for fork in self.forks:
                fork.tell("lay down")
        return self.meals


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--philosophers", type=int, default=5)
    parser.add_argument("--meals", type=int, default=3)
    options = parser.parse_args()
    count = options.philosophers
    with ActorSystem("table") as system:
        forks = [system.spawn(Fork, name=f"fork-{n}") for n in range(count)]
        seats = [sorted({n, (n + 1) % count}) for n in range(count)]
        philosophers = [
            system.spawn(Philosopher, [forks[n] for n in seat], options.meals, name=f"seat-{i}")
            for i, seat in enumerate(seats)
        ]
        gevent.joinall(philosophers)
        print(f"{sum(ref.value for ref in philosophers)} meals eaten")


if __name__ == "__main__":
    main()
