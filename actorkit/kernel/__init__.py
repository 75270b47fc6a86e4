"""What runs for every message: cells, inboxes, the dispatcher, tell and ask.

Everything above (`actor`, `ref`, `system`) takes the kernel's names from here, and only these.
What runs for every message exists twice, in `pure/` (the reference) and in `compiled/`; `twin.py`
chooses, and `NAME` says which runs. The rest is Python and exists once.
"""

from __future__ import annotations

from .cell import Cell
from .dispatcher import Dispatcher, Worker, own_worker
from .inbox import Box, Inbox, InboxQueue
from .life import Life
from .spec import Spec
from .task import Task
from .terms import EMPTY, RUNNING, STOPPED, State
from .twin import BUILT, NAME, Envelope, Waiter, make_instance, spawn, with_short_way

__all__ = [
    "BUILT",
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
    "Spec",
    "State",
    "Task",
    "Waiter",
    "Worker",
    "make_instance",
    "own_worker",
    "spawn",
    "with_short_way",
]
