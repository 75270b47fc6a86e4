"""What seeing inside costs: `python -m tests.benchmarks observe`.

Microseconds of processor time (`time.process_time`) for one message, with nothing on, with metrics,
and with tracing that samples nothing or everything. Each kernel is a process of its own, in which
the ways take turns, forth and back, after a run that is not timed. Whatever else the machine does
only adds to a time, so the lower quartile of many short runs counts. The last row is what one span
costs with OpenTelemetry alone, without any actor.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, Tracer, set_span_in_context

from actorkit import Actor, ActorSystem, Inbox, kernel
from actorkit.observe.metrics import Metrics
from actorkit.observe.tracing import Tracing

from .measure import quiet
from .peers.actorkit_peer import Echo, Pinger

__all__ = ["main"]


def nothing(system: ActorSystem) -> AbstractContextManager[Any]:
    return nullcontext()


def unsampled(system: ActorSystem) -> AbstractContextManager[Any]:
    return Tracing(system, TracerProvider(sampler=ALWAYS_OFF))


def sampled(system: ActorSystem) -> AbstractContextManager[Any]:
    return Tracing(system, TracerProvider())


WAYS: dict[str, Callable[[ActorSystem], AbstractContextManager[Any]]] = {
    "nothing": nothing,
    "metrics": Metrics,
    "tracing, unsampled": unsampled,
    "tracing, sampled": sampled,
}


def ping_pong(system: ActorSystem, count: int) -> None:
    first, second = system.spawn(Pinger), system.spawn(Pinger)
    first.tell(second)
    second.tell(first)
    first.tell(count)
    (first if count % 2 == 0 else second).join()


def ask(system: ActorSystem, count: int) -> None:
    echo = system.spawn(Echo)
    for number in range(count):
        echo.ask(number)


def ask_bounded(system: ActorSystem, count: int) -> None:
    echo = system.spawn(Echo, inbox=Inbox(maxsize=100))
    for number in range(count):
        echo.ask(number)


class Passing(Actor):
    def receive(self, message: Any) -> None:
        self.stop()


def spawn_and_stop(system: ActorSystem, count: int) -> None:
    for _ in range(count):
        last = system.spawn(Passing)
        last.tell(None)
    last.join()


CASES: dict[str, tuple[Callable[[ActorSystem, int], None], int]] = {
    "ping-pong": (ping_pong, 30_000),
    "ask from main": (ask, 10_000),
    "ask, bounded inbox": (ask_bounded, 5_000),
    "spawn + message + stop": (spawn_and_stop, 5_000),
}
#: Short runs in turns share the machine's moods better than long ones.
TURNS = 5
ALONE = "a span alone"


def main(repeats: int, quick: bool) -> None:
    """Print the table, of both kernels where there are both."""
    print(f"| {'case':<22} | kernel   |" + "".join(f" {way:>24} |" for way in WAYS))
    print(f"|{'-' * 24}|{'-' * 10}|" + f"{'-' * 25}:|" * len(WAYS), flush=True)
    for case in CASES:
        for pure in ("1", "0") if kernel.BUILT else ("1",):
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.observing",
                case,
                str(repeats),
                str(int(quick)),
            ]
            subprocess.run(command, env=os.environ | {"ACTORKIT_PURE": pure}, check=True)
    unsampled, sampled = spans_alone(repeats * TURNS, 200 if quick else 2_000)
    cells = ["-", "-", f"{unsampled:.2f} µs", f"{sampled:.2f} µs"]
    print(f"| {ALONE:<22} | {'-':<8} |" + "".join(f" {cell:>24} |" for cell in cells))


def spans_alone(repeats: int, count: int) -> tuple[float, float]:
    """Microseconds for a span made by hand, made current and ended: not sampled, and sampled."""
    tracers = [
        TracerProvider(sampler=ALWAYS_OFF).get_tracer("alone"),
        TracerProvider().get_tracer("alone"),
    ]
    runs: list[list[float]] = [[], []]
    for _ in range(repeats):
        for tracer, times in zip(tracers, runs, strict=True):
            began = time.process_time()
            make_spans(tracer, count)
            times.append((time.process_time() - began) / count * 1e6)
    unsampled, sampled = map(lower_quartile, runs)
    return unsampled, sampled


def make_spans(tracer: Tracer, count: int) -> None:
    parent = set_span_in_context(tracer.start_span("first"), Context())
    for _ in range(count):
        attributes = {
            "actorkit.system": "observed",
            "actorkit.path": "/$1",
            "actorkit.message": "int",
            "actorkit.class": "Echo",
        }
        span = tracer.start_span("receive Echo", parent, SpanKind.SERVER, attributes)
        token = attach(set_span_in_context(span, parent))
        detach(token)
        span.end()


def lower_quartile(times: list[float]) -> float:
    return statistics.quantiles(times, n=4, method="inclusive")[0]


def measure(case: str, repeats: int, quick: bool) -> None:
    """Print the row of one case on the kernel of this process."""
    program, count = CASES[case]
    count = count // 10 if quick else count
    runs: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(repeats * TURNS):
        for way in list(WAYS) if turn % 2 else reversed(WAYS):
            few = count // 5 if way.startswith("tracing") else count
            with ActorSystem("observed") as system, WAYS[way](system):
                program(system, few)
                gc.collect()  # or its rounds would fall into the same way's run every time
                began = time.process_time()
                program(system, few)
                runs[way].append((time.process_time() - began) / few * 1e6)
    times = {way: lower_quartile(of_way) for way, of_way in runs.items()}
    bare = times.pop("nothing")
    cells = [f"{bare:.2f} µs"]
    cells += [f"{micros:.2f} µs, {micros / bare - 1:+.0%}" for micros in times.values()]
    print(f"| {case:<22} | {kernel.NAME:<8} |" + "".join(f" {cell:>24} |" for cell in cells))


if __name__ == "__main__":
    quiet()
    measure(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")
