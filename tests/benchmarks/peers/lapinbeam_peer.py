"""The cases on lapinbeam, an actor library for asyncio with a core in Rust."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

# By name, since its functions are not typed.
lapinbeam: Any = importlib.import_module("lapinbeam")


@lapinbeam.actor(name="ping")
class Ping:
    def __init__(self, done: asyncio.Event) -> None:
        self.done = done
        self.peer: Any = None

    async def receive(self, message: Any) -> None:
        if self.peer is None:
            self.peer = refs[type(self)]
        if message:
            await self.peer.send(message - 1)
        else:
            self.done.set()


@lapinbeam.actor(name="pong")
class Pong(Ping):
    pass


refs: dict[type, Any] = {}


@lapinbeam.actor(name="counter")
class Counter:
    def __init__(self, expected: int, done: asyncio.Event) -> None:
        self.left = expected
        self.done = done

    async def receive(self, message: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set()


class Sender:
    def __init__(self, target: Any, count: int) -> None:
        self.target = target
        self.count = count

    async def receive(self, message: Any) -> None:
        for number in range(self.count):
            await self.target.send(number)


@lapinbeam.actor(name="echo")
class Echo:
    async def receive(self, message: Any) -> None:
        await lapinbeam.current_message().reply(message)


@lapinbeam.actor(name="asker")
class Asker:
    def __init__(self, target: Any) -> None:
        self.target = target

    async def receive(self, count: int) -> None:
        for number in range(count):
            assert await self.target.ask(number) == number
        await lapinbeam.current_message().reply(count)


def _run(case: Callable[[Any], Coroutine[Any, Any, float]]) -> float:
    async def main() -> float:
        node = lapinbeam.Node("bench@127.0.0.1:0")
        await node.start()
        supervisor = lapinbeam.Supervisor(node=node)
        try:
            return await case(supervisor)
        finally:
            await supervisor.shutdown()
            await node.stop()

    return asyncio.run(main())


def ping_pong(n: int) -> float:
    async def case(supervisor: Any) -> float:
        done = asyncio.Event()
        refs[Pong] = supervisor.spawn(Ping, done)
        refs[Ping] = supervisor.spawn(Pong, done)
        started = time.perf_counter()
        await refs[Ping].send(n)
        await done.wait()
        return n / (time.perf_counter() - started)

    return _run(case)


def fan_in(n: int) -> float:
    async def case(supervisor: Any) -> float:
        done = asyncio.Event()
        counter = supervisor.spawn(Counter, n // 4 * 4, done)
        senders = [
            supervisor.spawn(
                lapinbeam.actor(name=f"sender{i}")(type("S", (Sender,), {})), counter, n // 4
            )
            for i in range(4)
        ]
        started = time.perf_counter()
        for sender in senders:
            await sender.send("go")
        await done.wait()
        return n / (time.perf_counter() - started)

    return _run(case)


def ask_main(n: int) -> float:
    async def case(supervisor: Any) -> float:
        echo = supervisor.spawn(Echo)
        started = time.perf_counter()
        for number in range(n):
            assert await echo.ask(number) == number
        return n / (time.perf_counter() - started)

    return _run(case)


def ask_actor(n: int) -> float:
    async def case(supervisor: Any) -> float:
        asker = supervisor.spawn(Asker, supervisor.spawn(Echo))
        started = time.perf_counter()
        assert await asker.ask(n, timeout=None) == n
        return n / (time.perf_counter() - started)

    return _run(case)
