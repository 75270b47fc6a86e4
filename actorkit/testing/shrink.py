"""Makes a failing choice sequence as tame as it can be, and it fails still. Pure.

`shrink(run, fails)` tries edited runs; what counts as smaller is `size`: fewer faults, then fewer
deviations from the tame choice 0, then shorter, then smaller numbers. Used by the exploration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

__all__ = ["MAX_TRIES", "Run", "shrink", "size", "trim"]

#: Runs of the test that shrinking may take.
MAX_TRIES = 600

#: How often, at most, a number is halved to find the least that will do.
HALVINGS = 5

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
    run: Run, fails: Callable[[Run], Run | None], max_tries: int = MAX_TRIES
) -> tuple[Run, int]:
    """The smallest failing run that was found, and how many runs that took.

    `fails(edited)` runs the test with the choices of an edited run, each for its kind; it returns
    what was chosen in fact where the test fails in the same way, and None where it does not.
    """
    search = _Search(trim(run), fails, max_tries)
    before = None
    while before != search.best and search.tries < max_tries:
        before = search.best
        search.zero_chunks("fate")
        search.zero_kinds()
        search.zero_chunks()
        search.merge()
        search.lower()
        if before == search.best:
            search.drop_chunks()  # the dearest, and rarely of use
    return search.best, search.tries


class _Search:
    def __init__(self, best: Run, fails: Callable[[Run], Run | None], max_tries: int) -> None:
        self.best = best
        self.tries = 0
        self._fails = fails
        self._max_tries = max_tries
        self._seen: set[tuple[int, ...]] = set()

    def _try(self, values: list[int], kinds: Sequence[str]) -> bool:
        """Keep an edited run if it fails and is smaller."""
        edited = trim((values, kinds))
        key = tuple(edited[0])
        if key in self._seen or self.tries >= self._max_tries or edited == self.best:
            return False
        self._seen.add(key)
        self.tries += 1
        run = self._fails(edited)
        if run is None or size(trim(run)) >= size(self.best):
            return False
        self.best = trim(run)
        return True

    def _change(self, changes: Mapping[int, int]) -> bool:
        """Try other numbers at some positions."""
        values, kinds = self.best
        return self._try([changes.get(i, value) for i, value in enumerate(values)], kinds)

    def zero_kinds(self) -> None:
        """Choose the tame way in all choices of a kind at once."""
        for kind in sorted(set(self.best[1])):
            self._change(dict.fromkeys(self._deviations(kind), 0))

    def zero_chunks(self, kind: str | None = None) -> None:
        """Choose the tame way in many places at once, then in fewer."""
        chunk = len(self._deviations(kind))
        while chunk:
            start = 0
            while start < len(self._deviations(kind)):
                tamed = self._deviations(kind)[start : start + chunk]
                if not self._change(dict.fromkeys(tamed, 0)):
                    start += chunk
            chunk = min(chunk // 2, len(self._deviations(kind)))

    def merge(self) -> None:
        """Let one deviation do what two do together."""
        for kind in sorted(set(self.best[1])):
            place = 1
            while place < len(self._deviations(kind)):
                one, other = self._deviations(kind)[place - 1 : place + 1]
                both = self._at(one) + self._at(other)
                if not (self._change({one: both, other: 0}) or self._change({one: 0, other: both})):
                    place += 1

    def drop_chunks(self) -> None:
        """Leave choices out: what follows moves forward."""
        for chunk in (8, 4, 2, 1):
            start = 0
            while start < len(self.best[0]):
                values, kinds = list(self.best[0]), list(self.best[1])
                del values[start : start + chunk], kinds[start : start + chunk]
                if not self._try(values, kinds):
                    start += chunk

    def lower(self) -> None:
        """Choose smaller numbers, the big ones of a fraction to within a part of themselves."""
        for position in self._deviations():
            for smaller in (1, 2):
                self._lower_to(position, smaller)
            low, high = 0, self._at(position)
            enough = 1 + (high >> HALVINGS)
            while high - low > enough:
                middle = (low + high) // 2
                if self._lower_to(position, middle):
                    high = self._at(position)
                else:
                    low = middle

    def _lower_to(self, position: int, value: int) -> bool:
        return value < self._at(position) and self._change({position: value})

    def _at(self, position: int) -> int:
        values = self.best[0]
        return values[position] if position < len(values) else 0

    def _deviations(self, kind: str | None = None) -> list[int]:
        """Where the choices, those of one kind perhaps, are not tame."""
        values, kinds = self.best
        return [i for i, value in enumerate(values) if value and kind in (None, kinds[i])]
