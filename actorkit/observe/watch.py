"""The watcher's side: asks the inspector of a system, here or on another node, and keeps a tree.

Blocks only the greenlet that asks. The command line and the web page are built on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..messages import Call
from ..remote.node import Node
from ..system import ActorSystem
from .inspector import inspector_of

__all__ = ["Changes", "Inspection", "Messages", "Row", "Tree"]

#: Activities in which an actor handles nothing although it has begun to.
BUSY = ("blocked", "asks")


class Inspection:
    """Asks one system's inspector::

        inspection = Inspection(system.connect("tcp://127.0.0.1:7001"))
        inspection.ask("actor", "/bank/alice")

    `via`: the name of another node, which the system then asks in its turn.
    """

    def __init__(self, target: Node | ActorSystem, via: str = "", timeout: float = 5.0) -> None:
        self._target = target
        self._via = via
        self._timeout = timeout

    def ask(self, *question: Any) -> Any:
        """The answer to a question: see docs/wire-protocol.md for all of them.

        Raises Refused, ActorNotFound, and what `ask` raises.
        """
        parts = list(question)
        if self._via:
            parts = ["relay", self._via, parts]
        if isinstance(self._target, ActorSystem):
            return inspector_of(self._target).ask(parts, self._timeout)
        return self._node().service.ask(Call("inspect", (parts,)), self._timeout)

    def _node(self) -> Node:
        """The node, or who came under its name after it."""
        assert isinstance(self._target, Node)
        if not self._target.connected:
            for node in self._target.system.nodes:
                if node.name == self._target.name:
                    self._target = node
        return self._target

    @property
    def name_here(self) -> str:
        """The name of the system that asks, if it is another one than is asked; or empty."""
        target = self._target
        return "" if isinstance(target, ActorSystem) else target.system.name

    def of(self, node: str) -> Inspection:
        """The same for a node that this one is connected with."""
        return Inspection(self._target, node, self._timeout)


@dataclass(slots=True)
class Row:
    """One actor as last seen. `rate`: messages a second. `since`: when it began to be busy."""

    uid: int
    parent: int
    name: str
    cls: str
    state: str = "starting"
    activity: str = ""
    inbox: int = 0
    handled: int = 0
    restarts: int = 0
    rate: float = 0.0
    since: float | None = None


@dataclass(slots=True)
class Changes:
    """What a refresh has found: rows that are new or differ, and uids of the gone."""

    rows: list[Row]
    gone: list[int]


class Tree:
    """The actors of one system, kept up to date by `refresh`."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self.rows: dict[int, Row] = {}
        #: The system has more actors than a view shows.
        self.more = False
        #: The other side's clock at the end of the last pass.
        self.time = 0.0
        self._view: int | None = None
        self._began: float | None = None
        self._moving: set[int] = set()

    def refresh(self) -> Changes:
        """One pass over the system. Raises what `Inspection.ask` raises."""
        if self._view is None:
            self._view = self.inspection.ask("view")
        changed: dict[int, Row] = {}
        before, self._began = self._began, None
        moving, self._moving = self._moving, set()
        while True:
            page = self.inspection.ask("page", self._view)
            self.time = page["time"]
            if self._began is None:
                self._began = self.time
            for uid, parent, name, cls in page["new"]:
                self.rows[uid] = Row(uid, parent, name, cls)
            for uid, state, activity, inbox, handled, restarts in page["rows"]:
                row = self.rows[uid]
                if before is not None and self.time > before and uid not in changed:
                    row.rate = (handled - row.handled) / (self.time - before)
                if not activity.startswith(BUSY):
                    row.since = None
                elif row.since is None or handled != row.handled:
                    row.since = self.time
                row.state, row.activity = state, activity
                row.inbox, row.handled, row.restarts = inbox, handled, restarts
                if row.rate:
                    self._moving.add(uid)
                changed[uid] = row
            if page["done"]:
                break
        self.more = page["more"]
        for uid in page["gone"]:
            self.rows.pop(uid, None)
        for uid in moving - self._moving:  # nothing came from it, so it has come to rest
            row_at_rest = self.rows.get(uid)
            if row_at_rest is not None:
                row_at_rest.rate = 0.0
                changed[uid] = row_at_rest
        return Changes(list(changed.values()), page["gone"])

    def close(self) -> None:
        """Look no more; otherwise the other side notices in a while."""
        if self._view is not None:
            self.inspection.ask("close", self._view)
        self.forget()

    def forget(self) -> None:
        """Begin anew: the other side has forgotten this watcher, or is another one now."""
        self.rows.clear()
        self._view = self._began = None
        self._moving.clear()

    def path(self, row: Row) -> str:
        """The path of an actor."""
        names = [row.name]
        parent = self.rows.get(row.parent)
        while parent is not None:
            names.append(parent.name)
            parent = self.rows.get(parent.parent)
        return "/" + "/".join(reversed(names))

    def busy(self, row: Row) -> float | None:
        """Seconds for which an actor has been in the middle of one message, at least."""
        return None if row.since is None else max(0.0, self.time - row.since)

    def walk(self, top: str = "/") -> Iterator[tuple[int, Row]]:
        """Depth and row of the actors at and below path `top`, parents before children."""
        children: dict[int, list[Row]] = {}
        for row in self.rows.values():
            children.setdefault(row.parent, []).append(row)
        if top in ("", "/"):
            pending = [(0, row) for row in reversed(children.get(0, []))]
        else:
            pending = [(0, row) for row in self.rows.values() if self.path(row) == top]
        while pending:
            depth, row = pending.pop()
            yield depth, row
            pending.extend((depth + 1, child) for child in reversed(children.get(row.uid, [])))


class Messages:
    """The messages of one actor from now on, each told once: see `tap.Tap` for what is told."""

    def __init__(self, inspection: Inspection, path: str) -> None:
        """Begin to look. Raises Refused and ActorNotFound."""
        self._inspection = inspection
        self._path = "/" + path.strip("/")
        self._after: int = inspection.ask("tap", self._path)
        self._held: set[int] = set()
        #: Why no more come, once that is so.
        self.ended = ""
        #: Messages that were too many to be told.
        self.skipped = 0

    def poll(self) -> list[list[Any]]:
        """Those that came since the last call; one that still runs is held back once."""
        answer = self._inspection.ask("messages", self._path, self._after)
        self.ended, self.skipped = answer["ended"], answer["skipped"]
        told: list[list[Any]] = []
        for entry in answer["messages"]:
            number, *_, outcome = entry
            if outcome is None and number not in self._held and not self.ended:
                self._held.add(number)
                break
            self._held.discard(number)
            self._after = number
            told.append(entry)
        return told
