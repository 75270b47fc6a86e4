"""A snapshot of the actors of a system, as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..kernel import Cell, InboxQueue

__all__ = ["ActorInfo", "snapshot"]


@dataclass(frozen=True, slots=True)
class ActorInfo:
    """One actor at the moment of the snapshot.

    `cls`: the actor's class. `state`: "starting", "running", "failed", "restarting" or "stopping".
    `inbox_size`: user messages that wait. `handled`: messages of all its instances so far.
    """

    path: str
    cls: type
    state: str
    inbox_size: int
    handled: int
    restarts: int


def snapshot(root: Cell) -> list[ActorInfo]:
    """Every actor below `root`, parents before children, in order of start."""
    return [_info(cell) for cell in walk(root)]


def walk(root: Cell) -> Iterator[Cell]:
    """The cells below `root`, depth first."""
    pending = list(_children(root))[::-1]
    while pending:
        cell = pending.pop()
        yield cell
        pending.extend(list(_children(cell))[::-1])


def _children(cell: Cell) -> list[Cell]:
    return [] if cell._life is None else list(cell._life.children.values())


def _info(cell: Cell) -> ActorInfo:
    life = cell._life
    return ActorInfo(
        path=cell.path,
        cls=cell._spec.cls,
        state=cell._state.value,
        inbox_size=InboxQueue(cell).qsize(),
        handled=cell._handled,
        restarts=0 if life is None else life.restarts,
    )
