"""The dispatcher of one simulated node: each delivery is one entry of the virtual loop.

The kernel's own workers, cells and inboxes run here as they are. Only who is next is not the ready
deque's matter: `schedule` hands the cell to the loop, and the loop, which chooses among everything
that is ready on all nodes, comes back with it. One message a turn, so that the choice to go on with
an actor or to leave it is made after each; the order in which all choices are 0 is the kernel's.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from ..kernel import Cell, Dispatcher, Worker
from ..kernel.terms import STRIDE
from ..timers import TimeoutWheel, Timer, Timers
from .loop import TIE, AsyncWatcher, Callback, Due, Node, TimerWatcher, VirtualLoop

if TYPE_CHECKING:
    from .simulation import Simulation

__all__ = ["SimulatedDispatcher", "Turn"]


class Turn:
    """An entry of the loop: a cell that has mail, or a greenlet whose wait for an actor is over."""

    __slots__ = ("dispatcher", "item", "node")

    def __init__(self, dispatcher: SimulatedDispatcher, item: Any) -> None:
        self.dispatcher = dispatcher
        self.item = item
        self.node = dispatcher.node

    def run(self, loop: VirtualLoop) -> None:
        """Run one turn, until it ends or blocks; in the hub."""
        if self.node is None or not self.node.crashed:
            self.dispatcher.run_entry(self.item)

    @property
    def cell(self) -> Cell | None:
        """The actor whose turn this is; None for a greenlet of the test."""
        item = self.item
        if isinstance(item, Cell):
            return item
        waiting = item.greenlet
        return waiting.cell if isinstance(waiting, Worker) else None


class NodeCallback(Callback):
    """A callback of a node itself, which dies with it; `cause` is the log's number for it."""

    __slots__ = ("cause", "simulation")

    if TYPE_CHECKING:
        cause: int
        simulation: Simulation

    def run(self, loop: VirtualLoop) -> None:
        if self.node is None or not self.node.crashed:
            self.simulation.cause = self.cause
            try:
                super().run(loop)
            finally:
                self.simulation.cause = 0


class NodeLoop:
    """The loop as one node sees it: what the node has planned is gone once it has crashed."""

    def __init__(self, simulation: Simulation, loop: VirtualLoop, node: Node) -> None:
        self._simulation = simulation
        self._loop = loop
        self._node = node
        self.now = loop.now

    @property
    def iteration(self) -> int:
        return self._loop.iteration

    def run_callback(self, callback: Callable[..., Any], *args: Any) -> Callback:
        entry = NodeCallback(callback, args, self._node)
        entry.simulation = self._simulation
        entry.cause = self._simulation.current_cause()
        if not self._node.crashed:
            self._loop.ready.append(entry)
        return entry

    def run_callback_threadsafe(self, callback: Callable[..., Any], *args: Any) -> Callback | None:
        return None if self._loop.closed else self.run_callback(callback, *args)

    def timer(self, after: float, *args: Any, **kwargs: Any) -> TimerWatcher:
        return self._loop.timer(after, *args, **kwargs)

    def async_(self) -> AsyncWatcher:
        return self._loop.async_()

    def io(self, fd: int, events: int) -> None:
        self._loop.io(fd, events)


class VirtualTimers(Timers):
    """The timers of a node, each one of the loop's, so that ties are choices.

    The node's clock may be wrong, and may run fast or slow; its timers go by it.
    """

    __slots__ = ("_dispatcher", "_live")

    def __init__(self, dispatcher: SimulatedDispatcher) -> None:
        super().__init__(dispatcher.loop, dispatcher.clock)
        self._dispatcher = dispatcher
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        now = self._dispatcher.read_clock()
        return self._plan(VirtualTimer(self, now + seconds, action), now)

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        return self._plan(VirtualTimer(self, when, action), self._dispatcher.read_clock())

    def _plan(self, timer: VirtualTimer, now: float) -> Timer:
        node = self._dispatcher.node
        if node is None or not node.crashed:
            self._live += 1
            timer.plan(now)
        return timer


class VirtualTimer(Timer):
    """One planned call of a node."""

    __slots__ = ("_due",)

    timers: VirtualTimers

    def __init__(self, timers: VirtualTimers, when: float, action: Callable[[], None]) -> None:
        self.timers = timers
        self.when = when
        self.action = action
        self._due: Due | None = None

    def plan(self, now: float, least: float = 0.0) -> None:
        """Have it fire when its time comes, on its node's clock, which shows `now`."""
        dispatcher = self.timers._dispatcher
        after = (self.when - now) / dispatcher.rate
        if after < least:
            after = least
        self._due = dispatcher.virtual.plan(after, self._fire, dispatcher.node)

    def _fire(self) -> None:
        timers = self.timers
        dispatcher = timers._dispatcher
        action = self.action
        node = dispatcher.node
        if action is None or (node is not None and node.crashed):
            return
        now = dispatcher.read_clock()
        if now < self.when:  # by rounding, or because the node's clock was set back
            self.plan(now, TIE)
            return
        self.action = None
        timers._live -= 1
        action()

    def cancel(self) -> None:
        if self.action is not None:
            footprints = self.timers._dispatcher.simulation.footprints
            if footprints is not None:
                footprints.cancelled(self)
            self.action = None
            self.timers._live -= 1
            if self._due is not None:
                self.timers._dispatcher.virtual.cancel(self._due)


class NoWatchdog:
    """Nobody keeps the hub for long in virtual time."""

    def start(self) -> None:
        pass

    stop = start


class SimulatedDispatcher(Dispatcher):
    """Runs the cells of one node, entry by entry, as the virtual loop says.

    `node` is None for systems that the test makes outside of any node.
    """

    stride = 1

    def __init__(self, simulation: Simulation, hub: Any, node: Node | None) -> None:
        self.simulation = simulation
        self.node = node
        self.virtual: VirtualLoop = hub.loop
        #: Seconds that its clock is off, and seconds it shows for each that passes.
        self.offset = 0.0
        self.rate = 1.0
        super().__init__(hub, self.read_clock)
        if node is not None:
            self.loop = NodeLoop(simulation, hub.loop, node)
        self.timers = VirtualTimers(self)
        self.timeouts = TimeoutWheel(self.timers)
        self.random = simulation.random.random
        self._note_turn = simulation.note_turn if simulation.logs else None
        self.uids = count(1)
        self.watchdog = NoWatchdog()
        #: For the log: the number of the turn that each actor is in or was in last, and its path.
        self.turns: dict[Cell, int] = {}
        self.paths: dict[Cell, str] = {}
        self._running: Any = None
        self._last: Any = None
        self._streak = 0

    @property
    def crashed(self) -> bool:
        return self.node is not None and self.node.crashed

    def read_clock(self) -> float:
        """Seconds on this node's own clock."""
        return self.virtual.time * self.rate + self.offset

    def set_clock(self, offset: float, rate: float) -> None:
        """From now on the clock is `offset` seconds off, and shows `rate` seconds for each one."""
        self.rate = rate
        self.offset = offset + self.virtual.time * (1.0 - rate)

    def token(self, size: int) -> bytes:
        """Bytes that are given out once: names of incarnations and sessions."""
        return self.simulation.new_token(size)

    def end_idle(self) -> None:
        """End the workers that run nobody's turn, here in their thread: later nothing could free
        what the compiled kernel's frames hold.
        """
        here = getcurrent()
        for worker in self.parked[:]:
            worker.parent = here
            worker.throw()

    def forget(self) -> None:
        """The simulation is over: hold nothing of it, since a suspended turn may hold this."""
        loop, thread = self.virtual, self.thread
        vars(self).clear()
        self.loop, self.thread = loop, thread  # the finalizers of what is left ask them

    # -- entries --------------------------------------------------------------------------------

    def _wake(self, entry: Any) -> None:
        """Make a cell or a waiter an entry of the loop (this is `schedule`)."""
        if entry is self._running:
            # It has more mail: unless others are chosen it goes on, as in the kernel.
            self._running = None
            if self._streak < STRIDE:
                self.virtual.ready.insert(0, Turn(self, entry))
                return
            self._streak = 0
        if self.node is None or not self.node.crashed:
            self.virtual.ready.append(Turn(self, entry))

    def run_entry(self, item: Any) -> None:
        """Run the turn of a cell or a waiter."""
        self._streak = self._streak + 1 if item is self._last else 1
        self._running = self._last = item
        if self._note_turn is not None:
            self._note_turn(self, item)
        self.ready.append(item)
        if self.parked:
            worker = self.parked.pop()
        else:
            worker = Worker(self)
            self.virtual.adopt(worker, self.node)
        self.active = worker
        worker.switch()
        self._running = None
        self._pump()

    def tick(self, worker: Worker) -> int:
        """One message, then the loop decides anew."""
        return 1

    def hand_to(self, worker: Worker, target: greenlet) -> None:
        self.virtual.adopt(target, None)  # an owner it has by its start, and the test has none
        super().hand_to(worker, target)
