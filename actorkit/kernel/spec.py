"""`Spec`: what all actors of one class and set of spawn options share.

Made by the system, once for each set; read by whatever makes, ends or supervises an actor.
"""

from __future__ import annotations

from typing import Any

from .inbox import Box, Inbox
from .twin import Plan

__all__ = ["Spec"]


class Spec(Plan):
    """What all actors of one class and set of spawn options share."""

    __slots__ = (
        "dedicated",
        "inbox",
        "judges",
        "on_start",
        "on_stop",
        "process",
        "restart",
        "shutdown",
    )

    def __init__(
        self,
        cls: type[Any],
        restart: str,
        shutdown: float,
        inbox: Inbox,
        base: type[Any],
    ) -> None:
        self.cls = cls
        self.restart = restart
        self.shutdown = shutdown
        self.inbox = inbox
        new: Any = cls.__new__
        self.new = None if new is object.__new__ else new
        self.init = cls.__init__
        self.receive = cls.receive
        self.on_start: bool = cls.on_start is not base.on_start
        self.on_stop: bool = cls.on_stop is not base.on_stop
        self.judges: bool = cls.on_child_failure is not base.on_child_failure
        self.process: bool = cls.run is not base.run
        self.dedicated: bool = self.process or bool(cls.dedicated)
        self.begins = self.on_start or self.dedicated
        self.bounded = not inbox.plain
        self.ordered_plainly = not self.on_stop
        self.plain_end = self.ordered_plainly and restart != "permanent"

    def make_box(self) -> Box:
        """The storage of an inbox that has limits."""
        return Box(self.inbox)
