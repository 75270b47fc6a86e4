"""Random schedules by seed: whatever blocks where, pairs keep their order and nothing is lost."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.queue import Queue

from actorkit import Actor, ActorRef, ActorSystem, Inbox

pytestmark = pytest.mark.timeout(60)


class World:
    """What the actors of one schedule share."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lock = BoundedSemaphore(2)
        self.queue: Queue[int] = Queue()
        self.bell = Event()
        self.peers: list[ActorRef[Any]] = []
        self.sent: dict[tuple[Any, Any], int] = defaultdict(int)
        self.got: dict[tuple[Any, Any], int] = defaultdict(int)
        self.answers = 0

    def send(self, sender: Any, ref: ActorRef[Any], left: int) -> None:
        """Tell `ref` the next number of this pair; `left` is how far the news still travels."""
        pair = (sender, ref)
        self.sent[pair] += 1
        ref.tell((sender, self.sent[pair], left))

    def block(self, ask: Any) -> None:
        """Wait in one of many ways, or not at all."""
        match self.random.randrange(9):
            case 0:
                gevent.sleep(0)
            case 1:
                gevent.sleep(self.random.random() * 0.002)
            case 2:
                with self.lock:
                    gevent.sleep(0)
            case 3:
                self.queue.put(1)
                self.queue.get()
            case 4:
                self.bell.set()
                self.bell.clear()
            case 5:
                self.bell.wait(0.001)
            case 6:
                ask()
            case 7:
                gevent.spawn(gevent.sleep, 0).join()


class Walker(Actor):
    """Checks the order of what it gets, blocks somewhere, and sends the news on."""

    def __init__(self, world: World, oracle: ActorRef[Any]) -> None:
        self.world = world
        self.oracle = oracle
        self.busy = False

    def receive(self, message: tuple[Any, int, int]) -> None:
        world = self.world
        assert not self.busy
        self.busy = True
        sender, number, left = message
        pair = (sender, self.ref)
        assert number == world.got[pair] + 1
        world.got[pair] = number
        for _ in range(world.random.randrange(3)):
            world.block(self.ask_the_oracle)
        if left:
            world.send(self.ref, world.random.choice(world.peers), left - 1)
        self.busy = False

    def ask_the_oracle(self) -> None:
        assert self.oracle.ask(7, timeout=None) == 14
        self.world.answers += 1


class Oracle(Actor):
    """Answers after a while, in one of three ways."""

    def __init__(self, world: World) -> None:
        self.world = world

    def receive(self, message: int) -> int | None:
        match self.world.random.randrange(3):
            case 0:
                reply = self.defer_reply()
                gevent.spawn_later(0.0005, reply.set, message * 2)
                return None
            case 1:
                gevent.sleep(0)
        return message * 2


class Scribe(Walker):
    """The same as a process with a greenlet of its own."""

    def run(self) -> None:
        while True:
            self.receive(self.inbox.get())


class Hermit(Walker):
    dedicated = True


@pytest.mark.parametrize("seed", range(40))
def test_every_pair_keeps_its_order_and_nothing_is_lost(system: ActorSystem, seed: int) -> None:
    world = World(seed)
    oracle = system.spawn(Oracle, world)
    kinds = [Walker, Walker, Scribe, Hermit]
    boxes = [None, None, Inbox(maxsize=1000), Inbox(priority=lambda message: 0)]
    world.peers = [
        system.spawn(world.random.choice(kinds), world, oracle, inbox=world.random.choice(boxes))
        for _ in range(world.random.randrange(2, 12))
    ]
    walks, steps = world.random.randrange(1, 30), world.random.randrange(1, 20)
    for walk in range(walks):
        world.send(walk % 3, world.random.choice(world.peers), steps)
    total = walks * (steps + 1)
    with gevent.Timeout(20):
        while sum(world.got.values()) < total:
            gevent.sleep(0.001)
    gevent.sleep(0.01)
    assert world.got == world.sent
    assert sum(world.sent.values()) == total
    assert {info.restarts for info in system.tree()} == {0}
    assert {info.inbox_size for info in system.tree()} == {0}
