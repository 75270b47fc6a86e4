"""A node to look at, as a program: `python -m tests.observe.town --name town --listen tcp://...`.

It prints its address. /branch/… are quiet actors, /worker does something all the time, /sleeper is
blocked, and /fragile fails when it is told to.
"""

from __future__ import annotations

import argparse
from typing import Any

import gevent
import structlog

from actorkit import Actor, ActorSystem


class Quiet(Actor):
    """Waits."""

    def __init__(self, number: int) -> None:
        self.number = number

    def receive(self, message: Any) -> Any:
        return self.number


class Branch(Actor):
    """Has as many quiet children as it is told to."""

    def __init__(self, size: int) -> None:
        self.size = size

    def on_start(self) -> None:
        for number in range(self.size):
            self.spawn(Quiet, number, name=f"quiet-{number}")

    def receive(self, message: Any) -> None:
        pass


class Worker(Actor):
    """Handles a message every 20 ms, and keeps the books."""

    def __init__(self) -> None:
        self.done = 0
        self._hidden = "not shown"

    def on_start(self) -> None:
        self.every(0.02, ("work", "on a <b>message</b>"))

    def receive(self, message: Any) -> Any:
        self.done += 1
        return self.done


class Sleeper(Actor):
    """Is blocked in its first message for an hour."""

    def on_start(self) -> None:
        self.ref.tell("sleep")

    def receive(self, message: Any) -> None:
        gevent.sleep(3600)


class Fragile(Actor):
    """Fails on demand."""

    def receive(self, message: Any) -> None:
        if message == "fail":
            raise ValueError("the reason <i>why</i>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="town")
    parser.add_argument("--listen", default="tcp://127.0.0.1:0")
    parser.add_argument("--connect", action="append", default=[])
    parser.add_argument("--inspect", default=None)
    parser.add_argument("--branches", type=int, default=2)
    parser.add_argument("--size", type=int, default=3)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    config = {} if options.inspect is None else {"inspect": options.inspect}
    with ActorSystem(options.name, listen=options.listen, config=config) as system:
        for address in options.connect:
            system.connect(address, timeout=30)
        system.spawn(Worker, name="worker")
        system.spawn(Sleeper, name="sleeper")
        system.spawn(Fragile, name="fragile")
        for number in range(options.branches):
            system.spawn(Branch, options.size, name=f"branch-{number}")
        print(system.address, flush=True)
        system.wait()


if __name__ == "__main__":
    main()
