"""Faults of a process: it is killed, stands still, forks, or cannot write its log."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from .trial import Trial, until

__all__ = ["fork", "full_disk", "kill", "pause", "pause_long"]


def kill(trial: Trial) -> None:
    """kill -9, amid the streams or while it starts and connects"""
    if trial.random.random() < 0.3:
        lose_south(trial)
        trial.start_south()
        time.sleep(trial.random.uniform(0.0, 1.5))
        trial.kill_south()
    else:
        time.sleep(trial.random.uniform(0.0, 0.5))
        lose_south(trial)
    trial.start_south()
    trial.meet()


def pause(trial: Trial) -> None:
    """SIGSTOP for less than the liveness time"""
    os.kill(trial.south.pid, signal.SIGSTOP)
    time.sleep(trial.random.uniform(0.1, 2.5))
    os.kill(trial.south.pid, signal.SIGCONT)
    trial.meet()


def pause_long(trial: Trial) -> None:
    """SIGSTOP until it is taken for dead, then SIGCONT"""
    before = trial.downs(trial.north)
    os.kill(trial.south.pid, signal.SIGSTOP)
    see_the_loss(trial, before)
    time.sleep(trial.random.uniform(0.0, 2.0))
    os.kill(trial.south.pid, signal.SIGCONT)
    trial.meet()


def fork(trial: Trial) -> None:
    """os.fork(): the child tries to use it, lives on, and outlives its parent"""
    child = trial.south.order("fork", 30.0)
    for name, outcome in child["tried"].items():
        if outcome != "ForkedSystem":
            trial.violation(f"{name} in a forked child: {outcome}")
    before = trial.downs(trial.north)
    trial.meet()
    if trial.downs(trial.north) != before:
        trial.violation("a fork cost the association")
    lose_south(trial)
    with suppress(ProcessLookupError):
        os.kill(child["pid"], signal.SIGKILL)  # it holds south's address
    trial.start_south()
    trial.meet()


def full_disk(trial: Trial) -> None:
    """no log line can be written (ENOSPC), while a node is killed and comes again"""
    lose_south(trial)
    trial.start_south()
    trial.meet()


def lose_south(trial: Trial) -> None:
    """Kill south, and have north see it."""
    before = trial.downs(trial.north)
    trial.kill_south()
    see_the_loss(trial, before)


def see_the_loss(trial: Trial, before: int) -> None:
    if not until(lambda: trial.downs(trial.north) > before):
        trial.violation("north did not see that south was gone")
