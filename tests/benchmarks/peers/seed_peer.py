"""The cases on the actor of gevent's tutorial: a Greenlet with a Queue."""

from __future__ import annotations

import time
from itertools import count
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.queue import Queue

from ..measure import Latenesses, echo_latenesses, resident_bytes


class Actor(gevent.Greenlet):  # type: ignore[type-arg]
    def __init__(self) -> None:
        self.inbox: Queue[Any] = Queue()
        super().__init__()

    def receive(self, message: Any) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        self.running = True
        while self.running:
            self.receive(self.inbox.get())


class Pinger(Actor):
    peer: Pinger

    def receive(self, message: Any) -> None:
        if message:
            self.peer.inbox.put(message - 1)
        else:
            self.running = False


class Counter(Actor):
    count = 0

    def receive(self, message: Any) -> None:
        if isinstance(message, AsyncResult):
            message.set(self.count)
        else:
            self.count += 1


class Sender(Actor):
    def __init__(self, target: Actor, count: int) -> None:
        super().__init__()
        self.target = target
        self.count = count

    def receive(self, message: Any) -> None:
        put = self.target.inbox.put
        for number in range(self.count):
            put(number)
        self.running = False


class Echo(Actor):
    def receive(self, message: Any) -> None:
        value, answer = message
        answer.set(value)


def ask(actor: Actor, value: Any) -> Any:
    answer: AsyncResult[Any] = AsyncResult()
    actor.inbox.put((value, answer))
    return answer.get()


class Asker(Actor):
    def __init__(self, target: Actor) -> None:
        super().__init__()
        self.target = target

    def receive(self, count: int) -> None:
        for number in range(count):
            assert ask(self.target, number) == number
        self.running = False


class OneShot(Actor):
    handled = count()  # to set a class attribute would empty the class's caches each time

    def __init__(self) -> None:
        super().__init__()
        self.attribute = 1

    def receive(self, message: Any) -> None:
        next(OneShot.handled)
        self.running = False


class Sleeper(Actor):
    def receive(self, message: Any) -> None:
        gevent.sleep(0.05)
        gevent.sleep(0.05)
        self.running = False


def started(actor: Any) -> Any:
    actor.start()
    return actor


def ping_pong(n: int) -> float:
    a, b = started(Pinger()), started(Pinger())
    a.peer, b.peer = b, a
    began = time.perf_counter()
    a.inbox.put(n)
    (b if n % 2 else a).join()
    rate = n / (time.perf_counter() - began)
    gevent.killall([a, b])
    return rate


def fan_in(n: int) -> float:
    counter = started(Counter())
    senders = [started(Sender(counter, n // 4)) for _ in range(4)]
    began = time.perf_counter()
    for sender in senders:
        sender.inbox.put("go")
    gevent.joinall(senders)
    answer: AsyncResult[int] = AsyncResult()
    counter.inbox.put(answer)
    counted = answer.get()
    elapsed = time.perf_counter() - began
    assert counted == n // 4 * 4
    return counted / elapsed


def ask_main(n: int) -> float:
    echo = started(Echo())
    began = time.perf_counter()
    for number in range(n):
        assert ask(echo, number) == number
    return n / (time.perf_counter() - began)


def ask_actor(n: int) -> float:
    asker = started(Asker(started(Echo())))
    began = time.perf_counter()
    asker.inbox.put(n)
    asker.join()
    return n / (time.perf_counter() - began)


def spawn_all(n: int) -> float:
    began = time.perf_counter()
    actors = [started(OneShot()) for _ in range(n)]
    for actor in actors:
        actor.inbox.put("message")
    gevent.joinall(actors)
    elapsed = time.perf_counter() - began
    assert next(OneShot.handled) == n
    return n / elapsed


def spawn_stream(n: int) -> float:
    began = time.perf_counter()
    for _ in range(n // 100):
        actors = [started(OneShot()) for _ in range(100)]
        for actor in actors:
            actor.inbox.put("message")
        actors[-1].join()
    elapsed = time.perf_counter() - began
    assert next(OneShot.handled) == n // 100 * 100
    return n / elapsed


def idle_bytes(n: int) -> float:
    before = resident_bytes()
    actors = [started(OneShot()) for _ in range(n)]
    gevent.sleep(0.5)
    used = resident_bytes() - before
    gevent.killall(actors)
    return used / n


def blocking(n: int) -> float:
    began = time.perf_counter()
    actors = [started(Sleeper()) for _ in range(n)]
    for actor in actors:
        actor.inbox.put("sleep")
    gevent.joinall(actors)
    return time.perf_counter() - began


def _load() -> list[Actor]:
    pairs: list[Actor] = []
    for _ in range(4):
        a, b = started(Pinger()), started(Pinger())
        a.peer, b.peer = b, a
        a.inbox.put(1 << 60)
        pairs += [a, b]
    return pairs


def _ticks() -> Latenesses:
    late = Latenesses()

    def tick() -> None:
        for _ in range(100):
            due = time.perf_counter() + 0.01
            gevent.sleep(0.01)
            late.add(time.perf_counter() - due)

    load = _load()
    gevent.joinall([gevent.spawn(tick) for _ in range(5)])
    gevent.killall(load)
    return late


def timer_p50(n: int) -> float:
    return _ticks().percentile(50) * 1000


def timer_p99(n: int) -> float:
    return _ticks().percentile(99) * 1000


def socket_p99(n: int) -> float:
    load = _load()
    late = echo_latenesses(n)
    gevent.killall(load)
    return late.percentile(99) * 1000
