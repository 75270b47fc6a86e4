"""Routers over pools, explored: workers fail and end while messages go round."""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import (
    Actor,
    ActorRef,
    ActorStopped,
    Broadcast,
    ConsistentHash,
    Future,
    LeastLoaded,
    OneForOne,
    RoundRobin,
    Router,
    pool,
)
from actorkit.testing import Simulation, explore

from .books import Books

WORKERS = 3
MESSAGES = 12


class Crash(Exception):
    """A failure that is part of the test."""


class Worker(Actor):
    def __init__(self, sim: Simulation, books: Books) -> None:
        self.sim = sim
        self.books = books

    def receive(self, message: Any) -> Any:
        if isinstance(message, tuple):
            self.books.note(self.ref, message)
        if self.sim.fault(0.1):
            raise Crash
        gevent.sleep(self.sim.random.randrange(3) / 10)
        return self.ref.path


def router_of(sim: Simulation, books: Books, kinds: list[type[Router]]) -> ActorRef[Any]:
    """A router of one of these kinds over a pool."""
    kind: Any = sim.random.choice(kinds)
    often = OneForOne(intensity=sim.random.choice([1, 1000]), period=1.0, backoff=None)
    supervised = type(kind.__name__, (kind,), {"supervision": often})
    return sim.system("here").spawn(supervised, pool(WORKERS, Worker, sim, books), name="router")


@explore(seeds=2000, failures=Crash)
def test_each_message_goes_to_one_worker_once_or_is_a_dead_letter(sim: Simulation) -> None:
    system = sim.system("here")
    books = Books(system)
    router = router_of(sim, books, [RoundRobin, LeastLoaded, ConsistentHash])
    workers: list[ActorRef[Any]] = router.call("members")
    answers: list[Future[Any]] = []

    class Sender(Actor):
        def receive(self, name: str) -> None:
            for _ in range(MESSAGES // 2):
                books.tell(router, name)
                answers.append(router.ask_nowait("a question", timeout=None))
                gevent.sleep(sim.random.randrange(2) / 10)

    for name in ("ann", "bob"):
        system.spawn(Sender).tell(name)
    for worker in workers:
        gevent.sleep(sim.random.randrange(3) / 10)
        if sim.fault(0.2):
            sim.random.choice([worker.stop, worker.kill])()
    gevent.sleep(30)
    books.check_each_is_in_one_place()
    books.check_order()
    for answer in answers:
        assert answer.ready()
        assert answer.successful() or isinstance(answer.exception, Crash | ActorStopped)


@explore(seeds=1000, failures=Crash)
def test_a_broadcast_reaches_every_worker_once_and_its_answers_have_their_order(
    sim: Simulation,
) -> None:
    books = Books(sim.system("here"))
    router = router_of(sim, books, [Broadcast])
    workers: list[ActorRef[Any]] = router.call("members")
    answers: list[Future[Any]] = []
    for number in range(MESSAGES):
        books.tell(router, "main")
        answers.append(router.ask_nowait("a question", timeout=None))
        gevent.sleep(sim.random.randrange(2) / 10)
        if number < WORKERS and sim.fault(0.1):
            workers[number].kill()
    gevent.sleep(30)
    books.check_order()
    for answer in answers:
        assert answer.ready()
        if answer.successful():
            paths: Any = answer.value
            assert paths == sorted(paths)
        else:
            assert isinstance(answer.exception, Crash | ActorStopped)
