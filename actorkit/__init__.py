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
    CodecError,
    ForkedSystem,
    HandshakeRefused,
    LinkedActorDied,
    NameTaken,
    NodeLost,
    NodeUnreachable,
    NotInActor,
    Refused,
    RemoteError,
    ReplyDropped,
    RestartOrdered,
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
    NodeUnresponsive,
    NodeUp,
)
from .futures import Future
from .kernel import Inbox, InboxQueue
from .log import use_stdlib_logging
from .messages import IdleTimeout, Reason, Terminated, message
from .ref import ActorRef
from .remote.pool import NodePool
from .remote.security import Curve, Insecure, generate_keys, load_keys
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
    "CodecError",
    "ConsistentHash",
    "Curve",
    "DeadLetter",
    "Directive",
    "EventStream",
    "ForkedSystem",
    "Future",
    "HandshakeRefused",
    "IdleTimeout",
    "Inbox",
    "InboxOverflow",
    "InboxQueue",
    "Insecure",
    "LeastLoaded",
    "LinkedActorDied",
    "NameTaken",
    "NodeDown",
    "NodeLost",
    "NodePool",
    "NodeUnreachable",
    "NodeUnresponsive",
    "NodeUp",
    "NotInActor",
    "OneForAll",
    "OneForOne",
    "Reason",
    "Refused",
    "RemoteError",
    "Reply",
    "ReplyDropped",
    "RestForOne",
    "RestartOrdered",
    "RoundRobin",
    "Router",
    "Strategy",
    "SystemStopped",
    "Terminated",
    "UnhandledMessage",
    "WrongThread",
    "generate_keys",
    "load_keys",
    "message",
    "pool",
    "use_stdlib_logging",
]
