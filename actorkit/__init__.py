"""actorkit: actors for Python on gevent. Blocking-style code, a million actors, supervised."""

from __future__ import annotations

from .actor import Actor, Reply
from .errors import (
    ActorError,
    ActorExit,
    ActorNotFound,
    ActorStopped,
    AskDeadlock,
    AskTimeout,
    ForkedSystem,
    LinkedActorDied,
    NameTaken,
    NotInActor,
    Refused,
    ReplyDropped,
    SystemStopped,
    UnhandledMessage,
    WrongThread,
)
from .events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    DeadLetter,
    EventStream,
    InboxOverflow,
    NodeDown,
    NodeUp,
)
from .futures import Future
from .kernel import Inbox, InboxQueue
from .log import use_stdlib_logging
from .messages import IdleTimeout, Reason, Terminated
from .ref import ActorRef
from .routing import Broadcast, ConsistentHash, LeastLoaded, RoundRobin, Router, pool
from .supervision import Backoff, Directive, OneForAll, OneForOne, RestForOne, Strategy
from .system import ActorSystem

__all__ = [
    "Actor",
    "ActorError",
    "ActorExit",
    "ActorFailed",
    "ActorNotFound",
    "ActorRef",
    "ActorRestarted",
    "ActorStarted",
    "ActorStopped",
    "ActorSystem",
    "AskDeadlock",
    "AskTimeout",
    "Backoff",
    "Broadcast",
    "ConsistentHash",
    "DeadLetter",
    "Directive",
    "EventStream",
    "ForkedSystem",
    "Future",
    "IdleTimeout",
    "Inbox",
    "InboxOverflow",
    "InboxQueue",
    "LeastLoaded",
    "LinkedActorDied",
    "NameTaken",
    "NodeDown",
    "NodeUp",
    "NotInActor",
    "OneForAll",
    "OneForOne",
    "Reason",
    "Refused",
    "Reply",
    "ReplyDropped",
    "RestForOne",
    "RoundRobin",
    "Router",
    "Strategy",
    "SystemStopped",
    "Terminated",
    "UnhandledMessage",
    "WrongThread",
    "pool",
    "use_stdlib_logging",
]
