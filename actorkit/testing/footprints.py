"""What each step of a simulation touches, for an exhaustive exploration to leave out what commutes.

Actors share nothing but messages; that is assumed, and all else is noted here: whose turn a step
is, and what it does to others (a message at the end of an inbox, an order to stop, a name taken, an
event published). `observed.py` tells what references and systems do; what an entry of the loop is
about is read from the entry. Whatever is not known to concern one actor, or one node, is taken to
concern everything: a step of the test itself, or of a greenlet that is no actor. Chooses the next
step as `reduction.py` says; used by `orders.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from gevent.hub import Waiter
from greenlet import getcurrent, greenlet

from ..kernel import EMPTY, Cell, Envelope, Life, Worker
from ..kernel.dispatcher import TurnGuard
from ..kernel.life import ActorTimer
from ..remote.node import Network
from .dispatcher import Turn, VirtualTimer
from .errors import SimulationError
from .loop import Callback, TimerWatcher
from .network import Connection
from .observed import READ, ObservedRef, ObservedSystem
from .reduction import BEGINNING, WRITE, Footprint, Reduction, Step
from .simulation import Simulation, head_of
from .system import SimulatedSystem

__all__ = ["ALL", "INSIDE", "Footprints", "Redundant"]

#: The thing that is everything: every step is within it.
ALL = "*"
#: How a step touches what it happens within.
INSIDE = "inside"


class Redundant(BaseException):
    """Ends a run of which all that is left was tried in others."""


class Footprints:
    """The steps of one run, as they are made; also the source of its choices."""

    #: What nodes are made of for the footprints to see.
    system_type = ObservedSystem

    def __init__(self, reduction: Reduction) -> None:
        self._reduction = reduction
        #: Whether the run was ended since it led nowhere new.
        self.redundant = False
        self._simulation: Simulation
        #: The present step: whose, its number, what it touches, what came before it by need.
        self._who: Hashable = BEGINNING
        self._number = 0
        self._footprint: Footprint = {ALL: WRITE}
        self._needs: list[int] = []
        self._instant = 0
        self._leaps = 0
        self._index = 0
        #: Actors made in the present step, which nobody else can know of.
        self._fresh: set[Cell] = set()
        #: What was ready before the present step, but for its own entry: by identity, with its name
        #: and the step that made it ready.
        self._pending: dict[int, tuple[Any, Hashable, int | None]] = {}
        self._named = 0
        #: Messages under way, by receiver and identity: the steps that sent them, oldest first.
        self._letters: dict[tuple[Cell, int], deque[tuple[int, Any]]] = {}
        #: Who waits in an ask, for whom.
        self._waiting: dict[Cell, Cell] = {}
        #: Questions that more than one may answer, and answers that came second, of each node.
        self._owed: dict[Envelope, None] = {}
        self._late: dict[SimulatedSystem, int] = {}
        #: The actor whose turn it is, and what its node had to send before.
        self.turn: Cell | None = None
        self._unsent: Hashable = None

    def begin(self, simulation: Simulation) -> None:
        """The run begins."""
        self._simulation = simulation
        self._main = getcurrent()
        self._reduction.begin()
        simulation._loop.watch = self._watch

    def choose(self, n: int, kind: str, among: Sequence[Any]) -> int:
        if kind == "next":
            return self._index
        return n - 1 if kind == "fate" and self._reduction.chance() else 0

    def end(self) -> None:
        """The run is over."""
        left: Sequence[Hashable] = ()
        if not self.redundant:
            ready = self._simulation._loop.ready
            self._close(ready)
            names = self._name(ready)
            left = [who for entry, who in zip(ready, names, strict=True) if not _is_idle(entry)]
        self._reduction.end(left)

    # -- what a step touches --------------------------------------------------------------------

    def touch(self, thing: Hashable, way: str = WRITE) -> None:
        """The present step touches `thing`."""
        footprint = self._footprint
        if footprint.get(ALL) != WRITE and footprint.setdefault(thing, way) != way:
            footprint[thing] = WRITE

    def touch_all(self) -> None:
        """The present step touches everything."""
        self._footprint = {ALL: WRITE}

    def touch_actor(self, what: str, cell: Cell, way: str = WRITE) -> None:
        """The present step touches this of an actor: "actor", "inbox" (its end) or "end"."""
        if cell not in self._fresh:
            self.touch((what, *_key(cell)), way)

    def touch_node(self, what: str, dispatcher: Any, way: str = WRITE) -> None:
        """The present step touches this of a node."""
        self.touch((what, dispatcher.node.key), way)

    def made(self, cell: Cell) -> None:
        """The present step has made an actor, which nobody else can know of."""
        self._fresh.add(cell)

    def sent(self, cell: Cell, message: Any) -> None:
        """The present step has put `message` at the end of an inbox."""
        self.touch_actor("inbox", cell)
        if cell._box is None:
            letters = self._letters.setdefault((cell, id(message)), deque())
            letters.append((self._number, message))

    def refused(self, cell: Cell, message: Any) -> None:
        """What the present step has sent last did not get there."""
        letters = self._letters.get((cell, id(message)))
        if letters and letters[-1][0] == self._number:
            letters.pop()

    def asks(self, asker: Cell | None, target: Cell) -> None:
        """An actor begins to wait for another.

        Two such steps are in order if they may be of one circle: if, for some pair of actors, by
        the one the first waits for the second, and by the other the second for the first.
        """
        if asker is None:
            return
        waiting = self._waiting
        asked = _closure([target], lambda cell: [waiting[cell]] if cell in waiting else [])
        askers = _closure([asker], lambda cell: [by for by, of in waiting.items() if of is cell])
        for one in askers:
            for other in asked:
                self.touch(("circle", frozenset((_key(one), _key(other)))))
        waiting[asker] = target

    def asks_no_more(self, asker: Cell | None) -> None:
        """It goes on."""
        if asker is not None:
            self._waiting.pop(asker, None)

    def passed_on(self, question: Envelope) -> None:
        """From now on more than one may answer a question."""
        if not question.done and question.cell is not None:
            self._owed[question] = None

    def cancelled(self, timer: VirtualTimer) -> None:
        """The present step has taken a timer back."""
        owner = getattr(timer.action, "__self__", None)
        if isinstance(owner, ActorTimer) and owner.life is not None:
            self.touch_actor("timers", owner.life.cell)

    # -- steps ----------------------------------------------------------------------------------

    def _watch(self, ready: list[Any]) -> None:
        """A step is over: choose the next one; in the hub."""
        self._close(ready)
        names = self._name(ready)
        loop = self._simulation._loop
        try:
            who = self._reduction.choose(names)
        except LookupError:
            loop.throw(
                SimulationError(
                    "the test is not a function of its choices: the same ones led elsewhere. It"
                    " keeps something from one run to the next, or depends on the order of a set"
                )
            )
        if who is None:
            self.redundant = True
            loop.throw(Redundant())
        self._index = names.index(who)
        self._open(ready[self._index], who)

    def _name(self, ready: list[Any]) -> list[Hashable]:
        """Who each entry is, by names that are the same in every run that came this far alike."""
        made_in: int | None = self._number
        if self._leaps != self._simulation._loop.leaps:
            self._leaps = self._simulation._loop.leaps
            self._instant += 1
            made_in = None
        names: dict[Hashable, None] = {}
        pending: dict[int, tuple[Any, Hashable, int | None]] = {}
        for entry in ready:
            known = self._pending.get(id(entry))
            if known is None:
                who = self._who_is(entry)
                while who in names:  # woken twice: one of them is for nothing
                    who = (who, "again")
                known = (entry, who, made_in)
            names[known[1]] = None
            pending[id(entry)] = known
        self._pending = pending
        return list(names)

    def _who_is(self, entry: Any) -> Hashable:
        if isinstance(entry, Turn):
            cell = entry.cell
            if cell is not None and isinstance(cell, ObservedRef):
                return ("actor", *_key(cell))
            if getattr(entry.item, "greenlet", None) is self._main:
                return BEGINNING
        self._named += 1
        return self._named

    def _open(self, entry: Any, who: Hashable) -> None:
        """The step of `entry` begins."""
        _, _, made_in = self._pending.pop(id(entry))
        self._who = who
        self._number += 1
        self._needs = [] if made_in is None else [made_in]
        self._fresh = set()
        self.turn = None
        node = entry.node
        if _is_idle(entry):
            self._footprint = {}
            return
        if node is None:
            self._footprint = {ALL: WRITE}
            return
        self._footprint = {ALL: INSIDE}
        cell, code = _concern(entry)
        if cell is not None and isinstance(cell, ObservedRef):
            self.touch(("node", node.key), INSIDE)
            if code is ActorTimer:
                self.touch_actor("timers", cell)
            else:
                self._open_turn(cell, entry)
            if code is Life:
                self.touch_actor("inbox", cell)
                self.touch_node("asks", cell._dispatcher)
        elif cell is None and code is not None:
            self.touch(("node", node.key))
        else:
            self.touch_all()
        if not isinstance(entry, Turn):
            self.touch(("entry", who))

    def _open_turn(self, cell: Cell, entry: Any) -> None:
        """A turn of an actor begins, or goes on."""
        self.turn = cell
        self._unsent = _unsent(cell)
        self.touch_actor("actor", cell)
        life = cell._life
        if cell._box is not None or (life is not None and life.reader is not None):
            self.touch_actor("inbox", cell, READ)
        if life is not None and life.regroup is not None and cell._parent is not None:
            self.touch_actor("actor", cell._parent)
        if not isinstance(entry, Turn) or entry.item is not cell:
            return
        message = head_of(cell)
        if type(message) is Envelope:
            message = message.message
        letters = None if message is EMPTY else self._letters.get((cell, id(message)))
        if letters:
            self._needs.append(letters.popleft()[0])

    def _close(self, ready: list[Any]) -> None:
        """The present step is over."""
        still = {id(entry) for entry in ready}
        ended: list[Hashable] = []
        for key, (entry, who, _) in self._pending.items():
            if key not in still:
                ended.append(who)
                self.touch(("entry", who))
            elif isinstance(entry, Callback) and not entry.pending:
                self.touch(("entry", who))
        self._see_answers()
        if self.turn is not None and self._unsent != _unsent(self.turn):
            self.touch_node("wire", self.turn._dispatcher)
        if self._simulation.claims_look:
            self.touch_all()
        self._reduction.over(Step(self._who, self._footprint, self._needs, self._instant, ended))

    def _see_answers(self) -> None:
        """Questions may be answered by whoever got a `Reply`, which nothing else tells of."""
        life = None if self.turn is None else self.turn._life
        if life is not None and life.deferred:
            for reply in life.deferred:
                self.passed_on(reply._envelope)
        for system in self._simulation.systems.values():
            if self._late.get(system, 0) != system.late_answers:
                self._late[system] = system.late_answers
                self.touch_node("questions", system._given)
        for question in [owed for owed in self._owed if owed.done]:
            del self._owed[question]
            if question.cell is not None:
                self.touch_node("questions", question.cell._dispatcher)


def _key(cell: Cell) -> tuple[Any, int]:
    """An actor by a name that is the same in every run."""
    return cell._dispatcher.node.key, cell.uid  # type: ignore[attr-defined]


def _closure(cells: list[Cell], nexts: Callable[[Cell], list[Cell]]) -> list[Cell]:
    """These cells and all that follow, each once."""
    for cell in cells:
        cells += [other for other in nexts(cell) if other not in cells]
    return cells


def _unsent(cell: Cell) -> Hashable:
    """What the node of an actor has to send to other nodes: it grows when a turn sends there."""
    network = getattr(cell._host, "_network", None)
    if network is None:
        return None
    associations = [peer.association for peer in network.peers.values()]
    return (
        tuple((each._sequence.sent, len(each.records)) for each in associations),
        tuple(len(dial._held) for dial in network.dials.values()),
    )


def _is_idle(entry: Any) -> bool:
    """Whether it is the pulse of a node that is connected with no other: it touches nothing."""
    action = getattr(getattr(getattr(entry, "callback", None), "__self__", None), "action", None)
    network = getattr(action, "__self__", None)
    return isinstance(network, Network) and not network.peers


def _concern(entry: Any) -> tuple[Cell | None, type[Any] | None]:
    """The actor whose code an entry runs, and what kind of code it is.

    No actor but a kind: the node's own work. Neither: nobody knows.
    """
    if isinstance(entry, Turn):
        return entry.cell, (None if entry.cell is None else Turn)
    call = entry.callback
    owner = getattr(call, "__self__", None)
    if isinstance(owner, TimerWatcher):
        call = owner.callback
        owner = getattr(call, "__self__", None)
    elif isinstance(owner, VirtualTimer):
        call = owner.action
        owner = getattr(call, "__self__", None)
    if isinstance(owner, ActorTimer):
        return (None if owner.life is None else owner.life.cell), ActorTimer
    if isinstance(owner, Life):
        return owner.cell, Life
    if isinstance(owner, TurnGuard):
        owner = owner.worker
    elif isinstance(owner, Waiter):
        owner = owner.greenlet
    if isinstance(owner, Worker):
        return owner.cell, Worker
    if isinstance(owner, greenlet):
        return None, None
    if isinstance(owner, Connection):
        return None, (Connection if call.__name__ == "_arrive" else None)
    if isinstance(call, partial):
        call = call.func
    known = (getattr(call, "__module__", None) or "").startswith("actorkit.")
    return None, (Callback if known else None)
