"""Who has the thread of control: the ready queue, the active worker, the ways between greenlets.

`Dispatcher` is this and the loop's side; its head explains both. Uses turns and envelopes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gevent.exceptions import BlockingSwitchOutError
from gevent.monkey import get_original
from greenlet import GreenletExit, getcurrent, greenlet

from ..terms import MAX_PARKED
from .envelope import Envelope, Waiter
from .turns import Turns

if TYPE_CHECKING:
    from ..dispatcher import Worker

__all__ = ["Queue", "Switch", "get_ident"]

get_ident = get_original("_thread", "get_ident")

#: What an unlimited inbox and the ready queue are made of.
Queue = deque


class Switch:
    """What the dispatcher does for each message, each wait and each answer."""

    if TYPE_CHECKING:  # Dispatcher has them

        def _wake(self, entry: Any) -> None: ...
        def _file_timeouts(self) -> None: ...

        uids: Iterator[int]  #: of its cells

    def __init__(self, hub: Any, clock: Callable[[], float]) -> None:
        self.hub = hub
        self.clock = clock
        self.thread: int = get_ident()
        self.ready: Queue[Any] = Queue()
        self.spare: list[Queue[Any]] = []
        self.parked: list[Worker] = []
        self.active: Worker | None = None
        #: Questions asked since the hub last ran: the answered ones never see the timeout wheel.
        self.fresh: list[Envelope] = []
        #: True while the hub has control between two slices.
        self.yielding = False
        #: Puts a cell or a waiter at the end of the ready deque.
        self.schedule: Callable[[Any], None] = self._wake

    def sleep(self) -> None:
        """Nothing is ready and nothing stands on the loop: the next entry wakes the dispatcher."""
        self.schedule = self._wake

    def rouse(self) -> None:
        """The pump stands on the loop: entries need only be put into the ready deque."""
        self.schedule = self.ready.append

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
        parked = self.parked
        # A new worker is the pump's to start: a greenlet inherits the recursion depth of where it
        # is started, and a chain of them, each started by one that waits, would run out of it.
        if parked and self.ready and not self.yielding and (active is me or active is None):
            if active is me:
                active.alert = True
                cell = active.cell
                if cell is not None:
                    cell._worker = active
            worker = self.active = parked.pop()
            worker.switch()
        else:
            if self.fresh:  # perhaps nothing is to run, and no pump to file them
                self._file_timeouts()
            self.hub.switch()

    def hand_to(self, worker: Worker, target: greenlet) -> None:
        """Park the active `worker` and switch straight to `target`."""
        worker.cell = None
        self.parked.append(worker)
        self.active = target if isinstance(target, Turns) else None  # type: ignore[assignment]
        try:
            target.switch()
        except BaseException:
            self.retire(worker)

    def rest(self, worker: Worker) -> None:
        """A worker that has an actor of its own waits here until control is handed to it."""
        if self.active is worker and self.ready and not self.yielding:
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
