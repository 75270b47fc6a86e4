"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from actorkit import ActorSystem
from tests.redis_server import RedisServer


@pytest.fixture
def system() -> Iterator[ActorSystem]:
    """A system of its own for the test; killed after it if it does not shut down in order."""
    with structlog.testing.capture_logs():
        system = ActorSystem("test")
        yield system
        system.shutdown(timeout=5)


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A real server, with nothing in it."""
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server (Debian: redis-server)")
    with tempfile.TemporaryDirectory() as directory:  # pytest's own may be too long for a socket
        server = RedisServer(Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.kill()
