"""Exhaustive exploration leaves out what comes to the same, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest
from hypothesis import given, settings

from actorkit import Actor, ActorRef, Inbox
from actorkit.testing import History, Simulation, explore, linearize, search
from actorkit.testing.orders import Orders, explore_all_orders, explore_orders
from actorkit.testing.trial import Trial

from .planted import load
from .programs import Program, World, programs

Main = Callable[[Simulation], Any]

#: Runs with which a generated program is given up.
BOUND = 300


def outcomes(
    main: Main, bound: int = 20_000, walk: Callable[..., Orders] = explore_orders
) -> tuple[set[Any], Orders]:
    """What a test returns in all schedules that a walk runs."""
    seen: set[Any] = set()
    orders = walk(Trial(lambda sim: seen.add(main(sim)), Exception), bound, lambda runs: None)
    if orders.failed is not None:
        raise AssertionError(orders.failed.details)
    return seen, orders


def at_random(main: Main, seeds: int) -> set[Any]:
    """What it returns for some seeds."""
    return {Simulation(seed, log=False).run(main) for seed in range(seeds)}


class Sink(Actor):
    """Keeps what it is told, and tells what it has."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def receive(self, message: Any) -> Any:
        if message == "got?":
            return tuple(self.got)
        self.got.append(message)
        return None


class Source(Actor):
    """Tells its sinks so many numbers, one a turn."""

    def __init__(self, count: int, *sinks: ActorRef[Sink]) -> None:
        self.count = count
        self.sinks = sinks

    def receive(self, message: Any) -> None:
        for sink in self.sinks:
            sink.tell((self.ref.name, self.count))
        self.count -= 1
        if self.count:
            self.ref.tell("again")


def sources(counts: list[int], apart: bool = False) -> Main:
    """Sources that tell one sink, or each its own."""

    def main(sim: Simulation) -> Any:
        system = sim.system("a")
        sinks = [system.spawn(Sink, name=f"sink-{n}") for n in range(len(counts) if apart else 1)]
        for number, count in enumerate(counts):
            sink = sinks[number if apart else 0]
            system.spawn(Source, count, sink, name=f"source-{number}").tell("go")
        gevent.sleep(1)
        return tuple(sink.ask("got?") for sink in sinks)

    return main


# -- how many schedules there are ------------------------------------------------------------------


@pytest.mark.parametrize("actors", [1, 3, 6])
def test_actors_that_have_nothing_to_do_with_each_other_need_one_schedule(actors: int) -> None:
    _, orders = outcomes(sources([2] * actors, apart=True))
    assert (orders.runs, orders.given_up, orders.complete) == (1, 0, True)


@pytest.mark.parametrize("counts", [[1, 1], [2, 2], [4, 4], [3, 1], [1, 1, 1], [2, 2, 1]])
def test_senders_to_one_actor_need_a_schedule_for_each_order_of_its_inbox(
    counts: list[int],
) -> None:
    seen, orders = outcomes(sources(counts))
    expected = math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))
    assert orders.complete
    assert len(seen) == orders.runs == expected


def test_one_sender_to_many_actors_needs_one_schedule() -> None:
    def main(sim: Simulation) -> Any:
        system = sim.system("a")
        sinks = [system.spawn(Sink, name=f"sink-{n}") for n in range(3)]
        system.spawn(Source, 3, *sinks, name="source").tell("go")
        gevent.sleep(1)

    _, orders = outcomes(main)
    assert (orders.runs, orders.complete) == (1, True)


def test_an_ask_is_in_order_with_its_answer() -> None:
    def main(sim: Simulation) -> Any:
        class Asker(Actor):
            def __init__(self, sink: ActorRef[Sink]) -> None:
                self.sink = sink

            def receive(self, message: Any) -> None:
                self.sink.ask("got?")
                self.sink.ask("got?")

        system = sim.system("a")
        for number in range(3):
            sink = system.spawn(Sink, name=f"sink-{number}")
            system.spawn(Asker, sink, name=f"asker-{number}").tell("go")
        gevent.sleep(1)

    _, orders = outcomes(main)
    assert (orders.runs, orders.complete) == (1, True)


def test_timers_of_one_instant_that_tell_one_actor_come_in_every_order() -> None:
    class Alarm(Actor):
        def __init__(self, sink: ActorRef[Sink]) -> None:
            self.sink = sink

        def on_start(self) -> None:
            self.after(1.0, "ring")

        def receive(self, message: Any) -> None:
            self.sink.tell(self.ref.name)

    def main(sim: Simulation) -> Any:
        system = sim.system("a")
        sink = system.spawn(Sink, name="sink")
        for number in range(3):
            system.spawn(Alarm, sink, name=f"alarm-{number}")
        gevent.sleep(2)
        return sink.ask("got?")

    seen, orders = outcomes(main)
    assert orders.complete
    assert len(seen) == orders.runs == 6


def test_what_the_test_does_meanwhile_is_tried_in_every_order() -> None:
    """The test itself may look at anything, so that it commutes with nothing."""
    looks: set[int] = set()

    def main(sim: Simulation) -> None:
        got: list[int] = []

        class Ear(Actor):
            def receive(self, message: Any) -> None:
                got.append(message)

        system = sim.system("a")
        for number in range(2):
            system.spawn(Ear, name=f"ear-{number}").tell(number)
        system.spawn(Sink, name="sink").ask("got?")
        looks.add(len(got))

    outcomes(main)
    assert looks == {0, 1, 2}


# -- against a search that leaves out nothing ------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(program=programs(4))
def test_what_is_left_out_ends_like_something_that_is_not(program: Program) -> None:
    def main(sim: Simulation) -> str:
        return World(program).run(sim)

    reduced, orders = outcomes(main, BOUND)
    if not orders.complete:
        return
    all_of_them, every = outcomes(main, BOUND, explore_all_orders)
    assert all_of_them <= reduced
    assert not every.complete or all_of_them == reduced
    assert orders.runs <= every.runs or not every.complete
    assert at_random(main, 10) <= reduced


@pytest.mark.parametrize(
    "program",
    [
        # two that ask each other: whoever is second closes the circle
        ([[[("ask", 1, 1)], [], []], [[("ask", 0, 1)], [], []]], [("tell", 0, 0), ("tell", 1, 0)]),
        # a circle of three
        (
            [
                [[("ask", 1, 1)], [], []],
                [[("ask", 2, 1)], [], []],
                [[("ask", 0, 1)], [], []],
            ],
            [("tell", 0, 0), ("tell", 1, 0), ("tell", 2, 0)],
        ),
        # two may answer one question
        ([[[("forward", 0, 1), ("forward", 1, 1)], [], []], [[], [], []]], [("ask", 0, 0)]),
        # a kill goes ahead of a message that is sent later
        (
            [[[], [], []], [[("kill", 0, 1)], [], []], [[("tell", 0, 1)], [], []]],
            [("tell", 1, 0), ("tell", 2, 0)],
        ),
        # the kill of an actor that waits, and the answer
        ([[[("kill", 0, 1), ("ask", 1, 1)], [], []], [[], [], []]], [("tell", 0, 0)]),
        # the kill of an actor that waits for room in an inbox (of one message)
        (
            [[[], [], []], [[("kill", 1, 1), ("tell", 0, 1)], [], []]],
            [("tell", 0, 0), ("tell", 1, 0)],
            Inbox(maxsize=1),
        ),
        # how many wait in its own inbox, and who sends there
        (
            [[[("own size", 0, 1)], [], []], [[("tell", 0, 1)], [], []]],
            [("tell", 0, 0), ("tell", 1, 0)],
        ),
        # a watch and the end of the watched
        (
            [[[("watch", 1, 1)], [], []], [[("end", 0, 1)], [], []]],
            [("tell", 0, 0), ("tell", 1, 0)],
        ),
        # one name for two
        (
            [[[("spawn", 0, 1)], [], []], [[("spawn", 0, 1)], [], []]],
            [("tell", 0, 0), ("tell", 1, 0)],
        ),
        # a timer and who takes it back
        (
            [[[("soon", 0, 1), ("tell", 0, 2)], [], [("cancel", 0, 0)]], [[], [], []]],
            [("tell", 0, 0)],
        ),
        # a failure, and messages that the old or the new instance gets
        (
            [[[("fail", 0, 1)], [], []], [[("tell", 0, 1)], [], []]],
            [("tell", 0, 0), ("tell", 1, 0)],
        ),
    ],
)
def test_every_outcome_of_a_race_is_seen(program: Any) -> None:
    def main(sim: Simulation) -> str:
        scripts, orders, *inbox = program
        return World((scripts, orders, inbox[0] if inbox else None)).run(sim)

    reduced, few = outcomes(main)
    all_of_them, every = outcomes(main, walk=explore_all_orders)
    assert few.complete
    assert every.complete
    assert reduced == all_of_them
    assert at_random(main, 50) <= reduced


def test_what_actors_share_besides_messages_is_seen_once_it_is_told() -> None:
    def main(sim: Simulation, tells: bool) -> str:
        ledger: list[str] = []

        class Clerk(Actor):
            def receive(self, message: Any) -> None:
                if tells:
                    sim.touch("ledger")
                ledger.append(message)

        system = sim.system("a")
        for name in "ab":
            system.spawn(Clerk, name=name).tell(name)
        gevent.sleep(1)
        return "".join(ledger)

    told, _ = outcomes(lambda sim: main(sim, True))
    untold, _ = outcomes(lambda sim: main(sim, False))
    assert told == {"ab", "ba"}
    assert len(untold) == 1


# -- several nodes ---------------------------------------------------------------------------------


def test_messages_of_other_nodes_arrive_in_every_order() -> None:
    def main(sim: Simulation) -> Any:
        sim.system("hub", boot=lambda system: system.spawn(Sink, name="sink"))
        for name in ("a", "b"):
            system = sim.system(name)
            sink = system.connect("sim://hub").lookup("/sink")
            system.spawn(Source, 1, sink, name=f"of-{name}")
        gevent.sleep(0.1)
        for name in ("a", "b"):
            sim.system(name).lookup(f"/of-{name}").tell("go")
        gevent.sleep(0.1)
        return sim.system("hub").lookup("/sink").ask("got?")

    seen, orders = outcomes(main)
    assert orders.complete
    assert seen == {(("of-a", 1), ("of-b", 1)), (("of-b", 1), ("of-a", 1))}
    assert orders.runs < 50
    assert at_random(main, 20) <= seen


def test_one_fault_happens_at_each_place_where_it_may() -> None:
    def main(sim: Simulation) -> Any:
        return tuple(place for place in range(3) if sim.fault(0.1))

    seen, orders = outcomes(main)
    assert seen == {(), (0,), (1,), (2,)}
    assert orders.runs == 4


def test_a_connection_that_may_break_does_so_in_some_schedule() -> None:
    def main(sim: Simulation) -> Any:
        sim.system("b", boot=lambda system: system.spawn(Sink, name="sink"))
        sink = sim.system("a").connect("sim://b").lookup("/sink")
        sim.network.loss = 0.01
        for number in range(2):
            sink.tell(number)
            gevent.sleep(0.1)
        sim.network.loss = 0.0
        return sim.system("b").lookup("/sink").ask("got?")

    seen, orders = outcomes(main)
    assert orders.complete
    assert (0, 1) in seen
    assert any(len(got) < 2 for got in seen)


# -- claims ----------------------------------------------------------------------------------------


def test_a_claim_about_every_moment_is_asked_in_every_moment_there_may_be() -> None:
    """Both are up only between two steps that commute, in one of their orders."""

    def main(sim: Simulation) -> None:
        up: set[str] = set()

        class Light(Actor):
            def receive(self, message: Any) -> None:
                if message == "on":
                    up.add(self.ref.name)
                    self.ref.tell("off")
                else:
                    up.discard(self.ref.name)

        system = sim.system("a")
        lights = [system.spawn(Light, name=name) for name in ("red", "green")]
        sim.always("never both", lambda: len(up) < 2)
        for light in lights:
            light.tell("on")
        gevent.sleep(1)

    found = search(main, 1000, strategy="exhaustive", record=False)
    assert found.failure is not None
    assert "never both" in found.failure.error


class Register(Actor):
    """A value, and perhaps another register that is told of it, late."""

    def __init__(self, copy: ActorRef[Any] | None) -> None:
        self.value = 0
        self.copy = copy

    def receive(self, message: Any) -> Any:
        match message:
            case ("write", int() as value):
                self.value = value
                if self.copy is not None:
                    self.copy.tell(message)
        return self.value


def linearizable(sim: Simulation, with_copy: bool) -> None:
    def model(state: int, what: tuple[Any, ...]) -> tuple[int, Any]:
        return (what[1], what[1]) if what[0] == "write" else (state, state)

    history = History()

    class Client(Actor):
        def __init__(self, register: ActorRef[Any], *steps: tuple[Any, ...]) -> None:
            self.register = register
            self.steps = steps

        def receive(self, message: Any) -> None:
            for step in self.steps:
                history.call(self.ref.name, step, partial(self.register.ask, step))

    system = sim.system("a")
    copy = system.spawn(Register, None, name="copy")
    relay = system.spawn(Register, copy, name="relay")
    register = system.spawn(Register, relay, name="register")
    read_from = copy if with_copy else register
    system.spawn(Client, register, ("write", 1), name="writer").tell("go")
    system.spawn(Client, read_from, ("read",), ("read",), name="reader").tell("go")
    gevent.sleep(1)
    assert linearize(history, 0, model) is not None


def test_a_history_is_judged_for_every_order_of_its_calls() -> None:
    holds = explore(lambda sim: linearizable(sim, False), 5000, strategy="exhaustive", processes=1)
    assert holds.complete
    assert search(lambda sim: linearizable(sim, False), 100, record=False).ok
    broken = search(lambda sim: linearizable(sim, True), 5000, strategy="exhaustive", record=False)
    assert broken.failure is not None


# -- planted mistakes ------------------------------------------------------------------------------

#: Those that need no long delay, and schedules that their twins have.
SMALL = [
    "charged_twice",
    "check_then_act",
    "forgotten_reply",
    "lost_news",
    "lost_update",
    "stale_cache",
    "stale_lock",
    "two_senders",
]


@pytest.mark.parametrize("name", SMALL)
def test_a_small_planted_mistake_is_found_and_all_schedules_of_its_twin_hold(name: str) -> None:
    module = load(name)
    failures = getattr(module, "failures", ())
    found = search(module.broken, 1000, strategy="exhaustive", failures=failures, record=False)
    assert found.failure is not None
    twin = search(module.repaired, 1000, strategy="exhaustive", failures=failures, record=False)
    assert f"all {twin.runs} schedules hold" in str(twin)
    assert search(module.repaired, 50, failures=failures, record=False).ok


def test_it_tells_how_many_schedules_were_given_up_since_they_came_to_the_same() -> None:
    module = load("stale_lock")
    orders = explore_orders(Trial(module.repaired), 1000, lambda runs: None)
    twin = search(module.repaired, 1000, strategy="exhaustive", record=False)
    assert twin.given_up == orders.given_up > 0
    assert str(twin).endswith(f"hold ({twin.given_up} more came to the same)")
