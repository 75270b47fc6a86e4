"""Linearizability, checked against every permutation."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actorkit.testing import History, Operation, linearize


def register(state: int, what: Any) -> tuple[int, Any]:
    """A register that is read, written, and compared and set."""
    match what:
        case ("write", int() as value):
            return value, None
        case ("cas", int() as old, int() as new):
            return (new, True) if state == old else (state, False)
    return state, state


def explains(order: tuple[Operation, ...]) -> bool:
    """Whether this order respects the times and gives every answer."""
    state = 0
    for place, one in enumerate(order):
        for later in order[place + 1 :]:
            if later.ended is not None and later.ended < one.began:
                return False
        state, answer = register(state, one.what)
        if one.ended is not None and answer != one.answer:
            return False
    return True


def brute_force(history: History) -> bool:
    sure = [one for one in history.operations if one.ended is not None]
    unsure = [one for one in history.operations if one.ended is None]
    return any(
        explains(order)
        for size in range(len(unsure) + 1)
        for some in combinations(unsure, size)
        for order in permutations([*sure, *some])
    )


WHAT = st.one_of(
    st.just(("read",)),
    st.tuples(st.just("write"), st.integers(0, 2)),
    st.tuples(st.just("cas"), st.integers(0, 2), st.integers(0, 2)),
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Histories of three clients, with answers that may be right."""
    history = History()
    for client in range(draw(st.integers(1, 3))):
        at = 0
        for _ in range(draw(st.integers(0, 2))):
            began = at + draw(st.integers(1, 4))
            at = began + draw(st.integers(1, 6))
            what = draw(WHAT)
            answers: dict[str, Any] = {"read": st.integers(0, 2), "cas": st.booleans()}
            answer = draw(answers.get(what[0], st.none()))
            ended = None if draw(st.integers(0, 4)) == 0 else at * 4 + client
            history.operations.append(
                Operation(f"c{client}", what, began * 4 + client, ended, answer)
            )
            if ended is None:
                break
    return history


@settings(max_examples=250, deadline=None)
@given(history=histories())
def test_it_says_what_every_permutation_says(history: History) -> None:
    order = linearize(history, 0, register)
    assert (order is not None) == brute_force(history)
    assert order is None or explains(tuple(order))


def test_an_operation_without_an_answer_may_have_happened_or_not() -> None:
    for seen in (0, 1):
        history = History()
        history.begin("ann", ("write", 1))
        history.end(history.begin("bob", ("read",)), seen)
        assert linearize(history, 0, register) is not None


def test_a_stale_read_is_not_linearizable() -> None:
    history = History()
    history.call("ann", ("write", 1), lambda: None)
    history.call("bob", ("read",), lambda: 0)
    assert linearize(history, 0, register) is None
