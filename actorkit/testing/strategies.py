"""How an exploration chooses: at random, or by priorities that change a few times.

A strategy makes the `Source` of each seed's choices. `exhaustive` is no such strategy: it walks a
tree, see `orders.py`. Pure; used by the exploration.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from .choices import Seeded, Source
from .dispatcher import Turn

__all__ = ["DEPTH", "PATIENCE", "Priorities", "key_of", "source_of"]

#: Orders that a bug may depend on, one more than the changes of priority in a run.
DEPTH = 3
#: Steps in a row that the first in rank makes before the others have their turn.
PATIENCE = 100


def source_of(strategy: str, seed: int, count_steps: Callable[[], int]) -> Source:
    """The choices of `seed`. `count_steps()` says how many there are about in a run of the test."""
    return Seeded(seed) if strategy == "random" else Priorities(seed, count_steps())


def key_of(entry: Any) -> Any:
    """Who an entry of the loop stands for: an actor, or the entry itself."""
    cell = entry.cell if isinstance(entry, Turn) else None
    return entry if cell is None else cell


class Priorities:
    """Probabilistic concurrency testing: everyone has a random rank, and the first always goes.

    At `DEPTH` - 1 random ones of about `steps` choices the first becomes the last. A bug that
    depends on d orders is found with a probability of 1 / (actors * steps ** (d - 1)) or more,
    however unlikely uniform choices make it.
    """

    def __init__(self, seed: int, steps: int) -> None:
        self._random = random.Random(seed)
        self._others = Seeded(seed)
        span = range(max(steps, DEPTH))
        self._changes = set(self._random.sample(span, DEPTH - 1))
        self._ranks: dict[Any, float] = {}
        self._step = -1
        self._lowest = 0.0
        self._last: Any = None
        self._streak = 0

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        if kind != "next":
            return self._others.choose(n, kind, among)
        self._step += 1
        index, key = self._first(among)
        self._streak = self._streak + 1 if key is self._last else 1
        if self._step in self._changes or self._streak > PATIENCE:
            self._streak = 1
            self._lowest -= 1.0
            self._ranks[key] = self._lowest
            index, key = self._first(among)
        self._last = key
        return index

    def _first(self, among: Sequence[Any]) -> tuple[int, Any]:
        ranks = self._ranks
        best, index = None, 0
        for place, entry in enumerate(among):
            key = key_of(entry)
            rank = ranks.get(key)
            if rank is None:
                rank = ranks[key] = self._random.random()
            if best is None or rank > ranks[best]:
                best, index = key, place
        return index, best
