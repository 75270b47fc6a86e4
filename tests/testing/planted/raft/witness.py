"""What the servers of a run did, and which of Raft's promises they broke. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Entry

__all__ = ["Witness"]


class Witness:
    """Is told of every leader, log and commit, and keeps the first of each kind to compare."""

    def __init__(self) -> None:
        #: For each term, who has led in it.
        self.leaders: dict[int, set[str]] = {}
        #: For each index and term of an entry, its command and the term of the entry before.
        self.entries: dict[tuple[int, int], tuple[Any, int]] = {}
        #: For each index, what was applied first, and the term in which it was committed.
        self.applied: dict[int, tuple[Entry, int]] = {}
        #: The promises that were broken.
        self.broken: set[str] = set()

    def keeps(self, promise: str) -> bool:
        """Whether this promise holds so far."""
        return promise not in self.broken

    def leads(self, name: str, term: int, log: Sequence[Entry]) -> None:
        self.leaders.setdefault(term, set()).add(name)
        if len(self.leaders[term]) > 1:
            self.broken.add("election safety")
        for index, (entry, committed_in) in self.applied.items():
            if committed_in < term and (len(log) < index or log[index - 1] != entry):
                self.broken.add("leader completeness")

    def has(self, name: str, log: Sequence[Entry]) -> None:
        term_before = 0
        for index, entry in enumerate(log, 1):
            known = self.entries.setdefault((index, entry.term), (entry.command, term_before))
            if known != (entry.command, term_before):
                self.broken.add("log matching")
            term_before = entry.term

    def applies(self, name: str, index: int, entry: Entry, term: int) -> None:
        first, _ = self.applied.setdefault(index, (entry, term))
        if first != entry:
            self.broken.add("state machine safety")
