"""Faults of the link between north's host and south's: it is cut, slow, or loses and reorders."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.remote.hosts import Hosts

from .trial import NORTH, SOUTH, Trial, until

__all__ = ["cut", "cut_long", "cut_one_way", "delay", "loss", "netem", "vanish"]


def cut(trial: Trial) -> None:
    """the link is cut for less than the heartbeat's timeout"""
    hosts(trial).cut(NORTH, SOUTH)
    time.sleep(trial.random.uniform(0.05, 1.2))
    hosts(trial).heal()
    trial.meet()


def cut_long(trial: Trial) -> None:
    """the link is cut until both sides have seen it, and heals"""
    part(trial, lambda: hosts(trial).cut(NORTH, SOUTH))


def cut_one_way(trial: Trial) -> None:
    """packets pass in one direction only until both sides have seen it"""
    source, target = trial.random.sample((NORTH, SOUTH), 2)
    part(trial, lambda: hosts(trial).cut_one_way(source, target))


def vanish(trial: Trial) -> None:
    """a host is gone without a last packet, and its node starts again"""
    hosts(trial).cut(NORTH, SOUTH)
    trial.kill_south()
    time.sleep(trial.random.uniform(0.0, 7.0))
    hosts(trial).heal()
    trial.start_south()
    trial.meet()


def delay(trial: Trial) -> None:
    """packets take 20 to 350 ms"""
    slow = trial.random.uniform(0.02, 0.25)
    hosts(trial).trouble(NORTH, SOUTH, delay=slow, jitter=0.1 * trial.random.random(), loss=0)
    time.sleep(1.0)
    trial.meet()
    hosts(trial).heal()


def loss(trial: Trial) -> None:
    """5 % of the packets are lost, the others reordered"""
    hosts(trial).trouble(NORTH, SOUTH, delay=0.005, jitter=0.02, loss=0.05)
    time.sleep(2.0)
    trial.meet()
    hosts(trial).heal()


def netem(trial: Trial) -> None:
    """the same by tc netem"""
    options = ("delay", "10ms", "10ms", "loss", "5%", "reorder", "75%", "50%")
    for place in (NORTH, SOUTH):
        hosts(trial)[place].netem(*options)
    time.sleep(2.0)
    trial.meet()


def hosts(trial: Trial) -> Hosts:
    assert trial.hosts is not None
    return trial.hosts


def part(trial: Trial, fault: Callable[[], None]) -> None:
    """North and south lose each other by this fault, and find each other again after it."""
    north, south = trial.downs(trial.north), trial.downs(trial.south, "north")
    fault()
    if not until(lambda: trial.downs(trial.north) > north):
        trial.violation("north did not see that the link was cut")
    if not until(lambda: trial.downs(trial.south, "north") > south):
        trial.violation("south did not see that the link was cut")
    time.sleep(trial.random.uniform(0.0, 2.0))
    hosts(trial).heal()
    trial.meet()
