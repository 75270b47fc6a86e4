"""A gevent loop in virtual time, and its hub: what runs next is a choice, and time leaps.

Everything that is ready, be it a callback of gevent, a timer that is due or an actor with mail, is
an *entry* of one list. `VirtualLoop.run` chooses an entry, runs it until control is back in the
hub, and goes on. When the list is empty the time leaps to the next timer; when there is none either
nobody can ever go on, and the hub raises `Deadlock`. Uses gevent and the choice sequence; the
simulation makes one of each, in a native thread of its own.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, NoReturn

from gevent._hub_local import get_hub_if_exists
from gevent.exceptions import HubDestroyed
from gevent.hub import Hub
from greenlet import getcurrent, greenlet

from ..kernel import Worker
from .choices import ChoiceSequence
from .errors import Deadlock, SimulationEndless, SimulationEscape

__all__ = [
    "MAX_STEPS",
    "MAX_TIME",
    "QUIET",
    "STEPS_PER_SLICE",
    "Callback",
    "Due",
    "Node",
    "VirtualHub",
    "VirtualLoop",
    "touch",
]

#: Seconds within which two timers are due together, and their order is a choice.
TIE = 1e-6
#: Entries that run at one instant before the time goes on by itself ...
STEPS_PER_SLICE = 1000
#: ... and the seconds by which it does: whoever is busy for ever does not stop the clock.
SLICE = 0.001
#: Virtual seconds, and entries, after which a run is given up as endless.
MAX_TIME = 30 * 86400.0
#: Virtual seconds in which nobody ran, after which it is looked whether anybody still could: more
#: than nodes need to give each other up.
QUIET = 600.0
MAX_STEPS = 50_000_000

#: Entries between two collections of garbage, the young and the older: by count, as all else.
GC_YOUNG, GC_OLD = 20_000, 500_000

#: Cancelled timers are swept out of the heap when there are more of them than this and than half.
SWEEP_FLOOR = 64
#: Dead greenlets are forgotten when there are more greenlets than this and twice the living.
ADOPTED_FLOOR = 256


class Node:
    """What runs on behalf of one simulated machine: entries and greenlets know theirs."""

    __slots__ = ("crashed", "key", "name")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        #: Which of all the nodes that were started, in words that are the same in every run.
        self.key = f"{name}#{number}"
        self.crashed = False


class Callback:
    """One call that is ready to be made; what `run_callback` returns, with gevent's vocabulary."""

    __slots__ = ("args", "callback", "node")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], node: Node | None
    ) -> None:
        self.callback: Callable[..., Any] | None = callback
        self.args: tuple[Any, ...] | None = args
        self.node = node

    def run(self, loop: VirtualLoop) -> None:
        callback, args = self.callback, self.args
        self.callback = None
        if callback is None or args is None or loop.refuses(callback):
            return
        try:
            callback(*args)
        finally:
            self.args = None

    def stop(self) -> None:
        self.callback = None
        self.args = None

    close = stop

    @property
    def pending(self) -> bool:
        return self.callback is not None

    def __bool__(self) -> bool:
        return self.args is not None


class TimerWatcher:
    """A timer of the loop, with the words of gevent's watchers."""

    __slots__ = ("_after", "_repeat", "_waiting", "args", "callback", "loop", "node", "priority")

    def __init__(
        self, loop: VirtualLoop, after: float, repeat: float, priority: int, node: Node | None
    ) -> None:
        self.loop = loop
        self._after = max(0.0, after)
        self._repeat = repeat
        self.priority = priority
        self.node = node
        self.callback: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] | None = None
        #: Its place in the heap, or among the ready; None when it is not started.
        self._waiting: Due | None = None

    def start(self, callback: Callable[..., Any], *args: Any, update: bool = True) -> None:
        if not callable(callback):
            raise TypeError(f"expected a callable, not {callback!r}")
        self.stop()
        self.callback = callback
        self.args = args
        self.loop._adopt_target(callback)
        self._waiting = self.loop.plan(self._after, self.fire, self.node, self.priority)

    def again(self, callback: Callable[..., Any], *args: Any, update: bool = True) -> None:
        after, self._after = self._after, self._repeat or self._after
        self.start(callback, *args)
        self._after = after

    def stop(self) -> None:
        self.callback = None
        self.args = None
        if self._waiting is not None:
            self.loop.cancel(self._waiting)
            self._waiting = None

    close = stop

    @property
    def active(self) -> bool:
        return self._waiting is not None

    @property
    def pending(self) -> bool:
        return self._waiting is not None and self._waiting.due

    ref = True

    def fire(self) -> None:
        callback, args = self.callback, self.args
        self._waiting = None
        if self._repeat:
            self._waiting = self.loop.plan(self._repeat, self.fire, self.node, self.priority)
        if callback is not None and args is not None and not self.loop.refuses(callback):
            callback(*args)

    def __enter__(self) -> TimerWatcher:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Due:
    """A planned call: in the heap, and when its time has come an entry of the ready list."""

    __slots__ = ("args", "callback", "due", "node")

    def __init__(
        self, callback: Callable[..., None], node: Node | None, args: tuple[Any, ...]
    ) -> None:
        #: None once it is cancelled.
        self.callback: Callable[..., None] | None = callback
        self.args = args
        self.node = node
        self.due = False

    def run(self, loop: VirtualLoop) -> None:
        callback, self.callback = self.callback, None
        if callback is not None:
            callback(*self.args)


class AsyncWatcher:
    """What other threads would wake the loop by. Here there are none, so it keeps nothing alive."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.callback: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] = ()

    def start(self, callback: Callable[..., Any], *args: Any) -> None:
        self.callback = callback
        self.args = args

    def send(self) -> None:
        if self.callback is not None:
            self._loop.run_callback(self.callback, *self.args)

    send_ignoring_arg = send

    def stop(self) -> None:
        self.callback = None

    close = stop

    @property
    def active(self) -> bool:
        return self.callback is not None

    def __enter__(self) -> AsyncWatcher:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    pending = False
    ref = True


class IdleWatcher(AsyncWatcher):
    """Calls back once nothing else is ready, before the time leaps."""

    priority = 0

    def start(self, callback: Callable[..., Any], *args: Any) -> None:
        super().start(callback, *args)
        self._loop.idlers.append(self)


class VirtualLoop:
    """The loop of a simulation: gevent's interface, virtual time, and a choice at every step."""

    default = False
    approx_timer_resolution = TIE
    MAXPRI = 2
    MINPRI = -2

    def __init__(self, choices: ChoiceSequence) -> None:
        self.choices = choices
        self.error_handler: Any = None
        #: Everything that could run now, in the order in which it became ready.
        self.ready: list[Any] = []
        #: Watchers that wait until nothing is ready.
        self.idlers: list[IdleWatcher] = []
        #: Steps made: entries that ran.
        self.iteration = 0
        #: On whose behalf the hub runs a callback now.
        self.node: Node | None = None
        self.closed = False
        #: Whether any node has crashed: whether greenlets must be asked for theirs.
        self.has_crashes = False
        #: Raised in the main greenlet at the next step, from another thread.
        self.interrupted: BaseException | None = None
        self.after_step: Callable[[], None] | None = None
        #: When a greenlet last had control.
        self.woken = 0.0
        #: Nothing goes on but what nodes do by themselves.
        self.lifeless = False
        self._look_at = QUIET
        #: Told of everything that is ready before each choice.
        self.watch: Callable[[list[Any]], None] | None = None
        #: How often the time has leaped: when it does, nothing is ready.
        self.leaps = 0
        #: Entries after which the run is given up.
        self.max_steps = MAX_STEPS
        #: Every greenlet that has run here, lest one be collected: that would run its `finally`.
        self.adopted: set[greenlet] = set()
        self._adopted_limit = ADOPTED_FLOOR
        self._owners: dict[greenlet, Node] = {}
        #: Virtual seconds since the beginning.
        self.time = 0.0
        self._heap: list[tuple[float, int, int, Due]] = []
        self._dead = 0
        self._seq = count()
        self._steps_now = 0
        self._collect_at = GC_YOUNG

    # -- running --------------------------------------------------------------------------------

    def run(self, nowait: bool = False, once: bool = False) -> None:
        """Run entries until there is nothing more to run, ever."""
        ready = self.ready
        heap = self._heap
        choose = self.choices.choose
        while True:
            if heap and heap[0][0] <= self.time:
                self._collect_due()
            n = len(ready)
            if not n:
                if self.idlers:
                    idlers, self.idlers = self.idlers, []
                    for watcher in idlers:
                        watcher.send()
                    continue
                if not heap or (self.time >= self._look_at and self._is_lifeless()):
                    return
                self._leap()
                n = len(ready)
                if not n:
                    continue
            if self.watch is not None:
                self.watch(ready)
            entry = ready.pop(choose(n, "next", ready) if n > 1 else 0)
            self.iteration += 1
            self._steps_now += 1
            if self._steps_now >= STEPS_PER_SLICE:
                self._slow_down()
            if self.iteration >= self._collect_at:
                self._collect_garbage()
            self.node = entry.node
            try:
                entry.run(self)
            except BaseException:
                self.handle_error(entry, *sys.exc_info())
            if self.after_step is not None:
                self.after_step()

    def _collect_due(self) -> None:
        """Move the timers that are due to the ready list; all at once are a tie."""
        heap = self._heap
        limit = self.time
        while heap and heap[0][0] <= limit:
            due = heappop(heap)[3]
            if due.callback is None:
                self._dead -= 1
            else:
                due.due = True
                self.ready.append(due)

    def _is_lifeless(self) -> bool:
        """Whether nobody has run for long, and all that is planned is the nodes' own upkeep."""
        if self.time - self.woken >= QUIET:
            planned = (entry[3].callback for entry in self._heap)
            self.lifeless = all(call is None or _is_upkeep(call) for call in planned)
        self._look_at = max(self.woken, self.time) + QUIET
        return self.lifeless

    def _leap(self) -> None:
        """Nothing is ready: it is the time of the next timer, and of those in a tie with it."""
        heap = self._heap
        while heap and heap[0][3].callback is None:
            heappop(heap)
            self._dead -= 1
        if not heap:
            return
        when, order, seq, due = heappop(heap)
        due.due = True
        if not heap or heap[0][0] > when + TIE:
            self.ready.append(due)
        else:
            tie = [(order, seq, due)]
            until = when + TIE
            while heap and heap[0][0] <= until:
                later, order, seq, due = heappop(heap)
                if due.callback is None:
                    self._dead -= 1
                else:
                    when = later
                    due.due = True
                    tie.append((order, seq, due))
            tie.sort()
            self.ready.extend([due for _, _, due in tie])
        if when > self.time:
            self.time = when
        self.leaps += 1
        self._steps_now = 0
        if self.iteration > self.max_steps:
            self.interrupted = self._busy_for_ever()
        if self.time > MAX_TIME:
            self.interrupted = SimulationEndless(
                f"after {MAX_TIME:.0f} virtual seconds main has not returned: timers go on for"
                " ever, and nobody wakes it"
            )
        if self.interrupted is not None:
            self._check_interrupted()

    def _slow_down(self) -> None:
        """Much has happened at this instant: let the time pass by a little."""
        self._steps_now = 0
        self.time += SLICE
        if self.iteration > self.max_steps:
            self.interrupted = self._busy_for_ever()
        self._check_interrupted()

    def _busy_for_ever(self) -> SimulationEndless:
        return SimulationEndless(
            f"after {self.max_steps} steps main has not returned: somebody is busy for ever"
        )

    def _collect_garbage(self) -> None:
        self._collect_at += GC_YOUNG
        gc.collect(1 if self.iteration % GC_OLD < GC_YOUNG else 0)

    def _check_interrupted(self) -> None:
        error, self.interrupted = self.interrupted, None
        if error is not None:
            self.throw(error)

    def throw(self, error: BaseException) -> None:
        """Raise `error` in the test itself, wherever it waits; for the hub to call."""
        getcurrent().parent.throw(error)  # type: ignore[union-attr]

    # -- time -----------------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.time

    def update_now(self) -> None:
        pass

    update = update_now

    def timer(
        self, after: float, repeat: float = 0.0, ref: bool = True, priority: int | None = None
    ) -> TimerWatcher:
        return TimerWatcher(self, after, repeat, priority or 0, self.current_node())

    def plan(
        self,
        after: float,
        callback: Callable[..., None],
        node: Node | None,
        priority: int = 0,
        *args: Any,
    ) -> Due:
        """Have `callback(*args)` called in `after` seconds, on behalf of `node`."""
        due = Due(callback, node, args)
        heappush(self._heap, (self.time + after, -priority, next(self._seq), due))
        return due

    def cancel(self, due: Due) -> None:
        """Take a planned call back."""
        if due.callback is None:
            return
        due.callback = None
        if due.due:
            self.ready.remove(due)
            return
        self._dead += 1
        if self._dead > SWEEP_FLOOR and self._dead * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if entry[3].callback is not None]
            heapify(self._heap)
            self._dead = 0

    # -- callbacks ------------------------------------------------------------------------------

    def run_callback(self, callback: Callable[..., Any], *args: Any) -> Callback:
        """Make `callback(*args)` an entry."""
        self._adopt_target(callback)
        entry = Callback(callback, args, self.current_node())
        self.ready.append(entry)
        return entry

    def run_callback_threadsafe(self, callback: Callable[..., Any], *args: Any) -> Callback | None:
        if self.closed:
            return None  # garbage of a simulation that is over
        return self.run_callback(callback, *args)

    # -- greenlets and whose they are -----------------------------------------------------------

    def current_node(self) -> Node | None:
        """On whose behalf the caller runs; None for the test itself."""
        current: Any = getcurrent()
        if isinstance(current, Worker):
            node: Node | None = current.dispatcher.node  # type: ignore[attr-defined]
            return node
        if isinstance(current, VirtualHub):
            return self.node
        return self._owners.get(current)

    def adopt(self, made: greenlet, node: Node | None) -> None:
        """Keep a greenlet for as long as the simulation lasts, as one of `node`."""
        adopted = self.adopted
        if made in adopted:
            return
        if len(adopted) >= self._adopted_limit:
            for dead in [other for other in adopted if other.dead]:
                adopted.remove(dead)
                self._owners.pop(dead, None)
            self._adopted_limit = max(ADOPTED_FLOOR, 2 * len(adopted))
        adopted.add(made)
        if node is not None and not isinstance(made, Worker):
            self._owners[made] = node

    def _adopt_target(self, callback: Any) -> None:
        """A greenlet that is to be started belongs to whoever starts it."""
        target = getattr(callback, "__self__", None)
        if (
            isinstance(target, greenlet)
            and target not in self.adopted
            and target.parent is not None
            and not isinstance(target, VirtualHub)
        ):
            self.adopt(target, self.current_node())

    def refuses(self, callback: Any) -> bool:
        """Whether this would run a greenlet of a crashed node: one that has not begun, perhaps."""
        if not self.has_crashes:
            return False
        target = getattr(callback, "__self__", None)
        node = self._owners.get(target) if isinstance(target, greenlet) else None
        return node is not None and node.crashed

    # -- the rest of gevent's loop --------------------------------------------------------------

    def async_(self, ref: bool = True, priority: int | None = None) -> AsyncWatcher:
        return AsyncWatcher(self)

    def idle(self, ref: bool = True, priority: int | None = None) -> IdleWatcher:
        return IdleWatcher(self)

    prepare = check = fork = async_

    def io(self, fd: int, events: int, ref: bool = True, priority: int | None = None) -> NoReturn:
        raise SimulationEscape(
            "a real socket or file descriptor cannot be waited for in a simulation: connect systems"
            " made by sim.system(name), or hand the actor something that stands for the other side"
        )

    def signal(self, signum: int, ref: bool = True, priority: int | None = None) -> NoReturn:
        raise SimulationEscape(
            "there are no signals in a simulation: call what the handler would, for instance"
            " system.shutdown(), or sim.crash(name)"
        )

    def child(self, pid: int, trace: int = 0, ref: bool = True) -> NoReturn:
        raise SimulationEscape(
            "there are no processes in a simulation: sim.system(name) makes a node of its own"
        )

    def stat(self, path: str, *_: Any, **__: Any) -> NoReturn:
        raise SimulationEscape(
            "real files cannot be watched in a simulation: sim.disk(name) is the simulated disk"
        )

    def install_sigchld(self) -> None:
        pass

    reset_sigchld = reinit = ref = unref = install_sigchld

    def closing_fd(self, fd: int) -> bool:
        return False

    def handle_error(self, context: Any, kind: Any, error: Any, trace: Any) -> None:
        if kind is HubDestroyed:
            raise error
        handler = self.error_handler
        if handler is not None:
            handler.handle_error(context, kind, error, trace)

    def debug(self) -> list[str]:
        return [repr(self)]

    def destroy(self) -> None:
        self.closed = True
        self.ready.clear()
        self._heap.clear()
        self.adopted.clear()
        self._owners.clear()
        del self.choices

    activecnt = pendingcnt = property(lambda self: len(self.ready) + len(self._heap))

    def _format(self) -> str:
        return f"virtual time {self.time:.6f}"

    def __repr__(self) -> str:
        return f"<VirtualLoop at {self.time:.6f} s, {len(self.ready)} ready>"


def touch(thing: Hashable, way: str) -> None:
    """Tell an exhaustive exploration, if one is under way, what else than messages actors share."""
    hub = get_hub_if_exists()
    if isinstance(hub, VirtualHub) and hub.footprints is not None:
        hub.footprints.touch(thing, way)


class VirtualHub(Hub):
    """The hub of a simulation's thread."""

    #: What is told of everything that a step touches, in an exhaustive exploration.
    footprints: Any = None

    #: That of the systems which the test makes outside of any node.
    actorkit_dispatcher: Any = None

    def __init__(self, loop: VirtualLoop, on_error: Callable[[Any, BaseException], None]) -> None:
        super().__init__(loop=loop)  # type: ignore[call-overload]  # any loop with run() will do
        self.virtual = loop
        self._on_error = on_error

    def run(self) -> None:
        loop = self.virtual
        loop.error_handler = self
        while True:
            loop.run()
            gc.collect()  # what garbage would still wake
            if not loop.ready:
                self.parent.throw(Deadlock(describe_waiting(self)))  # type: ignore[union-attr]

    def switch(self) -> Any:
        """Give control to the loop; a greenlet of a crashed node never gets it back."""
        self.virtual.woken = self.virtual.time
        try:
            value = super().switch()
        except BaseException:
            if not (self.virtual.has_crashes and self._crashed()):
                raise
        else:
            if not (self.virtual.has_crashes and self._crashed()):
                return value
        while True:
            with suppress(BaseException):
                super().switch()

    def _crashed(self) -> bool:
        node = self.virtual.current_node()
        return node is not None and node.crashed

    def handle_error(self, context: Any, type: Any, value: Any, tb: Any) -> None:  # noqa: A002
        if isinstance(value, Exception):
            self._on_error(context, value)
        super().handle_error(context, type, value, tb)

    def _no_threads(self) -> NoReturn:
        raise SimulationEscape(
            "there is no thread pool in a simulation: offload() and name look-ups need real"
            " threads; call the function directly, or hand the actor something in its place"
        )

    threadpool = property(_no_threads)
    resolver = property(_no_threads)


def _is_upkeep(callback: Any) -> bool:
    """Whether a planned call is what a node or the network does without anybody's asking."""
    timer = getattr(callback, "__self__", None)
    action = getattr(timer, "action", None) or callback
    while isinstance(action, partial):
        action = action.func
    module: str = getattr(action, "__module__", "")
    return module.startswith("actorkit.remote.") or module == "actorkit.testing.network"


def describe_waiting(hub: VirtualHub) -> str:
    """The text of a `Deadlock`: who waits, and where."""
    lines = [
        f"for {QUIET:.0f} virtual seconds there have only been the nodes' pings, but these wait:"
        if hub.virtual.lifeless
        else "nothing is ready and no timer is set, but these wait:"
    ]
    main = hub.parent
    assert main is not None
    lines.append(f"  the test itself, in {_place(main)}")
    for waiting in sorted(hub.virtual.adopted, key=_order):
        if waiting.dead or waiting is hub or getattr(waiting, "gr_frame", None) is None:
            continue
        if not isinstance(waiting, Worker):
            lines.append(f"  {_name_of(waiting)}, in {_place(waiting)}")
        elif waiting.cell is not None:
            cell = waiting.cell
            asked = cell._asking
            if asked is not None and asked.cell is not None:
                lines.append(f"  actor {cell._host.name}{cell.path}, which asks {asked.cell.path}")
            else:
                lines.append(f"  actor {cell._host.name}{cell.path}, in {_place(waiting)}")
    return "\n".join(lines)


def _order(waiting: greenlet) -> tuple[str, str]:
    cell = waiting.cell if isinstance(waiting, Worker) else None
    return ("", _name_of(waiting)) if cell is None else (cell._host.name, cell.path)


def _name_of(waiting: greenlet) -> str:
    run = getattr(waiting, "_run", None)
    return f"greenlet {getattr(run, '__qualname__', type(waiting).__name__)}"


def _place(waiting: greenlet) -> str:
    """Where the code of a user stands in a suspended greenlet."""
    frame = waiting.gr_frame
    while frame is not None and frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in ("gevent", "actorkit"):
            break
        frame = frame.f_back
    if frame is None:
        return "its own code"
    code = frame.f_code
    return f"{code.co_qualname} ({os.path.basename(code.co_filename)}:{frame.f_lineno})"
