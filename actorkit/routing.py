"""Routers: actors that pass each message on to one, or all, of a set of members.

Built on the public API alone, but for method calls, which they pass on like messages.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from .actor import Actor, Reply
from .errors import ActorStopped, Refused
from .kernel import Inbox
from .messages import Call, Terminated
from .ref import ActorRef, LocalRef

__all__ = ["Broadcast", "ConsistentHash", "LeastLoaded", "Pool", "RoundRobin", "Router", "pool"]

#: Points of each member on the ring of `ConsistentHash`; more spread the keys more evenly.
RING_POINTS = 64


@dataclass(frozen=True, slots=True)
class Pool:
    """So many actors of one class, to be started by a router; made by `pool`."""

    size: int
    cls: type[Actor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def pool(
    size: int,
    cls: type[Actor],
    *args: Any,
    restart: str = "permanent",
    inbox: Inbox | None = None,
    shutdown: float = 5.0,
    **kwargs: Any,
) -> Pool:
    """`size` actors `cls(*args, **kwargs)` as the members of a router, and its children::

        workers = system.spawn(RoundRobin, pool(4, Worker), name="workers")

    `restart`, `inbox` and `shutdown` are those of `spawn`, and so is `on`. The router supervises
    them by its own `supervision` (subclass it to change that), unless they are on other nodes.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"a pool's size is an int >= 1, not {size!r}")
    if not (isinstance(cls, type) and issubclass(cls, Actor)):
        raise TypeError(f"pool(size, cls) takes a subclass of Actor, not {cls!r}")
    options = {"restart": restart, "inbox": inbox, "shutdown": shutdown}
    return Pool(size, cls, args, options | kwargs)


class Router(Actor):
    """The base of routers: override `choose` for one of your own.

    `members`: a `pool(...)`, whose actors become children, or references of any actors.
    A message or a method call goes to the chosen member, which answers the asker itself. A member
    that has ended is passed over; with none left a question fails with ActorStopped and a told
    message is a dead letter.
    """

    def __init__(self, members: Pool | Iterable[ActorRef[Any]]) -> None:
        if isinstance(members, Pool):
            here = members.kwargs.get("on") is None  # elsewhere they are nobody's children
            self._members: list[ActorRef[Any]] = [
                self.spawn(
                    members.cls,
                    *members.args,
                    name=str(number) if here else None,
                    **members.kwargs,
                )
                for number in range(1, members.size + 1)
            ]
        else:
            self._members = list(members)
            for ref in self._members:
                if not isinstance(ref, ActorRef):
                    raise TypeError(f"a router's members are a pool(...) or ActorRefs, not {ref!r}")
        for ref in self._members:
            self.watch(ref)

    def members(self) -> list[ActorRef[Any]]:
        """The living members, in order."""
        return list(self._members)

    def choose(self, message: Any) -> ActorRef[Any]:
        """The member that gets `message`; only called while there is one."""
        raise NotImplementedError

    def receive(self, message: Any) -> Any:
        if isinstance(message, Terminated) and message.ref in self._members:
            self._members.remove(message.ref)
            self.members_changed()
        elif self._members:
            self.route(message)
        else:
            reply = self.defer_reply()
            if reply.ready():
                self._own_cell()._dead_letter(message, "every member of the router has ended")
            path = self.ref.path
            reply.set_exception(ActorStopped(f"every member of {path} has ended", ref=self.ref))

    def route(self, message: Any) -> None:
        """Pass `message` on; `choose` says to whom."""
        self.forward(self.choose(message), message)

    def members_changed(self) -> None:
        """A member has ended; `members()` no longer has it."""

    def _on_call(self, call: Call) -> Any:
        return self.members() if call.name == "members" else self.receive(call)

    @classmethod
    def _check_method(cls, name: str) -> None:
        if name.startswith("_") or hasattr(Actor, name):
            super()._check_method(name)


class RoundRobin(Router):
    """Each message to the next member in turn."""

    _next = 0

    def choose(self, message: Any) -> ActorRef[Any]:
        chosen = self._members[self._next % len(self._members)]
        self._next = (self._next + 1) % len(self._members)
        return chosen


class LeastLoaded(Router):
    """Each message to the member with the fewest messages waiting or being handled.

    Equally loaded members take turns. Of a member on another node this router's own questions
    count that it has not answered: nothing tells here when a told message is done.
    """

    _next = 0

    def __init__(self, members: Pool | Iterable[ActorRef[Any]]) -> None:
        super().__init__(members)
        #: Unanswered questions to members on other nodes.
        self._asked: Counter[ActorRef[Any]] = Counter()

    def choose(self, message: Any) -> ActorRef[Any]:
        first = self._next % len(self._members)
        self._next = first + 1
        in_turn = self._members[first:] + self._members[:first]
        return min(in_turn, key=self._load)

    def route(self, message: Any) -> None:
        chosen = self.choose(message)
        reply = None if isinstance(chosen, LocalRef) else self.defer_reply()
        if reply is None or reply.ready():
            self.forward(chosen, message)
        else:
            self._ask(chosen, message, reply)

    def _ask(self, member: ActorRef[Any], message: Any, reply: Reply) -> None:
        """`forward`, and count it until it is answered."""

        def settle(answer: Any) -> None:
            self._asked[member] -= 1
            if answer.successful():
                reply.set(answer.value)
            else:
                reply.set_exception(answer.exception)

        answer = member.ask_nowait(message, None)
        self._asked[member] += 1
        answer.rawlink(settle)

    def _load(self, ref: ActorRef[Any]) -> int:
        return ref.inbox.load() if isinstance(ref, LocalRef) else self._asked[ref]


class Broadcast(Router):
    """Each message to every member. A question is answered by the list of their answers.

    The list has the order of the members; the first error among the answers is the asker's.
    """

    def route(self, message: Any) -> None:
        reply = self.defer_reply()
        if reply.ready():
            for member in self._members:
                self.forward(member, message)
            return
        answers = [member.ask_nowait(message, None) for member in self._members]
        left = len(answers)

        def collect(answer: Any) -> None:
            nonlocal left
            left -= 1
            if not answer.successful():
                reply.set_exception(answer.exception)
            elif not left:
                reply.set([answer.value for answer in answers])

        for answer in answers:
            answer.rawlink(collect)


class ConsistentHash(Router):
    """Each message to the member that its key belongs to, always the same while it lives.

    `key(message)` gives a str, bytes, number or a tuple of these; by default the message is its
    own key. When a member ends only its keys move (Karger et al. 1997).
    """

    def __init__(
        self,
        members: Pool | Iterable[ActorRef[Any]],
        key: Callable[[Any], Any] = lambda message: message,
    ) -> None:
        if not callable(key):
            raise TypeError(f"key must be a function of a message, not {key!r}")
        super().__init__(members)
        self._key = key
        self.members_changed()

    def members_changed(self) -> None:
        self._ring = sorted(
            (_point(f"{_node(ref)}{ref.path}#{number}"), position)
            for position, ref in enumerate(self._members)
            for number in range(RING_POINTS)
        )

    def choose(self, message: Any) -> ActorRef[Any]:
        key = self._key(message)
        if not _is_key(key):
            raise Refused(
                f"no key in {message!r}: key= must give a str, bytes, a number or a tuple of these,"
                f" not {type(key).__name__}"
            )
        place = bisect(self._ring, (_point(repr(key)), -1))
        return self._members[self._ring[place % len(self._ring)][1]]


def _node(ref: ActorRef[Any]) -> str:
    """The name of its node: members on several nodes may have the same path."""
    return urlsplit(ref.address).netloc.partition("@")[0]


def _is_key(key: Any) -> bool:
    if isinstance(key, tuple):
        return all(map(_is_key, key))
    return isinstance(key, str | bytes | int | float)


def _point(text: str) -> int:
    """A place on the ring, the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
