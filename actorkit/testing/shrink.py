"""Makes a failing choice sequence as tame as it can be, and it fails still. Pure.

`shrink(values, kinds, fails)` tries edited sequences; what counts as smaller is `size`: fewer
faults, then fewer deviations from the tame choice 0, then shorter, then
smaller numbers. Used by the exploration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["MAX_TRIES", "Run", "shrink", "size", "trim"]

#: Runs of the test that shrinking may take.
MAX_TRIES = 600

#: What a run was: its choices' numbers and their kinds.
Run = tuple[Sequence[int], Sequence[str]]


def size(run: Run) -> tuple[int, ...]:
    """Faults, deviations, the length, the bits of the numbers, their sum."""
    values, kinds = run
    faults = sum(1 for value, kind in zip(values, kinds, strict=True) if value and kind == "fate")
    deviations = sum(1 for value in values if value)
    bits = sum(value.bit_length() for value in values)
    return faults, deviations, len(values), bits, sum(values)


def trim(run: Run) -> Run:
    """The run without the zeros at its end, which a replay adds by itself."""
    values, kinds = run
    length = len(values)
    while length and not values[length - 1]:
        length -= 1
    return list(values[:length]), list(kinds[:length])


def shrink(
    run: Run, fails: Callable[[list[int]], Run | None], max_tries: int = MAX_TRIES
) -> tuple[Run, int]:
    """The smallest failing run that was found, and how many runs that took.

    `fails(values)` runs the test with these choices; it returns what was chosen in fact where the
    test fails in the same way, and None where it does not.
    """
    search = _Search(trim(run), fails, max_tries)
    before = None
    while before != search.best and search.tries < max_tries:
        before = search.best
        search.zero_chunks()
        search.drop_chunks()
        search.lower()
    return search.best, search.tries


class _Search:
    def __init__(self, best: Run, fails: Callable[[list[int]], Run | None], max_tries: int) -> None:
        self.best = best
        self.tries = 0
        self._fails = fails
        self._max_tries = max_tries
        self._seen: set[tuple[int, ...]] = set()

    def _try(self, values: Sequence[int]) -> bool:
        """Keep an edited sequence if it fails and is smaller."""
        edited, _ = trim((values, [""] * len(values)))
        key = tuple(edited)
        if key in self._seen or self.tries >= self._max_tries or edited == self.best[0]:
            return False
        self._seen.add(key)
        self.tries += 1
        run = self._fails(list(edited))
        if run is None or size(trim(run)) >= size(self.best):
            return False
        self.best = trim(run)
        return True

    def zero_chunks(self) -> None:
        """Choose the tame way in many places at once, then in fewer."""
        chunk = len(self._deviations())
        while chunk:
            start = 0
            while start < len(self._deviations()):
                tamed = set(self._deviations()[start : start + chunk])
                values = [0 if i in tamed else value for i, value in enumerate(self.best[0])]
                if not self._try(values):
                    start += chunk
            chunk = min(chunk // 2, len(self._deviations()))

    def drop_chunks(self) -> None:
        """Leave choices out: what follows moves forward."""
        for chunk in (8, 4, 2, 1):
            start = 0
            while start < len(self.best[0]):
                values = list(self.best[0])
                del values[start : start + chunk]
                if not self._try(values):
                    start += chunk

    def lower(self) -> None:
        """Choose smaller numbers."""
        for position in self._deviations():
            for smaller in (1, 2):
                self._set(position, smaller)
            low, high = 0, self._at(position)
            while high - low > 1:
                middle = (low + high) // 2
                if self._set(position, middle):
                    high = self._at(position)
                else:
                    low = middle

    def _set(self, position: int, value: int) -> bool:
        values = list(self.best[0])
        if position >= len(values) or value >= values[position]:
            return False
        values[position] = value
        return self._try(values)

    def _at(self, position: int) -> int:
        values = self.best[0]
        return values[position] if position < len(values) else 0

    def _deviations(self) -> list[int]:
        return [i for i, value in enumerate(self.best[0]) if value]
