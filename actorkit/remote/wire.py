"""What two nodes say to each other, as bytes: the handshake, batches, the goodbye.

Pure. Every zmq message is one msgpack array, whose first item says what it is, and for a batch any
number of frames with big buffers after it. docs/wire-protocol.md is the text to this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack

from ..errors import CodecError

__all__ = ["VERSION", "Batch", "Goodbye", "Hello", "Kind", "Refusal", "Welcome", "read"]

#: The version of the protocol; nodes of another one refuse each other.
VERSION = 1
#: Bytes of text that a name, an address or a reason may have.
MAX_TEXT = 1024


class Kind(IntEnum):
    """The first item of a message."""

    HELLO = 0
    WELCOME = 1
    REFUSAL = 2
    BATCH = 3
    GOODBYE = 4


@dataclass(frozen=True, slots=True)
class Hello:
    """Who I am, sent by the side that connects.

    `address`: where it listens, empty if it does not. `session` names the new association;
    `replaces` is that of an older one which the sender knows to be over, or empty.
    """

    name: str
    incarnation: str
    address: str
    session: str
    replaces: str = ""

    def write(self) -> bytes:
        texts = [self.name, self.incarnation, self.address, self.session, self.replaces]
        return _pack([Kind.HELLO, VERSION, *texts])


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer of the side that listens: the association `session` stands.

    It is the one asked for, or one that stands already between the two.
    """

    name: str
    incarnation: str
    address: str
    session: str

    def write(self) -> bytes:
        content = [Kind.WELCOME, VERSION, self.name, self.incarnation, self.address, self.session]
        return _pack(content)


@dataclass(frozen=True, slots=True)
class Refusal:
    """There is no association, or none any more; `reason` says why in words."""

    reason: str

    def write(self) -> bytes:
        return _pack([Kind.REFUSAL, self.reason[:MAX_TEXT]])


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The orderly end of an association."""

    reason: str

    def write(self) -> bytes:
        return _pack([Kind.GOODBYE, self.reason[:MAX_TEXT]])


class Batch(NamedTuple):
    """Records in order. `seq` counts batches from 1; `ack` is the last batch that came in."""

    seq: int
    ack: int
    records: list[Any]

    def write(self) -> bytes:
        return _pack([Kind.BATCH, self.seq, self.ack, self.records])


def read(data: Any) -> Hello | Welcome | Refusal | Goodbye | Batch:
    """The message of these bytes. Raises CodecError for any bytes that are none."""
    try:
        content = msgpack.unpackb(
            data, raw=False, strict_map_key=False, unicode_errors="surrogatepass"
        )
    except Exception as error:
        raise CodecError(f"not a message: {type(error).__name__}: {error}") from error
    match content:
        case [Kind.BATCH, int(seq), int(ack), list(records)]:
            return Batch(seq, ack, records)
        case [Kind.HELLO | Kind.WELCOME as kind, int(version), *texts]:
            if version != VERSION:
                raise CodecError(f"protocol version {version} is not {VERSION}, which runs here")
            if len(texts) < 4 or not all(map(_is_text, texts[:4])):
                raise CodecError("a handshake without names")
            if kind == Kind.WELCOME:
                return Welcome(*texts[:4])
            replaces = texts[4] if len(texts) > 4 and _is_text(texts[4]) else ""
            name, incarnation, address, session = texts[:4]
            return Hello(name, incarnation, address, session, replaces)
        case [Kind.REFUSAL, str(reason), *_]:
            return Refusal(reason[:MAX_TEXT])
        case [Kind.GOODBYE, str(reason), *_]:
            return Goodbye(reason[:MAX_TEXT])
    raise CodecError("a message of no known kind")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _pack(content: list[Any]) -> bytes:
    data: bytes = msgpack.packb(content, use_bin_type=True, unicode_errors="surrogatepass")
    return data
