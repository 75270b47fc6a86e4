"""One run of a test under exploration, and what came of it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

from .choices import Recorded, Source
from .claims import Errors
from .errors import ClaimBroken
from .eventlog import EventLog, describe
from .footprints import Footprints
from .loop import MAX_STEPS
from .shrink import Run
from .simulation import Simulation

__all__ = ["Outcome", "Test", "Trial"]

Test = Callable[[Simulation], Any]


@dataclass(frozen=True)
class Outcome:
    """What a run chose, how it ended, and what happened in it."""

    seed: int
    error: BaseException | None
    run: Run = field(repr=False)
    log: EventLog = field(repr=False)
    steps: int  #: entries of the loop that ran

    @property
    def key(self) -> str:
        """What failed: runs with the same key fail alike. "" for one that passes."""
        error = self.error
        if error is None:
            return ""
        if isinstance(error, ClaimBroken):
            return error.claim
        return f"{type(error).__qualname__}{_place(error)}"

    @property
    def text(self) -> str:
        """The error in a line or a few."""
        error = self.error
        return "" if error is None else f"{type(error).__name__}: {error or describe(error)}"

    @property
    def details(self) -> str:
        """The error with its traceback, from the test itself on."""
        error = self.error
        if error is None:
            return ""
        trace = error.__traceback__
        while trace is not None and _is_ours(trace.tb_frame):
            trace = trace.tb_next
        return "".join(traceback.format_exception(type(error), error, trace))


class Trial:
    """A test that is run again and again; `but` are errors with which its actors may fail."""

    def __init__(self, test: Test, but: Errors = ()) -> None:
        self._test = test
        self._but = but
        self._needs_log = False

    def run(
        self,
        source: Source,
        seed: int = 0,
        log: bool = False,
        footprints: Footprints | None = None,
        max_steps: int = MAX_STEPS,
    ) -> Outcome:
        """Run the test with these choices; the log is written if asked for, or if a claim reads it.

        Errors of the test are part of the outcome, and so is that it took too many steps.
        `footprints` are told what its steps touch.
        """
        simulation = Simulation(seed, source=source, log=log or self._needs_log)
        simulation.footprints = footprints
        outcome = self.run_in(simulation, max_steps)
        if simulation.claims_read_log and not simulation.logs:
            self._needs_log = True
            return self.run(Recorded(outcome.run[0]), seed, max_steps=max_steps)
        return outcome

    def run_in(self, simulation: Simulation, max_steps: int = MAX_STEPS) -> Outcome:
        """Run the test in a simulation that was made for it."""
        error: BaseException | None = None
        try:
            simulation.run(partial(self._main, max_steps))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:
            error = raised
        choices = simulation.choices
        run = (choices.values, choices.kinds)
        return Outcome(simulation.seed, error, run, simulation.log, simulation.steps)

    def _main(self, max_steps: int, simulation: Simulation) -> None:
        simulation.give_up_after(max_steps)
        simulation.no_failures(self._but)
        self._test(simulation)

    def steps(self) -> int:
        """How many choices of what runs next there are, when everything is first in first out."""
        _, kinds = self.run(Recorded([])).run
        return kinds.count("next") if isinstance(kinds, list) else 0


def _place(error: BaseException) -> str:
    """Where in the user's code an error came from."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if not _is_ours(frame):
            place = f" at {os.path.basename(frame.f_code.co_filename)}:{line}"
    return place


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] in ("gevent", "actorkit")
