"""The words that both kernels and everything above them share: states, protocols, limits.

Uses nothing of the package but types. Both kernels are built on it, and so are the parts that exist
once.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from ..events import EventStream
    from ..observe.failures import Failures
    from .cell import Cell
    from .twin import Plan

__all__ = [
    "EMPTY",
    "MAX_PARKED",
    "MAX_SPARE",
    "RUNNING",
    "STOPPED",
    "STRIDE",
    "Host",
    "Sink",
    "State",
]

#: The most messages of one cell in one turn, and between two looks at the clock.
STRIDE = 64
#: Idle worker greenlets kept for the next burst of blocking actors.
MAX_PARKED = 1024
#: Empty queues kept for the next inbox that needs one.
MAX_SPARE = 1024


class _Empty:
    __slots__ = ()

    def __repr__(self) -> str:
        return "EMPTY"


#: Stands where no message is; `None` is a message like any other.
EMPTY: Any = _Empty()


class State(enum.Enum):
    """Where an actor is in its life. `Life` makes every transition, `Cell.end` the last one."""

    STARTING = "starting"  #: made; `on_start` has not ended
    RUNNING = "running"  #: handles messages
    FAILED = "failed"  #: waits for its supervisor's decision
    RESTARTING = "restarting"  #: the old instance is ending, or the new one is due or starting
    STOPPING = "stopping"  #: its children, then it, are ending
    STOPPED = "stopped"  #: over, for good


RUNNING = State.RUNNING
STOPPED = State.STOPPED


class Host(Protocol):
    """What the kernel needs of the system that an actor belongs to."""

    name: str
    events: EventStream
    stopping: bool
    failures: Failures
    late_answers: int  #: answers that came second, or when the asker had gone

    @property
    def departed(self) -> MutableMapping[Plan, int] | None:
        """Messages that actors of each kind had handled when they ended; None if nobody counts."""

    #: The class of its cells: what users know as references.
    cell_type: ClassVar[type[Cell]]


class Sink(Protocol):
    """Where the answer to a question goes when no greenlet waits in `ask` itself."""

    def settle(self, value: Any, error: BaseException | None) -> None: ...
