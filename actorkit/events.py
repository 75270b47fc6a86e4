"""The event stream of a system: who wants to know what happens, gets it here.

Events are frozen dataclasses, but for `ActorStopped`, which is the error of that name too.
`ActorSystem.events` is an `EventStream`; the kernel publishes.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ActorStopped
from .log import get_logger

if TYPE_CHECKING:
    from .ref import ActorRef

__all__ = [
    "ActorFailed",
    "ActorRestarted",
    "ActorStarted",
    "ActorStopped",
    "DeadLetter",
    "EventStream",
    "InboxOverflow",
    "NodeDown",
    "NodeUnresponsive",
    "NodeUp",
]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`message` could not be delivered to `ref`; `reason` says why in words."""

    message: Any
    ref: ActorRef[Any]
    reason: str


@dataclass(frozen=True, slots=True)
class ActorStarted:
    """`ref` was spawned."""

    ref: ActorRef[Any]


@dataclass(frozen=True, slots=True)
class ActorFailed:
    """`ref` raised `error`; its supervisor decides what follows."""

    ref: ActorRef[Any]
    error: BaseException


@dataclass(frozen=True, slots=True)
class ActorRestarted:
    """`ref` has a new instance; `restarts` counts them over its life."""

    ref: ActorRef[Any]
    error: BaseException | None
    restarts: int


@dataclass(frozen=True, slots=True)
class InboxOverflow:
    """A bounded inbox dropped `message` by its `overflow` policy; `dropped` counts them."""

    ref: ActorRef[Any]
    message: Any
    overflow: str
    dropped: int


@dataclass(frozen=True, slots=True)
class NodeUp:
    """An association with node `name` stands."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class NodeDown:
    """The association with node `name` ended; `reason` says why in words."""

    name: str
    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class NodeUnresponsive:
    """Node `name` has said nothing for `seconds`, though its connection stands."""

    name: str
    address: str
    seconds: float


Subscriber = Any  # an ActorRef, or a callable of one event


class EventStream:
    """Publish and subscribe by type of event::

        system.events.subscribe(DeadLetter | ActorFailed, print)
        system.events.subscribe(ActorStopped, audit_ref)

    A reference gets the event as a message. A callable is called in place, in whatever greenlet
    publishes: it must be short and must not block; what it raises is logged and goes no further.
    """

    __slots__ = ("_routes", "ends", "starts", "subscriptions")

    def __init__(self) -> None:
        #: Pairs of classes and who gets them.
        self.subscriptions: list[tuple[tuple[type, ...], Subscriber]] = []
        #: What `wants` says of `ActorStarted` and `ActorStopped`, for those who ask all the time.
        self.starts = self.ends = False
        self._routes: dict[type, list[Callable[[Any], Any]]] = {}

    def subscribe(self, kinds: Any, subscriber: Subscriber) -> None:
        """Give every event of `kinds` (a class, a union or a tuple of classes) to `subscriber`.

        Raises TypeError for kinds that are no classes and subscribers that are neither a
        reference nor callable.
        """
        classes = _classes(kinds)
        if not (callable(subscriber) or hasattr(subscriber, "tell")):
            raise TypeError(f"subscribe an ActorRef or a callable, not {subscriber!r}")
        self.subscriptions.append((classes, subscriber))
        self._subscriptions_changed()

    def unsubscribe(self, subscriber: Subscriber, kinds: Any = object) -> None:
        """End the subscriptions of `subscriber` to `kinds` (all when not given)."""
        classes = _classes(kinds)
        kept: list[tuple[tuple[type, ...], Subscriber]] = []
        for subscribed, other in self.subscriptions:
            if other == subscriber:
                subscribed = tuple(k for k in subscribed if not issubclass(k, classes))
            if subscribed:
                kept.append((subscribed, other))
        self.subscriptions = kept
        self._subscriptions_changed()

    def wants(self, kind: type) -> bool:
        """Whether anybody would get an event of this class: ask before making a costly one."""
        return bool(self.subscriptions) and bool(self._route(kind))

    def publish(self, event: Any) -> None:
        """Give `event` to everyone who subscribed to its class or a base of it."""
        if not self.subscriptions:
            return
        for deliver in self._route(type(event)):
            try:
                deliver(event)
            except Exception:
                get_logger().exception("event subscriber failed", event_type=type(event).__name__)

    def _subscriptions_changed(self) -> None:
        self._routes.clear()
        self.starts = self.wants(ActorStarted)
        self.ends = self.wants(ActorStopped)

    def _route(self, kind: type) -> list[Callable[[Any], Any]]:
        route = self._routes.get(kind)
        if route is None:
            route = self._routes[kind] = [
                subscriber.tell if hasattr(subscriber, "tell") else subscriber
                for classes, subscriber in self.subscriptions
                if issubclass(kind, classes)
            ]
        return route


def _classes(kinds: Any) -> tuple[type, ...]:
    if isinstance(kinds, types.UnionType):
        kinds = typing.get_args(kinds)
    classes = kinds if isinstance(kinds, tuple) else (kinds,)
    for kind in classes:
        if not isinstance(kind, type):
            raise TypeError(f"name event classes such as DeadLetter | ActorFailed, not {kind!r}")
    return classes
