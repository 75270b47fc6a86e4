"""What may happen to the connection of two nodes."""

from __future__ import annotations

from actorkit.testing import Simulation


def trouble(sim: Simulation, one: str, other: str, probability: float = 0.1) -> None:
    """A break, a cut of one way or of both, or none; and perhaps the end of all cuts."""
    if sim.fault(probability):
        sim.network.disconnect(one, other)
    if sim.fault(probability):
        sim.network.partition({one}, {other})
    if sim.fault(probability / 2):
        sim.network.cut(*sim.random.sample([one, other], 2))
    if sim.fault(probability):
        sim.network.heal()
