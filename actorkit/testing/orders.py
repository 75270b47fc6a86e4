"""Every order of what runs next, as a walk over the tree of choices.

A run follows a prefix of choices and is first in first out from there on. All choices of other
kinds stay tame: delays at their least, no faults. Uses trials; used by the exploration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .trial import Outcome, Trial

__all__ = ["Orders", "explore_orders"]


@dataclass(frozen=True)
class Orders:
    """What came of the walk."""

    runs: int
    complete: bool  #: every order was tried
    failed: Outcome | None


class _Branches:
    """Follows a prefix, then goes first in first out, and notes where it could have gone."""

    def __init__(self, prefix: list[int]) -> None:
        self._prefix = prefix
        self.taken: list[int] = []
        self.widths: list[int] = []

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        if kind != "next":
            n = 1
        at = len(self.taken)
        value = self._prefix[at] if at < len(self._prefix) else 0
        self.taken.append(value)
        self.widths.append(n)
        return value


def explore_orders(trial: Trial, bound: int, tell: Callable[[int], None]) -> Orders:
    """Try every order until one fails, or `bound` runs are made; `tell` hears how many are."""
    prefix: list[int] | None = []
    runs = 0
    while prefix is not None:
        if runs == bound:
            return Orders(runs, False, None)
        branches = _Branches(prefix)
        outcome = trial.run(branches)
        runs += 1
        tell(runs)
        if outcome.error is not None:
            return Orders(runs, False, outcome)
        prefix = _next_prefix(branches.taken, branches.widths)
    return Orders(runs, True, None)


def _next_prefix(taken: list[int], widths: list[int]) -> list[int] | None:
    """The way that comes after this one, depth first; None after the last."""
    for at in range(len(taken) - 1, -1, -1):
        if taken[at] + 1 < widths[at]:
            return [*taken[:at], taken[at] + 1]
    return None
