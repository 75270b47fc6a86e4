"""`Simulation`: a cluster of actor systems in one process, as a function of one seed.

It owns the parts: the choice sequence, the virtual loop in a native thread of its own, a dispatcher
for each node, the network and the event log; and it is what the test talks to.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from gevent import Greenlet
from gevent._hub_local import get_hub_if_exists, set_hub
from gevent.monkey import get_original
from greenlet import getcurrent, greenlet

from ..events import ActorFailed
from ..kernel import EMPTY, Cell, Envelope, Worker
from .choices import ChoiceSequence, DrawnRandom, Seeded, Source
from .claims import Claims, Errors
from .disk import Disk
from .dispatcher import SimulatedDispatcher
from .errors import SimulationError
from .escape import World, closed_world
from .eventlog import EventLog, describe
from .failures import Failures
from .loop import Node, VirtualHub, VirtualLoop, touch
from .network import Network, name_of
from .reduction import WRITE
from .system import LOGGED, SimulatedSystem

__all__ = ["Simulation", "head_of"]

if TYPE_CHECKING:
    from .footprints import Footprints

T = TypeVar("T")

#: `id`, which would be an event for the audit hook that keeps the real world out.
_identity = object.__hash__

_start_thread = get_original("_thread", "start_new_thread")
_allocate_lock = get_original("_thread", "allocate_lock")


class Simulation:
    """Runs a test in virtual time, with everything that is left to chance drawn from `seed`::

        def main(sim):
            a, b = sim.system("a"), sim.system("b")
            ...
            sim.network.partition({"a"}, {"b"})
            gevent.sleep(3600)          # takes no time
            return sim.time()

        assert Simulation(seed=7).run(main) == 3600

    Within `main` all of gevent and actorkit works as ever: sleeps, timeouts, queues, actors. What
    cannot be replayed (sockets, threads, processes, the wall clock, real chance) raises
    `SimulationEscape`. The same seed makes the same run, with the same `log`.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        source: Source | None = None,
        log: bool = True,
        patch_time: bool = False,
        patch_random: bool = False,
    ) -> None:
        """Make a simulation; `run` it.

        `source`: where choices come from instead of the seed, `Recorded(values)` for instance.
        `log=False` writes no event log, which is faster. `patch_time` makes `time.time()` and its
        like virtual, `patch_random` has the functions of `random`, and `os.urandom`, draw from the
        choices; without them they raise.
        """
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"a seed is an int, not {seed!r}")
        self.seed = seed
        self.logs = log
        self._source = source
        self._patch_time = patch_time
        self._patch_random = patch_random
        #: What is told of everything that a step touches, in an exhaustive exploration.
        self.footprints: Footprints | None = None
        #: Greenlets of the last run that were not over: see `_power_off`.
        self._remains: list[greenlet] = []
        self._begin()
        #: Whether the parts have not served a run yet.
        self._is_new = True

    def _begin(self) -> None:
        """Everything that belongs to one run."""
        source = Seeded(self.seed) if self._source is None else self._source
        #: Every decision of the run, in order; `Recorded(sim.choices.values)` repeats it.
        self.choices = ChoiceSequence(source)
        #: A `random.Random` for the test itself, drawn from the choices.
        self.random = DrawnRandom(self.choices)
        #: What happened, in order.
        self.log = EventLog()
        #: The failures of the actors of each system.
        self.failures_by_system: list[Failures] = []
        self._systems: dict[str, SimulatedSystem] = {}
        #: All there have been, with those that crashed.
        self._all_systems: list[SimulatedSystem] = []
        #: The log's number of what the hub's present work goes back to.
        self.cause = 0
        #: Whether that is something from another node.
        self.arriving = False
        #: What connects the nodes, and its faults.
        self.network = Network(self)
        self._loop = VirtualLoop(self.choices)
        self._claims = Claims(self)
        self._hub: VirtualHub | None = None
        self._nodes: dict[str, Node] = {}
        self._made: dict[str, Callable[[], SimulatedSystem]] = {}
        self._disks: dict[str, Disk] = {}
        self._clocks: dict[str, tuple[float, float]] = {}
        self._tokens = 0
        self._started = 0
        #: The log's numbers of messages under way, by receiver and identity, oldest first.
        self._letters: dict[tuple[Cell, int], list[tuple[int, Any]]] = {}

    # -- running --------------------------------------------------------------------------------

    def run(self, main: Callable[[Simulation], T]) -> T:
        """Call `main(sim)` within the simulation; returns what it returns, raises what it raises.

        The simulation ends with `main`, as a power cut ends a machine: what still runs then is
        dropped without running its `finally`. Leave `with sim.system(...)` blocks to stop in order.
        """
        if isinstance(get_hub_if_exists(), VirtualHub):
            raise SimulationError("a simulation cannot run within another one")
        if not self._is_new:
            self._begin()
        self._is_new = False
        done = _allocate_lock()
        done.acquire()
        results: list[T] = []
        errors: list[BaseException] = []
        context = copy_context()

        def thread() -> None:
            try:
                results.append(context.run(self._run_here, main))
            except BaseException as error:
                errors.append(error)
            finally:
                done.release()

        gc_was_on = gc.isenabled()
        gc.disable()  # when garbage goes must not depend on what else the process does
        _start_thread(thread, ())
        try:
            self._wait(done)
        finally:
            if gc_was_on:
                gc.enable()
        if errors:
            error = errors.pop()
            if self._source is None:
                seed = self.seed
                error.add_note(f"in the simulation with seed {seed}: Simulation(seed={seed})")
            try:
                raise error
            finally:
                del error
        return results.pop()

    def _wait(self, done: Any) -> None:
        try:
            done.acquire()
        except BaseException as error:  # Ctrl-C, or a test's time is over
            self._loop.interrupted = error
            done.acquire()

    def _run_here(self, main: Callable[[Simulation], T]) -> T:
        loop = self._loop
        hub = self._hub = VirtualHub(loop, self._note_error)
        set_hub(hub)
        hub.actorkit_dispatcher = SimulatedDispatcher(self, hub, None)
        world = World(loop.now, self.random, self._patch_time, self._patch_random)
        footprints = self.footprints
        if footprints is not None:
            hub.footprints = footprints
            footprints.begin(self)
        try:
            with closed_world(world):
                result = main(self)
                self._claims.settle()
                return result
        finally:
            if footprints is not None:
                footprints.end()
            self._power_off()

    def _power_off(self) -> None:
        """The end. Nobody's code runs any more, not even a `finally`.

        A suspended greenlet that is collected in its own thread is thrown into, which would run
        its `finally`; so they are kept until the thread is gone. Then nobody could free what their
        frames hold, so it is let go of here.
        """
        hub, self._hub = self._hub, None
        loop = self._loop
        assert hub is not None
        loop.has_crashes = False  # those at rest on a crashed node end too
        hub.actorkit_dispatcher.end_idle()
        for system in self._all_systems:
            system.end_idle()
        self._remains = [left for left in loop.adopted if not left.dead]
        for left in self._remains:
            _forget_locals(left)
        for system in self._all_systems:
            system.leave_behind()
        self._all_systems.clear()
        hub.actorkit_dispatcher.forget()
        hub.actorkit_dispatcher = None
        hub.destroy(destroy_loop=True)
        del hub.virtual, hub._on_error

    @property
    def failures(self) -> list[ActorFailed]:
        """The failures of actors that no probe has expected."""
        return [failure for failures in self.failures_by_system for failure in failures.unexpected]

    @property
    def systems(self) -> dict[str, SimulatedSystem]:
        """The systems that run now, by name."""
        return {name: each for name, each in self._systems.items() if not each.terminated}

    # -- the world ------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._loop.time

    @property
    def steps(self) -> int:
        """How many entries of the loop have run: turns of actors, callbacks, timers."""
        return self._loop.iteration

    def give_up_after(self, steps: int) -> None:
        """Raise `SimulationEndless` in the test once it has taken so many steps."""
        self._loop.max_steps = steps

    def system(
        self,
        name: str,
        *,
        boot: Callable[[SimulatedSystem], Any] | None = None,
        listen: str | None = None,
        spawnable: Iterable[Any] = (),
        config: Mapping[str, Any] | None = None,
    ) -> SimulatedSystem:
        """The node `name`: a system that listens at "sim://name", made when there is none.

        `boot(system)` starts its actors, now and after each `restart`. `listen` is another address
        by which others connect. The rest is as for `ActorSystem`.
        """
        living = self.systems.get(name)
        if living is not None:
            return living
        if name in self._made:
            raise SimulationError(f"{name!r} runs no more; sim.restart({name!r}) starts it anew")
        self._check_running()

        def make() -> SimulatedSystem:
            return self._start(name, boot, listen or f"sim://{name}", tuple(spawnable), config)

        system = make()
        self._made[name] = make
        return system

    def _start(
        self,
        name: str,
        boot: Callable[[SimulatedSystem], Any] | None,
        listen: str,
        spawnable: tuple[Any, ...],
        config: Mapping[str, Any] | None,
    ) -> SimulatedSystem:
        footprints = self.footprints
        self.touch_all()
        self._started += 1
        node = self._nodes[name] = Node(name, self._started)
        dispatcher = SimulatedDispatcher(self, self._hub, node)
        dispatcher.set_clock(*self._clocks.get(name, (0.0, 1.0)))
        made_of = SimulatedSystem if footprints is None else footprints.system_type
        system = made_of(self, dispatcher, name, listen, spawnable, config)
        self._systems[name] = system
        self._all_systems.append(system)
        self._subscribe(system)
        self._claims.system_started(system)
        if boot is not None:
            boot(system)
        return system

    def crash(self, node: str | SimulatedSystem) -> None:
        """Cut the power of a node: nothing of it runs any more, no `on_stop`, no `finally`.

        It is named, or given as its system, as in all that follows. What its disk has not synced is
        lost. Others learn of it as they would of a real one: by silence.
        """
        name = name_of(node)
        if name not in self.systems:
            raise SimulationError(f"no node {name!r} is running")
        del self._systems[name]
        self.note("fault", f"crash of {name}")
        self._nodes[name].crashed = True
        if name in self._disks:
            self._disks[name].lose_unsynced()
        self._loop.has_crashes = True
        self.network.node_crashed(name)

    def restart(self, node: str | SimulatedSystem) -> SimulatedSystem:
        """Start a node anew, crashing it first if it runs; only its disk remains."""
        name = name_of(node)
        if name not in self._made:
            raise SimulationError(
                f"there has been no node {name!r}; sim.system({name!r}) makes one"
            )
        if name in self.systems:
            self.crash(name)
        self.note("fault", f"restart of {name}")
        self.network.node_restarted(name)
        return self._made[name]()

    def disk(self, node: str | SimulatedSystem) -> Disk:
        """The disk of a node; it outlives the node's crashes."""
        name = name_of(node)
        disk = self._disks.get(name)
        if disk is None:
            disk = self._disks[name] = Disk(name)
        return disk

    def skew(self, node: str | SimulatedSystem, offset: float = 0.0, rate: float = 1.0) -> None:
        """Set the clock of a node `offset` seconds off, and let it run `rate` times as fast.

        Its actors' timers and timeouts go by it. A restart keeps it.
        """
        name = name_of(node)
        if not rate > 0:
            raise ValueError(f"a clock's rate is above 0, not {rate!r}")
        self.touch_all()
        self._clocks[name] = (offset, rate)
        if name in self.systems:
            self.systems[name]._given.set_clock(offset, rate)

    def new_token(self, size: int) -> bytes:
        """Bytes that no one else in this run gets."""
        self._tokens += 1
        return self._tokens.to_bytes(size, "big")

    def _check_running(self) -> None:
        if self._hub is None or get_hub_if_exists() is not self._hub:
            raise SimulationError("this works only within Simulation.run(main)")

    def fault(self, probability: float) -> bool:
        """Decide whether a fault happens here, with this probability::

            if sim.fault(0.1):
                sim.crash("alpha")

        A failed run is shrunk to the fewest faults.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"a probability is from 0 to 1, not {probability!r}")
        return self.choices.happens(probability, "fate")

    def touch(self, what: Hashable) -> None:
        """Tell that the caller's turn reads or changes `what`, which actors share besides messages.

        An exhaustive exploration then tries such turns in every order. `History` and `disk` tell by
        themselves.
        """
        self._check_running()
        touch(("shared", what), WRITE)

    # -- claims ---------------------------------------------------------------------------------

    def always(self, name: str, predicate: Callable[[], Any]) -> None:
        """Claim that `predicate()` is true from now on, after every step.

        It must not block. Where it is false, or raises, `ClaimBroken` is raised in the test.
        """
        self._check_running()
        self._claims.always(name, predicate)

    def eventually(self, name: str, predicate: Callable[[], Any], *, within: float) -> None:
        """Claim that `predicate()` is true after some step of the next `within` virtual seconds.

        The simulation goes on after the end of the test until that is decided.
        """
        self._check_running()
        self._claims.eventually(name, predicate, within)

    def no_failures(self, but: Errors = ()) -> None:
        """Claim that until the end no actor fails, except with an error of the class `but`.

        Failures that a probe has expected do not count.
        """
        self._check_running()
        self._claims.no_failures(but)

    def no_dead_letters(self) -> None:
        """Claim that from now on every message finds its actor alive."""
        self._check_running()
        self._claims.no_dead_letters()

    def in_order(self) -> None:
        """Claim that between every two actors messages are delivered in the order of sending.

        Inboxes with a priority, and `stash`, have an order of their own. Reads the event log.
        """
        self._check_running()
        self._claims.in_order()

    def no_duplicates(self) -> None:
        """Claim that no message is delivered twice. Reads the event log."""
        self._check_running()
        self._claims.no_duplicates()

    @property
    def claims_look(self) -> bool:
        """Whether a claim looks at everything after each step."""
        return self._claims.look

    @property
    def claims_read_log(self) -> bool:
        """Whether a claim of the last run reads the event log."""
        return self._claims.read_log

    # -- the log --------------------------------------------------------------------------------

    def note(self, kind: str, detail: str) -> int:
        """Write a line about the simulation itself; returns its number."""
        if kind == "fault":
            self.touch_all()
        if not self.logs:
            return 0
        return self.log.add(self._loop.time, kind, "", "", "", detail, self._place()[2])

    def touch_all(self) -> None:
        """The present step concerns everything."""
        if self.footprints is not None:
            self.footprints.touch_all()

    def note_sent(self, ref: Cell, message: Any, kind: str = "sent") -> None:
        """A message is on its way to `ref`."""
        if self.footprints is not None:
            self.footprints.sent(ref, message)
        if not self.logs:
            return
        node, actor, cause = self._place()
        target = f"{ref._host.name}{self._path(ref)}"
        if kind == "timer" or self.arriving:
            kind = "arrived" if self.arriving else kind
            node, actor, target = ref._host.name, self._path(ref), ""
        number = self.log.add(self._loop.time, kind, node, actor, target, describe(message), cause)
        self._letters.setdefault((ref, _identity(message)), []).append((number, message))

    def note_turn(self, dispatcher: SimulatedDispatcher, item: Any) -> None:
        """The turn of a cell or a waiter begins."""
        if not self.logs:
            return
        if isinstance(item, Cell):
            message = head_of(item)
            if message is EMPTY:
                return
            if type(message) is Envelope:
                message = message.message
            cause = self._cause_of(item, message)
            detail = self.log.detail(cause) if cause else describe(message)
            place = item._host.name, self._path(item)
            dispatcher.turns[item] = self.log.add(
                self._loop.time, "delivered", *place, "", detail, cause
            )
        elif type(item) is Envelope and item.cell is not None and item.greenlet is not None:
            asker = getattr(item.greenlet, "cell", None)
            result = describe(item.value if item.error is None else item.error)
            node, actor = ("", "") if asker is None else (asker._host.name, self._path(asker))
            target = f"{item.cell._host.name}{item.cell.path}"
            self.log.add(
                self._loop.time,
                "answered",
                node,
                actor,
                target,
                result,
                self._turn_of(item.cell),
            )

    def _note_error(self, context: Any, error: BaseException) -> None:
        """A greenlet or a callback of the hub has failed."""
        if self.logs:
            self.note("failed", describe(error))

    def _subscribe(self, system: SimulatedSystem) -> None:
        self.failures_by_system.append(Failures.of(system))
        if not self.logs:
            return

        def write(event: Any) -> None:
            kind, text = LOGGED[type(event)]
            ref = getattr(event, "ref", None)
            path = "" if ref is None else ref.path
            cause = self._place()[2]
            self.log.add(self._loop.time, kind, system.name, path, "", text(event), cause)

        for kind in LOGGED:
            system.events.subscribe(kind, write)

    def current_cause(self) -> int:
        """The number of the line that what happens now goes back to."""
        if not self.logs:
            return 0
        return self.cause if getcurrent() is self._hub else self._place()[2]

    def _place(self) -> tuple[str, str, int]:
        """Node, path and current turn of whoever runs now."""
        current = getcurrent()
        if current is self._hub:
            node = self._loop.node
            return ("" if node is None else node.name), "", self.cause
        if isinstance(current, Worker):
            cell = current.cell
            if cell is not None:
                return cell._host.name, self._path(cell), self._turn_of(cell)
        node = self._loop.current_node()
        return ("" if node is None else node.name), "", 0

    def _turn_of(self, cell: Any) -> int:
        turns: dict[Cell, int] | None = getattr(cell._dispatcher, "turns", None)
        return 0 if turns is None else turns.get(cell, 0)

    def _cause_of(self, cell: Cell, message: Any) -> int:
        """The number of the line that sent this message to `cell`."""
        key = (cell, _identity(message))
        letters = self._letters.get(key)
        if letters is None:
            return 0
        number, _ = letters.pop(0)
        if not letters:
            del self._letters[key]
        return number

    def _path(self, cell: Any) -> str:
        paths: dict[Cell, str] = cell._dispatcher.paths
        path = paths.get(cell)
        if path is None:
            path = paths[cell] = cell.path
        return path

    def __repr__(self) -> str:
        return (
            f"<Simulation seed={self.seed}, {self._loop.time:.6f} s, {len(self.choices)} choices>"
        )


def head_of(cell: Cell) -> Any:
    """The message that the next turn of `cell` delivers; EMPTY for a turn of another kind."""
    life = cell._life
    if life is not None:
        if life.signals:
            return EMPTY
        if life.front:
            return life.front[0]
        if cell._box is not None:
            return cell._box.peek()
    if cell._first is not EMPTY:
        return cell._first
    return cell._inbox[0] if cell._inbox else EMPTY


def _forget_locals(suspended: greenlet) -> None:
    """Let go of what the frames of a greenlet hold, which will never run again.

    All but what they share with functions (cells): others may still look at it.
    """
    if isinstance(suspended, Worker):
        suspended.cell = suspended.envelope = suspended.guard = None
        del suspended.dispatcher
    elif isinstance(suspended, Greenlet):
        suspended.kwargs.clear()
        suspended._run = None  # type: ignore[attr-defined]
    frame = suspended.gr_frame
    while frame is not None:
        names = frame.f_locals
        shared = frame.f_code.co_cellvars
        for name in frame.f_code.co_varnames:
            if name in names and name not in shared:
                names[name] = None
        if sys.version_info < (3, 13):  # a snapshot, to be written back
            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
            names.clear()
        frame = frame.f_back
