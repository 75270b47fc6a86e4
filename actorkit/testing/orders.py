"""Every order of what runs next, as a walk over the tree of choices.

A run follows what was decided before and is first in first out from there on. Delays stay at their
least, and of the faults that may happen one does at most. `explore_orders` leaves out what comes to
the same; `explore_all_orders` leaves out nothing, and is what the other is checked against. Uses
trials; used by the exploration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .footprints import Footprints
from .observed import observed_queues
from .reduction import MAX_FAULTS, Reduction
from .trial import Outcome, Trial

__all__ = ["Orders", "explore_all_orders", "explore_orders"]


@dataclass(frozen=True)
class Orders:
    """What came of the walk."""

    runs: int  #: schedules run to their end, no two of them alike
    complete: bool  #: every order was tried, or one that comes to the same
    failed: Outcome | None
    given_up: int = 0  #: runs that were ended when they turned out to lead nowhere new


def explore_orders(trial: Trial, bound: int, tell: Callable[[int], None]) -> Orders:
    """Try all orders that differ until one fails, or `bound` runs are made.

    `tell` hears how many are.
    """
    reduction = Reduction()
    runs = given_up = 0
    more = True
    while more:
        if runs + given_up == bound:
            return Orders(runs, False, None, given_up)
        footprints = Footprints(reduction)
        with observed_queues():
            outcome = trial.run(footprints, footprints=footprints)
        if footprints.redundant:
            given_up += 1
        else:
            runs += 1
            if outcome.error is not None:
                return Orders(runs, False, outcome, given_up)
        tell(runs + given_up)
        more = reduction.advance()
    return Orders(runs, True, None, given_up)


class _Branches:
    """Follows a prefix, then goes first in first out, and notes where it could have gone."""

    def __init__(self, prefix: list[int]) -> None:
        self._prefix = prefix
        self.taken: list[int] = []
        self.widths: list[int] = []
        self._faults = 0

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        if kind == "next":
            return self._branch(n)
        if kind == "fate" and self._faults < MAX_FAULTS and self._branch(2):
            self._faults += 1
            return n - 1
        return 0

    def _branch(self, width: int) -> int:
        at = len(self.taken)
        value = self._prefix[at] if at < len(self._prefix) else 0
        self.taken.append(value)
        self.widths.append(width)
        return value


def explore_all_orders(trial: Trial, bound: int, tell: Callable[[int], None]) -> Orders:
    """Try every order, whether or not another came to the same; else as `explore_orders`."""
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
