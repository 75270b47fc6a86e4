"""What the cases of all peers measure with: memory, latenesses, a socket that echoes."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from resource import getpagesize

import gevent
import structlog
from gevent import socket


def quiet() -> None:
    """Log nothing but what is critical."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


class Latenesses:
    """Seconds by which something was late."""

    def __init__(self, seconds: list[float] | None = None) -> None:
        self._seconds = seconds or []

    def __len__(self) -> int:
        return len(self._seconds)

    def __add__(self, other: Latenesses) -> Latenesses:
        return Latenesses(self._seconds + other._seconds)

    def add(self, seconds: float) -> None:
        self._seconds.append(seconds)

    def percentile(self, per_cent: float) -> float:
        ordered = sorted(self._seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * per_cent / 100))]


def echo_latenesses(count: int) -> Latenesses:
    """Round trips of one byte between two greenlets over a socket pair."""
    here, there = socket.socketpair()
    late = Latenesses()

    def echo() -> None:
        while data := there.recv(1):
            there.sendall(data)

    server = gevent.spawn(echo)
    for _ in range(count):
        began = time.perf_counter()
        here.sendall(b"x")
        here.recv(1)
        late.add(time.perf_counter() - began)
        gevent.sleep(0.001)
    here.close()
    server.join()
    there.close()
    return late
