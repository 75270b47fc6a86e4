"""A peer made of nothing but zmq and the bytes of docs/wire-protocol.md, for what no node would do.

All of the tests' knowledge of the protocol's bytes is here, as far as `actorkit.remote.wire` does
not have it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from types import TracebackType
from typing import Any

import msgpack
import zmq

from actorkit.remote.codec import Ext
from actorkit.remote.link import ProtocolBroken
from actorkit.remote.record import ASK, PACKED
from actorkit.remote.wire import Batch, Goodbye, Hello, Refusal, Welcome, read

__all__ = ["ASK", "UID", "RawNode", "RawServer", "last_words", "with_version"]

#: How far an actor's uid, and the number of an answer, stand in a head.
UID, NUMBER = 4, 3


def with_version(message: bytes, version: int) -> bytes:
    """A hello or a welcome as a node of another version would say it."""
    content = msgpack.unpackb(message)
    content[1] = version
    data: bytes = msgpack.packb(content)
    return data


class RawNode:
    """Connects to a node at `address`. `reads=False`: zmq itself stops to read when it can."""

    def __init__(self, address: str, name: str, reads: bool = True) -> None:
        self.name = name
        self.incarnation = os.urandom(8).hex()
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.IPV6, 1)
        self.socket.setsockopt(zmq.RCVHWM, 0 if reads else 1)
        self.socket.setsockopt(zmq.RCVTIMEO, 20_000)
        self.socket.connect(address)
        self.seq = self.acked = self.number = 0

    def __enter__(self) -> RawNode:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.destroy(0)

    # -- the handshake --------------------------------------------------------------------------

    def hello(self) -> bytes:
        return Hello(self.name, self.incarnation, "", os.urandom(8).hex()).write()

    def shake_hands(self) -> Welcome:
        """Say hello and wait for the welcome."""
        self.socket.send(self.hello())
        answer = read(self.socket.recv())
        assert isinstance(answer, Welcome), answer
        return answer

    # -- batches --------------------------------------------------------------------------------

    def batch(self, *records: Any) -> bytes:
        self.seq += 1
        return Batch(self.seq, self.acked, list(records)).write()

    def tell(self, uid: int, *values: Any) -> None:
        """Tell an actor these values, in one batch."""
        records = [each for value in values for each in (uid << UID | PACKED, pack(value))]
        self.socket.send(self.batch(*records))

    def question(self, uid: int, value: Any) -> None:
        """Ask without reading the answer."""
        self.number += 1
        self.socket.send(self.batch(uid << UID | ASK | PACKED, [self.number, pack(value)]))

    def ask(self, uid: int, value: Any) -> Any:
        self.question(uid, value)
        while True:
            batch = read(self.socket.recv_multipart()[0])
            if not isinstance(batch, Batch):
                raise ProtocolBroken(f"{batch} instead of an answer")
            self.acked = batch.seq
            parts = iter(batch.records)
            for head, body in zip(parts, parts, strict=True):
                if head < 0 and (-head - 1) >> NUMBER == self.number:
                    return unpack(body) if isinstance(body, bytes) else body

    def lookup(self, path: str) -> int:
        """The uid of the actor at `path`."""
        call = msgpack.ExtType(Ext.CALL, msgpack.packb(["lookup", [path], {}]))
        uid: int = self.ask(0, call)[-1]
        return uid

    def me(self) -> Any:
        """A reference to an actor of this peer."""
        return msgpack.ExtType(Ext.REF, msgpack.packb([self.name, self.incarnation, "", "/me", 1]))


class RawServer:
    """Listens, and says what it should not."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.setsockopt(zmq.RCVTIMEO, 20_000)
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.address = f"tcp://127.0.0.1:{port}"

    def __enter__(self) -> RawServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.destroy(500)

    def greet(self, version: int) -> None:
        """Answer one hello with a welcome of this version."""
        identity, data = self.socket.recv_multipart()
        hello = read(data)
        assert isinstance(hello, Hello), hello
        welcome = Welcome("raw", os.urandom(8).hex(), self.address, hello.session)
        self.socket.send_multipart([identity, with_version(welcome.write(), version)])


def pack(value: Any) -> bytes:
    """A value as a body of kind 3; a tuple at its top stays one."""
    if type(value) is tuple:  # an ExtType is one by birth
        value = msgpack.ExtType(Ext.TUPLE, msgpack.packb(list(value)))
    data: bytes = msgpack.packb(value)
    return data


def unpack(data: bytes) -> Any:
    """The content of a body of kind 3, extension types as what they hold."""
    return msgpack.unpackb(
        data, ext_hook=lambda code, content: msgpack.unpackb(content), strict_map_key=False
    )


def last_words(node: RawNode) -> str:
    """Why the other side ended it or refused."""
    while True:
        with suppress(zmq.Again):
            message = read(node.socket.recv_multipart()[0])
            if isinstance(message, Refusal | Goodbye):
                return message.reason
            continue
        return ""
