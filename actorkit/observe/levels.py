"""How much a system lets others see of it: docs/observing.md says what each level shows."""

from __future__ import annotations

__all__ = ["INSPECT_LEVELS"]

#: Each level includes those before it.
INSPECT_LEVELS = ("off", "tree", "all", "control")
