"""The remote cases on xoscar: the actors are in the pool of another process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import xoscar

from ..peers.xoscar_peer import Counter, Echo
from .load import async_milliseconds
from .messages import sample
from .process import station


def _run(case: Callable[[Any], Coroutine[Any, Any, float]], actor: str) -> float:
    async def main(address: str) -> float:
        return await case(await xoscar.actor_ref(address=address, uid=actor))

    with station("xoscar") as address:
        return asyncio.run(main(address))


async def _asks_per_second(echo: Any, n: int, at_once: int) -> float:
    await echo.echo("ready")
    started = time.perf_counter()
    if at_once == 1:
        for number in range(n):
            assert await echo.echo(number) == number
    else:
        for first in range(0, n, at_once):
            numbers = range(first, first + at_once)
            answers = await asyncio.gather(*(echo.echo(number) for number in numbers))
            assert answers == list(numbers)
    return n / (time.perf_counter() - started)


def ask(n: int, at_once: str) -> float:
    return _run(lambda echo: _asks_per_second(echo, n, int(at_once)), "echo")


def tell(n: int, kind: str) -> float:
    message = sample(kind)

    async def case(counter: Any) -> float:
        tell = counter.add.tell
        started = time.perf_counter()
        for _ in range(n):
            await tell(message)
        while await counter.get() < n:
            await asyncio.sleep(0)
        return n / (time.perf_counter() - started)

    return _run(case, "counter")


def latency(n: int, per_cent: str) -> float:
    async def case(echo: Any) -> float:
        rate = await _asks_per_second(echo, n, 1000) / 2
        return await async_milliseconds(rate, n, per_cent, lambda: echo.echo("question"))

    return _run(case, "echo")


async def serve() -> None:
    pool = await xoscar.create_actor_pool(address="127.0.0.1:0", n_process=0)
    async with pool:
        await xoscar.create_actor(Echo, address=pool.external_address, uid="echo")
        await xoscar.create_actor(Counter, address=pool.external_address, uid="counter")
        print(pool.external_address, flush=True)
        await pool.join()


if __name__ == "__main__":
    asyncio.run(serve())
