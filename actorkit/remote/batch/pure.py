"""Batches in pure Python: the reference to compiled.pyx, with the same names in the same order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import CodecError
from ..record import ASK, KIND, MESSAGE, NUMBERS, PACKED, SMALL, TUPLE, as_tuple
from ..wire import Batch, read

if TYPE_CHECKING:
    from ..forms import ShortForms
    from ..peer import Peer

__all__ = ["Outgoing", "deliver", "plain_reader", "read"]


class Outgoing:
    """The batch that is being filled; its length is the number of its records.

    `most`: how many it may have before it is to be sent.
    """

    __slots__ = ("_flat", "_most")

    def __init__(self, most: int) -> None:
        self._flat: list[Any] = []
        self._most = 2 * most

    def __len__(self) -> int:
        return len(self._flat) // 2

    def tell(self, uid: int, message: Any, forms: ShortForms) -> bool | None:
        """Add a tell in its short form, as `put` does; None if the codec must pack the message."""
        cls = type(message)
        if cls in NUMBERS or (cls is str and len(message) <= SMALL):
            head, body = uid << 4, message  # | PLAIN, which is 0
        else:
            kind, body = forms.of(message)
            if kind == PACKED:
                return None
            head = uid << 4 | kind
        # `put`, without the call.
        flat = self._flat
        flat.append(head)
        flat.append(body)
        size = len(flat)
        return size == 2 or size >= self._most

    def put(self, head: int, body: Any) -> bool:
        """Add a record. Whether something is due: it is the first, or they are enough."""
        flat = self._flat
        flat.append(head)
        flat.append(body)
        return len(flat) == 2 or len(flat) >= self._most

    def extend(self, flat: list[Any]) -> None:
        """Add records that stand as in `flat`."""
        self._flat += flat

    def take(self) -> Outgoing:
        """What is here, as a batch of its own; this one is empty then."""
        taken = Outgoing(self._most // 2)
        taken._flat, self._flat = self._flat, []
        return taken

    def flat(self) -> list[Any]:
        """The records so far: head, body, head, body."""
        return self._flat

    def write(self, seq: int, ack: int) -> bytes:
        """The batch as bytes. Raises OverflowError for integers of more than 64 bits."""
        return Batch(seq, ack, self._flat).write()


def deliver(peer: Peer, records: list[Any], buffers: list[Any]) -> None:
    """Deliver what came in from `peer`, in order. Raises CodecError when it breaks the rules."""
    if len(records) % 2:
        raise CodecError("a record without a body")
    if not set(map(type, records[::2])) <= {int}:
        raise CodecError("a record without a head")
    find = peer.network.exports.get
    read_message = peer.forms.read
    association = peer.association
    last: Any = None
    parts = iter(records)
    for head, body in zip(parts, parts, strict=True):
        if head != last:
            last = head
            kind = head & (KIND | ASK)
            # The way of most: tells in short form.
            ref = find(head >> 4) if kind <= MESSAGE and head > ASK else None
        if ref is None:
            if head < 0:
                peer.answered(-head - 1, body, buffers)
            else:
                peer.take_other(head, body, buffers)
            if not association.alive:
                return
            last = None  # what was not there may have come
            continue
        if kind == TUPLE:
            body = as_tuple(body)
        elif kind == MESSAGE:
            try:
                body = read_message(body)
            except CodecError as error:
                peer.unreadable(ref, body, 0, error)
                continue
        try:
            ref.tell(body)
        except Exception as error:  # its inbox is full, or does not take such a message
            peer.refused(ref, body, error)


def plain_reader(cls: type[Any], field_names: list[str]) -> Callable[[list[Any]], Any]:
    """Makes a message from a body by setting its slots, in half the time of its constructor."""
    new = object.__new__
    setters = [(place, vars(cls)[name].__set__) for place, name in enumerate(field_names, 1)]
    size = len(setters) + 1

    def read(body: list[Any]) -> Any:
        if len(body) != size:
            raise CodecError(f"{cls.__qualname__} has {size - 1} fields, {len(body) - 1} came")
        made = new(cls)
        for place, set_field in setters:
            set_field(made, body[place])
        return made

    return read
