"""The remote cases on pyzmq and msgpack alone, both ends in gevent's loop: what a link could do.

An echo answers each message for itself. Tells travel as the bare batch: one flat list of 500
records (a number and the message each) in one frame, packed once; the other end unpacks it and
calls a function for each. A tuple and the fields of a class arrive as a list. An array is a frame
of its own.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from typing import Any

import gevent
import msgpack
import zmq
import zmq.green

from ..measure import resident_bytes
from .load import milliseconds
from .messages import Order, sample
from .process import station

#: Records in a batch.
BATCH = 500
#: Messages that may wait in a socket: batches with 65,000 records, or arrays of 130 MiB.
WAITING = 130

pack, unpack = msgpack.packb, msgpack.unpackb


def _socket(kind: int, task: str, library: Any) -> Any:
    socket = library.Context.instance().socket(kind)
    socket.set_hwm(WAITING if task in ("count", "arrays") else 0)
    return socket


@contextmanager
def _connected(task: str, library: Any = zmq.green, curve: bool = False) -> Iterator[Any]:
    """A socket whose other end does the task; it has answered once."""
    peer = "raw" if library is zmq.green else "raw_blocking"
    keys = [key.decode() for key in zmq.curve_keypair()] if curve else []
    with station(peer, task, *keys) as address:
        socket = _socket(zmq.DEALER, task, library)
        if curve:
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.curve_serverkey = keys[0].encode()
        socket.connect(address)
        socket.send(pack([]))
        socket.recv()
        yield socket
        socket.close(0)


def _asks_per_second(socket: Any, n: int, at_once: int) -> float:
    started = time.perf_counter()
    for first in range(0, n, at_once):
        for number in range(first, first + at_once):
            socket.send(pack([number, number]))
        for number in range(first, first + at_once):
            assert unpack(socket.recv()) == [number, number]
    return n / (time.perf_counter() - started)


def ask(n: int, at_once: str, library: Any = zmq.green, curve: bool = False) -> float:
    with _connected("echo", library, curve) as socket:
        return _asks_per_second(socket, n, int(at_once))


def tell(n: int, kind: str, curve: bool = False) -> float:
    message = sample(kind)
    if isinstance(message, Order):
        message = astuple(message)
    send, task = (_send_arrays, "arrays") if kind == "mib" else (_send_batches, "count")
    with _connected(task, curve=curve) as socket:
        started = time.perf_counter()
        send(socket, message, n)
        socket.send(pack([]))
        assert unpack(socket.recv()) == n
        return n / (time.perf_counter() - started)


def ask_curve(n: int, at_once: str) -> float:
    return ask(n, at_once, curve=True)


def tell_curve(n: int, kind: str) -> float:
    return tell(n, kind, curve=True)


def latency(n: int, per_cent: str) -> float:
    with _connected("echo") as socket:
        rate = _asks_per_second(socket, n, 1000) / 2
        waiting: deque[Callable[[Any], None]] = deque()

        def send(answered: Callable[[Any], None]) -> None:
            waiting.append(answered)
            socket.send(pack([0, "question"]))

        def receive() -> None:
            while True:
                answer = unpack(socket.recv())
                waiting.popleft()(answer)

        receiver = gevent.spawn(receive)
        figure = milliseconds(rate, n, per_cent, send)
        receiver.kill()
        return figure


def memory(n: int) -> float:
    """Bytes that each of `n` connections takes at the end that listens."""
    with station("raw", "memory") as address:
        context = zmq.Context()
        context.max_sockets = n + 10
        sockets = []

        def resident() -> int:
            sockets.append(context.socket(zmq.DEALER))
            sockets[-1].connect(address)
            sockets[-1].send(pack([]))
            used: int = unpack(sockets[-1].recv())
            return used

        before = resident()
        used = max(resident() for _ in range(n))
        context.destroy(0)
        return (used - before) / n


def _send_batches(socket: Any, message: Any, n: int) -> None:
    records: list[Any] = []
    for _ in range(n):
        records.append(7)
        records.append(message)
        if len(records) == 2 * BATCH:
            socket.send(pack(records))
            records = []
    if records:
        socket.send(pack(records))


def _send_arrays(socket: Any, array: Any, n: int) -> None:
    for _ in range(n):
        socket.send_multipart([pack([array.dtype.str, array.shape]), array], copy=False)


class Counter:
    counted = 0

    def receive(self, message: Any) -> None:
        self.counted += 1


def _echo(socket: Any) -> None:
    while True:
        identity, data = socket.recv_multipart()
        socket.send_multipart([identity, pack(unpack(data))])


def _count(socket: Any) -> None:
    """Count what comes; an empty batch asks how many came."""
    counter = Counter()
    receive = counter.receive
    while True:
        identity, data = socket.recv_multipart()
        records = unpack(data)
        if not records:
            socket.send_multipart([identity, pack(counter.counted)])
        parts = iter(records)
        for _, message in zip(parts, parts, strict=True):
            receive(message)


def _arrays(socket: Any) -> None:
    import numpy

    counter = Counter()
    while True:
        identity, data, *buffers = socket.recv_multipart(copy=False)
        if not buffers:
            socket.send_multipart([identity.bytes, pack(counter.counted)])
            continue
        dtype, shape = unpack(data.buffer)
        counter.receive(numpy.frombuffer(buffers[0].buffer, dtype).reshape(shape))


def _memory(socket: Any) -> None:
    while True:
        identity, _ = socket.recv_multipart()
        socket.send_multipart([identity, pack(resident_bytes())])


TASKS = {"echo": _echo, "count": _count, "arrays": _arrays, "memory": _memory}


def main(library: Any = zmq.green) -> None:
    task, *keys = sys.argv[1:]
    socket = _socket(zmq.ROUTER, task, library)
    if keys:
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in keys)
    socket.bind("tcp://127.0.0.1:*")
    print(socket.last_endpoint.decode(), flush=True)
    TASKS[task](socket)


if __name__ == "__main__":
    main()
