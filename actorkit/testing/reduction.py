"""Which schedules an exhaustive exploration need not run, because they come to the same. Pure.

A schedule is a sequence of steps. Steps that touch nothing in common commute, so of all schedules
that differ only in the order of such steps one is enough (a Mazurkiewicz trace). `Reduction` walks
a tree of schedules, depth first. After each run it looks for *races*: steps that touch the same
thing and that nothing else has put in order. Only a race makes it try another order later, at the
step before the race (dynamic partial-order reduction with source sets: Abdulla, Aronis, Jonsson,
Sagonas 2014), and steps whose every order has been tried *sleep* until something that they do not
commute with has happened. Knows nothing of actors: `footprints.py` says what a step touches.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["BEGINNING", "MAX_FAULTS", "WRITE", "Footprint", "Reduction", "Step", "commute", "races"]

#: Faults in one schedule of an exhaustive exploration.
MAX_FAULTS = 1

#: Who makes the first step, before there is anything to choose.
BEGINNING = "main"

#: The way to touch something that commutes with no other way, nor with itself. Any other way (any
#: other word) commutes with itself alone.
WRITE = "write"

#: What a step touches, and how.
Footprint = dict[Hashable, str]


def commute(one: Footprint, other: Footprint) -> bool:
    """Whether two steps with these footprints come to the same in either order."""
    if len(other) < len(one):
        one, other = other, one
    for thing, way in one.items():
        others = other.get(thing)
        if others is not None and (others != way or way == WRITE):
            return False
    return True


@dataclass
class Step:
    """One step of a run, once it is over."""

    who: Hashable  #: whose step: those of one are always in the order of the run
    footprint: Footprint
    #: Steps, by their numbers in the run, without which this one could not have been.
    needs: Sequence[int] = ()
    #: All steps of one instant come before all of the next, in every schedule.
    instant: int = 0
    #: Who could have made the next step before this one, and cannot after it.
    ended: Sequence[Hashable] = ()


@dataclass
class Race:
    """Steps `first` and `second` touch the same, and nothing between puts them in order."""

    first: int
    second: int
    #: What can come at the place of `first` to have `second` before it: the steps after `first`
    #: which do not depend on it, nor on one another, up to `second`.
    initials: list[int]


def races(steps: Sequence[Step], since: int = 0) -> Iterator[Race]:
    """The races of a run, of which the later step is number `since` or later."""
    begin = 0
    for end in range(1, len(steps) + 1):
        if end == len(steps) or steps[end].instant != steps[begin].instant:
            if end > since:
                yield from _races_within(steps, begin, end, since)
            begin = end


def _races_within(steps: Sequence[Step], begin: int, end: int, since: int) -> Iterator[Race]:
    """Those of one instant. Sets of its steps are the bits of a number, as vector clocks are."""
    before: list[int] = []
    touched: dict[Hashable, dict[str, int]] = {}
    last: dict[Hashable, int] = {}
    for number in range(begin, end):
        step = steps[number]
        bit = 1 << (number - begin)
        needs = 0
        for other in step.needs:
            if other >= begin:
                needs |= 1 << (other - begin)
        own = last.get(step.who)
        if own is not None:
            needs |= 1 << own
        last[step.who] = number - begin
        conflicts = 0
        for thing, way in step.footprint.items():
            ways = touched.setdefault(thing, {})
            for other_way, who in ways.items():
                if other_way != way or way == WRITE:
                    conflicts |= who
            ways[way] = ways.get(way, 0) | bit
        # From the latest on: whatever is before one that was met is in order with this step.
        covered = 0
        direct = 0
        rest = needs | conflicts
        while rest:
            at = rest.bit_length() - 1
            rest ^= 1 << at
            if not covered >> at & 1:
                direct |= 1 << at
                covered |= before[at]
        before.append(covered | direct)
        if number < since:
            continue
        rest = direct & conflicts & ~needs
        while rest:
            at = rest.bit_length() - 1
            rest ^= 1 << at
            yield Race(begin + at, number, _initials(before, at, number - begin, begin))


def _initials(before: list[int], first: int, second: int, begin: int) -> list[int]:
    free = 0
    initials = []
    for at in [*range(first + 1, second), second]:
        if at != second and before[at] >> first & 1:
            continue
        if not before[at] & free:
            initials.append(begin + at)
        free |= 1 << at
    return initials


class _Node:
    """A place in the tree: what could come there, and what did, is to, or need not."""

    __slots__ = ("chances", "enabled", "footprint", "sleep", "step", "to_try", "who")

    def __init__(
        self, enabled: Sequence[Hashable], who: Hashable, sleep: dict[Hashable, Footprint]
    ) -> None:
        self.enabled = enabled
        #: Who comes here in the present run.
        self.who = who
        self.to_try: dict[Hashable, None] = {who: None}
        #: Who need not come here, with the footprint of the step that it would make.
        self.sleep = sleep
        #: The faults that were possible within the step: whether each happens.
        self.chances: list[bool] = []
        self.step: Step | None = None
        #: That of the step, whichever faults happened.
        self.footprint: Footprint = {}


class Reduction:
    """The walk over all schedules that are not alike.

    For each run: `begin()`; `chance()` for each fault that may happen; after each step `over(step)`
    and `choose(...)` for who is next; `end(...)`. Then `advance()`, until it is False.
    """

    def __init__(self, max_faults: int = MAX_FAULTS) -> None:
        self._max_faults = max_faults
        self._nodes = [_Node([BEGINNING], BEGINNING, {})]
        self._at = 0
        self._chances = 0
        self._since = 0

    def begin(self) -> None:
        """A run begins."""
        self._at = self._chances = 0

    def chance(self) -> bool:
        """Decide whether a fault happens that could."""
        chances = self._nodes[self._at].chances
        if self._chances == len(chances):
            chances.append(False)
        self._chances += 1
        return chances[self._chances - 1]

    def over(self, step: Step) -> None:
        """The present step is over."""
        node = self._nodes[self._at]
        node.step = step
        for thing, way in step.footprint.items():
            if node.footprint.setdefault(thing, way) != way:
                node.footprint[thing] = WRITE

    def choose(self, enabled: Sequence[Hashable]) -> Hashable | None:
        """Who of `enabled` is next; None where all that is left was tried in other runs.

        Raises LookupError where the run is another one than the first time, up to here.
        """
        last = self._nodes[self._at]
        self._at += 1
        self._chances = 0
        if self._at < len(self._nodes):
            node = self._nodes[self._at]
            if node.who not in enabled:
                raise LookupError(node.who)
            return node.who
        assert last.step is not None
        footprint = last.step.footprint
        sleep = {
            who: its
            for who, its in last.sleep.items()
            if who in enabled and who != last.who and commute(its, footprint)
        }
        for who in enabled:
            if who not in sleep:
                self._nodes.append(_Node(enabled, who, sleep))
                return who
        return None

    def end(self, left: Iterable[Hashable] = ()) -> None:
        """The run is over; `left` could have made a step still."""
        nodes = self._nodes
        steps = [node.step for node in nodes if node.step is not None]
        for race in races(steps, self._since):
            node = nodes[race.first]
            whos = [steps[number].who for number in race.initials]
            possible = [who for who in whos if who in node.enabled]
            if not possible:
                node.to_try.update(dict.fromkeys(node.enabled))
            elif not any(who in node.to_try or who in node.sleep for who in whos):
                node.to_try[possible[0]] = None
        for number in range(self._since, len(steps)):
            nodes[number].to_try.update(dict.fromkeys(steps[number].ended))
        last = nodes[len(steps) - 1]
        last.to_try.update(dict.fromkeys(who for who in left if who in last.enabled))

    def advance(self) -> bool:
        """Go to the next schedule to run; False when there is none."""
        nodes = self._nodes
        while nodes:
            node = nodes[-1]
            if self._another_fault(node):
                break
            node.sleep[node.who] = node.footprint
            who: Any = next((who for who in node.to_try if who not in node.sleep), node)
            if who is not node:
                node.who = who
                node.chances = []
                node.footprint = {}
                break
            nodes.pop()
        else:
            return False
        node.step = None
        self._since = len(nodes) - 1
        return True

    def _another_fault(self, node: _Node) -> bool:
        """Let the last fault of the step happen that has not and may."""
        faults = sum(sum(other.chances) for other in self._nodes) - sum(node.chances)
        for at in range(len(node.chances) - 1, -1, -1):
            if not node.chances[at] and faults + sum(node.chances[:at]) < self._max_faults:
                node.chances[at:] = [True]
                return True
        return False
