"""The books of numbered messages: what may not happen to them, whatever the fault.

Pure. A *stream* is what one node sends another within one association: 1, 2, 3 and so on. A
member of a trial keeps one `Books` for what comes in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Books", "Stream"]


@dataclass
class Stream:
    """What came of one stream."""

    last: int = 0
    received: int = 0
    missing: set[int] = field(default_factory=set)


class Books:
    """Enters what arrives, and tells `violation` what breaks the guarantees.

    `downs` counts the `NodeDown`s by node: a new stream of a node that had one before is right
    only after a `NodeDown`, else what was lost between the two would be a silent gap.
    """

    def __init__(self, violation: Callable[[str], Any]) -> None:
        self.streams: dict[str, Stream] = {}
        self.begun: Counter[str] = Counter()
        self.downs: Counter[str] = Counter()
        self._violation = violation

    def arrived(self, sender: str, name: str, number: int) -> None:
        """Message `number` of stream `name` of node `sender` came in."""
        stream = self.streams.get(name)
        if stream is None:
            if self.begun[sender] > self.downs[sender]:
                self._violation(f"{name} began without a NodeDown before it")
            self.begun[sender] += 1
            stream = self.streams[name] = Stream()
        stream.received += 1
        if number > stream.last:
            if number > stream.last + 1:
                self._violation(f"{name}: a gap, {number} came after {stream.last}")
                stream.missing.update(range(stream.last + 1, number))
            stream.last = number
        elif number in stream.missing:
            stream.missing.discard(number)
            self._violation(f"{name}: out of order, {number} came after {stream.last}")
        else:
            self._violation(f"{name}: a duplicate, {number}")
