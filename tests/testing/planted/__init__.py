"""Small programs with one concurrency mistake each, and their repaired twins.

A module has `broken(sim)` and `repaired(sim)`, and `failures` where actors may fail by design.
`python -m tests.testing.planted` prints how many seeds each mistake takes, and how small it gets.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

NAMES = [
    "charged_twice",
    "check_then_act",
    "forgotten_reply",
    "full_inboxes",
    "late_timer",
    "lost_news",
    "lost_update",
    "raft",
    "stale_cache",
    "stale_lock",
    "starvation",
    "two_leaders",
    "two_senders",
    "unsynced",
    "wrong_asker",
]


def load(name: str) -> Any:
    """The module of a planted mistake."""
    return import_module(f"{__name__}.{name}")
