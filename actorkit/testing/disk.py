"""The simulated disk of a node: what was synced outlives a crash, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from copy import deepcopy
from typing import Any

from .loop import touch
from .reduction import WRITE

__all__ = ["Disk"]


class Disk(MutableMapping[str, Any]):
    """A store of values by name, a dict that must be synced::

        disk = sim.disk("alpha")
        disk["term"] = 7
        disk.sync()             # without it a crash takes the 7 back

    Values are copied on the way in and out, as a disk does.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._written: dict[str, Any] = {}
        self._synced: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        self._touch("read")
        return deepcopy(self._written[name])

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"names on a disk are str, not {name!r}")
        self._touch()
        self._written[name] = deepcopy(value)

    def __delitem__(self, name: str) -> None:
        self._touch()
        del self._written[name]

    def __iter__(self) -> Iterator[str]:
        self._touch("read")
        return iter(self._written)

    def __len__(self) -> int:
        self._touch("read")
        return len(self._written)

    def sync(self) -> None:
        """Make everything written until now safe from crashes."""
        self._touch()
        self._synced = dict(self._written)

    def lose_unsynced(self) -> None:
        """What a power cut does."""
        self._written = dict(self._synced)

    def _touch(self, way: str = WRITE) -> None:
        touch(("disk", self._name), way)

    def __repr__(self) -> str:
        return f"<Disk {self._written!r}>"
