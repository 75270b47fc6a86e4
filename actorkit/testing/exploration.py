"""`explore`: looks for the run that breaks a test, and makes it small.

Many seeds are tried by several processes. The lowest one that fails is shrunk to the fewest
deviations from first in first out, and written to a file that replays it. Uses everything else
here; nothing uses it but tests and the pytest plugin.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from .children import Children, Send
from .choices import ByKind, Recorded
from .claims import Errors
from .errors import ExplorationFailed, SimulationError
from .eventlog import Event
from .orders import explore_orders
from .progress import progress
from .recording import DIRECTORY, Recording
from .shrink import MAX_TRIES, Run, shrink, size, trim
from .strategies import source_of
from .trace import first_difference, to_html
from .trial import Outcome, Test, Trial

__all__ = ["Exploration", "Failure", "Strategy", "explore", "replay", "search"]

F = TypeVar("F", bound=Callable[..., Any])
Strategy = Literal["random", "pct", "exhaustive"]

#: Runs of an exploration unless told otherwise.
SEEDS = 1000
#: Lines of the run that a failure shows, the last ones.
SHOWN_EVENTS = 40
#: Steps that shrinking may take together, but for the runs that it may make anyway.
SHRINK_STEPS, MIN_TRIES = 250_000, 100
#: Seconds between two reports of a process.
REPORT_EVERY = 0.05

#: What pytest's `--actorkit-seed` says: a seed, or the file of a recording.
command_line: str | None = None


@dataclass(frozen=True)
class Failure:
    """A run that breaks the test, at its smallest."""

    seed: int | None  #: the lowest that fails; None where every order was tried
    error: str  #: the error, in words
    details: str = field(repr=False)  #: with its traceback
    choices: list[int]  #: what `Recorded` takes to repeat the smallest run
    deviations: int  #: choices of the smallest run that are not the tame one, faults included
    faults: int
    found_deviations: int = field(repr=False)  #: the same before shrinking
    found_faults: int = field(repr=False)
    tries: int = field(repr=False)  #: runs that shrinking took
    events: list[Event] = field(repr=False)  #: what happens in the smallest run


@dataclass(frozen=True)
class Exploration:
    """What came of an exploration."""

    test: str  #: "module:name"
    strategy: Strategy
    runs: int  #: seeds tried until the first failure, or orders
    complete: bool  #: every order has been tried
    failure: Failure | None
    file: Path | None = None  #: the recording of the failure
    given_up: int = 0  #: orders left in their midst, since they came to the same as others

    @property
    def ok(self) -> bool:
        """Whether the test held in every run."""
        return self.failure is None

    def __str__(self) -> str:
        failure = self.failure
        name = self.test.partition(":")[2]
        if failure is None:
            if self.strategy != "exhaustive":
                return f"{name}: {self.runs} seeds hold"
            same = f" ({self.given_up} more came to the same)" if self.given_up else ""
            if self.complete:
                return f"{name}: all {self.runs} schedules hold{same}"
            return (
                f"{name}: {self.runs} schedules hold{same}; the bound was reached, there are more"
            )
        return "\n".join(self._tell(name, failure))

    def _tell(self, name: str, failure: Failure) -> list[str]:
        if failure.seed is None:
            lines = [f"{name} fails in schedule {self.runs}"]
        else:
            lines = [f"{name} fails with seed {failure.seed} ({self.strategy})"]
        lines += [
            f"  {failure.error}",
            (
                f"shrunk to {_count(failure.deviations - failure.faults, 'deviation')} from first"
                f" in first out and {_count(failure.faults, 'fault')}, from"
                f" {failure.found_deviations - failure.found_faults} and {failure.found_faults}"
            ),
            "",
        ]
        events = failure.events
        if len(events) > SHOWN_EVENTS:
            lines.append(f"  ... {len(events) - SHOWN_EVENTS} events before")
        lines += [f"  {event}" for event in events[-SHOWN_EVENTS:]]
        lines += ["", failure.details.rstrip(), "", "to replay it:"]
        if failure.seed is not None:
            lines.append(f"  pytest --actorkit-seed={failure.seed}")
        if self.file is not None:
            lines.append(f"  pytest --actorkit-seed={self.file}   (the shrunk run)")
            lines.append(f"to look at it: {self.file.with_suffix('.html')}")
        return lines


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


# -- the public functions --------------------------------------------------------------------------


@overload
def explore(
    test: Test,
    seeds: int = SEEDS,
    *,
    processes: int | None = None,
    strategy: Strategy = "random",
    failures: Errors = (),
    twice: bool = False,
) -> Exploration: ...
@overload
def explore(
    *,
    seeds: int = SEEDS,
    processes: int | None = None,
    strategy: Strategy = "random",
    failures: Errors = (),
    twice: bool = False,
) -> Callable[[F], F]: ...
def explore(test: Test | None = None, seeds: int = SEEDS, **options: Any) -> Any:
    """Run `test(sim)` with many seeds; raise `ExplorationFailed` when one of them breaks it::

        def test_no_update_is_lost(sim):
            ...

        explore(test_no_update_is_lost, seeds=1000)

        @explore(seeds=1000)                # or so, for pytest
        def test_no_update_is_lost(sim, tmp_path): ...

    The test is broken by what it raises, by a claim (`sim.always`), and by an actor that fails,
    unless with an error of the class `failures`. The report has the seed, and the smallest run that
    fails in the same way; a file in `.actorkit/` replays it.

    `processes`: how many work at a time, one for each core by default. `strategy`: "random"; "pct"
    (priorities that change a few times, which finds rare orders sooner); "exhaustive", which tries
    every order of deliveries that does not come to the same as another, instead of seeds, but not
    more than `seeds` of them, with all delays at their least and one fault at most. `twice`: run
    each seed twice, and fail where the runs differ.

    Returns the `Exploration`, whose text says how much was tried.
    """
    if test is None:
        return partial(_decorate, seeds=seeds, **options)
    exploration = search(test, seeds, **options)
    if exploration.failure is not None:
        raise ExplorationFailed(str(exploration), exploration)
    return exploration


def search(
    test: Test,
    seeds: int = SEEDS,
    *,
    processes: int | None = None,
    strategy: Strategy = "random",
    failures: Errors = (),
    twice: bool = False,
    record: bool = True,
) -> Exploration:
    """`explore`, which returns what it found instead of raising it; `record`: write the file."""
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ValueError(f"seeds= takes how many runs there are to be, at least 1, not {seeds!r}")
    if strategy not in ("random", "pct", "exhaustive"):
        raise ValueError(f'strategy= takes "random", "pct" or "exhaustive", not {strategy!r}')
    if processes is None:
        processes = os.cpu_count() or 1
    if processes < 1:
        raise ValueError(f"processes= takes a number from 1, not {processes!r}")
    explorer = _Explorer(test, strategy, failures, twice)
    if strategy == "exhaustive":
        exploration = explorer.try_orders(seeds)
    else:
        exploration = explorer.try_seeds(seeds, min(processes, seeds))
    return explorer.record(exploration) if record and exploration.failure else exploration


def replay(test: Test, recording: str | Path, *, failures: Errors = ()) -> None:
    """Run `test` once more as a file of `explore` says; raises what it raises."""
    choices = Recorded(Recording.load(Path(recording)).choices)
    _raise(Trial(test, failures).run(choices, log=True))


def _raise(outcome: Outcome) -> None:
    if outcome.error is not None:
        raise outcome.error


def _name_of(test: Any) -> str:
    while isinstance(test, partial):
        test = test.func
    name = getattr(test, "__qualname__", type(test).__qualname__)
    return f"{getattr(test, '__module__', '')}:{name}"


def _decorate(test: F, **options: Any) -> F:
    """The pytest function that explores `test`, whose first parameter is the simulation.

    In a class of tests it is the second one, after `self`.
    """
    signature = inspect.signature(test)
    names = list(signature.parameters)
    own, names = (names[:1], names[1:]) if names[:1] == ["self"] else ([], names)
    if not names:
        raise TypeError(f"{test.__qualname__} takes no parameter: the first is the simulation")
    others = [signature.parameters[name] for name in own + names[1:]]

    @functools.wraps(test)
    def explored(*instance: Any, **fixtures: Any) -> None:
        bound = functools.wraps(test)(lambda sim: test(*instance, sim, **fixtures))
        if command_line is None or not _replay_as_told(bound, command_line, **options):
            explore(bound, **options)

    explored.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
    del explored.__wrapped__  # pytest would ask it for fixtures
    return explored  # type: ignore[return-value]


def _replay_as_told(test: Test, told: str, **options: Any) -> bool:
    """Run one seed, or one recording, in this process; False where it is none of this test."""
    failures = options.get("failures", ())
    strategy = options.get("strategy", "random")
    if told.lstrip("-").isdigit():
        if strategy == "exhaustive":
            return False
        _raise(_Explorer(test, strategy, failures, False).run_seed(int(told), log=True))
        return True
    if Recording.load(Path(told)).test != _name_of(test):
        return False
    replay(test, told, failures=failures)
    return True


# -- the work --------------------------------------------------------------------------------------


class _Explorer:
    """One exploration of one test."""

    def __init__(self, test: Test, strategy: Strategy, failures: Errors, twice: bool) -> None:
        self._name = _name_of(test)
        self._strategy: Strategy = strategy
        self._trial = Trial(test, failures)
        self._twice = twice
        self._steps: int | None = None

    # -- seeds ----------------------------------------------------------------------------------

    def try_seeds(self, seeds: int, processes: int) -> Exploration:
        """Find the lowest seed that fails, the same for any number of processes."""
        children = Children(
            [partial(self._walk, seeds, start, processes) for start in range(processes)]
        )
        reached = list(range(processes))
        found: int | None = None
        with progress(self._name.partition(":")[2], seeds) as show:
            for number, message in children:
                if "differs" in message:
                    raise SimulationError(message["differs"])
                if "failed" in message:
                    seed = message["failed"]
                    found = seed if found is None else min(found, seed)
                else:
                    reached[number] = message["at"]
                    show(min(seeds, sum(reached) // processes))
                if found is not None:
                    for other, at in enumerate(reached):
                        if at >= found:
                            children.kill(other)
        if found is None:
            return Exploration(self._name, self._strategy, seeds, False, None)
        failure = self._shrink(partial(self.run_seed, found), found)
        return Exploration(self._name, self._strategy, found + 1, False, failure)

    def _walk(self, seeds: int, start: int, stride: int, send: Send) -> None:
        """What one process does: every `stride`-th seed until one fails."""
        next_report = 0.0
        for seed in range(start, seeds, stride):
            if time.perf_counter() >= next_report:
                send({"at": seed})
                next_report = time.perf_counter() + REPORT_EVERY
            outcome = self.run_seed(seed, log=self._twice)
            if self._twice:
                again = self.run_seed(seed, log=True)
                if str(again.log) != str(outcome.log) or again.key != outcome.key:
                    send({"differs": _not_alike(outcome, again)})
                    return
            if outcome.error is not None:
                send({"failed": seed})
                return
        send({"at": seeds})

    def run_seed(self, seed: int, log: bool = False) -> Outcome:
        return self._trial.run(source_of(self._strategy, seed, self._count_steps), seed, log)

    def _count_steps(self) -> int:
        if self._steps is None:
            self._steps = self._trial.steps()
        return self._steps

    # -- orders ---------------------------------------------------------------------------------

    def try_orders(self, bound: int) -> Exploration:
        """Try every order of deliveries, in one process."""

        def job(send: Send) -> None:
            next_report = 0.0

            def tell(runs: int) -> None:
                nonlocal next_report
                if time.perf_counter() >= next_report:
                    next_report = time.perf_counter() + REPORT_EVERY
                    send({"runs": runs})

            orders = explore_orders(self._trial, bound, tell)
            values = None if orders.failed is None else orders.failed.run[0]
            send(
                {
                    "runs": orders.runs,
                    "complete": orders.complete,
                    "given_up": orders.given_up,
                    "values": values,
                }
            )

        last: dict[str, Any] = {}
        with progress(self._name.partition(":")[2], bound) as show:
            for _, message in Children([job]):
                show(message["runs"])
                last = message
        failure = None
        if last["values"] is not None:
            failure = self._shrink(lambda log: self._replay(last["values"], log), None)
        return Exploration(
            self._name,
            "exhaustive",
            last["runs"],
            last["complete"],
            failure,
            given_up=last["given_up"],
        )

    def _replay(self, values: list[int], log: bool = False) -> Outcome:
        return self._trial.run(Recorded(values), log=log)

    # -- the failure ----------------------------------------------------------------------------

    def _shrink(self, again: Callable[[bool], Outcome], seed: int | None) -> Failure:
        """Make a failed run small, in a process of its own."""

        def job(send: Send) -> None:
            first, second = again(True), again(True)
            if not first.key or str(first.log) != str(second.log):
                send({"differs": _not_alike(first, second)})
                return

            def fails(run: Run) -> Run | None:
                # One that goes on for much longer is of no use, and would take most of the time.
                outcome = self._trial.run(ByKind(*run), max_steps=2 * first.steps)
                return outcome.run if outcome.key == first.key else None

            max_tries = min(MAX_TRIES, max(MIN_TRIES, SHRINK_STEPS // max(1, first.steps)))
            (values, _), tries = shrink(first.run, fails, max_tries)
            smallest = self._replay(list(values), log=True)
            faults, deviations, *_ = size(smallest.run)
            found_faults, found_deviations, *_ = size(first.run)
            send(
                {
                    "failure": {
                        "error": smallest.text,
                        "details": smallest.details,
                        "choices": trim(smallest.run)[0],
                        "deviations": deviations,
                        "faults": faults,
                        "found_deviations": found_deviations,
                        "found_faults": found_faults,
                        "tries": tries,
                        "events": list(smallest.log),
                    }
                }
            )

        ((_, message),) = Children([job])
        if "differs" in message:
            raise SimulationError(message["differs"])
        fields = message["failure"]
        fields["events"] = [Event(*row) for row in fields["events"]]
        return Failure(seed=seed, **fields)

    def record(self, exploration: Exploration) -> Exploration:
        """Write the file of the failure, and the picture of its run."""
        failure = exploration.failure
        assert failure is not None
        recording = Recording(
            self._name, failure.seed, self._strategy, failure.choices, failure.error
        )
        path = recording.save(Path(DIRECTORY))
        path.with_suffix(".html").write_text(to_html(failure.events, f"{path.stem}"))
        return replace(exploration, file=path)


def _not_alike(one: Outcome, other: Outcome) -> str:
    """The text for a test whose runs differ though their choices do not."""
    difference = first_difference(one.log, other.log)
    told = (
        f"one ends with {one.text or 'success'}, the other with {other.text or 'success'}"
        if difference is None
        else str(difference)
    )
    return (
        f"the test is not a function of its choices: two runs with seed {one.seed} differ.\n"
        f"{told}\n"
        "It keeps something from one run to the next, or depends on the order of a set, on id() or"
        " on an object's address; make everything in the test itself, and sort"
    )
