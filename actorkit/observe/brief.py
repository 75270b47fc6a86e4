"""Values in a few words for those who look inside: bounded in work and length, safe to call.

No code of users is run: no `repr` of theirs, no property. Uses references only to name them; the
inspector, taps and state summaries use it. (The event log of a simulation has words of its own,
which are the same in every process.)
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any
from uuid import UUID

from ..messages import Call
from ..ref import ActorRef

__all__ = ["MAX_BRIEF", "brief"]

#: Characters of a value's description.
MAX_BRIEF = 200
#: Values within it that are looked at, how many of one container, and how deep.
MAX_VALUES = 60
MAX_ITEMS = 16
MAX_NESTING = 4
#: Bits of an integer that is written out.
MAX_BITS = 1024

_BRACKETS: dict[type[Any], tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
    dict: ("{", "}"),
    defaultdict: ("defaultdict({", "})"),
    OrderedDict: ("OrderedDict({", "})"),
    Counter: ("Counter({", "})"),
}
_PLAIN = frozenset(
    {float, bool, complex, type(None), date, datetime, time, timedelta, Decimal, UUID, range}
)


def brief(value: Any, length: int = MAX_BRIEF) -> str:
    """`value` in at most `length` characters."""
    try:
        text = _Describer(length).of(value, 0)
    except Exception:  # whoever looks must not hurt whom they look at
        text = f"<{type(value).__qualname__}>"
    return text if len(text) <= length else text[: length - 3] + "..."


class _Describer:
    """One description, with what is left of the work that it may take."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._left = MAX_VALUES

    def of(self, value: Any, nesting: int) -> str:
        self._left -= 1
        kind = type(value)
        if kind in _PLAIN:
            return repr(value)
        if kind is str or kind is bytes or kind is bytearray:
            cut = "..." if len(value) > self._length else ""
            return repr(value[: self._length]) + cut
        if kind is int:
            bits = value.bit_length()
            return repr(value) if bits <= MAX_BITS else f"<an int of {bits:,} bits>"
        if issubclass(kind, ActorRef):
            return f"@{value.path}"
        if issubclass(kind, type):
            return str(type.__getattribute__(value, "__qualname__"))
        name = str(type.__getattribute__(kind, "__qualname__"))
        if kind in (FunctionType, BuiltinFunctionType, MethodType):
            return f"<function {value.__qualname__}>"
        if issubclass(kind, Enum):
            return f"{name}.{object.__getattribute__(value, '_name_')}"
        if nesting >= MAX_NESTING or self._left <= 0:
            return "..."
        if kind is Call:
            return f"{value.name}({self._arguments(value, nesting)})"
        if kind in _BRACKETS:
            return self._container(value, kind, nesting)
        if issubclass(kind, BaseException):
            args = BaseException.args.__get__(value)  # type: ignore[attr-defined]
            return f"{name}({self._items(args, len(args), nesting)})"
        fields = type.__getattribute__(kind, "__dict__").get("__dataclass_fields__")
        if fields is not None:
            return f"{name}({self._fields(value, fields, nesting)})"
        return f"<{name}>"

    def _container(self, value: Any, kind: type[Any], nesting: int) -> str:
        opening, closing = _BRACKETS[kind]
        if issubclass(kind, dict):
            shown = (
                f"{self.of(key, nesting + 1)}: {self.of(item, nesting + 1)}"
                for key, item in islice(dict.items(value), self._room)
            )
            return opening + self._joined(shown, len(value)) + closing
        comma = "," if kind is tuple and len(value) == 1 else ""
        return opening + self._items(value, len(value), nesting) + comma + closing

    def _items(self, values: Iterable[Any], count: int, nesting: int) -> str:
        shown = (self.of(item, nesting + 1) for item in islice(values, self._room))
        return self._joined(shown, count)

    def _arguments(self, call: Call, nesting: int) -> str:
        parts = [self.of(item, nesting + 1) for item in call.args[: self._room]]
        for key, item in islice((call.kwargs or {}).items(), self._room):
            parts.append(f"{key}={self.of(item, nesting + 1)}")
        return self._joined(parts, len(call.args) + len(call.kwargs or {}))

    def _fields(self, value: Any, fields: dict[str, Any], nesting: int) -> str:
        parts = []
        for field in islice(fields, self._room):
            with suppress(AttributeError):
                parts.append(
                    f"{field}={self.of(object.__getattribute__(value, field), nesting + 1)}"
                )
        return self._joined(parts, len(fields))

    @property
    def _room(self) -> int:
        return min(MAX_ITEMS, max(0, self._left))

    def _joined(self, shown: Iterable[str], count: int) -> str:
        parts = list(shown)
        if count > len(parts):
            parts.append("...")
        return ", ".join(parts)
