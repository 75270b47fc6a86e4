"""`View`: the tree of a system as one watcher sees it, in pages, and then what has changed.

A page looks at a bounded number of actors, so that the biggest tree holds up nobody. Uses the
kernel's cells; the inspector has one view for each watcher.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..kernel import RUNNING, STOPPED, Cell, InboxQueue
from .tree import walk

__all__ = ["MAX_ACTORS", "PAGE", "View", "activity"]

#: Actors that one page looks at: about half a millisecond to one.
PAGE = 250
#: Actors of a system that one view shows.
MAX_ACTORS = 100_000


class View:
    """What one watcher knows of a tree; `page()` gives what is new to it."""

    def __init__(self, root: Cell) -> None:
        self._root = root
        #: Each actor's row as the watcher got it: in the last pass, and so far in this one.
        self._before: dict[int, list[Any]] = {}
        self._now: dict[int, list[Any]] = {}
        self._cells: Iterator[Cell] = iter(())
        self._begun = False

    def page(self) -> dict[str, Any]:
        """The next part of a pass over the tree; the pass is over when `done` is true.

        `new`: [uid, parent's uid, name, class] of actors not seen before. `rows`: [uid, state,
        activity, inbox size, handled, restarts] of those that changed. `gone`: uids, at the end of
        a pass. `more`: there are more than `MAX_ACTORS`.
        """
        if not self._begun:
            self._begun = True
            self._cells = walk(self._root)
        new: list[list[Any]] = []
        rows: list[list[Any]] = []
        looked = 0
        for cell in islice(self._cells, PAGE):
            looked += 1
            if cell._state is STOPPED:
                continue
            uid: int = cell.uid
            row = _row(cell)
            known = self._before.pop(uid, None)
            if known is None:
                parent: int = cell._parent.uid  # type: ignore[union-attr]
                new.append([uid, parent, cell.name, cell._spec.cls.__qualname__])
            if row != known:
                rows.append(row)
            self._now[uid] = row
        more = len(self._now) >= MAX_ACTORS
        done = looked < PAGE or more
        gone: list[int] = []
        if done:
            gone = list(self._before)
            self._before, self._now = self._now, {}
            self._begun = False
            self._cells = iter(())
        return {
            "time": self._root._dispatcher.clock(),
            "new": new,
            "rows": rows,
            "gone": gone,
            "done": done,
            "more": more,
        }


def _row(cell: Cell) -> list[Any]:
    life = cell._life
    return [
        cell.uid,
        cell._state.value,
        activity(cell),
        InboxQueue(cell).qsize(),
        cell._handled,
        0 if life is None else life.restarts,
    ]


def activity(cell: Cell) -> str:
    """What an actor is in the middle of: "", "blocked", "reads" or "asks /path"."""
    asking = cell._asking
    if asking is not None and not asking.done and asking.cell is not None:
        return f"asks {asking.cell.path}"
    life = cell._life
    if life is not None and life.reading:
        return "reads"
    return "blocked" if cell._worker is not None and cell._state is RUNNING else ""
