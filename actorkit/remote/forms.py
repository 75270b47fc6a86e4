"""`ShortForms`: how values travel in one association without the codec.

Plain ones as msgpack has them, and messages by schema. Pure; the codec packs what has no short form
here. Used by peer.py, and by batch/ for each tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any

from ..errors import CodecError
from ..messages import names, plain, registry
from .batch import plain_reader
from .record import MESSAGE, NUMBERS, PACKED, PLAIN, SMALL, TEXTS, TUPLE, is_small

__all__ = ["ShortForms"]

#: Schemas of messages in one association.
MAX_SCHEMAS = 4096

#: The kind and body of a value; (PACKED, None) for what the codec must pack.
ShortForm = Callable[[Any], tuple[int, Any]]

_LONG = (PACKED, None)


def _number(value: Any) -> tuple[int, Any]:
    return PLAIN, value


def _text(value: Any) -> tuple[int, Any]:
    return (PLAIN, value) if len(value) <= SMALL else _LONG


def _tuple(value: tuple[Any, ...]) -> tuple[int, Any]:
    for item in value:  # is_small, without the call
        kind = type(item)
        if kind not in NUMBERS and (kind not in TEXTS or len(item) > SMALL):
            return _LONG
    return TUPLE, value


def _list(value: list[Any]) -> tuple[int, Any]:
    return (PLAIN, value.copy()) if is_small(value) else _LONG


def _dict(value: dict[Any, Any]) -> tuple[int, Any]:
    for key, item in value.items():
        if type(key) is not str or len(key) > SMALL:
            return _LONG
        kind = type(item)
        if kind not in NUMBERS and (kind not in TEXTS or len(item) > SMALL):
            return _LONG
    return PLAIN, value.copy()


def _long(value: Any) -> tuple[int, Any]:
    return _LONG


_FORMS: dict[type, ShortForm] = {
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(TEXTS, _text),
    tuple: _tuple,
    list: _list,
    dict: _dict,
}


class ShortForms:
    """How values travel in one association without the codec: plain ones, and messages by schema.

    What can change is copied, since a batch is packed after the tell. The field names of a message
    class travel once: `announce(number, name, field_names)` tells the other side of them before
    its first message.
    """

    def __init__(self, announce: Callable[[int, str, list[str]], None]) -> None:
        self._announce = announce
        self._forms = dict(_FORMS)
        self._classes: list[type] = []
        #: The classes of messages that were announced: number and names of fields.
        self.schemas: dict[type, tuple[int, tuple[str, ...]]] = {}
        #: What makes the other side's messages, by the number of the schema.
        self.readers: dict[int, Callable[[list[Any]], Any]] = {}

    def of(self, value: Any) -> tuple[int, Any]:
        """The kind and body of `value`; (PACKED, None) where there is no short form."""
        form = self._forms.get(type(value))
        if form is None:
            form = self._add(type(value))
        return form(value)

    def restore(self, body: Any) -> Any:
        """The message that has this body here."""
        return self._classes[body[0]](*body[1:])

    def learn(self, number: int, name: str, field_names: list[str]) -> None:
        """Take an announcement of the other side. Raises CodecError when it breaks the rules."""
        if number in self.readers or len(self.readers) >= MAX_SCHEMAS:
            raise CodecError(f"schema {number} came twice, or there are too many")
        self.readers[number] = _reader(name, field_names)

    def read(self, body: Any) -> Any:
        """The message with this body of the other side. Raises CodecError for one that is none."""
        try:
            return self.readers[body[0]](body)
        except CodecError:
            raise
        except Exception as error:  # no such schema, or an error of the class's own making
            raise CodecError(f"not a message: {type(error).__name__}: {error}") from error

    def _add(self, cls: type) -> ShortForm:
        form: ShortForm = _long
        if cls in names and not issubclass(cls, BaseException):
            places = fields(cls)
            number = len(self._classes)
            simple = all(field.init and not field.kw_only for field in places)
            if places and simple and number < MAX_SCHEMAS:
                field_names = [field.name for field in places]
                self._classes.append(cls)
                form = _message_form(number, field_names)
                self._announce(number, names[cls], field_names)
                self.schemas[cls] = number, tuple(field_names)
        self._forms[cls] = form
        return form


def _message_form(number: int, field_names: list[str]) -> ShortForm:
    get = attrgetter(*field_names)
    one = len(field_names) == 1

    def form(value: Any) -> tuple[int, Any]:
        body = (number, get(value)) if one else (number, *get(value))
        for item in body:  # is_small, without the call
            kind = type(item)
            if kind not in NUMBERS and (kind not in TEXTS or len(item) > SMALL):
                return _LONG
        return MESSAGE, body

    return form


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
        return plain_reader(cls, field_names) if cls in plain else lambda body: cls(*body[1:])
    places = [(key, place) for place, key in enumerate(field_names, 1) if key in known]

    return lambda body: cls(**{key: body[place] for key, place in places})


def _refuser(text: str) -> Callable[[list[Any]], Any]:
    def refuse(body: list[Any]) -> Any:
        raise CodecError(text)

    return refuse
