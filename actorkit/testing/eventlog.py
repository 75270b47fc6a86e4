"""The event log of a simulation: what was sent, delivered, answered, failed or broken, and why.

The same seed gives the same log, byte for byte, in every process. Hence nothing in it comes from
addresses in memory or from the order of a set. Uses references only to name them; the simulation
writes it, traces and claims read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..ref import ActorRef

__all__ = ["Event", "EventLog", "describe"]

#: Characters of a message's description, and values of a container, from which it is cut short.
MAX_TEXT = 120
MAX_ITEMS = 16
MAX_NESTING = 4


class Event(NamedTuple):
    """One line of the log.

    Kinds: "sent" (a message, by `actor` to `other`), "arrived" (one for `actor` from another node;
    the cause is the turn in which it was sent there), "timer" (one of `actor`'s timers fired),
    "delivered" (`actor` begins the turn of a message; the cause is its "sent", "arrived" or
    "timer"), "answered" (`actor` goes on with the answer of `other`), "started", "stopped",
    "restarted", "failed", "dead letter", "overflow", "node up", "node down", "node silent", and
    "fault" (what was done to the network or a node).
    """

    number: int  #: counts the lines from 1
    time: float  #: seconds since the beginning
    kind: str
    node: str  #: the system where it happened; "" for the test itself
    actor: str  #: a path, or "" outside of actors
    other: str  #: the other side, as "node/path", where there is one; "" for the test itself
    detail: str
    cause: int  #: the number of the event that led to it; 0 for the test itself

    def __str__(self) -> str:
        who = f"{self.node}{self.actor}" or "main"
        other = f" {self.other}" if self.other else ""
        detail = f" {self.detail}" if self.detail else ""
        cause = f"  <{self.cause}" if self.cause else ""
        return f"{self.number:>5} {self.time:>12.6f} {self.kind:<11} {who}{other}{detail}{cause}"


class EventLog:
    """The events of one run in their order: a sequence, and with `str()` a text."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def add(
        self,
        time: float,
        kind: str,
        node: str,
        actor: str,
        other: str = "",
        detail: str = "",
        cause: int = 0,
    ) -> int:
        """Write a line; returns its number."""
        rows = self._rows
        rows.append((len(rows) + 1, time, kind, node, actor, other, detail, cause))
        return len(rows)

    def detail(self, number: int) -> str:
        """The `detail` of a line by its number."""
        detail: str = self._rows[number - 1][6]
        return detail

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Event]:
        return map(Event._make, self._rows)

    def __getitem__(self, index: int) -> Event:
        return Event._make(self._rows[index])

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def digest(self) -> str:
        """A fingerprint of the whole log."""
        return hashlib.sha256(str(self).encode("utf-8", "surrogatepass")).hexdigest()

    def __repr__(self) -> str:
        return f"<EventLog of {len(self)} events, {self.digest()[:12]}>"


_PLAIN = frozenset({int, float, bool, type(None)})


def describe(value: Any, nesting: int = 0) -> str:
    """`value` in words that are the same in every process: no address, no order of a set."""
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind is str or kind is bytes:
        return _cut(repr(value[:MAX_TEXT]), len(value) > MAX_TEXT)
    if isinstance(value, ActorRef):
        return f"@{value.path}"
    if nesting >= MAX_NESTING:
        return "..."
    if kind is tuple:
        comma = "," if len(value) == 1 else ""
        return f"({_items(value, nesting)}{comma})"
    if kind is list:
        return f"[{_items(value, nesting)}]"
    if kind is set or kind is frozenset:
        items = sorted(describe(item, nesting + 1) for item in value)
        return "{" + ", ".join(items[:MAX_ITEMS]) + _more(items) + "}"
    if kind is dict:
        pairs = list(value.items())
        shown = (
            f"{describe(key, nesting + 1)}: {describe(item, nesting + 1)}"
            for key, item in pairs[:MAX_ITEMS]
        )
        return "{" + ", ".join(shown) + _more(pairs) + "}"
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, BaseException):
        return f"{kind.__name__}({_items(list(value.args), nesting)})"
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields is not None:
        shown = (f"{name}={describe(getattr(value, name, None), nesting + 1)}" for name in fields)
        return f"{kind.__qualname__}({', '.join(shown)})"
    show: Any = kind.__repr__
    if show is object.__repr__ or callable(value):
        return getattr(value, "__qualname__", kind.__qualname__)
    return _cut(repr(value), False) if _has_plain_repr(kind) else kind.__qualname__


def _has_plain_repr(kind: type[Any]) -> bool:
    """Whether its `repr` shows a value and no address: enums, dates, decimals and the like."""
    return kind.__module__ in {"datetime", "decimal", "uuid", "fractions"} or hasattr(
        kind, "__members__"
    )


def _items(values: Any, nesting: int) -> str:
    if len(values) > MAX_ITEMS:
        return ", ".join([describe(item, nesting + 1) for item in values[:MAX_ITEMS]]) + ", ..."
    return ", ".join([describe(item, nesting + 1) for item in values])


def _more(values: Any) -> str:
    return ", ..." if len(values) > MAX_ITEMS else ""


def _cut(text: str, cut: bool) -> str:
    return text + "..." if cut else text
