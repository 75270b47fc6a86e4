"""Short soaks with a few seeds: the books balance. `python -m tests.soak` is the long one."""

from __future__ import annotations

import pytest
import structlog

from tests.soak import silence, soak


@pytest.mark.parametrize("seed", range(3))
def test_the_books_balance(seed: int) -> None:
    structlog.configure(processors=[silence])
    try:
        books = soak(1.0, (50, 300, 1000)[seed], seed)
    finally:
        structlog.reset_defaults()
    ends = ("handled", "dead letters", "dropped", "refused", "queued")
    assert books["told"] == sum(books[end] for end in ends)
    assert books["asked"] == books["answered"] + books["failed"]
    assert books["twice"] == books["missing"] == books["queued"] == books["stuck"] == 0
    assert books["handled"] > 0
