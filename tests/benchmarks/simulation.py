"""`python -m tests.benchmarks simulation`: what virtual time costs, and schedules a second.

simloom does for asyncio what the simulation does here; where it is installed (Python 3.12 or newer)
it runs the same lost-update program. All times are CPU times: nothing here waits for anything.
"""

from __future__ import annotations

import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import gevent
import structlog

from actorkit import Actor, ActorRef, ActorSystem
from actorkit.testing import Simulation

__all__ = ["main"]


class Ponger(Actor):
    def receive(self, message: Any) -> Any:
        return message


class Pinger(Actor):
    """Sends a number back and forth until it is 0."""

    def __init__(self) -> None:
        self.peer: ActorRef[Any] | None = None

    def receive(self, message: Any) -> None:
        if isinstance(message, ActorRef):
            self.peer = message
        elif message == 0:
            self.stop()
        else:
            self.peer.tell(message - 1)  # type: ignore[union-attr]


def ping_pong(system: ActorSystem, count: int) -> None:
    """`count` messages between two actors."""
    one, other = system.spawn(Pinger), system.spawn(Pinger)
    one.tell(other)
    other.tell(one)
    one.tell(count)
    (one if count % 2 == 0 else other).join()


def asks(system: ActorSystem, count: int) -> None:
    """`count` questions in turn."""
    ponger = system.spawn(Ponger)
    for number in range(count):
        ponger.ask(number)


class Neighbour(Actor):
    """Tells somebody on the same node, or on the next one, every five seconds."""

    def __init__(self) -> None:
        self.peers: list[ActorRef[Any]] = []
        self.beats = 0

    def receive(self, message: Any) -> None:
        if isinstance(message, list):
            self.peers = message
            self.every(5.0, "beat")
        elif message == "beat":
            self.beats += 1
            self.peers[self.beats % 2].tell(("hello", self.beats))


def busy_minute(sim: Simulation, nodes: int = 100, actors: int = 100) -> None:
    """A minute of a ring of nodes, each with actors that talk to each other and to the next."""
    systems = [sim.system(f"node{number}") for number in range(nodes)]
    everyone = [
        [system.spawn(Neighbour, name=f"n{i}") for i in range(actors)] for system in systems
    ]
    for number, system in enumerate(systems):
        node = system.connect(f"sim://node{(number + 1) % nodes}")
        far = [node.lookup(f"/n{i}") for i in range(3)]
        for i, ref in enumerate(everyone[number]):
            ref.tell([everyone[number][(i + 1) % actors], far[i % 3]])
    gevent.sleep(60)


def idle_pair(sim: Simulation) -> None:
    """An hour of two connected nodes that have nothing to say."""
    one = sim.system("a").spawn(Ponger, name="ponger")
    sim.system("b").connect("sim://a").lookup("/ponger").ask(one.name)
    gevent.sleep(3600)


def idle_hour(sim: Simulation) -> None:
    with ActorSystem("alone") as system:
        system.spawn(Ponger)
        gevent.sleep(3600)


def lost_update(sim: Simulation) -> int:
    """Three greenlets that read, give way, and write: simloom's own example."""
    value = 0

    def worker() -> None:
        nonlocal value
        for _ in range(3):
            current = value
            gevent.sleep(0)
            value = current + 1

    gevent.joinall([gevent.spawn(worker) for _ in range(3)])
    return value


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """The median CPU time of `work`."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def simulated(program: Callable[[Simulation], Any], log: bool = True) -> Callable[[], Any]:
    return lambda: Simulation(1, log=log).run(program)


def real(program: Callable[[ActorSystem, int], None], count: int) -> None:
    with ActorSystem("real") as system:
        program(system, count)


def virtual(program: Callable[[ActorSystem, int], None], count: int, log: bool) -> None:
    Simulation(1, log=log).run(lambda sim: program(sim.system("a"), count))


def rows(repeats: int, quick: bool) -> Iterator[tuple[str, str]]:
    """What was measured, and the figure."""
    seeds = 50 if quick else 500
    took = seconds(
        lambda: [Simulation(seed, log=False).run(lost_update) for seed in range(seeds)], repeats
    )
    yield "schedules of the lost update", f"{seeds / took:,.0f}/s"
    if find_spec("simloom") is None:
        yield "the same by simloom", "not installed"
    else:
        command = [sys.executable, "-m", "tests.benchmarks.peers.simloom_peer", str(seeds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs = float(done.stdout)
        yield "the same by simloom", f"{theirs:,.0f}/s, {seeds / took / theirs:.1f}x slower"
    took = seconds(simulated(idle_hour), repeats)
    yield "an idle simulated hour", f"{took * 1e3:.1f} ms"
    took = seconds(simulated(idle_pair), repeats)
    yield "an idle simulated hour of two connected nodes", f"{took * 1e3:,.0f} ms"
    count = 2_000 if quick else 20_000
    for title, program in (("messages", ping_pong), ("asks", asks)):
        base = seconds(partial(real, program, count), repeats)
        for log in (True, False):
            took = seconds(partial(virtual, program, count, log), repeats)
            times = f"{took / base:.1f}x the time of the real dispatcher"
            yield f"{title}, {'with' if log else 'no'} log", f"{count / took:,.0f}/s, {times}"
    nodes = 20 if quick else 100
    for log in (True, False):
        took = seconds(simulated(partial(busy_minute, nodes=nodes), log), 1)
        title = f"a simulated minute of {nodes} nodes x 100 actors, {'with' if log else 'no'} log"
        yield title, f"{took:.1f} s"


def main(repeats: int, quick: bool) -> None:
    """Print the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for title, figure in rows(repeats, quick):
        print(f"{title:<58} {figure}", flush=True)
