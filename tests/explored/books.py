"""The books of a run: who told whom what, and where it went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import pairwise
from typing import Any

from actorkit import ActorRef, ActorSystem, DeadLetter


class Books:
    """Every message is a pair of its sender's name and a number that grows."""

    def __init__(self, *systems: ActorSystem) -> None:
        self.told: list[tuple[str, int]] = []
        self.dead: list[tuple[str, int]] = []
        #: Who handled what, in order.
        self.handled: list[tuple[Hashable, tuple[str, int]]] = []
        for system in systems:
            system.events.subscribe(DeadLetter, self._died)

    def _died(self, letter: DeadLetter) -> None:
        if isinstance(letter.message, tuple):
            self.dead.append(letter.message)

    def tell(self, ref: ActorRef[Any], sender: str) -> None:
        """Tell `ref` the next message of `sender`."""
        message = (sender, len(self.told))
        self.told.append(message)
        ref.tell(message)

    def note(self, receiver: Hashable, message: tuple[str, int]) -> None:
        """`receiver` handles `message` now."""
        self.handled.append((receiver, message))

    def check_each_is_in_one_place(self) -> None:
        """What was told was handled once, or became a dead letter once."""
        places = Counter([*self.dead, *(message for _, message in self.handled)])
        assert places == Counter(self.told)

    def check_order(self) -> None:
        """Of each pair the messages came in the order in which they were sent, and none twice."""
        pairs: dict[tuple[Hashable, str], list[int]] = {}
        for receiver, (sender, number) in self.handled:
            pairs.setdefault((receiver, sender), []).append(number)
        for numbers in pairs.values():
            assert all(one < other for one, other in pairwise(numbers)), numbers
