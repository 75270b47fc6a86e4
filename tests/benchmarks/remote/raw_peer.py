"""The remote cases on pyzmq and msgpack alone, both ends in gevent's loop: what a link could do.

An echo answers each message for itself. Tells travel as the bare batch: one flat list of 500
records (a number and the message each) in one frame, packed once; the other end unpacks it and
calls a function for each. A tuple and the fields of a class arrive as a list.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from typing import Any

import msgpack
import zmq.green

from .messages import Order, sample
from .process import station

#: Records in a batch.
BATCH = 500
#: Batches that may wait in a socket: 65,000 records at each end.
WAITING = 130


@contextmanager
def _connected(zmq: Any, task: str) -> Iterator[Any]:
    peer = "raw" if zmq is green else "raw_blocking"
    with station(peer, task) as address:
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.set_hwm(WAITING if task == "count" else 0)
        socket.connect(address)
        yield socket
        socket.close(0)


green = zmq.green


def ask(n: int, at_once: str, zmq: Any = green) -> float:
    pack, unpack = msgpack.packb, msgpack.unpackb
    many = int(at_once)
    with _connected(zmq, "echo") as socket:
        socket.send(pack([0, "ready"]))
        socket.recv()
        started = time.perf_counter()
        for first in range(0, n, many):
            for number in range(first, first + many):
                socket.send(pack([number, number]))
            for number in range(first, first + many):
                assert unpack(socket.recv()) == [number, number]
        return n / (time.perf_counter() - started)


def tell(n: int, kind: str) -> float:
    pack, unpack = msgpack.packb, msgpack.unpackb
    message = sample(kind)
    if isinstance(message, Order):
        message = astuple(message)
    with _connected(green, "count") as socket:
        socket.send(pack([]))
        socket.recv()
        started = time.perf_counter()
        records: list[Any] = []
        for _ in range(n):
            records.append(7)
            records.append(message)
            if len(records) == 2 * BATCH:
                socket.send(pack(records))
                records = []
        if records:
            socket.send(pack(records))
        socket.send(pack([]))
        assert unpack(socket.recv()) == n
        return n / (time.perf_counter() - started)


def echo(socket: Any) -> None:
    pack, unpack = msgpack.packb, msgpack.unpackb
    while True:
        identity, data = socket.recv_multipart()
        number, message = unpack(data)
        socket.send_multipart([identity, pack([number, message])])


def count(socket: Any) -> None:
    """Count what comes; an empty batch asks how many came."""
    pack, unpack = msgpack.packb, msgpack.unpackb
    counted = 0

    def receive(message: Any) -> None:
        nonlocal counted
        counted += 1

    while True:
        identity, data = socket.recv_multipart()
        records = unpack(data)
        if not records:
            socket.send_multipart([identity, pack(counted)])
        parts = iter(records)
        for _, message in zip(parts, parts, strict=True):
            receive(message)


def main(zmq: Any = green) -> None:
    task = sys.argv[1]
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.set_hwm(WAITING if task == "count" else 0)
    socket.bind("tcp://127.0.0.1:*")
    print(socket.last_endpoint.decode(), flush=True)
    {"echo": echo, "count": count}[task](socket)


if __name__ == "__main__":
    main()
