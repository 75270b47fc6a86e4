"""What runs for every message: cells, inboxes, the dispatcher, tell and ask.

Everything above (`actor`, `ref`, `system`) takes the kernel's names from here, and only these.
The pure Python kernel is the reference. `NAME` says which kernel runs.
"""

from __future__ import annotations

from .cell import RUNNING, STOPPED, Cell, Spec, State
from .dispatcher import Dispatcher, Worker
from .envelope import EMPTY, Envelope, Waiter
from .inbox import Box, Inbox, InboxQueue
from .life import Life
from .sender import Sender
from .spawn import spawn

__all__ = [
    "EMPTY",
    "NAME",
    "RUNNING",
    "STOPPED",
    "Box",
    "Cell",
    "Dispatcher",
    "Envelope",
    "Inbox",
    "InboxQueue",
    "Life",
    "Sender",
    "Spec",
    "State",
    "Waiter",
    "Worker",
    "spawn",
]

NAME = "pure"
