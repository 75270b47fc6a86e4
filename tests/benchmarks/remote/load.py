"""Questions at a given rate, whatever the answers do: a burst falls due every millisecond.

An answer's latency counts from when its burst was due, so that a sender who is late hides nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event

from ..measure import Latenesses

#: Seconds between two bursts.
PERIOD = 0.001


def bursts(rate: float, count: int) -> Iterator[tuple[float, int]]:
    """For `count` questions at `rate` a second: when each burst is due, and how many are in it."""
    began = time.perf_counter()
    sent = tick = 0
    while sent < count:
        tick += 1
        many = min(count, int(rate * tick * PERIOD)) - sent
        if many:
            sent += many
            yield began + tick * PERIOD, many


class Answers:
    """Collects the latencies of `count` answers."""

    def __init__(self, count: int, done: Callable[[], Any]) -> None:
        self.late = Latenesses()
        self._count = count
        self._done = done

    def expected(self, due: float) -> Callable[[Any], None]:
        """What to call when the answer to a question that was due at `due` has come."""

        def answered(_: Any) -> None:
            self.late.add(time.perf_counter() - due)
            if len(self.late) == self._count:
                self._done()

        return answered


def milliseconds(
    rate: float, count: int, per_cent: str, ask: Callable[[Callable[[Any], None]], Any]
) -> float:
    """A percentile of the latencies, under gevent; `ask(answered)` sends one question."""
    done = Event()
    answers = Answers(count, done.set)
    for due, many in bursts(rate, count):
        wait = due - time.perf_counter()
        if wait > 0:
            gevent.sleep(wait)
        for _ in range(many):
            ask(answers.expected(due))
    done.wait()
    return answers.late.percentile(float(per_cent)) * 1000


async def async_milliseconds(
    rate: float, count: int, per_cent: str, ask: Callable[[], Awaitable[Any]]
) -> float:
    """The same under asyncio; `ask()` returns what to wait for."""
    done = asyncio.Event()
    answers = Answers(count, done.set)
    for due, many in bursts(rate, count):
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        for _ in range(many):
            asyncio.ensure_future(ask()).add_done_callback(answers.expected(due))
    await done.wait()
    return answers.late.percentile(float(per_cent)) * 1000
