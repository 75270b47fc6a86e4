"""Each fault once, with real processes; `python -m tests.faults` tries them at length."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.faults.books import Books
from tests.faults.catalogue import FAULTS, attempt

pytestmark = pytest.mark.timeout(300)

#: Where a node must be taken for dead it is sooner; where it must not, as late as by default.
SOON_LOST = {"transport.HEARTBEAT_MS": 500, "transport.HEARTBEAT_TIMEOUT_MS": 2_500}
LIMITS: dict[str, Mapping[str, float]] = {
    **dict.fromkeys(("cut_long", "cut_one_way", "fork", "pause_long", "vanish"), SOON_LOST),
    "silent_connections": {"door.HELLO_TIME": 2.0},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_and_breaks_no_guarantee(name: str) -> None:
    fault = FAULTS[name]
    if reason := fault.impossible():
        pytest.skip(reason)
    sums, violations = attempt(fault, runs=1, seed=7, limits=LIMITS.get(name))
    assert violations == []
    assert sums["runs"] == 1
    assert sums["received"] > 0


def test_the_books_see_all_that_can_be_wrong() -> None:
    seen: list[str] = []
    books = Books(seen.append)
    for number in (1, 2, 3, 2, 6, 5, 7):
        books.arrived("south", "first", number)
    books.arrived("south", "second", 1)
    books.downs["south"] += 1
    books.arrived("south", "third", 2)
    assert seen == [
        "first: a duplicate, 2",
        "first: a gap, 6 came after 3",
        "first: out of order, 5 came after 6",
        "second began without a NodeDown before it",
        "third began without a NodeDown before it",
        "third: a gap, 2 came after 0",
    ]
    assert books.streams["first"].last == 7
