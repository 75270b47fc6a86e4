"""Tests without waiting: probes, a pytest plugin, and whole clusters that replay from a seed."""

from __future__ import annotations

from .choices import Choice, ChoiceSequence, Recorded, Seeded
from .disk import Disk
from .errors import Deadlock, SimulationEndless, SimulationError, SimulationEscape
from .eventlog import Event, EventLog
from .probe import Probe
from .simulation import Simulation

__all__ = [
    "Choice",
    "ChoiceSequence",
    "Deadlock",
    "Disk",
    "Event",
    "EventLog",
    "Probe",
    "Recorded",
    "Seeded",
    "Simulation",
    "SimulationEndless",
    "SimulationError",
    "SimulationEscape",
]
