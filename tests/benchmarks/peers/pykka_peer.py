"""The cases on Pykka, one thread for each actor."""

from __future__ import annotations

import threading
import time
from typing import Any

import pykka

from ..measure import resident_bytes


class Pinger(pykka.ThreadingActor):
    peer: Any = None
    done: Any = None

    def on_receive(self, message: Any) -> None:
        if isinstance(message, tuple):
            self.peer, self.done = message
        elif message:
            self.peer.tell(message - 1)
        else:
            self.done.set()


class Counter(pykka.ThreadingActor):
    count = 0

    def on_receive(self, message: Any) -> int | None:
        if message is None:
            return self.count
        self.count += 1
        return None


class Sender(pykka.ThreadingActor):
    def __init__(self, target: Any, count: int) -> None:
        super().__init__()
        self.target = target
        self.count = count

    def on_receive(self, message: Any) -> None:
        for number in range(self.count):
            self.target.tell(number)


class Echo(pykka.ThreadingActor):
    def on_receive(self, message: Any) -> Any:
        return message


class Asker(pykka.ThreadingActor):
    def __init__(self, target: Any) -> None:
        super().__init__()
        self.target = target

    def on_receive(self, count: int) -> int:
        for number in range(count):
            assert self.target.ask(number) == number
        return count


class OneShot(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self.attribute = 1

    def on_receive(self, message: Any) -> None:
        self.stop()


class Sleeper(pykka.ThreadingActor):
    def on_receive(self, message: Any) -> None:
        time.sleep(0.05)
        time.sleep(0.05)
        self.stop()


def ping_pong(n: int) -> float:
    done = threading.Event()
    a, b = Pinger.start(), Pinger.start()
    a.tell((b, done))
    b.tell((a, done))
    started = time.perf_counter()
    a.tell(n)
    done.wait()
    rate = n / (time.perf_counter() - started)
    pykka.ActorRegistry.stop_all()
    return rate


def fan_in(n: int) -> float:
    counter = Counter.start()
    senders = [Sender.start(counter, n // 4) for _ in range(4)]
    started = time.perf_counter()
    for sender in senders:
        sender.tell("go")
    for sender in senders:
        sender.stop()
    counted: Any = counter.ask(None)
    elapsed = time.perf_counter() - started
    assert counted == n // 4 * 4
    pykka.ActorRegistry.stop_all()
    return float(counted / elapsed)


def ask_main(n: int) -> float:
    echo = Echo.start()
    started = time.perf_counter()
    for number in range(n):
        assert echo.ask(number) == number
    rate = n / (time.perf_counter() - started)
    pykka.ActorRegistry.stop_all()
    return rate


def ask_actor(n: int) -> float:
    asker = Asker.start(Echo.start())
    started = time.perf_counter()
    assert asker.ask(n) == n
    rate = n / (time.perf_counter() - started)
    pykka.ActorRegistry.stop_all()
    return rate


def spawn_stream(n: int) -> float:
    started = time.perf_counter()
    for _ in range(n // 100):
        actors = [OneShot.start() for _ in range(100)]
        for actor in actors:
            actor.tell("message")
        for actor in actors:
            actor.actor_stopped.wait()
    return n / (time.perf_counter() - started)


def idle_bytes(n: int) -> float:
    before = resident_bytes()
    actors = [OneShot.start() for _ in range(n)]
    used = resident_bytes() - before
    pykka.ActorRegistry.stop_all()
    assert len(actors) == n
    return used / n


def blocking(n: int) -> float:
    started = time.perf_counter()
    actors = [Sleeper.start() for _ in range(n)]
    for actor in actors:
        actor.tell("sleep")
    for actor in actors:
        actor.actor_stopped.wait()
    return time.perf_counter() - started
