"""The choice sequence: recorded, replayed, edited, and shown as a random.Random."""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorkit.testing import Choice, ChoiceSequence, Recorded, Seeded
from actorkit.testing.choices import DrawnRandom

SIZES = st.lists(st.integers(2, 1 << 70), max_size=50)


@given(seed=st.integers(), sizes=SIZES)
def test_a_recording_repeats_what_a_seed_drew(seed: int, sizes: list[int]) -> None:
    drawn = ChoiceSequence(Seeded(seed))
    values = [drawn.choose(n, "next") for n in sizes]
    assert all(0 <= value < n for value, n in zip(values, sizes, strict=True))
    replayed = ChoiceSequence(Recorded(drawn.values))
    assert [replayed.choose(n, "next") for n in sizes] == values
    assert list(replayed) == list(drawn)


@given(values=st.lists(st.integers(0, 100), max_size=20), sizes=SIZES)
def test_any_list_of_numbers_is_a_recording(values: list[int], sizes: list[int]) -> None:
    sequence = ChoiceSequence(Recorded(values))
    drawn = [sequence.choose(n, "next") for n in sizes]
    padded = values + [0] * len(sizes)
    assert drawn == [min(value, n - 1) for value, n in zip(padded, sizes, strict=False)]


def test_where_there_is_no_choice_nothing_is_recorded() -> None:
    sequence = ChoiceSequence(Seeded(1))
    assert sequence.choose(1, "next") == 0
    assert len(sequence) == 0
    assert not sequence.happens(0.0, "fate")
    assert len(sequence) == 0


def test_zero_is_the_tame_choice() -> None:
    sequence = ChoiceSequence(Recorded([]))
    assert sequence.choose(10, "next") == 0
    assert not sequence.happens(0.999, "fate")
    assert sequence.fraction("latency") == 0.0
    assert list(sequence)[1] == Choice("fate", 1000, 0)
    assert sequence[0] == Choice("next", 10, 0)


def test_what_has_a_probability_of_one_happens() -> None:
    assert ChoiceSequence(Recorded([])).happens(1.0, "fate")


@pytest.mark.parametrize("seed", range(5))
def test_its_random_numbers_are_part_of_the_recording(seed: int) -> None:
    def draw(rng: random.Random) -> list[object]:
        items = list(range(10))
        rng.shuffle(items)
        return [rng.random(), rng.randrange(7), rng.choice("abc"), rng.gauss(0, 1), items]

    sequence = ChoiceSequence(Seeded(seed))
    drawn = draw(DrawnRandom(sequence))
    assert draw(DrawnRandom(ChoiceSequence(Recorded(sequence.values)))) == drawn


def test_its_random_numbers_have_no_seed_or_state_of_their_own() -> None:
    rng = DrawnRandom(ChoiceSequence(Seeded(1)))
    rng.seed(5)
    for use in (rng.getstate, lambda: rng.setstate(None), lambda: copy.copy(rng)):
        with pytest.raises((NotImplementedError, TypeError)):
            use()
    with pytest.raises((NotImplementedError, TypeError, pickle.PicklingError)):
        pickle.dumps(rng)
    with pytest.raises(ValueError, match="non-negative"):
        rng.getrandbits(-1)


def test_a_seed_draws_the_same_in_every_process() -> None:
    code = (
        "from actorkit.testing import *;"
        "s = ChoiceSequence(Seeded(42)); print([s.choose(n, 'x') for n in (2, 10, 1000, 1 << 60)])"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in (0, 1)
    }
    sequence = ChoiceSequence(Seeded(42))
    here = [sequence.choose(n, "x") for n in (2, 10, 1000, 1 << 60)]
    assert outs == {f"{here}\n"}
