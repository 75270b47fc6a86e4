"""The dispatcher: it runs every actor of one gevent hub on a handful of shared greenlets.

An idle actor is a `Cell`, a small object without a greenlet. How it runs:

* **Ready deque.** A cell that gets mail while idle is put once at the end of `ready`. A greenlet
  that waits for another actor (in `ask`, a full inbox, `inbox.get`) and has got what it waits for
  is an entry of the same deque (`Waiter`).
* **Active worker.** One `Worker` greenlet, the active one, takes entries from the left. For a cell
  it calls `receive` directly, message after message: no switch for each message. For a waiter it
  parks itself and switches straight to the waiting greenlet, which becomes the active one.
* **Pump.** `receive` may block anywhere: in a socket, a sleep, a lock. Blocking means switching to
  the hub, and there a callback, the pump, has been standing since before the turn began. It sees
  that the active worker is blocked and makes another one active, from the parked ones or new. When
  the blocked one wakes later, it sees that it is active no more, finishes its actor's turn and
  parks itself. So thousands of actors can block at once, and one that does not block pays nothing.
* **Own waits.** A worker that waits for another actor need not visit the hub: `suspend` makes
  another worker active and switches to it directly. The same serves the main greenlet and any
  other that asks.
* **Time slice.** After `SLICE` seconds of turns, looked at every few messages (`STRIDE`, fewer
  when turns are long), the active worker hands control to the hub, so that sockets and timers are
  served under full load. Its way back is a timer of zero seconds. A `run_callback` would be the
  trap: gevent runs up to fifty callbacks before it looks at the time or at a socket, new ones
  included. For the same reason the deadline belongs to the turn of the hub's loop: every worker
  that the pump makes active within that turn inherits it.
* **Sleep.** With nothing ready, nothing stands on the loop; `schedule` is then `_wake`, which puts
  the pump back, and otherwise plainly the deque's `append`.

Workers are shared, so nothing may leak from one actor's turn into another's: a worker has a context
(of `contextvars`) and takes a new one when a message has set something in it; a `gevent.Timeout`
that outlives its turn fires into the void (`TurnGuard`).

Invariants: awake means that the pump or the slice timer stands on the loop; a cell is in `ready`,
in a turn, idle or held, exactly one of them; `active` is the only worker that takes from `ready`.

Uses: gevent's hub, timers. Used by: cells, tell and ask. Nothing else touches greenlets.
"""

from __future__ import annotations

import os
import random
import time
import weakref
from collections.abc import Callable
from contextvars import Context
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import gevent.timeout
from gevent import get_hub
from greenlet import GreenletExit, getcurrent

from ..errors import ForkedSystem, NotInActor, WrongThread
from ..timers import TimeoutWheel, Timers
from .terms import EMPTY, STRIDE
from .twin import Envelope, Switch, Turns, get_ident

if TYPE_CHECKING:
    from ..observe.sampling import Sampler
    from .cell import Cell

__all__ = ["SLICE", "Dispatcher", "TurnGuard", "Worker", "await_answer", "own_worker"]

#: Seconds of turns between two looks at sockets and timers.
SLICE = 0.001
#: How often in a slice the clock is looked at when turns are long.
LOOKS_PER_SLICE = 10

#: No two actors of a process have the same uid.
_UIDS = count(1)

_FORKED = 0  # no thread has this number


class Worker(Turns):
    """A greenlet that runs turns of cells, and what it does beside them."""

    __slots__ = ("due", "granted", "passed")

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(dispatcher)
        #: A sampler's own: messages since the last sample, at which the next one is due, and how
        #: many there may be until the sampler is asked again.
        self.passed = self.due = self.granted = 0

    def handle(self, cell: Cell, handler: Callable[[Any, Any], Any], message: Any) -> bool:
        """Run the turn of one message outside the loop above; False when it failed."""
        self.cell = cell
        sampler = self.dispatcher.sampler
        weight = 0
        if sampler is not None:
            sampler.left -= 1
            if sampler.left <= 0:
                weight = sampler.weigh()
        began = self.dispatcher.clock() if weight else 0.0
        try:
            if type(message) is Envelope:
                message.deliver(self, handler, cell._instance)
            else:
                handler(cell._instance, message)
        except BaseException as error:
            self.failed(cell, error)
            return False
        finally:
            cell._handled += 1
            self.clean(message)
            if weight:
                sampler.handled(cell, began, weight)  # type: ignore[union-attr]
        return True

    def failed(self, cell: Cell, error: BaseException) -> None:
        """A message's turn ended with `error`."""
        self.clean(EMPTY)
        envelope = self.envelope
        self.envelope = None
        cell._failed(error, envelope)

    def clean(self, message: Any) -> None:
        """Undo what a turn leaves behind: context variables, pending timeouts, a wish to stash."""
        if self.gr_context:
            self.gr_context = Context()
        if self.guard is not None:
            self.guard.worker = None
            self.guard = None
        stash = self.stash_to
        if stash is not None:
            self.stash_to = None
            if message is not EMPTY:
                if type(message) is Envelope:
                    message.passed = False
                stash.append(message)

    def get_guard(self) -> TurnGuard:
        """What stands for this worker until the end of the turn."""
        if self.guard is None:
            self.guard = TurnGuard(self)
            self.alert = True
        return self.guard


def own_worker(cell: Cell) -> Worker:
    """The worker that runs `cell`'s turn, which must be the caller."""
    worker = getcurrent()
    if isinstance(worker, Worker) and worker.cell is cell:
        return worker
    raise NotInActor(f"this works only inside a turn of {cell.path} itself")


def await_answer(envelope: Envelope, dispatcher: Dispatcher) -> Any:
    """Wait here until this question is settled; return the answer or raise the error."""
    me = getcurrent()
    asker = me.cell if isinstance(me, Worker) else None
    if not envelope.done:
        if asker is not None:
            asker._asking = envelope
        try:
            dispatcher.suspend(envelope)
        finally:
            if asker is not None:
                asker._asking = None
            if not envelope.done:
                envelope.abandon()
    error = envelope.error
    if error is not None:
        envelope.error = None
        try:
            raise error
        finally:
            del error, envelope
    return envelope.value


class TurnGuard:
    """Stands for a worker in a `gevent.Timeout` that was started in one turn.

    The timeout throws into the guard; after the turn the guard leads nowhere. So a timeout that
    its turn forgot to cancel cannot interrupt another actor on the same worker.
    """

    __slots__ = ("worker",)

    def __init__(self, worker: Worker) -> None:
        self.worker: Worker | None = worker

    def throw(self, *args: Any) -> None:
        if self.worker is not None:
            self.worker.throw(*args)


def _current_or_guard() -> Any:
    current = getcurrent()
    if isinstance(current, Worker):
        return current.get_guard()
    return current


# Timeout.start() takes the greenlet to interrupt from this name, and offers no other way in.
vars(gevent.timeout)["getcurrent"] = _current_or_guard


class Dispatcher(Switch):
    """Runs the cells of one hub. `Dispatcher.current()` is that of the calling thread."""

    #: The most messages of one cell in one turn; a simulation takes one at a time.
    stride: ClassVar[int] = STRIDE

    def __init__(self, hub: Any, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(hub, clock)
        self.uids = _UIDS
        self.loop = hub.loop
        self.timers = Timers(self.loop, clock)
        self.timeouts = TimeoutWheel(self.timers)
        #: Counts the hub's visits; with `slice_began` it tells the watchdog of a stuck turn.
        self.visits = 0
        self.slice_began = clock()
        #: Jitter of restarts comes from here; a simulation puts its own source.
        self.random: Callable[[], float] = random.random
        self._deadline = 0.0
        self._looked = 0.0
        self._stride = STRIDE
        self._round = -1
        self._slice_timer = self.loop.timer(0.0)
        #: What warns of a stuck turn, when there is one; see watchdog.py.
        self.watchdog: Any = None
        #: Who times messages, when somebody wants to know; see observe/sampling.py.
        self.sampler: Sampler | None = None
        _dispatchers.add(self)

    @classmethod
    def current(cls) -> Dispatcher:
        """The dispatcher of this thread's hub, made when there is none."""
        hub: Any = get_hub()
        dispatcher: Dispatcher | None = getattr(hub, "actorkit_dispatcher", None)
        if dispatcher is None or dispatcher.loop is not hub.loop or dispatcher.thread == _FORKED:
            dispatcher = hub.actorkit_dispatcher = cls(hub)
        return dispatcher

    def check_thread(self) -> None:
        """Raise WrongThread or ForkedSystem unless the caller is on this hub's thread."""
        if get_ident() != self.thread:
            if self.thread == _FORKED:
                raise ForkedSystem(
                    "this system belongs to the parent process; make a new ActorSystem after fork"
                )
            raise WrongThread(
                "this reference belongs to another thread's hub; use ref.tell_threadsafe(message)"
            )

    @property
    def forked(self) -> bool:
        """Whether this is the copy of a parent process's dispatcher."""
        return self.thread == _FORKED

    def token(self, size: int) -> bytes:
        """Random bytes, to name incarnations and sessions by."""
        return os.urandom(size)

    def run_here_or_there(self, function: Callable[..., Any], *args: Any) -> None:
        """Call `function` now, or from the hub when this is another thread (as gc may choose)."""
        if get_ident() == self.thread:
            function(*args)
        elif not self.forked:
            self.loop.run_callback_threadsafe(function, *args)

    # -- the loop's side ------------------------------------------------------------------------

    def _wake(self, entry: Any) -> None:
        self.ready.append(entry)
        self.rouse()
        self._new_round()
        self.loop.run_callback(self._pump)

    def _pump(self) -> None:
        self.visits += 1
        if self.fresh:
            self._file_timeouts()
        if self.yielding:
            return
        blocked = self.active
        if blocked is not None:
            self.active = None
            blocked.alert = True
            cell = blocked.cell
            if cell is not None:
                cell._worker = blocked
        if not self.ready:
            self.sleep()
        elif self.clock() >= self._deadline and not self._new_round():
            self.yielding = True
            self._slice_timer.start(self._next_slice)
        else:
            self._activate()

    def dismiss_idle(self) -> None:
        """Let the idle workers go: new ones begin with a look at the clock."""
        idle = self.parked[:]
        self.parked.clear()
        for worker in idle:
            self.loop.run_callback(worker.throw, GreenletExit)

    def _activate(self) -> None:
        parked = self.parked
        worker = self.active = parked.pop() if parked else Worker(self)
        self.loop.run_callback(self._pump)
        worker.switch()

    def tick(self, worker: Worker) -> int:
        """Look at the clock; after the slice let the hub run. Returns messages until the next.

        The worker takes the next entry at once: what happens here last happens just before it.
        """
        now = self.clock()
        elapsed = now - self._looked
        if now < self._deadline:
            self._looked = now
            per_look = SLICE / LOOKS_PER_SLICE
            if elapsed > per_look:
                self._stride = max(1, int(self._stride * per_look / elapsed))
            elif self._stride < STRIDE:
                self._stride = min(STRIDE, self._stride * 2)
            if self.sampler is not None:
                return self.sampler.plan(worker, self._stride, now)
            return self._stride
        if self.active is not worker:
            return 1
        worker.cell = None
        self.yielding = True
        self._slice_timer.start(self._next_slice)
        while self.yielding:
            try:
                self.hub.switch()
            except BaseException as error:
                # Nobody's turn runs, so nobody is meant.
                del error
        if self.sampler is not None:
            return self.sampler.plan(worker, self._stride, self._looked)
        return self._stride

    def _next_slice(self) -> None:
        self.yielding = False
        self._begin_slice()
        self.visits += 1
        if self.fresh:
            self._file_timeouts()
        if self.active is not None:
            self.loop.run_callback(self._pump)
            self.active.switch()
        elif self.ready:
            self._activate()
        else:
            self.sleep()

    def _new_round(self) -> bool:
        """Begin a slice if the loop has turned since the last one began."""
        turn = self.loop.iteration
        if turn == self._round:
            return False
        self._begin_slice()
        return True

    def _begin_slice(self) -> None:
        self._round = self.loop.iteration
        self._looked = self.slice_began = self.clock()
        self._deadline = self._looked + SLICE

    def _file_timeouts(self) -> None:
        for envelope in self.fresh:
            if not envelope.done:
                self.timeouts.add(envelope, envelope.deadline)
        self.fresh.clear()


_dispatchers: weakref.WeakSet[Dispatcher] = weakref.WeakSet()


def _after_fork() -> None:
    for dispatcher in list(_dispatchers):
        dispatcher.thread = _FORKED


os.register_at_fork(after_in_child=_after_fork)
