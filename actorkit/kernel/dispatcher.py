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
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import gevent.timeout
from gevent import get_hub
from gevent.exceptions import BlockingSwitchOutError
from gevent.monkey import get_original
from greenlet import GreenletExit, getcurrent, greenlet

from ..errors import ForkedSystem, NotInActor, WrongThread
from ..timers import TimeoutWheel, Timers
from .envelope import EMPTY, Envelope, Waiter

if TYPE_CHECKING:
    from .cell import Cell

__all__ = ["MAX_PARKED", "SLICE", "STRIDE", "Dispatcher", "TurnGuard", "Worker", "own_worker"]

#: Seconds of turns between two looks at sockets and timers.
SLICE = 0.001
#: The most messages of one cell in one turn, and between two looks at the clock.
STRIDE = 64
#: How often in a slice the clock is looked at when turns are long.
LOOKS_PER_SLICE = 10
#: Idle worker greenlets kept for the next burst of blocking actors.
MAX_PARKED = 1024
#: Empty deques kept for the next inbox that needs one.
MAX_SPARE = 1024

get_ident = get_original("_thread", "get_ident")

_FORKED = -1


class Worker(greenlet):
    """A greenlet that runs turns of cells.

    `cell` is whose turn it runs (None when none), `envelope` the question being answered, `guard`
    what must be undone after the message: see `Worker.clean`.
    """

    __slots__ = ("alert", "cell", "dispatcher", "envelope", "guard", "stash_to")

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(parent=dispatcher.hub)
        self.dispatcher = dispatcher
        self.cell: Cell | None = None
        self.envelope: Envelope | None = None
        self.guard: TurnGuard | None = None
        #: Something is to be looked at after the message: a guard, or that this one is not active.
        self.alert = False
        self.stash_to: list[Any] | None = None

    def run(self) -> None:
        dispatcher = self.dispatcher
        ready = dispatcher.ready
        spare = dispatcher.spare
        popleft = ready.popleft
        left = dispatcher.stride
        context = self.gr_context = Context()
        while True:
            if left <= 0:
                left = dispatcher.tick(self)
            try:
                cell = popleft()
            except IndexError:
                if not dispatcher.park(self):
                    return
                continue
            handler = cell._handler
            if handler is None:
                left -= 1
                cell._step(self)
                if dispatcher.active is not self and not dispatcher.park(self):
                    return
                continue
            self.cell = cell
            instance = cell._instance
            message = cell._first
            cell._first = EMPTY
            taken = left
            active = True
            try:
                while True:
                    left -= 1
                    if type(message) is Envelope:
                        message.deliver(self, handler, instance)
                    else:
                        handler(instance, message)
                    if self.alert:
                        self.alert = False
                        self.clean(message)
                        active = dispatcher.active is self
                    if context:
                        context = self.gr_context = Context()
                    handler = cell._handler
                    if handler is None:
                        if cell._life is None:
                            cell._end()
                        else:
                            dispatcher.schedule(cell)
                        break
                    queue = cell._inbox
                    if not queue:
                        if queue is not None:
                            cell._inbox = None
                            if len(spare) < MAX_SPARE:
                                spare.append(queue)
                        cell._idle = True
                        break
                    if left <= 0 or not active:
                        cell._first = queue.popleft()
                        dispatcher.schedule(cell)
                        break
                    message = queue.popleft()
            except BaseException as error:
                self.failed(cell, error)
                cell._life.settle()
            cell._handled += taken - left
            message = EMPTY
            if dispatcher.active is not self:
                cell._worker = None
                if not dispatcher.park(self):
                    return

    def handle(self, cell: Cell, handler: Callable[[Any, Any], Any], message: Any) -> bool:
        """Run the turn of one message outside the loop above; False when it failed."""
        self.cell = cell
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


class Dispatcher:
    """Runs the cells of one hub. `Dispatcher.current()` is that of the calling thread."""

    #: The most messages of one cell in one turn; a simulation takes one at a time.
    stride: ClassVar[int] = STRIDE
    #: The uids of its cells.
    uids: Iterator[int] = count(1)

    def __init__(self, hub: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.hub = hub
        self.loop = hub.loop
        self.clock = clock
        self.thread: int = get_ident()
        self.ready: deque[Any] = deque()
        self.spare: list[deque[Any]] = []
        self.parked: list[Worker] = []
        self.active: Worker | None = None
        #: Puts a cell or a waiter at the end of the ready deque.
        self.schedule: Callable[[Any], None] = self._wake
        self.timers = Timers(self.loop, clock)
        self.timeouts = TimeoutWheel(self.timers)
        #: Questions asked since the hub last ran: the answered ones never see the timeout wheel.
        self.fresh: list[tuple[Envelope, float]] = []
        #: Counts the hub's visits; with `slice_began` it tells the watchdog of a stuck turn.
        self.visits = 0
        self.slice_began = clock()
        #: Jitter of restarts comes from here; a simulation puts its own source.
        self.random: Callable[[], float] = random.random
        self._deadline = 0.0
        self._looked = 0.0
        self._stride = STRIDE
        self._round = -1
        self._yielding = False
        self._slice_timer = self.loop.timer(0.0)
        #: What warns of a stuck turn, when there is one; see watchdog.py.
        self.watchdog: Any = None
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

    # -- waiting and switching ------------------------------------------------------------------

    def suspend(self, waiter: Waiter) -> None:
        """Wait here until somebody schedules `waiter`; other actors run meanwhile.

        Raises whatever is thrown into the waiting greenlet (a timeout, a kill).
        """
        me = getcurrent()
        if me is self.hub:
            raise BlockingSwitchOutError(
                "a callback of the event loop cannot wait; use ask_nowait or spawn a greenlet"
            )
        waiter.greenlet = me
        try:
            self._leave(me)
        except BaseException:
            waiter.greenlet = None
            raise
        while waiter.greenlet is not None:  # woken by a stray switch
            self.hub.switch()
        if self.active is me:
            cell = me.cell
            if cell is not None:
                cell._worker = None

    def _leave(self, me: greenlet) -> None:
        active = self.active
        if self.ready and not self._yielding and (active is me or active is None):
            if active is me:
                active.alert = True
                cell = active.cell
                if cell is not None:
                    cell._worker = active
            parked = self.parked
            worker = self.active = parked.pop() if parked else Worker(self)
            worker.switch()
        else:
            if self.fresh:  # perhaps nothing is to run, and no pump to file them
                self._file_timeouts()
            self.hub.switch()

    def hand_to(self, worker: Worker, target: greenlet) -> None:
        """Park the active `worker` and switch straight to `target`."""
        worker.cell = None
        self.parked.append(worker)
        self.active = target if isinstance(target, Worker) else None
        try:
            target.switch()
        except BaseException:
            self.retire(worker)

    def rest(self, worker: Worker) -> None:
        """A worker that has an actor of its own waits here until control is handed to it."""
        if self.active is worker and self.ready and not self._yielding:
            self._leave(worker)
        else:
            self.leave_for_good(worker)
            self.hub.switch()

    def leave_for_good(self, worker: Worker) -> None:
        """The worker takes no more entries; the pump stands, so others will."""
        if self.active is worker:
            self.active = None

    def park(self, worker: Worker) -> bool:
        """Wait among the idle workers until made active; False when the worker shall end."""
        worker.cell = None
        parked = self.parked
        self.leave_for_good(worker)
        if len(parked) >= MAX_PARKED:
            return False
        parked.append(worker)
        try:
            self.hub.switch()
        except BaseException:
            self.retire(worker)
        return True

    def retire(self, worker: Worker) -> None:
        """End an idle worker into which something was thrown: it was nobody's turn."""
        if worker in self.parked:
            self.parked.remove(worker)
        raise GreenletExit

    # -- the loop's side ------------------------------------------------------------------------

    def _wake(self, entry: Any) -> None:
        self.ready.append(entry)
        self.schedule = self.ready.append
        self._new_round()
        self.loop.run_callback(self._pump)

    def _pump(self) -> None:
        self.visits += 1
        if self.fresh:
            self._file_timeouts()
        if self._yielding:
            return
        blocked = self.active
        if blocked is not None:
            self.active = None
            blocked.alert = True
            cell = blocked.cell
            if cell is not None:
                cell._worker = blocked
        if not self.ready:
            self.schedule = self._wake
        elif self.clock() >= self._deadline and not self._new_round():
            self._yielding = True
            self._slice_timer.start(self._next_slice)
        else:
            self._activate()

    def _activate(self) -> None:
        parked = self.parked
        worker = self.active = parked.pop() if parked else Worker(self)
        self.loop.run_callback(self._pump)
        worker.switch()

    def tick(self, worker: Worker) -> int:
        """Look at the clock; after the slice let the hub run. Returns messages until the next."""
        now = self.clock()
        elapsed = now - self._looked
        if now < self._deadline:
            self._looked = now
            per_look = SLICE / LOOKS_PER_SLICE
            if elapsed > per_look:
                self._stride = max(1, int(self._stride * per_look / elapsed))
            elif self._stride < STRIDE:
                self._stride = min(STRIDE, self._stride * 2)
            return self._stride
        if self.active is not worker:
            return 1
        worker.cell = None
        self._yielding = True
        self._slice_timer.start(self._next_slice)
        while self._yielding:
            try:
                self.hub.switch()
            except BaseException as error:
                # Nobody's turn runs, so nobody is meant.
                del error
        return self._stride

    def _next_slice(self) -> None:
        self._yielding = False
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
            self.schedule = self._wake

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
        for envelope, deadline in self.fresh:
            if not envelope.done:
                self.timeouts.add(envelope, deadline)
        self.fresh.clear()


_dispatchers: weakref.WeakSet[Dispatcher] = weakref.WeakSet()


def _after_fork() -> None:
    for dispatcher in list(_dispatchers):
        dispatcher.thread = _FORKED


os.register_at_fork(after_in_child=_after_fork)
