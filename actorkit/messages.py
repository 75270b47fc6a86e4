"""What actorkit itself says to actors: reasons, system messages, method calls.

Plain values without behaviour. Imports nothing of the package but types.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ref import ActorRef

__all__ = ["Call", "IdleTimeout", "Reason", "Terminated"]


class Reason(enum.Enum):
    """Why an actor ended."""

    NORMAL = "normal"  #: it stopped itself, its `run` returned, or `ref.stop()` asked for it
    SHUTDOWN = "shutdown"  #: its parent or its system stopped
    KILLED = "killed"  #: `ref.kill()`, or it did not stop within its shutdown time
    FAILED = "failed"  #: an error that supervision did not mend
    NODE_LOST = "node_lost"  #: the connection to its node broke
    NOT_FOUND = "not_found"  #: there never was such an actor, or it was gone already


@dataclass(frozen=True, slots=True)
class Terminated:
    """Sent to everyone who watches `ref` when it has ended for good."""

    ref: ActorRef[Any]
    reason: Reason
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """No message came for the `seconds` that `Actor.idle_timeout` named."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """A method call as a message: what `proxy()`, `call` and `cast` send."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
