"""The cases on actorkit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import count, pairwise
from typing import Any

import gevent
from gevent.lock import Semaphore

from actorkit import Actor, ActorRef, ActorSystem
from tests.actors import instance_of

from ..measure import Latenesses, echo_latenesses, resident_bytes


class Pinger(Actor):
    """Passes a number on to its peer, one less, until it is 0; then ends."""

    def __init__(self) -> None:
        self.peer: ActorRef[Any]

    def receive(self, message: Any) -> None:
        if type(message) is not int:
            self.peer = message
        elif message:
            self.peer.tell(message - 1)
        else:
            self.stop()


class Counter(Actor):
    def __init__(self) -> None:
        self.count = 0

    def receive(self, message: Any) -> int | None:
        if message is None:
            return self.count
        self.count += 1
        return None


class Sender(Actor):
    def __init__(self, target: ActorRef[Any], count: int) -> None:
        self.target = target
        self.count = count

    def receive(self, message: Any) -> None:
        tell = self.target.tell
        for number in range(self.count):
            tell(number)


class Echo(Actor):
    def receive(self, message: Any) -> Any:
        return message


class Asker(Actor):
    def __init__(self, target: ActorRef[Any]) -> None:
        self.target = target

    def receive(self, count: int) -> int:
        ask = self.target.ask
        for number in range(count):
            if ask(number) != number:
                raise AssertionError
        return count


class OneShot(Actor):
    handled = count()  # to set a class attribute would empty the class's caches each time

    def __init__(self) -> None:
        self.attribute = 1

    def receive(self, message: Any) -> None:
        next(OneShot.handled)
        self.stop()


class Idle(Actor):
    def __init__(self) -> None:
        self.attribute = 1

    def receive(self, message: Any) -> int:
        self.attribute += 1
        return self.attribute


class Sleeper(Actor):
    def receive(self, message: Any) -> None:
        gevent.sleep(0.05)
        gevent.sleep(0.05)
        self.stop()


class Ticker(Actor):
    """Notes by how much its 10 ms timer is late."""

    def __init__(self, beats: int) -> None:
        self.beats = beats
        self.late = Latenesses()

    def on_start(self) -> None:
        self.due = time.perf_counter() + 0.01
        self.after(0.01, "beat")

    def receive(self, message: Any) -> None:
        now = time.perf_counter()
        self.late.add(now - self.due)
        if len(self.late) < self.beats:
            self.due = now + 0.01
            self.after(0.01, "beat")
        else:
            self.stop()


class Greedy(Actor):
    """Never runs out of messages: it sends itself two for each, up to a limit."""

    def __init__(self) -> None:
        self.count = 0

    def receive(self, message: Any) -> int | None:
        if message is None:
            return self.count
        self.count += 1
        self.ref.tell(message)
        return None


def ping_pong(n: int) -> float:
    with ActorSystem() as system:
        a, b = system.spawn(Pinger), system.spawn(Pinger)
        a.tell(b)
        b.tell(a)
        last = b if n % 2 else a
        started = time.perf_counter()
        a.tell(n)
        last.join()
        return n / (time.perf_counter() - started)


def fan_in(n: int) -> float:
    with ActorSystem() as system:
        counter = system.spawn(Counter)
        senders = [system.spawn(Sender, counter, n // 4) for _ in range(4)]
        started = time.perf_counter()
        for sender in senders:
            sender.tell("go")
        for sender in senders:
            sender.stop(drain=True)
        gevent.joinall(senders)
        counted = counter.ask(None, timeout=None)
        elapsed = time.perf_counter() - started
        assert counted == n // 4 * 4
        return float(counted / elapsed)


def ask_main(n: int) -> float:
    with ActorSystem() as system:
        echo = system.spawn(Echo)
        started = time.perf_counter()
        for number in range(n):
            assert echo.ask(number) == number
        return n / (time.perf_counter() - started)


def ask_actor(n: int) -> float:
    with ActorSystem() as system:
        asker = system.spawn(Asker, system.spawn(Echo))
        started = time.perf_counter()
        assert asker.ask(n, timeout=None) == n
        return n / (time.perf_counter() - started)


def spawn_all(n: int) -> float:
    with ActorSystem() as system:
        started = time.perf_counter()
        refs = [system.spawn(OneShot) for _ in range(n)]
        for ref in refs:
            ref.tell("message")
        refs[-1].join()
        elapsed = time.perf_counter() - started
        assert next(OneShot.handled) == n
        assert all(ref.ready() for ref in refs)
        return n / elapsed


def spawn_stream(n: int) -> float:
    with ActorSystem() as system:
        started = time.perf_counter()
        for _ in range(n // 100):
            for _ in range(100):
                ref = system.spawn(OneShot)
                ref.tell("message")
            ref.join()
        elapsed = time.perf_counter() - started
        assert next(OneShot.handled) == n // 100 * 100
        return n / elapsed


def idle_bytes(n: int) -> float:
    with ActorSystem() as system:
        before = resident_bytes()
        refs = [system.spawn(Idle) for _ in range(n)]
        gevent.sleep(0.01)
        used = resident_bytes() - before
        assert len(refs) == n
        return used / n


def live_megabytes(n: int) -> float:
    return idle_bytes(n) * n / 1e6


class Hopper(Actor):
    """Passes a token on to the next, until the token has made its hops."""

    next: ActorRef[Any]
    arrived: Semaphore

    def receive(self, message: Any) -> None:
        if type(message) is not int:
            self.next, self.arrived = message
        elif message:
            self.next.tell(message - 1)
        else:
            self.arrived.release()


def _in_turn(live: int, n: int) -> float:
    """Messages a second when each of `live` actors is told something in turn."""
    with ActorSystem() as system:
        refs = [system.spawn(Idle) for _ in range(live)]
        at_once = max(1, 1000 // live)
        rounds = n // live // at_once
        started = time.perf_counter()
        for _ in range(rounds):
            for _ in range(at_once):
                for ref in refs:
                    ref.tell(None)
            refs[-1].ask(None)
        elapsed = time.perf_counter() - started
        last = refs[-1000:]
        for ref in last:
            ref.ask(None)
        counted = sum(instance_of(ref).attribute - 1 for ref in refs) - len(last)
        assert counted == rounds * (at_once * live + 1)
        return float(counted / elapsed)


def throughput_10(n: int) -> float:
    return _in_turn(10, n)


def throughput_1k(n: int) -> float:
    return _in_turn(1_000, n)


def throughput_100k(n: int) -> float:
    return _in_turn(100_000, n)


def throughput_1m(n: int) -> float:
    return _in_turn(1_000_000, n)


def random_1m(n: int) -> float:
    """A thousand tokens hop at random among a million actors: hardly anything is in a cache."""
    live = 1_000_000
    with ActorSystem() as system:
        refs = [system.spawn(Hopper) for _ in range(live)]
        order = list(range(live))
        random.Random(1).shuffle(order)
        arrived = Semaphore(0)
        for here, there in pairwise([*order, order[0]]):
            refs[here].ask((refs[there], arrived))
        tokens = 1000
        hops = n // tokens
        started = time.perf_counter()
        for ref in refs[:: live // tokens]:
            ref.tell(hops)
        for _ in range(tokens):
            arrived.acquire()
        return hops * tokens / (time.perf_counter() - started)


def blocking(n: int) -> float:
    with ActorSystem() as system:
        started = time.perf_counter()
        refs = [system.spawn(Sleeper) for _ in range(n)]
        for ref in refs:
            ref.tell("sleep")
        gevent.joinall(refs)
        return time.perf_counter() - started


def _under_load(measure: Callable[[ActorSystem], Latenesses], per_cent: int) -> float:
    with ActorSystem() as system:
        for _ in range(4):
            a, b = system.spawn(Pinger), system.spawn(Pinger)
            a.tell(b)
            b.tell(a)
            a.tell(1 << 60)
        late = measure(system)
        system.shutdown(timeout=1)
        return late.percentile(per_cent) * 1000


def _ticks(system: ActorSystem) -> Latenesses:
    tickers = [system.spawn(Ticker, 100) for _ in range(5)]
    instances: list[Ticker] = [instance_of(ref) for ref in tickers]
    gevent.joinall(tickers)
    return sum((ticker.late for ticker in instances), Latenesses())


def timer_p50(n: int) -> float:
    return _under_load(_ticks, 50)


def timer_p99(n: int) -> float:
    return _under_load(_ticks, 99)


def socket_p99(n: int) -> float:
    return _under_load(lambda system: echo_latenesses(n), 99)


def fairness(n: int) -> float:
    """Asks answered a second by an actor beside ten that never run out of messages."""
    with ActorSystem() as system:
        for _ in range(10):
            greedy = system.spawn(Greedy)
            for _ in range(100):
                greedy.tell("more")
        asker = system.spawn(Asker, system.spawn(Echo))
        started = time.perf_counter()
        assert asker.ask(n, timeout=None) == n
        rate = n / (time.perf_counter() - started)
        system.shutdown(timeout=1)
        return rate
