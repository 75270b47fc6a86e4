"""Supervision, explored: restarts while messages wait, groups, intensities, stops on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

from actorkit import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorRestarted,
    ActorStopped,
    Backoff,
    OneForAll,
    OneForOne,
    Reason,
    RestForOne,
    Strategy,
    Terminated,
)
from actorkit.testing import Simulation, explore

from .books import Books


class Crash(Exception):
    """A failure that is part of the test."""


class Team:
    """What a boss and its workers share with the test: who is there, and what they went through."""

    def __init__(self, sim: Simulation, strategy: Strategy, size: int = 3) -> None:
        self.sim = sim
        self.strategy = strategy
        self.books = Books(sim.system("team"))
        self.names = [f"worker-{number}" for number in range(size)]
        self.workers: dict[str, ActorRef[Any]] = {}
        #: Of each worker, the number of its last failure, and of its last start, of all.
        self.failed_at = dict.fromkeys(self.names, 0)
        self.started_at = dict.fromkeys(self.names, 0)
        self.failures = dict.fromkeys(self.names, 0)
        self.starts = dict.fromkeys(self.names, 0)
        self._clock = 0
        self.boss = sim.system("team").spawn(Boss, self, name="boss")
        gevent.sleep(0.1)

    def now(self) -> int:
        self._clock += 1
        return self._clock

    def starts_sender(self, name: str, messages: int) -> None:
        self.sim.system("team").spawn(Sender, self, name, messages, name=name)


class Boss(Actor):
    def __init__(self, team: Team) -> None:
        self.team = team
        self.supervision = team.strategy  # type: ignore[misc]

    def on_start(self) -> None:
        for name in self.team.names:
            self.team.workers[name] = self.spawn(Worker, self.team, name, name=name)

    def receive(self, message: Any) -> None:
        """Nothing: it is there for its children."""


class Worker(Actor):
    def __init__(self, team: Team, name: str) -> None:
        self.team = team
        self.name = name

    def on_start(self) -> None:
        self.team.starts[self.name] += 1
        self.team.started_at[self.name] = self.team.now()

    def receive(self, message: Any) -> Any:
        if message == "where?":
            return self.name
        self.team.books.note(self.ref, message)
        if self.team.sim.fault(0.1):
            self.team.failed_at[self.name] = self.team.now()
            self.team.failures[self.name] += 1
            raise Crash(self.name)
        gevent.sleep(self.team.sim.random.randrange(3) / 10)
        return None


class Sender(Actor):
    """Tells workers of its choice so many messages."""

    def __init__(self, team: Team, name: str, messages: int) -> None:
        self.team = team
        self.name = name
        self.messages = messages

    def run(self) -> None:
        for _ in range(self.messages):
            name = self.team.sim.random.choice(self.team.names)
            self.team.books.tell(self.team.workers[name], self.name)
            if self.team.sim.random.randrange(2):
                gevent.sleep(0.05)


def backoff(sim: Simulation) -> Backoff | None:
    return sim.random.choice([None, Backoff(first=0.0, minimum=0.1, maximum=1.0)])


def any_strategy(sim: Simulation, intensity: int) -> Strategy:
    kind: Callable[..., Strategy] = sim.random.choice([OneForOne, OneForAll, RestForOne])
    return kind(intensity=intensity, period=1.0, backoff=backoff(sim))


@explore(seeds=2000, failures=Crash)
def test_over_restarts_escalations_and_stops_each_message_is_handled_once_or_a_dead_letter(
    sim: Simulation,
) -> None:
    team = Team(sim, any_strategy(sim, intensity=sim.random.randrange(5)))
    for name in ("ann", "bob"):
        team.starts_sender(name, 6)
    for name in team.names:
        gevent.sleep(sim.random.randrange(4) / 10)
        if sim.fault(0.1):
            team.workers[name].stop(drain=bool(sim.random.randrange(2)))
        if sim.fault(0.1):
            team.workers[name].kill()
    if sim.fault(0.1):
        team.boss.stop()
    gevent.sleep(30)
    team.books.check_each_is_in_one_place()
    team.books.check_order()


@explore(seeds=1000, failures=Crash)
def test_after_failures_exactly_those_are_new_whom_the_strategy_names(sim: Simulation) -> None:
    kind: Any = sim.random.choice([OneForOne, OneForAll, RestForOne])
    team = Team(sim, kind(intensity=1000, backoff=backoff(sim)))
    for name in ("ann", "bob"):
        team.starts_sender(name, 6)
    gevent.sleep(60)

    first, *_, last = team.names
    for place, name in enumerate(team.names):
        assert team.workers[name].ask("where?") == name
        others = {OneForOne: [], OneForAll: team.names, RestForOne: team.names[:place]}[kind]
        for failed in {name, *others}:  # it is new since their last failure
            assert team.started_at[name] > team.failed_at[failed]
        if not others:  # and no other's failure has made it new
            assert team.starts[name] == 1 + team.failures[name]
    if kind is not OneForOne and team.failed_at[first] == max(team.failed_at.values()) > 0:
        assert team.started_at[first] < team.started_at[last]  # the first began first


@explore(seeds=1000, failures=Crash)
def test_a_child_is_restarted_as_often_as_its_intensity_allows_and_then_its_parent_fails(
    sim: Simulation,
) -> None:
    intensity, period = sim.random.randrange(3), 1.05
    news: list[tuple[float, str]] = []
    system = sim.system("team")
    for kind in (ActorFailed, ActorRestarted):
        system.events.subscribe(
            kind,
            lambda event: news.append((sim.time(), f"{type(event).__name__} {event.ref.path}")),
        )

    class Fragile(Actor):
        def receive(self, message: Any) -> None:
            raise Crash

    class Parent(Actor):
        supervision = OneForOne(intensity=intensity, period=period, backoff=None)

        def on_start(self) -> None:
            self.spawn(Fragile, name="child")

        def receive(self, message: Any) -> None:
            pass

    system.spawn(Parent, name="parent", restart="temporary")
    gevent.sleep(0.1)
    child = system.lookup("/parent/child")
    for _ in range(8):
        gevent.sleep(sim.random.randrange(1, 10) / 10)
        child.tell("fail")
    gevent.sleep(5)

    recent: list[float] = []
    expected: list[str] = []
    for time, what in news:
        if what != "ActorFailed /parent/child":
            continue
        recent = [earlier for earlier in recent if time - earlier < period] + [time]
        allowed = len(recent) <= intensity
        expected += [what, "ActorRestarted /parent/child" if allowed else "ActorFailed /parent"]
    assert [what for _, what in news] == expected


@explore(seeds=2000, failures=Crash)
def test_whoever_is_stopped_on_the_way_ends_once_and_nobody_waits_for_it_in_vain(
    sim: Simulation,
) -> None:
    team = Team(sim, any_strategy(sim, intensity=1000))
    system = sim.system("team")
    ends: dict[tuple[str, ActorRef[Any]], list[Reason]] = {}

    class Watcher(Actor):
        def __init__(self, name: str) -> None:
            self.name = name
            for ref in (*team.workers.values(), team.boss):
                ends[name, ref] = []
                self.watch(ref)

        def receive(self, message: Any) -> None:
            if isinstance(message, Terminated):
                ends[self.name, message.ref].append(message.reason)

    for name in ("early", "late"):
        system.spawn(Watcher, name, name=name)
        team.starts_sender(f"sender-{name}", 5)
        gevent.sleep(sim.random.randrange(3) / 10)
    victim = sim.random.choice([*team.workers.values(), team.boss])
    answers = [ref.ask_nowait("where?", timeout=None) for ref in team.workers.values()]
    sim.random.choice([victim.stop, victim.kill])()
    answers += [ref.ask_nowait("where?", timeout=None) for ref in team.workers.values()]
    gevent.sleep(30)

    everyone = [*team.workers.values(), team.boss]
    dead = everyone if victim is team.boss else [victim]
    for answer, ref in zip(answers, [*team.workers.values()] * 2, strict=True):
        assert answer.ready()
        assert answer.successful() or isinstance(answer.exception, ActorStopped)
        assert answer.successful() or ref in dead
    for (_, ref), reasons in ends.items():
        assert ref.ready() == (ref in dead)
        assert len(reasons) == (ref in dead)
    assert victim.ready()
    assert len(system.tree()) == len([ref for ref in everyone if ref not in dead]) + 2
