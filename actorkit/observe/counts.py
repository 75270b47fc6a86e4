"""What one system has done, in numbers by class of actor: the source of the metrics.

Rare events are counted as they come, times come from the sampler, and what only the actors
themselves know (their number, their inboxes, the messages they have handled) is found by walking
over them in slices. What ended actors have handled the kernel adds to `Departed`. Used by
metrics.py.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gevent
from gevent import getcurrent

from ..events import ActorFailed, ActorRestarted, ActorStopped, DeadLetter, InboxOverflow
from ..kernel import STOPPED, Cell, InboxQueue
from ..kernel.twin import Plan
from .sampling import Sampler
from .tree import walk

if TYPE_CHECKING:
    from ..system import ActorSystem

__all__ = ["BOUNDS", "MAX_CLASSES", "OTHER", "REMOTE", "Counts", "Departed", "Tally"]

#: Classes of actors that are told apart; the actors of all others are `OTHER`.
MAX_CLASSES = 100
OTHER = "other"
#: Stands for the class of an actor of another node, in dead letters.
REMOTE = "remote"
#: Upper bounds, in seconds, of the times in `receive`.
BOUNDS = (
    0.000_005, 0.000_01, 0.000_025, 0.000_1, 0.000_25, 0.001, 0.002_5, 0.01, 0.025, 0.1, 0.25,
    1.0, 2.5, 10.0,
)  # fmt: skip
#: Seconds that a walk over the actors keeps the hub, and seconds that it then leaves it to others.
SLICE, PAUSE = 0.001, 0.001
#: Actors between two looks at the clock.
STEP = 100
#: Kinds of ended actors (class and spawn options) that are told apart until a class gets theirs.
MAX_DEPARTED = 1_000


class Tally:
    """The numbers of the actors of one class."""

    __slots__ = (
        "actors",
        "dead_letters",
        "ended",
        "failures",
        "handled",
        "inbox",
        "longest",
        "overflows",
        "restarts",
        "seconds",
        "times",
    )

    def __init__(self) -> None:
        self.failures = 0
        self.restarts = 0
        self.dead_letters = 0
        self.overflows: Counter[str] = Counter()
        #: Messages in each interval of `BOUNDS` and above, and seconds in all.
        self.times = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        #: Messages that actors had handled when they ended.
        self.ended = 0
        # As the last walk found them.
        self.actors = 0
        self.inbox = 0
        self.longest = 0
        self.handled = 0

    def time(self, seconds: float, weight: int) -> None:
        """A turn took this long; it stands for `weight` of them."""
        self.times[bisect_left(BOUNDS, seconds)] += weight
        self.seconds += seconds * weight


class Departed(dict[Plan, int]):
    """Messages of ended actors by their kind. The kernel adds to it, at every end of an actor.

    `full` is called when there are too many kinds; it adds them up and clears this.
    """

    def __init__(self, full: Callable[[], None]) -> None:
        self._full = full

    def __missing__(self, spec: Plan) -> int:
        if len(self) >= MAX_DEPARTED:
            self._full()
        return 0


class Counts:
    """Counts what one system does, from now until `close()`."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self._dispatcher = system._dispatcher
        self._by_class: dict[type[Any], Tally] = {}
        self._by_name: dict[str, Tally] = {}
        self._departed = system.departed = Departed(self._add_up)
        system.events.subscribe(ActorFailed, self._failed)
        system.events.subscribe(ActorRestarted, self._restarted)
        system.events.subscribe(DeadLetter, self._dead_letter)
        system.events.subscribe(InboxOverflow, self._overflow)
        Sampler.add(self._dispatcher, system, self)
        system._root.rawlink(self._system_ended)

    def close(self) -> None:
        """Count no more; what was counted stays."""
        events = self.system.events
        for subscriber in (self._failed, self._restarted, self._dead_letter, self._overflow):
            events.unsubscribe(subscriber)
        if self.system.departed is self._departed:
            self.system.departed = None
        Sampler.remove(self._dispatcher, self.system)
        self.system._root.unlink(self._system_ended)

    def tally(self, cls: type[Any]) -> Any:
        """What takes the times of actors of this class."""
        return self.of(cls).time

    def of(self, cls: type[Any]) -> Tally:
        """The numbers of the actors of this class."""
        tally = self._by_class.get(cls)
        if tally is None:
            tally = self._named(f"{cls.__module__}.{cls.__qualname__}")
            if len(self._by_class) < 10 * MAX_CLASSES:  # those made while it runs are not kept
                self._by_class[cls] = tally
        return tally

    @property
    def seen(self) -> dict[str, Tally]:
        """The numbers by name of class, as the last walk has left them."""
        return dict(self._by_name)

    def _named(self, name: str) -> Tally:
        if name not in self._by_name and len(self._by_name) >= MAX_CLASSES:
            name = OTHER
        return self._by_name.setdefault(name, Tally())

    def walk(self) -> dict[str, Tally]:
        """The numbers by name of class, with a look at every actor.

        Lets others run in between, unless the caller is the hub itself.
        """
        look = Walk(self)
        look.run()
        self._add_up()
        for tally in self._by_name.values():
            tally.actors = look.actors[tally]
            tally.inbox = look.inbox[tally]
            tally.longest = look.longest.get(tally, 0)
            # An older walk that ends later does not take back what this one has seen.
            tally.handled = max(tally.handled, look.handled[tally] + tally.ended)
        return self.seen

    def _add_up(self) -> None:
        """Give the classes what their ended actors have handled."""
        for spec, handled in self._departed.items():
            self.of(spec.cls).ended += handled
        self._departed.clear()

    # -- events ---------------------------------------------------------------------------------

    def _failed(self, event: ActorFailed) -> None:
        self._of_ref(event.ref).failures += 1

    def _restarted(self, event: ActorRestarted) -> None:
        self._of_ref(event.ref).restarts += 1

    def _dead_letter(self, event: DeadLetter) -> None:
        self._of_ref(event.ref).dead_letters += 1

    def _overflow(self, event: InboxOverflow) -> None:
        self._of_ref(event.ref).overflows[event.overflow] += 1

    def _of_ref(self, ref: Any) -> Tally:
        return self.of(ref._spec.cls) if isinstance(ref, Cell) else self._named(REMOTE)

    def _system_ended(self, _: Any) -> None:
        Sampler.remove(self._dispatcher, self.system)


class Walk:
    """One look at every actor of a system, while they go on."""

    def __init__(self, counts: Counts) -> None:
        self.actors: Counter[Tally] = Counter()
        self.inbox: Counter[Tally] = Counter()
        self.longest: dict[Tally, int] = {}
        self.handled: Counter[Tally] = Counter()
        self._counts = counts
        #: The messages counted for each actor: if it ends meanwhile, they are counted elsewhere.
        self._seen: dict[int, int] = {}

    def run(self) -> None:
        """Look at them all; those that end meanwhile are forgotten."""
        events = self._counts.system.events
        events.subscribe(ActorStopped, self._forget)
        try:
            self._run()
        finally:
            events.unsubscribe(self._forget)

    def _run(self) -> None:
        counts = self._counts
        clock = counts._dispatcher.clock
        may_wait = getcurrent() is not counts._dispatcher.hub
        began = clock()
        for number, cell in enumerate(self._living(), 1):
            self._look_at(cell)
            if number % STEP == 0 and may_wait and clock() - began >= SLICE:
                gevent.sleep(PAUSE)
                began = clock()

    def _living(self) -> Iterator[Cell]:
        return (cell for cell in walk(self._counts.system._root) if cell._state is not STOPPED)

    def _look_at(self, cell: Cell) -> None:
        tally = self._counts.of(cell._spec.cls)
        self.actors[tally] += 1
        waiting = InboxQueue(cell).qsize()
        if waiting:
            self.inbox[tally] += waiting
            if waiting > self.longest.get(tally, 0):
                self.longest[tally] = waiting
        handled = cell._handled
        if handled:
            self.handled[tally] += handled
            self._seen[cell.uid] = handled

    def _forget(self, event: Any) -> None:
        """An actor has ended: what it has handled is among what the departed have."""
        cell = event.ref
        handled = self._seen.pop(cell.uid, 0)
        if handled:
            self.handled[self._counts.of(cell._spec.cls)] -= handled
