"""The faults by name, and how one of them is tried."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass

from tests.remote.hosts import Hosts, has_netem, why_not

from . import links, peers, processes
from .trial import Trial

__all__ = ["FAULTS", "Fault", "attempt"]


@dataclass(frozen=True)
class Fault:
    """`run` is one run of it. `lossless`: north and south may not lose each other by it."""

    run: Callable[[Trial], None]
    on_hosts: bool = False
    lossless: bool = False
    stdout: str = os.devnull

    @property
    def title(self) -> str:
        return self.run.__doc__ or ""

    def impossible(self) -> str:
        """Why it cannot be tried on this machine; empty if it can."""
        if self.on_hosts and why_not():
            return why_not()
        if self.run is links.netem and not has_netem():
            return "the kernel has no sch_netem"
        return ""


FAULTS = {
    "kill": Fault(processes.kill),
    "pause": Fault(processes.pause, lossless=True),
    "pause_long": Fault(processes.pause_long),
    "cut": Fault(links.cut, on_hosts=True, lossless=True),
    "cut_long": Fault(links.cut_long, on_hosts=True),
    "cut_one_way": Fault(links.cut_one_way, on_hosts=True),
    "vanish": Fault(links.vanish, on_hosts=True),
    "delay": Fault(links.delay, on_hosts=True, lossless=True),
    "loss": Fault(links.loss, on_hosts=True, lossless=True),
    "netem": Fault(links.netem, on_hosts=True, lossless=True),
    "deaf": Fault(peers.deaf, lossless=True),
    "unacknowledging": Fault(peers.unacknowledging, lossless=True),
    "greedy": Fault(peers.greedy, lossless=True),
    "full_disk": Fault(processes.full_disk, stdout="/dev/full"),
    "garbage": Fault(peers.garbage, lossless=True),
    "versions": Fault(peers.versions, lossless=True),
    "silent_connections": Fault(peers.silent_connections, lossless=True),
    "flood": Fault(peers.flood, lossless=True),
    "fork": Fault(processes.fork),
}


def attempt(
    fault: Fault, runs: int, seed: int, limits: Mapping[str, float] | None = None
) -> tuple[Counter[str], list[str]]:
    """Try a fault so many times with the same north and third; the sums, and what did not hold.

    `limits`: values for constants below `actorkit.remote`, as in `{"door.HELLO_TIME": 1.0}`.
    """
    place = Hosts(3, seed) if fault.on_hosts else nullcontext()
    started = time.monotonic()
    with place as hosts, Trial(seed, hosts, fault.stdout, limits) as trial:
        trial.meet()
        for _ in range(runs):
            before = trial.downs(trial.north)
            fault.run(trial)
            trial.check()
            if fault.lossless and trial.downs(trial.north) > before:
                trial.violation(f"north lost south: {trial.north.report()['reasons']}")
            if trial.violations:
                break
        sums = trial.totals()
        sums["seconds"] = round(time.monotonic() - started)
        return sums, trial.violations
