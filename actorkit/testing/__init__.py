"""Tests without waiting: probes, a pytest plugin, and whole clusters that replay from a seed."""

from __future__ import annotations

from .choices import Choice, ChoiceSequence, Recorded, Seeded
from .disk import Disk
from .errors import (
    ClaimBroken,
    Deadlock,
    ExplorationFailed,
    SimulationEndless,
    SimulationError,
    SimulationEscape,
)
from .eventlog import Event, EventLog
from .exploration import Exploration, Failure, explore, replay, search
from .linearizability import History, Operation, linearize
from .probe import Probe
from .simulation import Simulation
from .trace import first_difference, to_html, to_json_lines, to_text

__all__ = [
    "Choice",
    "ChoiceSequence",
    "ClaimBroken",
    "Deadlock",
    "Disk",
    "Event",
    "EventLog",
    "Exploration",
    "ExplorationFailed",
    "Failure",
    "History",
    "Operation",
    "Probe",
    "Recorded",
    "Seeded",
    "Simulation",
    "SimulationEndless",
    "SimulationError",
    "SimulationEscape",
    "explore",
    "first_difference",
    "linearize",
    "replay",
    "search",
    "to_html",
    "to_json_lines",
    "to_text",
]
