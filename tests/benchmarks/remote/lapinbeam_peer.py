"""The remote cases on lapinbeam, between two of its nodes.

It has a tell, and drops what is told faster than it reads (half of 20,000 messages, without a word
at either end), so it has no figure there.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from ..peers.lapinbeam_peer import Echo
from .load import async_milliseconds
from .process import station

# By name, since its functions are not typed.
lapinbeam: Any = importlib.import_module("lapinbeam")

#: Seconds for an answer among 1,000.
TIMEOUT = 30.0


def _node(name: str) -> Any:
    return lapinbeam.Node(f"{name}@127.0.0.1:0", peer_queue_capacity=10_000)


def _run(case: Callable[[Any], Coroutine[Any, Any, float]]) -> float:
    async def main(address: str) -> float:
        async with _node("visitor") as node:
            await node.connect_peer(address)
            return await case(node.get_remote_actor(address, "echo"))

    with station("lapinbeam") as address:
        return asyncio.run(main(address))


async def _asks_per_second(echo: Any, n: int, at_once: int) -> float:
    await echo.ask("ready")
    started = time.perf_counter()
    if at_once == 1:
        for number in range(n):
            assert await echo.ask(number) == number
    else:
        for first in range(0, n, at_once):
            numbers = range(first, first + at_once)
            answers = await asyncio.gather(
                *(echo.ask(number, timeout=TIMEOUT) for number in numbers)
            )
            assert answers == list(numbers)
    return n / (time.perf_counter() - started)


def ask(n: int, at_once: str) -> float:
    return _run(lambda echo: _asks_per_second(echo, n, int(at_once)))


def latency(n: int, per_cent: str) -> float:
    async def case(echo: Any) -> float:
        rate = await _asks_per_second(echo, n, 1000) / 2
        return await async_milliseconds(
            rate, n, per_cent, lambda: echo.ask("question", timeout=TIMEOUT)
        )

    return _run(case)


async def serve() -> None:
    async with _node("station") as node:
        lapinbeam.Supervisor(node=node).spawn(Echo)
        print(node.local_id, flush=True)
        await node.wait_until_stopped()


if __name__ == "__main__":
    asyncio.run(serve())
