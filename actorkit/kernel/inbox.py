"""The queue of one actor: its declaration, its storage when it has limits, its public face.

An unlimited inbox is a plain deque in the cell. `Box` is the storage of one with a limit or a
priority; `InboxQueue` speaks gevent's queue words for either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Literal, overload

from gevent.queue import Full
from greenlet import getcurrent

from ..errors import NotInActor
from ..events import InboxOverflow
from ..messages import Call
from .terms import EMPTY
from .twin import Envelope, Waiter

if TYPE_CHECKING:
    from .cell import Cell
    from .dispatcher import Dispatcher

__all__ = ["Box", "Inbox", "InboxQueue", "Overflow"]

Overflow = Literal["block", "fail", "drop_new", "drop_old"]
_OVERFLOWS = ("block", "fail", "drop_new", "drop_old")


@dataclass(frozen=True, slots=True)
class Inbox:
    """How an actor's inbox behaves: a class attribute, or `spawn(..., inbox=Inbox(...))`.

    `maxsize`: the most user messages that wait, None for no limit. `overflow`, when it is full:
    "block" makes the sender wait, "fail" raises `gevent.queue.Full` at the sender, "drop_new" and
    "drop_old" drop the new message or the oldest one; drops are counted and published as
    `InboxOverflow`. `priority(message)` gives a key, lowest first, equal keys in order of arrival;
    method calls go ahead of messages.
    """

    maxsize: int | None = None
    overflow: Overflow = "block"
    priority: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if self.maxsize is not None and (
            not isinstance(self.maxsize, int) or isinstance(self.maxsize, bool) or self.maxsize < 1
        ):
            raise ValueError(f"maxsize must be an int >= 1, or None for no limit: {self.maxsize!r}")
        if self.overflow not in _OVERFLOWS:
            raise ValueError(f"overflow must be one of {_OVERFLOWS}, not {self.overflow!r}")
        if self.priority is not None and not callable(self.priority):
            raise TypeError(f"priority must be a function of a message, not {self.priority!r}")

    @overload
    def __get__(self, actor: None, owner: type[Any]) -> Inbox: ...
    @overload
    def __get__(self, actor: object, owner: type[Any]) -> InboxQueue: ...
    def __get__(self, actor: Any, owner: type[Any]) -> Inbox | InboxQueue:
        """The declaration on the class, the live queue on an actor."""
        return self if actor is None else InboxQueue(actor._cell)

    @property
    def plain(self) -> bool:
        return self.maxsize is None and self.priority is None


class _Putter(Waiter):
    """A sender that waits for room."""

    __slots__ = ("dispatcher", "error", "expired", "message")

    def __init__(self, message: Any, dispatcher: Dispatcher) -> None:
        super().__init__()
        self.message = message
        self.dispatcher = dispatcher
        self.expired = False
        self.error: Exception | None = None

    def release(self) -> None:
        """Its message has a place, or nobody to go to: the sender goes on."""
        self.message = EMPTY
        if self.greenlet is not None:
            self.dispatcher.schedule(self)


def exempt(message: Any) -> bool:
    """Whether it is a timer's message or a mark of our own, which always finds room."""
    return type(message) is Envelope and message.gate is not None


def payload(message: Any) -> Any:
    """What the sender sent, without our envelope."""
    return message.message if type(message) is Envelope else message


class Box:
    """Storage with a limit, an order of its own, or both."""

    __slots__ = (
        "_exempt",
        "_heap",
        "_items",
        "_putters",
        "_seq",
        "dropped",
        "maxsize",
        "overflow",
        "priority",
    )

    def __init__(self, inbox: Inbox) -> None:
        self.maxsize = inbox.maxsize
        self.overflow = inbox.overflow
        self.priority = inbox.priority
        self.dropped = 0
        self._items: deque[Any] = deque()
        self._heap: list[tuple[int, Any, int, Any]] = []
        self._seq = 0
        self._exempt = 0
        self._putters: deque[_Putter] = deque()

    def __len__(self) -> int:
        return len(self._heap) if self.priority is not None else len(self._items)

    def full(self) -> bool:
        return self.maxsize is not None and len(self) - self._exempt >= self.maxsize

    def put(self, cell: Cell, message: Any, block: bool, timeout: float | None) -> None:
        """Store `message`, or do what the policy says."""
        if not self.full() or exempt(message):
            self._store(message)
        elif self.overflow == "drop_new":
            self._drop(cell, message)
            return
        elif self.overflow == "drop_old":
            self._drop(cell, self._pop_oldest())
            self._store(message)
        elif self.overflow == "fail" or not block or _cannot_wait(cell):
            raise Full(f"the inbox of {cell.path} is full ({self.maxsize} messages)")
        else:
            self._wait_for_room(cell, message, timeout)
            return
        cell._get_life().mail()

    def take(self, match: Callable[[Any], bool] | None = None) -> Any:
        """The next message (the next one that matches), or EMPTY; a waiting sender moves up."""
        message = self._pop(match)
        while self._putters and not self.full():
            putter = self._putters.popleft()
            try:
                self._store(putter.message)
            except Exception as error:  # its key does not fit: the sender's fault
                putter.error = error
            putter.release()
        return message

    def peek(self) -> Any:
        if self.priority is not None:
            return self._heap[0][3] if self._heap else EMPTY
        return self._items[0] if self._items else EMPTY

    def put_back(self, messages: Iterable[Any]) -> None:
        """Put messages that were taken before in front again, in their order."""
        returned = list(messages)
        self._exempt += sum(map(exempt, returned))
        if self.priority is None:
            self._items.extendleft(reversed(returned))
            return
        self._seq += len(returned)
        for position, message in enumerate(returned):
            self._heap.append(self._entry(message, position - self._seq))
        heapify(self._heap)

    def drain(self) -> list[Any]:
        """Take everything out, the messages of waiting senders too, and let those go."""
        if self.priority is not None:
            messages = [entry[3] for entry in sorted(self._heap, key=lambda entry: entry[:3])]
            self._heap.clear()
        else:
            messages = list(self._items)
            self._items.clear()
        self._exempt = 0
        for putter in self._putters:
            messages.append(putter.message)
            putter.release()
        self._putters.clear()
        return messages

    def _store(self, message: Any) -> None:
        if self.priority is None:
            self._items.append(message)
            self._exempt += exempt(message)
            return
        self._seq += 1
        entry = self._entry(message, self._seq)
        try:
            heappush(self._heap, entry)
        except TypeError:
            self._heap[:] = [other for other in self._heap if other is not entry]
            heapify(self._heap)
            raise TypeError(
                f"priority= gave {entry[1]!r}, which cannot be compared with the keys of messages"
                " that wait"
            ) from None
        self._exempt += exempt(message)

    def _entry(self, message: Any, seq: int) -> tuple[int, Any, int, Any]:
        """Method calls go ahead, then messages by their keys, then a mark behind all of them."""
        content = payload(message)
        if type(content) is Call:
            return (0, 0, seq, message)
        if content is EMPTY:
            return (2, 0, seq, message)
        return (1, self.priority(content), seq, message)  # type: ignore[misc]

    def _pop(self, match: Callable[[Any], bool] | None) -> Any:
        message = self._remove(match)
        self._exempt -= exempt(message)
        return message

    def _pop_oldest(self) -> Any:
        """The message that has waited longest; there is one, since the inbox is full."""
        if self.priority is None:
            return take_matching(self._items, lambda message: not exempt(message))
        oldest = min((e for e in self._heap if not exempt(e[3])), key=lambda entry: entry[2])
        self._heap.remove(oldest)
        heapify(self._heap)
        return oldest[3]

    def _remove(self, match: Callable[[Any], bool] | None) -> Any:
        if self.priority is not None:
            if match is None:
                return heappop(self._heap)[3] if self._heap else EMPTY
            for entry in sorted(self._heap, key=lambda entry: entry[:3]):
                if match(entry[3]):
                    self._heap.remove(entry)
                    heapify(self._heap)
                    return entry[3]
            return EMPTY
        if match is None:
            return self._items.popleft() if self._items else EMPTY
        return take_matching(self._items, match)

    def _drop(self, cell: Cell, message: Any) -> None:
        self.dropped += 1
        if type(message) is Envelope:
            if message.cell is not None:
                message.fail(Full(f"the inbox of {cell.path} is full and dropped this question"))
            message = message.message
        events = cell._host.events
        if events.wants(InboxOverflow):
            events.publish(InboxOverflow(cell._ref, message, self.overflow, self.dropped))

    def _wait_for_room(self, cell: Cell, message: Any, timeout: float | None) -> None:
        dispatcher = cell._dispatcher
        putter = _Putter(message, dispatcher)
        self._putters.append(putter)
        timer = None
        if timeout is not None:

            def expire() -> None:
                if putter.message is not EMPTY:
                    putter.expired = True
                    self._putters.remove(putter)
                    dispatcher.schedule(putter)

            timer = dispatcher.timers.after(timeout, expire)
        try:
            dispatcher.suspend(putter)
        finally:
            if timer is not None:
                timer.cancel()
            if putter.message is not EMPTY and not putter.expired:  # thrown out of the wait
                self._putters.remove(putter)
        if putter.error is not None:
            raise putter.error
        if putter.expired:
            if type(message) is Envelope and message.cell is not None:
                message.expire()
            else:
                raise Full(f"the inbox of {cell.path} stayed full for {timeout} s")


def take_matching(queue: deque[Any], match: Callable[[Any], bool]) -> Any:
    """Take the first message that matches out of a deque; the rest keep their order."""
    for index, message in enumerate(queue):
        if match(message):
            del queue[index]
            return message
    return EMPTY


def _cannot_wait(cell: Cell) -> bool:
    """The actor itself would wait for ever; the hub must not wait at all."""
    me = getcurrent()
    return me is cell._dispatcher.hub or getattr(me, "cell", None) is cell


class InboxQueue:
    """An actor's inbox in the words of `gevent.queue.Queue`.

    `ref.inbox.put(message)` is `tell` from anywhere. Reading (`get`, `peek`) is for the actor
    itself, in its own turn: `self.inbox.get()` in a process-style `run`, or within a `receive`
    that waits for certain messages only.
    """

    __slots__ = ("_cell",)

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    @property
    def maxsize(self) -> int | None:
        """The limit of user messages, None where there is none."""
        return self._cell._spec.inbox.maxsize

    @property
    def dropped(self) -> int:
        """Messages that the overflow policy dropped so far."""
        box = self._cell._box
        return 0 if box is None else box.dropped

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Send `item`; on a full inbox wait up to `timeout` seconds. Raises Full."""
        self._cell._offer(item, block, timeout)

    def put_nowait(self, item: Any) -> None:
        """Send `item` or raise Full at once."""
        self.put(item, block=False)

    def get(
        self,
        block: bool = True,
        timeout: float | None = None,
        match: type | tuple[type, ...] | Callable[[Any], Any] | None = None,
    ) -> Any:
        """Take the next message, waiting up to `timeout` seconds; raises Empty.

        `match`: a type, a tuple of types or a predicate: take the first message that fits and
        leave the others in their order (Erlang's selective receive).
        """
        return self._reader().next(match, block, timeout)

    def get_nowait(self) -> Any:
        """Take the next message or raise Empty."""
        return self.get(block=False)

    def peek(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next message without taking it; raises Empty."""
        return self._reader().next(None, block, timeout, peek=True)

    def peek_nowait(self) -> Any:
        """The next message without taking it, or raise Empty at once."""
        return self.peek(block=False)

    def qsize(self) -> int:
        """User messages that wait."""
        cell = self._cell
        size = 0 if cell._first is EMPTY else 1
        if cell._inbox is not None:
            size += len(cell._inbox)
        if cell._box is not None:
            size += len(cell._box)
        return size

    def load(self) -> int:
        """Messages that wait, and the one being handled."""
        life = self._cell._life
        resting = self._cell._idle or (life is not None and life.held)
        return self.qsize() + (not resting)

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        box = self._cell._box
        return box is not None and box.full()

    def __len__(self) -> int:
        return self.qsize()

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<inbox of {self._cell.path}: {self.qsize()} of {self.maxsize or 'any number'}>"

    def _reader(self) -> Any:
        if getattr(getcurrent(), "cell", None) is not self._cell:
            raise NotInActor("only the actor itself reads its inbox; others put, tell or ask")
        return self._cell._get_life().get_reader()
