"""The choice sequence: everything that a simulation leaves to chance, as one list of small numbers.

`ChoiceSequence.choose(n, kind)` draws a number below `n` from a source and records it. The same
numbers give the same run, so a run can be replayed, edited and shrunk. 0 is always the tame choice:
first in first out, no fault, the least delay. Pure; used by the loop, the network and
`Simulation.random`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["ByKind", "Choice", "ChoiceSequence", "DrawnRandom", "Recorded", "Seeded", "Source"]

_BITS = 53


class Choice(NamedTuple):
    """One decision: `value` of the numbers 0 to `n` - 1, and what was decided (`kind`).

    Kinds: "next" (what runs next), "latency", "fate" (faults of the network), "random"
    (`Simulation.random` and the jitter of restarts).
    """

    kind: str
    n: int
    value: int


class Source(Protocol):
    """Where the numbers come from."""

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        """A number from 0 to `n` - 1; `n` is at least 2.

        `among` has what a "next" choice is about, an entry of the loop for each number, and is
        empty for other kinds. It is the loop's own list: look at it and leave it.
        """


class Seeded:
    """Random numbers from a seed: the same on every machine and for every PYTHONHASHSEED."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._fraction = self._random.random

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        if n >> _BITS:
            return self._random.randrange(n)
        return int(self._fraction() * n)


class Recorded:
    """Numbers from a list, as `ChoiceSequence.values` gives it, perhaps edited.

    A number that is too big becomes the biggest that is possible; after the end all are 0.
    """

    def __init__(self, values: Sequence[int]) -> None:
        self._values = iter(list(values))

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        return min(next(self._values, 0), n - 1)


class ByKind:
    """Numbers from a recorded run, perhaps edited, to each kind of choice its own in their order.

    A fault stays the fault that it was, though there are fewer choices of another kind before it.
    """

    def __init__(self, values: Sequence[int], kinds: Sequence[str]) -> None:
        sorted_values: dict[str, list[int]] = {}
        for value, kind in zip(values, kinds, strict=True):
            sorted_values.setdefault(kind, []).append(value)
        self._values = {kind: iter(numbers) for kind, numbers in sorted_values.items()}

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        return min(next(self._values.get(kind, _NOTHING), 0), n - 1)


_NOTHING: Iterator[int] = iter(())


class ChoiceSequence:
    """The decisions of one run, drawn from `source` and recorded in their order."""

    __slots__ = ("_choose", "_ns", "kinds", "values")

    def __init__(self, source: Source) -> None:
        self._choose = source.choose
        #: The numbers alone: what `Recorded` takes.
        self.values: list[int] = []
        #: What each decided.
        self.kinds: list[str] = []
        self._ns: list[int] = []

    def choose(self, n: int, kind: str, among: Sequence[Any] = ()) -> int:
        """Decide for a number from 0 to `n` - 1. Where there is but one, nothing is recorded."""
        if n <= 1:
            return 0
        value = self._choose(n, kind, among)
        self.values.append(value)
        self._ns.append(n)
        self.kinds.append(kind)
        return value

    def happens(self, probability: float, kind: str) -> bool:
        """Decide whether something happens that does so with `probability`; 0 means it does not."""
        if probability <= 0:
            return False
        happens = self.choose(1000, kind) >= 1000 - probability * 1000
        if not happens:
            self.values[-1] = 0  # one number for all that is no fault
        return happens

    def fraction(self, kind: str) -> float:
        """Decide for a number from 0.0 to just below 1.0."""
        return self.choose(1 << _BITS, kind) / (1 << _BITS)

    def __iter__(self) -> Iterator[Choice]:
        return map(Choice, self.kinds, self._ns, self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Choice:
        return Choice(self.kinds[index], self._ns[index], self.values[index])


class DrawnRandom(random.Random):
    """`random.Random` whose numbers are choices of the sequence, and so part of the recording."""

    def __new__(cls, choices: ChoiceSequence) -> DrawnRandom:
        # Without a number the system would be asked for a seed that nobody uses.
        return super().__new__(cls, 0)  # type: ignore[call-arg]

    def __init__(self, choices: ChoiceSequence) -> None:
        self._choices = choices
        super().__init__()

    def random(self) -> float:
        return self._choices.fraction("random")

    def getrandbits(self, k: int, /) -> int:
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        return self._choices.choose(1 << k, "random")

    def seed(self, *args: Any, **kwargs: Any) -> None:
        """Without effect: the simulation's own seed decides."""

    def getstate(self) -> Any:
        raise NotImplementedError("the state is the simulation's choice sequence: sim.choices")

    def setstate(self, state: Any) -> None:
        raise NotImplementedError("replay the simulation's choice sequence: sim.choices.values")
