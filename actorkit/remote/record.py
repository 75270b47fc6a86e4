"""Records: how one tell, question or answer stands in a batch.

A record is a head and a body. Pure; the codec packs what has no short form here. Used by peer.py;
docs/wire-protocol.md is the text to this module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any

from ..errors import CodecError
from ..messages import names, registry

__all__ = [
    "ASK",
    "ERROR",
    "KIND",
    "MESSAGE",
    "PACKED",
    "PLAIN",
    "SMALL",
    "TUPLE",
    "Schemas",
    "answer_head",
    "is_small",
    "short_form",
]

#: What a body is: a value of msgpack's own, a tuple of such, a message by schema, bytes of the
#: codec, and in answers an error in such bytes.
PLAIN, TUPLE, MESSAGE, PACKED, ERROR = range(5)
#: The bits of a head that hold the kind, and the one that makes a tell a question.
KIND, ASK = 7, 8

#: Characters or bytes of a text that travels as it is; a longer one is packed at once, so that the
#: size of a batch is known.
SMALL = 4096
#: Schemas of messages in one association.
MAX_SCHEMAS = 4096

_NUMBERS = frozenset({int, float, bool, type(None)})
_TEXT = frozenset({str})


def answer_head(number: int, kind: int) -> int:
    """The head of the answer to question `number`: below zero, where no tell is."""
    return -(number << 3 | kind) - 1


def is_small(values: Any) -> bool:
    """Whether all of `values` are numbers, None, or texts of a modest size."""
    for value in values:
        kind = type(value)
        if kind is str or kind is bytes:
            if len(value) > SMALL:
                return False
        elif kind not in _NUMBERS:
            return False
    return True


def short_form(value: Any) -> tuple[int, Any]:
    """The kind and body of a value that needs no codec; (PACKED, None) for any other.

    What can change is copied: a batch is packed after the tell.
    """
    kind = type(value)
    if kind in _NUMBERS:
        return PLAIN, value
    if kind is str or kind is bytes:
        if len(value) <= SMALL:
            return PLAIN, value
    elif kind is tuple:
        if is_small(value):
            return TUPLE, value
    elif kind is dict:
        if is_small(value.values()) and _TEXT.issuperset(map(type, value)):
            return PLAIN, value.copy()
    elif kind is list and is_small(value):
        return PLAIN, value.copy()
    return PACKED, None


class Schemas:
    """The message classes of one association, by number: field names travel once, not each time.

    `announce(number, name, field_names)` tells the other side of a class before its first message.
    """

    def __init__(self, announce: Callable[[int, str, list[str]], None]) -> None:
        self._announce = announce
        #: What makes the body of a message here, by class; None where there is no short form.
        self._writers: dict[type, Callable[[Any], Sequence[Any]] | None] = {}
        self._classes: list[type] = []
        self._readers: dict[int, Callable[[list[Any]], Any]] = {}

    def write(self, value: Any) -> Any:
        """The body of a message whose fields are all small; None for any other value."""
        kind = type(value)
        try:
            writer = self._writers[kind]
        except KeyError:
            writer = self._add(kind)
        if writer is None:
            return None
        body = writer(value)
        return body if is_small(body) else None

    def restore(self, body: Any) -> Any:
        """The message that `write` made this body of."""
        return self._classes[body[0]](*body[1:])

    def learn(self, number: int, name: str, field_names: list[str]) -> None:
        """Take an announcement of the other side. Raises CodecError when it breaks the rules."""
        if number in self._readers or len(self._readers) >= MAX_SCHEMAS:
            raise CodecError(f"schema {number} came twice, or there are too many")
        self._readers[number] = _reader(name, field_names)

    def read(self, body: Any) -> Any:
        """The message with this body. Raises CodecError for a body that is none."""
        if type(body) is not list or not body or type(body[0]) is not int:
            raise CodecError("a message without the number of its schema")
        reader = self._readers.get(body[0])
        if reader is None:
            raise CodecError(f"no schema {body[0]} was announced")
        try:
            return reader(body)
        except CodecError:
            raise
        except Exception as error:  # of the class's own making
            raise CodecError(f"not a message: {type(error).__name__}: {error}") from error

    def _add(self, cls: type) -> Callable[[Any], Sequence[Any]] | None:
        writer = None
        if cls in names and not issubclass(cls, BaseException):
            places = fields(cls)
            number = len(self._classes)
            plain = all(field.init and not field.kw_only for field in places)
            if places and plain and number < MAX_SCHEMAS:
                field_names = [field.name for field in places]
                self._classes.append(cls)
                writer = _writer(number, field_names)
                self._announce(number, names[cls], field_names)
        self._writers[cls] = writer
        return writer


def _writer(number: int, field_names: list[str]) -> Callable[[Any], Sequence[Any]]:
    get = attrgetter(*field_names)
    if len(field_names) == 1:
        return lambda value: (number, get(value))
    return lambda value: (number, *get(value))


def _reader(name: str, field_names: list[str]) -> Callable[[list[Any]], Any]:
    """What makes a message from a body; unknown fields are ignored, missing ones by default."""
    cls = registry.get(name)
    if cls is None or issubclass(cls, BaseException):
        return _refuser(f"no class is registered here as the message {name!r}")
    known = {field.name: field for field in fields(cls)}
    for field in known.values():
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if field.name not in field_names and not optional:
            return _refuser(
                f"the message {name!r} came without {field.name!r}, which has no default"
            )
    if field_names == list(known):
        size = len(field_names) + 1

        def read(body: list[Any]) -> Any:
            if len(body) != size:
                raise CodecError(f"the message {name!r} came with {len(body) - 1} values")
            return cls(*body[1:])

        return read
    places = [(key, place) for place, key in enumerate(field_names, 1) if key in known]

    def read_by_name(body: list[Any]) -> Any:
        if len(body) != len(field_names) + 1:
            raise CodecError(f"the message {name!r} came with {len(body) - 1} values")
        return cls(**{key: body[place] for key, place in places})

    return read_by_name


def _refuser(text: str) -> Callable[[list[Any]], Any]:
    def refuse(body: list[Any]) -> Any:
        raise CodecError(text)

    return refuse
