"""Records: how one tell, question or answer stands in a batch.

A record is a head and a body. Pure. Used by forms.py, batch/ and peer.py; docs/wire-protocol.md is
the text to this module.
"""

from __future__ import annotations

from typing import Any

from ..errors import CodecError

__all__ = [
    "ASK",
    "ERROR",
    "KIND",
    "MESSAGE",
    "NUMBERS",
    "PACKED",
    "PLAIN",
    "SMALL",
    "TEXTS",
    "TRACED",
    "TUPLE",
    "answer_head",
    "as_tuple",
    "is_small",
    "read_traced",
]

#: What a body is: a value of msgpack's own, a tuple of such, a message by schema, bytes of the
#: codec, and in answers an error in such bytes.
PLAIN, TUPLE, MESSAGE, PACKED, ERROR = range(5)
#: A tell or a question with its trace: the body is [carrier, kind, body]. The carrier maps text to
#: text, as propagators of OpenTelemetry have it.
TRACED = 5
#: The bits of a head that hold the kind, and the one that makes a tell a question.
KIND, ASK = 7, 8

#: Characters or bytes of a text that travels as it is; a longer one is packed at once, so that the
#: size of a batch is known.
SMALL = 4096

#: Types that are always small.
NUMBERS: frozenset[type] = frozenset({int, float, bool, type(None)})
TEXTS: frozenset[type] = frozenset({str, bytes})


def answer_head(number: int, kind: int) -> int:
    """The head of the answer to question `number`: below zero, where no tell is."""
    return -(number << 3 | kind) - 1


def read_traced(body: Any) -> tuple[dict[str, str], int, Any]:
    """Carrier, kind and body of a traced record. Raises CodecError for what is none."""
    match body:
        case [dict(carrier), int(kind), inner] if all(
            isinstance(text, str) for pair in carrier.items() for text in pair
        ):
            return carrier, kind, inner
    raise CodecError("a traced record that has not its shape")


def is_small(values: Any) -> bool:
    """Whether all of `values` are numbers, None, or texts of a modest size."""
    for value in values:
        kind = type(value)
        if kind not in NUMBERS and (kind not in TEXTS or len(value) > SMALL):
            return False
    return True


def as_tuple(body: Any) -> tuple[Any, ...]:
    """What a body of kind TUPLE stands for. Raises CodecError for what is none."""
    if type(body) is not list and type(body) is not tuple:
        raise CodecError("a tuple that is none")
    return tuple(body)
