"""Reading one's own inbox: `self.inbox.get` and `peek`, with Erlang's selective receive.

For the actor itself, in its own turn: a process-style `run`, or a `receive` that waits for certain
messages only. Uses cell, inbox and dispatcher; a `Life` makes its `Reader` on first need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent.queue import Empty

from ..errors import ActorExit, Refused, ReplyDropped
from ..messages import Call
from ..timers import Timer
from .asking import check_timeout
from .dispatcher import Worker, own_worker
from .inbox import payload
from .terms import EMPTY
from .twin import Envelope, Waiter

if TYPE_CHECKING:
    from .life import Life

__all__ = ["Reader", "close_question"]


class Reader:
    """Takes messages out of one actor's inbox on the actor's own greenlet."""

    __slots__ = ("_life", "_passed_over", "_stale", "_waiter")

    def __init__(self, life: Life) -> None:
        self._life = life
        #: The actor's greenlet while it waits for mail.
        self._waiter: Waiter | None = None
        #: Messages that a selective `get` has passed over and not yet put back.
        self._passed_over: list[Any] = []
        #: Entries of the cell in the ready deque that nobody waits for any more.
        self._stale = 0

    @property
    def waiting(self) -> bool:
        return self._waiter is not None

    def takes_turn(self, worker: Worker) -> bool:
        """Resume the greenlet that waits for mail; False when the turn is not meant for it."""
        if self._stale:
            self._stale -= 1
            return True
        waiter = self._waiter
        if waiter is None:
            return False
        self._waiter = None
        target = waiter._step(worker)
        if target is not None:
            worker.dispatcher.hand_to(worker, target)
        return True

    def next(self, match: Any, block: bool, timeout: float | None, peek: bool = False) -> Any:
        """The next message that matches, taken out of the inbox unless `peek`; raises Empty."""
        life = self._life
        cell = life.cell
        worker = own_worker(cell)
        timers = cell._dispatcher.timers
        matches = _matcher(match)
        deadline = None if timeout is None else timers.clock() + check_timeout(timeout)
        if not peek:
            close_question(worker)
        timer: Timer | None = None
        try:
            while True:
                if life.run_signals():
                    raise ActorExit(f"{cell.path} was told to stop")
                message = self._peek() if peek else self._take(matches)
                if message is not EMPTY:
                    if not peek:
                        message = self._open_seen(worker, message)
                    elif type(message) is Envelope:
                        message = message.message
                    if message is not EMPTY:
                        return message
                elif not block or (deadline is not None and timers.clock() >= deadline):
                    raise Empty
                else:
                    if deadline is not None and timer is None:
                        timer = timers.at(deadline, self._look_again)
                    self._await_mail(Waiter())
        finally:
            if timer is not None:
                timer.cancel()
            if self._passed_over:
                passed_over, self._passed_over = self._passed_over, []
                life.put_back(passed_over)

    def _take(self, matches: Callable[[Any], bool] | None) -> Any:
        """The next message that matches; what does not is kept aside until `get` returns."""
        life = self._life
        if matches is None:
            return life.take()
        for index, message in enumerate(life.front):
            if matches(message):
                return life.front.pop(index)
        if life.box is not None:
            return life.box.take(matches)
        front, life.front = life.front, []
        try:
            while (message := life.take()) is not EMPTY:
                self._passed_over.append(message)  # before `matches`, which may raise
                if matches(message):
                    return self._passed_over.pop()
        finally:
            life.front = front
        return EMPTY

    def _peek(self) -> Any:
        life = self._life
        cell = life.cell
        if life.front:
            return life.front[0]
        if cell._first is not EMPTY:
            return cell._first
        if cell._box is not None:
            return cell._box.peek()
        return cell._inbox[0] if cell._inbox else EMPTY

    def _look_again(self) -> None:
        """The time of a `get` is over: let its greenlet see that."""
        cell = self._life.cell
        if self._waiter is not None and (cell._idle or self._life.held):
            cell._idle = self._life.held = False
            cell._dispatcher.schedule(cell)

    def _await_mail(self, waiter: Waiter) -> None:
        life = self._life
        cell = life.cell
        cell._handler = None
        self._waiter = waiter
        if cell._box is None:
            cell._inbox = None
            cell._idle = True
        else:
            life.held = True
        try:
            cell._dispatcher.suspend(waiter)
        except BaseException:
            if self._waiter is waiter and not (cell._idle or life.held):
                self._stale += 1
            raise
        finally:
            self._waiter = None
            cell._idle = life.held = False

    def _open_seen(self, worker: Worker, message: Any) -> Any:
        """`_open`, shown to whoever looks at the actor's messages."""
        tap = self._life.tap
        ended = None if tap is None else tap(message)
        if ended is None:
            return self._open(worker, message)
        handled = False
        try:
            message = self._open(worker, message)
            handled = True
        finally:
            ended(handled)
        return message

    def _open(self, worker: Worker, message: Any) -> Any:
        """The message for `get` to return, EMPTY when it was dealt with here."""
        life = self._life
        life.cell._handled += 1
        life.touch()
        if type(message) is not Envelope:
            return message
        if message.gate is not None and not message.gate():
            return EMPTY
        if type(message.message) is not Call:
            worker.envelope = message
            if message.trace is not None and life.cell._spec.process:
                message.trace.open(life.cell, message.message)
            return message.message
        try:
            message.deliver(worker, life.behaviour, life.cell._instance)
        except Refused as error:
            worker.envelope = None
            message.fail(error)
        except Exception as error:
            worker.envelope = None
            message.fail(life.noted(error))
            raise
        return EMPTY


def close_question(worker: Worker, error: BaseException | None = None) -> None:
    """A question taken from the inbox and neither answered nor deferred is lost by now."""
    envelope = worker.envelope
    if envelope is not None:
        worker.envelope = None
        if envelope.trace is not None:
            envelope.trace.close(error)
        if not envelope.passed and envelope.cell is not None and not envelope.done:
            path = envelope.cell.path
            envelope.fail(ReplyDropped(f"{path} read this question and did not answer it"))


def _matcher(match: Any) -> Callable[[Any], bool] | None:
    if match is None:
        return None
    if isinstance(match, type | tuple):
        types = match

        def by_type(message: Any) -> bool:
            message = payload(message)
            return isinstance(message, types) or type(message) is Call

        return by_type
    if not callable(match):
        raise TypeError(f"match must be a type, a tuple of types or a predicate, not {match!r}")

    def by_predicate(message: Any) -> bool:
        message = payload(message)
        return message is EMPTY or type(message) is Call or bool(match(message))

    return by_predicate
