"""The remote cases on zerorpc, calls over zmq and msgpack in gevent's loop; it has no tell."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import zerorpc

from .load import milliseconds
from .process import free_port, station


class Station:
    def echo(self, value: Any) -> Any:
        return value


@contextmanager
def _connected() -> Iterator[Any]:
    with station("zerorpc", f"tcp://127.0.0.1:{free_port()}") as address:
        client = zerorpc.Client(address)
        client.echo("ready")
        yield client
        client.close()


def _asks_per_second(client: Any, n: int, at_once: int) -> float:
    echo = client.echo
    started = time.perf_counter()
    if at_once == 1:
        for number in range(n):
            assert echo(number) == number
    else:
        for first in range(0, n, at_once):
            numbers = range(first, first + at_once)
            greenlets = [gevent.spawn(echo, number) for number in numbers]
            assert [greenlet.get() for greenlet in greenlets] == list(numbers)
    return n / (time.perf_counter() - started)


def ask(n: int, at_once: str) -> float:
    with _connected() as client:
        return _asks_per_second(client, n, int(at_once))


def latency(n: int, per_cent: str) -> float:
    with _connected() as client:
        rate = _asks_per_second(client, n, 1000) / 2
        return milliseconds(
            rate, n, per_cent, lambda answered: gevent.spawn(client.echo, 0).rawlink(answered)
        )


def main() -> None:
    address = sys.argv[1]
    server = zerorpc.Server(Station())
    server.bind(address)
    print(address, flush=True)
    server.run()


if __name__ == "__main__":
    main()
