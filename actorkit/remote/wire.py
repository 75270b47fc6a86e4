"""What two nodes say to each other, as bytes: the handshake, batches, the goodbye.

Pure. Every zmq message is one msgpack array, whose first item says what it is, and for a batch any
number of frames with big buffers after it. docs/wire-protocol.md is the text to this module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack

from ..errors import CodecError
from .packing import pack

__all__ = [
    "MAX_FRAME",
    "MAX_RECORDS",
    "VERSION",
    "Batch",
    "Goodbye",
    "Hello",
    "Kind",
    "Offer",
    "Refusal",
    "Welcome",
    "read",
]

#: The version of the protocol; nodes of another one refuse each other.
VERSION = 1
#: Bytes of text that a name, an address or a reason may have.
MAX_TEXT = 1024
#: Bytes that one frame may have; a peer that sends more is cut off.
MAX_FRAME = 256 * 1024 * 1024
#: Records that one batch may have; a peer that sends more is cut off.
MAX_RECORDS = 65_536


class Kind(IntEnum):
    """The first item of a message."""

    HELLO = 0
    WELCOME = 1
    REFUSAL = 2
    BATCH = 3
    GOODBYE = 4


@dataclass(frozen=True, slots=True)
class Offer:
    """What one side can do and takes: told in the handshake, kept to by the other side.

    `frame`: bytes in one frame. `records`: records in one batch. `features`: names of what came
    after version 1's core, such as "groups"; unknown ones are ignored.
    """

    frame: int = MAX_FRAME
    records: int = MAX_RECORDS
    features: frozenset[str] = frozenset()

    def write(self) -> dict[str, Any]:
        return {"frame": self.frame, "records": self.records, "features": sorted(self.features)}

    @staticmethod
    def read(content: Any) -> Offer:
        """The offer in a handshake; what is missing or unknown there is as by default."""
        if type(content) is not dict:
            return Offer()
        limits = {
            name: value
            for name in ("frame", "records")
            if type(value := content.get(name)) is int and value > 0
        }
        features = content.get("features")
        known = features if type(features) is list else []
        return Offer(**limits, features=frozenset(filter(_is_text, known)))


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
    offer: Offer = field(default_factory=Offer)

    def write(self) -> bytes:
        texts = [self.name, self.incarnation, self.address, self.session, self.replaces]
        return pack([Kind.HELLO, VERSION, *texts, self.offer.write()])


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer of the side that listens: the association `session` stands.

    It is the one asked for, or one that stands already between the two.
    """

    name: str
    incarnation: str
    address: str
    session: str
    offer: Offer = field(default_factory=Offer)

    def write(self) -> bytes:
        texts = [self.name, self.incarnation, self.address, self.session]
        return pack([Kind.WELCOME, VERSION, *texts, self.offer.write()])


@dataclass(frozen=True, slots=True)
class Refusal:
    """There is no association, or none any more; `reason` says why in words."""

    reason: str

    def write(self) -> bytes:
        return pack([Kind.REFUSAL, self.reason[:MAX_TEXT]])


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The orderly end of an association. `again`: whether the other side may connect anew."""

    reason: str
    again: bool = True

    def write(self) -> bytes:
        return pack([Kind.GOODBYE, self.reason[:MAX_TEXT], self.again])


class Batch(NamedTuple):
    """Records in order. `seq` counts batches from 1; `ack` is the last batch that came in."""

    seq: int
    ack: int
    records: list[Any]

    def write(self) -> bytes:
        return pack([Kind.BATCH, self.seq, self.ack, self.records])


def read(data: Any) -> Hello | Welcome | Refusal | Goodbye | Batch:
    """The message of these bytes. Raises CodecError for any bytes that are none."""
    try:
        content = msgpack.unpackb(
            data,
            ext_hook=_no_extension,
            timestamp=3,
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
    except Exception as error:
        raise CodecError(f"not a message: {type(error).__name__}: {error}") from error
    if type(content) is list and len(content) >= 4 and content[0] == 3:  # Kind.BATCH, but faster
        _, seq, ack, records = content[:4]
        if type(seq) is not int or type(ack) is not int or type(records) is not list:
            raise CodecError("a batch without its numbers")
        if len(records) > 2 * MAX_RECORDS:
            raise CodecError(f"a batch of more than {MAX_RECORDS} records")
        return Batch(seq, ack, records)
    match content:
        case [Kind.HELLO | Kind.WELCOME as kind, int(version), *rest]:
            if version != VERSION:
                raise CodecError(f"protocol version {version} is not {VERSION}, which runs here")
            texts, offer = rest[: 4 + (kind == Kind.HELLO)], rest[4 + (kind == Kind.HELLO) :]
            if len(texts) < 4 or not all(map(_is_text, texts)) or not texts[0]:
                raise CodecError("a handshake without names")
            offered = Offer.read(offer[0] if offer else None)
            if kind == Kind.WELCOME:
                name, incarnation, address, session = texts
                return Welcome(name, incarnation, address, session, offered)
            name, incarnation, address, session, replaces = [*texts, ""][:5]
            return Hello(name, incarnation, address, session, replaces, offered)
        case [Kind.REFUSAL, str(reason), *_]:
            return Refusal(reason[:MAX_TEXT])
        case [Kind.GOODBYE, str(reason), *more]:
            return Goodbye(reason[:MAX_TEXT], more[:1] != [False])
    raise CodecError("a message of no known kind")


def _no_extension(code: int, data: bytes) -> Any:
    raise CodecError(f"extension type {code} outside of a packed value")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT
