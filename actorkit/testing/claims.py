"""Claims: what must hold in every run of a simulation, whatever is chosen.

`Simulation.always` and its like keep their claims here. Predicates are asked after each step of
the loop; what the event log shows is checked at the end. The first broken claim is thrown into the
test. Uses the event log; the simulation owns one `Claims`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import gevent

from ..events import DeadLetter
from .errors import ClaimBroken
from .eventlog import Event, describe

if TYPE_CHECKING:
    from ..system import ActorSystem
    from .simulation import Simulation

__all__ = ["Claims", "find_disorder", "find_duplicate"]

Errors = type[BaseException] | tuple[type[BaseException], ...]


class Claims:
    """The claims of one run."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._always: list[tuple[str, Callable[[], Any]]] = []
        #: What must become true: its name, its predicate, and until when.
        self._pending: list[tuple[str, Callable[[], Any], float]] = []
        self._at_end: list[Callable[[], ClaimBroken | None]] = []
        self._no_dead_letters = False
        self._broken: ClaimBroken | None = None
        #: Whether a claim reads the event log.
        self.read_log = False

    @property
    def look(self) -> bool:
        """Whether a predicate looks at everything, after each step."""
        return bool(self._always or self._pending)

    # -- making claims --------------------------------------------------------------------------

    def always(self, name: str, predicate: Callable[[], Any]) -> None:
        self._always.append((name, predicate))
        self._begin()
        self._ask(name, predicate)

    def eventually(self, name: str, predicate: Callable[[], Any], within: float) -> None:
        if not within >= 0:
            raise ValueError(f"within= takes seconds, at least 0, not {within!r}")
        until = self._simulation.time() + within
        self._pending.append((name, predicate, until))
        self._begin()
        self._simulation._loop.plan(within, self._settle_due, None)

    def no_failures(self, but: Errors) -> None:
        def check() -> ClaimBroken | None:
            for failure in self._simulation.failures:
                if not isinstance(failure.error, but):
                    broken = ClaimBroken(
                        f"actor {failure.ref.path} failed: {describe(failure.error)}",
                        "no actor fails",
                    )
                    broken.__cause__ = failure.error
                    return broken
            return None

        self._at_end.append(check)

    def no_dead_letters(self) -> None:
        if not self._no_dead_letters:
            self._no_dead_letters = True
            self._begin()
            for system in self._simulation.systems.values():
                self.system_started(system)

    def in_order(self) -> None:
        self._read_log("messages arrive in the order in which they were sent", find_disorder)

    def no_duplicates(self) -> None:
        self._read_log("no message arrives twice", find_duplicate)

    def _read_log(self, name: str, find: Callable[[Iterable[Event]], str | None]) -> None:
        self.read_log = True

        def check() -> ClaimBroken | None:
            trouble = find(self._simulation.log)
            return None if trouble is None else ClaimBroken(f"{name}: {trouble}", name)

        self._at_end.append(check)

    # -- checking them --------------------------------------------------------------------------

    def system_started(self, system: ActorSystem) -> None:
        """A node is there, whose dead letters count."""
        if self._no_dead_letters:
            system.events.subscribe(DeadLetter, self._letter_died)

    def _begin(self) -> None:
        self._simulation._loop.after_step = self._step

    def _step(self) -> None:
        """In the hub, after each step."""
        if self._broken is None:
            self._check()
            if self._broken is not None:
                self._simulation._loop.throw(self._broken)

    def _check(self) -> None:
        """Ask every predicate."""
        name = ""
        try:
            for name, predicate in self._always:
                if not predicate():
                    self._break_now(name)
        except Exception as error:
            self._break_by(name, error)
        if self._pending:
            self._pending = [
                claim for claim in self._pending if not self._holds(claim[0], claim[1])
            ]

    def _ask(self, name: str, predicate: Callable[[], Any]) -> None:
        if not self._holds(name, predicate):
            self._break_now(name)

    def _break_now(self, name: str) -> None:
        self._break(ClaimBroken(f"{name}: not so at {self._simulation.time():.6f} s", name))

    def _holds(self, name: str, predicate: Callable[[], Any]) -> bool:
        try:
            return bool(predicate())
        except Exception as error:
            self._break_by(name, error)
            return True

    def _break_by(self, name: str, error: Exception) -> None:
        broken = ClaimBroken(f"{name}: its predicate raised {describe(error)}", name)
        broken.__cause__ = error
        self._break(broken)

    def _settle_due(self) -> None:
        """A deadline has come."""
        now = self._simulation.time()
        for name, predicate, until in self._pending:
            if until <= now and not self._holds(name, predicate):
                self._break(ClaimBroken(f"{name}: not so by {until:.6f} s", name))

    def _letter_died(self, letter: DeadLetter) -> None:
        name = "no dead letters"
        text = f"{describe(letter.message)} to {letter.ref.path}: {letter.reason}"
        self._break(ClaimBroken(f"{name}: {text}", name))

    def _break(self, broken: ClaimBroken) -> None:
        if self._broken is None:
            self._broken = broken

    def settle(self) -> None:
        """The test has ended: wait for what must still become true, and check the rest."""
        self._check()
        while self._pending and self._broken is None:
            gevent.sleep(max(until for _, _, until in self._pending) - self._simulation.time())
        for check in self._at_end:
            if self._broken is None:
                self._broken = check()
        if self._broken is not None:
            raise self._broken


def find_disorder(log: Iterable[Event]) -> str | None:
    """Two messages of one actor to another that came in the wrong order, in words; or None.

    Inboxes with a priority, `stash` and timers make an order of their own.
    """
    events = {event.number: event for event in log}
    last: dict[tuple[str, str, str, str], Event] = {}
    for event in events.values():
        sent = events.get(event.cause) if event.kind == "delivered" else None
        if sent is None or sent.kind not in ("sent", "arrived"):
            continue
        origin = events.get(sent.cause) if sent.kind == "arrived" else sent
        if origin is None:
            continue
        pair = (origin.node, origin.actor, event.node, event.actor)
        before = last.get(pair)
        if before is not None and before.cause > sent.number:
            return f"{before.detail} (line {before.number}) before {event.detail}"
        last[pair] = event
    return None


def find_duplicate(log: Iterable[Event]) -> str | None:
    """A message that was delivered twice, in words; or None."""
    seen: dict[int, Event] = {}
    for event in log:
        if event.kind == "delivered" and event.cause:
            before = seen.setdefault(event.cause, event)
            if before is not event:
                return f"{event.detail} in lines {before.number} and {event.number}"
    return None
