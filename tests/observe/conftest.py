"""Programs to look at, and to look with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from .programs import start_observer, start_town

Town = Callable[..., str]


@pytest.fixture
def town() -> Iterator[Town]:
    """`town("--branches", "5")` starts the program town.py, and gives its address."""
    with ExitStack() as running:
        yield partial(start_town, running)


@pytest.fixture
def observer() -> Iterator[Town]:
    """`observer(address)` starts `actorkit observe`, and gives the page's address."""
    with ExitStack() as running:
        yield partial(start_observer, running)
