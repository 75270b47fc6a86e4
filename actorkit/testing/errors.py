"""What goes wrong with a simulation itself, as opposed to what it finds out."""

from __future__ import annotations

from gevent.exceptions import LoopExit

from ..errors import ActorError

__all__ = ["Deadlock", "SimulationEndless", "SimulationError", "SimulationEscape"]


class SimulationError(ActorError):
    """Base of the errors that a simulation raises by itself."""


class SimulationEscape(SimulationError):
    """Code within a simulation reached for the real world; the text names what to use instead."""


class Deadlock(SimulationError, LoopExit):
    """Nothing is ready, no timer is set, and the test still waits; the text says who waits."""


class SimulationEndless(SimulationError):
    """By its time or its steps the simulation would go on for ever; it was given up."""
