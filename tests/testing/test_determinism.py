"""run = run = replay: a simulation is a function of its seed, and of its recorded choices."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.queue import Empty, Queue
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actorkit import Actor, ActorRef, ActorSystem, AskTimeout, Backoff, Inbox, NodeLost, OneForOne
from actorkit.errors import ActorError
from actorkit.testing import Recorded, Simulation

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class Shared:
    """What the actors of a generated program share on their machine."""

    def __init__(self) -> None:
        self.lock = BoundedSemaphore(1)
        self.queue: Queue[int] = Queue()
        self.bell = Event()
        self.seen: list[Any] = []


class Player(Actor):
    """Carries out the steps that it is sent: the instructions of a generated program."""

    supervision = OneForOne(intensity=100, period=1000, backoff=Backoff(first=0.01))

    def __init__(self, shared: Shared, peers: list[ActorRef[Any]]) -> None:
        self.shared = shared
        self.peers = peers

    def receive(self, steps: Any) -> Any:
        if not isinstance(steps, list):
            self.shared.seen.append((self.ref.path, steps))
            return steps
        for step in steps:
            self.do(*step)
        return len(steps)

    def do(self, what: str, who: int, number: int) -> None:
        peer = self.peers[who % len(self.peers)]
        shared = self.shared
        match what:
            case "tell":
                peer.tell(number)
            case "ask":
                try:
                    shared.seen.append(peer.ask(number, timeout=0.5))
                except ActorError as error:
                    shared.seen.append(type(error).__name__)
            case "sleep":
                gevent.sleep(number * 0.1)
            case "yield":
                gevent.sleep(0)
            case "lock":
                with shared.lock:
                    gevent.sleep(number * 0.01)
            case "put":
                shared.queue.put(number)
            case "get":
                try:
                    shared.seen.append(shared.queue.get(timeout=0.3))
                except Empty:
                    shared.seen.append("empty")
            case "timer":
                self.after(number * 0.1, number)
            case "spawn":
                self.spawn(Player, shared, self.peers).tell([("tell", who, number)])
            case "fail":
                raise KeyError(number)
            case "task":
                self.task(shared.bell.wait, number * 0.1)


WORDS = ["tell", "ask", "sleep", "yield", "lock", "put", "get", "timer", "spawn", "fail", "task"]
STEPS = st.lists(
    st.tuples(st.sampled_from(WORDS), st.integers(0, 4), st.integers(0, 5)), max_size=8
)
PROGRAMS = st.lists(STEPS, min_size=1, max_size=6)


def play(program: list[list[Any]], sim: Simulation) -> list[Any]:
    """Run a generated program on one node."""
    shared = Shared()
    system = sim.system("a")
    players: list[ActorRef[Any]] = []
    boxes = [None, Inbox(maxsize=3, overflow="drop_old"), None, Inbox(priority=str)]
    for number in range(5):
        players.append(system.spawn(Player, shared, players, inbox=boxes[number % 4]))
    for number, steps in enumerate(program):
        players[number % 5].tell(steps)
    gevent.sleep(10)
    return [shared.seen, system.tree(), sim.time(), sim.random.random()]


@FEW
@given(program=PROGRAMS, seed=st.integers(0, 1 << 32))
def test_a_generated_program_runs_alike_and_replays_alike(
    program: list[list[Any]], seed: int
) -> None:
    first = Simulation(seed)
    result = first.run(partial(play, program))
    again = Simulation(seed)
    assert again.run(partial(play, program)) == result
    assert str(again.log) == str(first.log)
    assert list(again.choices) == list(first.choices)
    replay = Simulation(seed + 1, source=Recorded(first.choices.values))
    assert replay.run(partial(play, program)) == result
    assert str(replay.log) == str(first.log)


@FEW
@given(program=PROGRAMS, values=st.lists(st.integers(0, 5), max_size=60))
def test_every_edited_recording_is_a_run(program: list[list[Any]], values: list[int]) -> None:
    first = Simulation(source=Recorded(values))
    result = first.run(partial(play, program))
    again = Simulation(source=Recorded(first.choices.values))
    assert again.run(partial(play, program)) == result


@FEW
@given(program=PROGRAMS, seed=st.integers(0, 1000))
def test_the_log_changes_nothing(program: list[list[Any]], seed: int) -> None:
    with_log, without = Simulation(seed), Simulation(seed, log=False)
    assert with_log.run(partial(play, program)) == without.run(partial(play, program))
    assert with_log.choices.values == without.choices.values


class Adder(Actor):
    """Sums up; the order of what it gets does not matter."""

    def __init__(self) -> None:
        self.sum = 0

    def receive(self, message: Any) -> int:
        if isinstance(message, int):
            self.sum += message
            if message % 3 == 0:
                gevent.sleep(0)
        return self.sum


class Splitter(Actor):
    """Hands parts of numbers on, until they are small."""

    def __init__(self, peers: list[ActorRef[Any]], adder: ActorRef[Any]) -> None:
        self.peers = peers
        self.adder = adder

    def receive(self, number: int) -> None:
        if number < 5:
            self.adder.tell(number)
            return
        if number % 2:
            self.adder.ask("sum")
        for part in (number // 2, number - number // 2):
            self.peers[part % len(self.peers)].tell(part)


def split(system: ActorSystem, numbers: list[int]) -> int:
    """A program whose result does not depend on the order of anything."""
    adder = system.spawn(Adder)
    peers: list[ActorRef[Any]] = []
    peers += [system.spawn(Splitter, peers, adder) for _ in range(4)]
    for number in numbers:
        peers[number % 4].tell(number)
    total = sum(numbers)
    while adder.ask("sum") != total:
        gevent.sleep(0.001)
    return total


@FEW
@given(numbers=st.lists(st.integers(0, 200), max_size=5), seed=st.integers(0, 1000))
def test_what_does_not_depend_on_order_comes_out_alike_on_the_real_dispatcher(
    numbers: list[int], seed: int
) -> None:
    with ActorSystem("real") as system:
        real = split(system, numbers)
    assert Simulation(seed).run(lambda sim: split(sim.system("a"), numbers)) == real


# -- a cluster -------------------------------------------------------------------------------------


class Gossip(Actor):
    """Tells numbers on to random peers, by name, for a while."""

    def __init__(self, rng: random.Random, heard: Counter[str]) -> None:
        self.rng = rng
        self.heard = heard
        self.peers: list[ActorRef[Any]] = []

    def on_start(self) -> None:
        self.every(1.0, "tick", key="tick")

    def receive(self, message: Any) -> Any:
        match message:
            case ("peer", ActorRef() as ref):
                self.peers.append(ref)
                self.system.groups.join("gossips", self.ref)
            case "tick" if self.peers:
                peer = self.rng.choice(self.peers)
                try:
                    peer.ask(("news", self.system.name, {"a", "b", "c"}), timeout=2.0)
                except (AskTimeout, NodeLost):
                    self.heard["lost"] += 1
            case ("news", name, _):
                self.heard[name] += 1
        return "heard"


def five_nodes(sim: Simulation) -> dict[str, int]:
    """Five nodes that gossip through partitions, a cut, a crash and a restart."""
    heard: Counter[str] = Counter()
    names = ["a", "b", "c", "d", "e"]

    def boot(system: ActorSystem) -> None:
        system.spawn(Gossip, sim.random, heard, name="gossip")

    for name in names:
        sim.system(name, boot=boot)

    def meet(name: str) -> None:
        mine = sim.system(name).lookup("/gossip")
        for other in names:
            while other != name and other in sim.systems:
                node = sim.system(name).connect(f"sim://{other}", timeout=60)
                with suppress(NodeLost):  # what is lost on the way takes the connection along
                    mine.tell(("peer", node.lookup("/gossip", timeout=60)))
                    break

    for name in names:
        gevent.spawn(meet, name)
    gevent.sleep(20)
    sim.network.loss = 0.01
    sim.network.partition({"a", "b"}, {"c", "d", "e"})
    gevent.sleep(15)
    sim.network.heal()
    sim.network.cut("d", "a")
    gevent.sleep(15)
    sim.crash("c")
    gevent.sleep(10)
    sim.restart("c")
    sim.network.heal()
    meet("c")
    gevent.sleep(30)
    return dict(heard)


def test_a_cluster_with_faults_replays_from_its_seed_and_its_choices() -> None:
    first, again = Simulation(7), Simulation(7)
    heard = first.run(five_nodes)
    assert again.run(five_nodes) == heard
    assert str(again.log) == str(first.log)
    replay = Simulation(source=Recorded(first.choices.values))
    assert replay.run(five_nodes) == heard
    assert replay.log.digest() == first.log.digest()
    assert heard["lost"] > 0
    other = Simulation(8)
    other.run(five_nodes)
    assert other.log.digest() != first.log.digest()


def test_the_log_is_the_same_byte_for_byte_in_every_process_and_on_both_kernels() -> None:
    code = (
        "import structlog\n"
        "from actorkit.testing import Simulation\n"
        "from tests.testing.test_determinism import five_nodes\n"
        "with structlog.testing.capture_logs():\n"
        "    {warm_up}sim = Simulation(7); heard = sim.run(five_nodes)\n"
        "print(sim.log.digest(), len(sim.log), heard)\n"
    )
    outs = set()
    for hash_seed, pure in (("0", "0"), ("1", "0"), ("4242", "0"), ("7", "1")):
        warm_up = "Simulation(3).run(five_nodes); " if hash_seed == "1" else ""
        done = subprocess.run(
            [sys.executable, "-c", code.replace("{warm_up}", warm_up)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "ACTORKIT_PURE": pure},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        outs.add(done.stdout)
    assert len(outs) == 1
    simulation = Simulation(7)
    simulation.run(five_nodes)
    assert outs.pop().startswith(f"{simulation.log.digest()} {len(simulation.log)} ")


@pytest.mark.parametrize("seed", range(10))
def test_every_delivery_has_a_cause_that_came_before(seed: int) -> None:
    simulation = Simulation(seed)
    simulation.run(five_nodes)
    events = list(simulation.log)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert all(event.cause < event.number for event in events)
    for event in events:
        if event.kind == "delivered" and not event.detail.startswith(("Terminated", "NodeUp")):
            cause = events[event.cause - 1]
            assert event.cause > 0
            assert cause.kind in ("sent", "arrived", "timer")
            assert cause.detail == event.detail


def test_what_is_put_into_an_inbox_is_sent_like_what_is_told() -> None:
    class Putter(Actor):
        def receive(self, message: Any) -> None:
            if message == "go on":
                self.inbox.put("to myself")

    def main(sim: Simulation) -> None:
        ref = sim.system("a").spawn(Putter, name="putter", inbox=Inbox(maxsize=10))
        ref.inbox.put("go on")
        ref.inbox.put_nowait("more")
        gevent.sleep(1)

    simulation = Simulation(1)
    simulation.run(main)
    events = list(simulation.log)
    sent = {event.number: event for event in events if event.kind == "sent"}
    delivered = [event for event in events if event.kind == "delivered"]
    assert [event.detail for event in delivered] == ["'go on'", "'more'", "'to myself'"]
    assert [sent[event.cause].detail for event in delivered] == [e.detail for e in delivered]
    assert [sent[event.cause].actor for event in delivered] == ["", "", "/putter"]
