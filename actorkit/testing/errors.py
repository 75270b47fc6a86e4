"""What goes wrong with a simulation itself, as opposed to what it finds out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.exceptions import LoopExit

from ..errors import ActorError

if TYPE_CHECKING:
    from .exploration import Exploration

__all__ = [
    "ClaimBroken",
    "Deadlock",
    "ExplorationFailed",
    "SimulationEndless",
    "SimulationError",
    "SimulationEscape",
]


class SimulationError(ActorError):
    """Base of the errors that a simulation raises by itself."""


class SimulationEscape(SimulationError):
    """Code within a simulation reached for the real world; the text names what to use instead."""


class Deadlock(SimulationError, LoopExit):
    """Nothing is ready, no timer is set, and the test still waits; the text says who waits."""


class SimulationEndless(SimulationError):
    """By its time or its steps the simulation would go on for ever; it was given up."""


class ClaimBroken(SimulationError, AssertionError):
    """Something that was claimed about the run is not so; `claim` is the claim's name."""

    def __init__(self, text: str, claim: str) -> None:
        super().__init__(text)
        self.claim = claim


class ExplorationFailed(SimulationError, AssertionError):
    """An exploration found a run that breaks the test; `exploration` has all about it."""

    def __init__(self, text: str, exploration: Exploration) -> None:
        super().__init__(text)
        self.exploration = exploration
