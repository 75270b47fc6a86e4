"""Programs of the Savina actor benchmark suite (Imam and Sarkar, AGERE 2014), for any library.

Each is written once, over the few words that `Api` names, and checks its own result. The clock runs
from before the first actor is made until the last one is done. peers/savina.erl has the same
programs for Erlang.
"""

from __future__ import annotations

import math
import random
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent.event


@dataclass(frozen=True)
class Api:
    """A library: a base class with `receive`, `me` and `end()`; how to start; what to wait for."""

    base: type[Any]
    start: Callable[..., Any]
    event: Callable[[], Any]


def _actorkit() -> Api:
    from actorkit import Actor, ActorSystem

    class Base(Actor):
        me = Actor.ref
        end = Actor.stop

    return Api(Base, ActorSystem().spawn, gevent.event.Event)


def _seed() -> Api:
    from .peers.seed_peer import Actor, started

    class Base(Actor):
        @property
        def me(self) -> Any:
            return self

        def tell(self, message: Any) -> None:
            self.inbox.put(message)

        def end(self) -> None:
            self.running = False

    def start(cls: Any, *args: Any) -> Any:
        actor = cls.__new__(cls)
        Actor.__init__(actor)
        actor.__init__(*args)
        return started(actor)

    return Api(Base, start, gevent.event.Event)


def _pykka() -> Api:
    import pykka

    class Base(pykka.ThreadingActor):
        @property
        def me(self) -> Any:
            return self.actor_ref

        def on_receive(self, message: Any) -> Any:
            return self.receive(message)  # type: ignore[attr-defined]

        end = pykka.ThreadingActor.stop

    def start(cls: type[Any], *args: Any) -> Any:
        class Started(cls):  # type: ignore[misc]
            def __init__(self) -> None:
                pykka.ThreadingActor.__init__(self)
                cls.__init__(self, *args)

        return Started.start()

    return Api(Base, start, threading.Event)


APIS = {"actorkit": _actorkit, "seed": _seed, "pykka": _pykka}


def run(peer: str, program: str, size: int) -> float:
    """Run one program on one library; returns seconds."""
    api = APIS[peer]()
    done = api.event()
    started = time.perf_counter()
    check = globals()[program](api, done, size)
    done.wait()
    elapsed = time.perf_counter() - started
    check()
    if peer == "pykka":
        import pykka

        pykka.ActorRegistry.stop_all()
    return elapsed


def chameneos(api: Api, done: Any, meetings: int, creatures: int = 100) -> Any:
    class Mall(api.base):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.left = meetings
            self.waiting: tuple[Any, str] | None = None
            self.counted = 0
            self.reports = 0

        def receive(self, message: Any) -> None:
            if isinstance(message, int):
                self.counted += message
                self.reports += 1
                if self.reports == creatures:
                    total.append(self.counted)
                    self.end()
                    done.set()
            elif self.left == 0:
                message[0].tell(None)
            elif self.waiting is None:
                self.waiting = message
            else:
                other, colour = self.waiting
                self.waiting = None
                self.left -= 1
                other.tell(message[1])
                message[0].tell(colour)

    class Creature(api.base):  # type: ignore[misc,name-defined]
        def __init__(self, mall: Any, colour: str) -> None:
            self.mall = mall
            self.colour = colour
            self.met = 0

        def receive(self, message: Any) -> None:
            if message is None:
                self.mall.tell(self.met)
                self.end()
                return
            if message != "start":
                self.met += 1
                if message != self.colour:
                    (self.colour,) = {"blue", "red", "yellow"} - {message, self.colour}
            self.mall.tell((self.me, self.colour))

    total: list[int] = []
    mall = api.start(Mall)
    for number in range(creatures):
        api.start(Creature, mall, ("blue", "red", "yellow")[number % 3]).tell("start")

    def check() -> None:
        assert total == [2 * meetings]

    return check


def big(api: Api, done: Any, pings: int, actors: int = 100) -> Any:
    class Node(api.base):  # type: ignore[misc,name-defined]
        def __init__(self, sink: Any, seed: int) -> None:
            self.sink = sink
            self.random = random.Random(seed)
            self.left = pings
            self.others: list[Any] = []

        def receive(self, message: Any) -> None:
            if isinstance(message, list):
                self.others = message
            elif message == "pong" or message == "start":
                if self.left == 0:
                    self.sink.tell("done")
                else:
                    self.left -= 1
                    self.random.choice(self.others).tell(self.me)
            elif message == "end":
                self.end()
            else:
                message.tell("pong")

    class Sink(api.base):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.ready = 0

        def receive(self, message: Any) -> None:
            self.ready += 1
            if self.ready == actors:
                finished.append(self.ready)
                self.end()
                done.set()

    finished: list[int] = []
    sink = api.start(Sink)
    nodes = [api.start(Node, sink, seed) for seed in range(actors)]
    for node in nodes:
        node.tell(nodes)
    for node in nodes:
        node.tell("start")

    def check() -> None:
        assert finished == [actors]

    return check


def fork_join_throughput(api: Api, done: Any, messages: int, actors: int = 60) -> Any:
    class Worker(api.base):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.left = messages

        def receive(self, message: float) -> None:
            math.sin(message)
            self.left -= 1
            if self.left == 0:
                self.end()
                ended.append(1)
                if len(ended) == actors:
                    done.set()

    ended: list[int] = []
    workers = [api.start(Worker) for _ in range(actors)]
    for _ in range(messages):
        for worker in workers:
            worker.tell(37.2)

    def check() -> None:
        assert len(ended) == actors

    return check


def fork_join_creation(api: Api, done: Any, actors: int) -> Any:
    class Worker(api.base):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.begun = True

        def receive(self, message: float) -> None:
            math.sin(message)
            self.end()
            ended.append(1)
            if len(ended) == actors:
                done.set()

    ended: list[int] = []
    for _ in range(actors):
        api.start(Worker).tell(37.2)

    def check() -> None:
        assert len(ended) == actors

    return check


def bank_transaction(api: Api, done: Any, transactions: int, accounts: int = 100) -> Any:
    class Account(api.base):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.balance = 0

        def receive(self, message: Any) -> None:
            match message:
                case ("debit", amount, target, teller):
                    self.balance -= amount
                    target.tell(("credit", amount, self.me, teller))
                case ("credit", amount, source, teller):
                    self.balance += amount
                    source.tell(("credited", teller))
                case ("credited", teller):
                    teller.tell("transferred")
                case "close":
                    balances.append(self.balance)
                    self.end()
                    if len(balances) == accounts:
                        done.set()

    class Teller(api.base):  # type: ignore[misc,name-defined]
        def __init__(self, all_accounts: list[Any]) -> None:
            self.accounts = all_accounts
            self.left = transactions
            self.random = random.Random(1)

        def receive(self, message: str) -> None:
            if message == "start":
                for _ in range(transactions):
                    source, target = self.random.sample(self.accounts, 2)
                    source.tell(("debit", self.random.randrange(1000), target, self.me))
                return
            self.left -= 1
            if self.left == 0:
                for account in self.accounts:
                    account.tell("close")
                self.end()

    balances: list[int] = []
    api.start(Teller, [api.start(Account) for _ in range(accounts)]).tell("start")

    def check() -> None:
        assert sum(balances) == 0
        assert any(balances)

    return check


def concurrent_dictionary(api: Api, done: Any, operations: int, workers: int = 20) -> Any:
    class Dictionary(api.base):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.data: dict[int, int] = {}

        def receive(self, message: Any) -> None:
            sender, key, value = message
            if value is not None:
                self.data[key] = value
                sender.tell(value)
            else:
                sender.tell(self.data.get(key))

    class Worker(api.base):  # type: ignore[misc,name-defined]
        def __init__(self, dictionary: Any, seed: int) -> None:
            self.dictionary = dictionary
            self.random = random.Random(seed)
            self.left = operations

        def receive(self, message: Any) -> None:
            if self.left == 0:
                self.end()
                ended.append(1)
                if len(ended) == workers:
                    done.set()
                return
            self.left -= 1
            key = self.random.randrange(1000)
            value = self.random.randrange(1000) if self.random.random() < 0.1 else None
            self.dictionary.tell((self.me, key, value))

    ended: list[int] = []
    dictionary = api.start(Dictionary)
    for seed in range(workers):
        api.start(Worker, dictionary, seed).tell(None)

    def check() -> None:
        assert len(ended) == workers

    return check


def sieve(api: Api, done: Any, limit: int, per_actor: int = 200) -> Any:
    class Filter(api.base):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.primes: list[int] = []
            self.next: Any = None

        def receive(self, number: int) -> None:
            if number == 0:
                found.extend(self.primes)
                self.end()
                if self.next is None:
                    done.set()
                else:
                    self.next.tell(0)
            elif all(number % prime for prime in self.primes):
                if len(self.primes) < per_actor:
                    self.primes.append(number)
                else:
                    if self.next is None:
                        self.next = api.start(Filter)
                    self.next.tell(number)

    found: list[int] = []
    first = api.start(Filter)
    for number in range(2, limit):
        first.tell(number)
    first.tell(0)

    def check() -> None:
        assert found == [
            number
            for number in range(2, limit)
            if all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
        ]

    return check


def quicksort(api: Api, done: Any, count: int, threshold: int = 2_000) -> Any:
    class Sorter(api.base):  # type: ignore[misc,name-defined]
        def __init__(self, parent: Any, side: int) -> None:
            self.above = parent
            self.side = side
            self.parts: dict[int, list[int]] = {}

        def receive(self, message: Any) -> None:
            if isinstance(message, list):
                self.sort(message)
            else:
                side, part = message
                self.parts[side] = part
                if len(self.parts) == 3:
                    self.report(self.parts[0] + self.parts[1] + self.parts[2])

        def sort(self, numbers: list[int]) -> None:
            if len(numbers) < threshold:
                self.report(sorted(numbers))
                return
            pivot = numbers[len(numbers) // 2]
            self.parts[1] = [n for n in numbers if n == pivot]
            api.start(Sorter, self.me, 0).tell([n for n in numbers if n < pivot])
            api.start(Sorter, self.me, 2).tell([n for n in numbers if n > pivot])

        def report(self, numbers: list[int]) -> None:
            self.end()
            if self.above is None:
                result.extend(numbers)
                done.set()
            else:
                self.above.tell((self.side, numbers))

    result: list[int] = []
    numbers = array("I", random.Random(1).randbytes(4 * count)).tolist()
    api.start(Sorter, None, 0).tell(numbers)

    def check() -> None:
        assert result == sorted(numbers)

    return check
