"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from actorkit import ActorSystem


@pytest.fixture
def system() -> Iterator[ActorSystem]:
    """A system of its own for the test; killed after it if it does not shut down in order."""
    with structlog.testing.capture_logs():
        system = ActorSystem("test")
        yield system
        system.shutdown(timeout=5)
