"""The cases on xoscar, an actor library for asyncio; its actors are called by methods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import xoscar


class Echo(xoscar.Actor):  # type: ignore[misc]
    def echo(self, value: Any) -> Any:
        return value


class Counter(xoscar.Actor):  # type: ignore[misc]
    def __init__(self) -> None:
        self.count = 0

    def add(self, value: Any) -> None:
        self.count += 1

    def get(self) -> int:
        return self.count


class Caller(xoscar.Actor):  # type: ignore[misc]
    def __init__(self, target: Any) -> None:
        self.target = target

    async def ask(self, count: int) -> int:
        for number in range(count):
            assert await self.target.echo(number) == number
        return count

    async def send(self, count: int) -> None:
        for number in range(count):
            await self.target.add.tell(number)


def _run(case: Callable[[Callable[..., Any]], Coroutine[Any, Any, float]]) -> float:
    async def main() -> float:
        pool = await xoscar.create_actor_pool(address="127.0.0.1:0", n_process=0)
        async with pool:
            made = iter(range(100))

            async def create(cls: type[Any], *args: Any) -> Any:
                return await xoscar.create_actor(
                    cls, *args, address=pool.external_address, uid=f"actor{next(made)}"
                )

            return await case(create)

    return asyncio.run(main())


def fan_in(n: int) -> float:
    async def case(create: Callable[..., Any]) -> float:
        counter = await create(Counter)
        senders = [await create(Caller, counter) for _ in range(4)]
        started = time.perf_counter()
        await asyncio.gather(*(sender.send(n // 4) for sender in senders))
        while await counter.get() < n // 4 * 4:
            await asyncio.sleep(0)
        return n / (time.perf_counter() - started)

    return _run(case)


def ask_main(n: int) -> float:
    async def case(create: Callable[..., Any]) -> float:
        echo = await create(Echo)
        started = time.perf_counter()
        for number in range(n):
            assert await echo.echo(number) == number
        return n / (time.perf_counter() - started)

    return _run(case)


def ask_actor(n: int) -> float:
    async def case(create: Callable[..., Any]) -> float:
        caller = await create(Caller, await create(Echo))
        started = time.perf_counter()
        assert await caller.ask(n) == n
        return n / (time.perf_counter() - started)

    return _run(case)
