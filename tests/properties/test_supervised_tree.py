"""A real tree of actors against a model of who lives, who was told what and who hears of it.

`Tree` does one thing at a time and knows exactly what must come of it. The storm does everything at
once, to actors that block, and knows what must hold whatever comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from actorkit import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeadLetter,
    OneForAll,
    OneForOne,
    Reason,
    RestForOne,
    Strategy,
    Terminated,
)
from actorkit.supervision import Restart
from tests.soak import silence

pytestmark = pytest.mark.timeout(30)

OFTEN = {"intensity": 1000, "backoff": None}
STRATEGIES: list[Strategy] = [OneForOne(**OFTEN), OneForAll(**OFTEN), RestForOne(**OFTEN)]  # type: ignore[arg-type]


def calm(system: ActorSystem, inside: Callable[[], bool] = lambda: False) -> None:
    """Wait until nothing goes on, or for so long that what goes on is an error."""
    quiet = 0
    for _ in range(500):
        gevent.sleep(0.0002)
        busy = inside() or any(info.inbox_size or info.state != "running" for info in system.tree())
        quiet = 0 if busy else quiet + 1
        if quiet == 3:
            return


class Member(Actor):
    """Knows its node of the model; obeys."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.supervision = node.strategy  # type: ignore[misc]
        self.running = False
        node.instances += 1

    def receive(self, message: Any) -> Any:
        assert not self.running
        self.running = True
        try:
            return self.obey(message)
        finally:
            self.running = False

    def obey(self, message: Any) -> Any:
        match message:
            case Terminated(ref, reason, _):
                self.node.heard.append((ref, reason))
            case ("spawn", node, restart):
                return self.spawn(Member, node, restart=restart)
            case ("watch", ref):
                self.watch(ref)
            case int():
                self.node.handled.append(message)
            case "fail":
                raise RuntimeError
            case "stop":
                self.stop()
        return None

    def on_stop(self, reason: Reason) -> None:
        self.node.goodbyes.append(reason)


class Node:
    """What the model knows of one actor."""

    def __init__(self, parent: Node | None, restart: Restart, strategy: Strategy) -> None:
        self.parent = parent
        self.restart = restart
        self.strategy = strategy
        self.children: list[Node] = []
        self.alive = True
        self.instances = 0
        self.expected_instances = 1
        self.sent: list[int] = []
        self.handled: list[int] = []
        self.heard: list[tuple[ActorRef[Any], Reason]] = []
        self.watched: dict[ActorRef[Any], None] = {}
        self.expected_heard: list[tuple[ActorRef[Any], Reason]] = []
        self.goodbyes: list[Reason] = []
        self.ref: ActorRef[Any]

    def descendants(self) -> list[Node]:
        return [self, *(node for child in self.children for node in child.descendants())]


class Tree(RuleBasedStateMachine):
    nodes = Bundle("nodes")

    @initialize()
    def begin(self) -> None:
        structlog.configure(processors=[silence])
        self.system = ActorSystem("tree")
        self.top = Node(None, "permanent", STRATEGIES[0])
        self.top.ref = self.system.spawn(Member, self.top, restart="permanent")
        self.everyone: list[Node] = [self.top]
        self.dead_letters: list[int] = []
        self.told = 0
        self.system.events.subscribe(DeadLetter, self.note_dead_letter)

    def note_dead_letter(self, letter: DeadLetter) -> None:
        if isinstance(letter.message, int):
            self.dead_letters.append(letter.message)

    def teardown(self) -> None:
        if hasattr(self, "system"):
            self.system.shutdown(timeout=5)
            structlog.reset_defaults()

    @rule(
        target=nodes,
        restart=st.sampled_from(["permanent", "transient", "temporary"]),
        strategy=st.sampled_from(STRATEGIES),
    )
    def spawn_at_the_top(self, restart: Restart, strategy: Strategy) -> Node:
        return self.grow(self.top, restart, strategy)

    @rule(
        target=nodes,
        parent=nodes,
        restart=st.sampled_from(["permanent", "transient", "temporary"]),
        strategy=st.sampled_from(STRATEGIES),
    )
    def spawn_a_child(self, parent: Node, restart: Restart, strategy: Strategy) -> Node:
        return self.grow(parent, restart, strategy) if parent.alive else parent

    def grow(self, parent: Node, restart: Restart, strategy: Strategy) -> Node:
        node = Node(parent, restart, strategy)
        node.ref = parent.ref.ask(("spawn", node, restart))
        parent.children.append(node)
        self.everyone.append(node)
        return node

    @rule(node=nodes, count=st.integers(1, 5))
    def tell(self, node: Node, count: int) -> None:
        for _ in range(count):
            self.told += 1
            node.ref.tell(self.told)
            if node.alive:
                node.sent.append(self.told)

    @rule(node=nodes)
    def ask(self, node: Node) -> None:
        try:
            node.ref.ask("nothing")
        except ActorStopped:
            assert not node.alive
        else:
            assert node.alive

    @rule(watcher=nodes, watched=nodes)
    def watch(self, watcher: Node, watched: Node) -> None:
        if not watcher.alive or watcher is watched:
            return
        watcher.ref.ask(("watch", watched.ref))
        if watched.alive:
            watcher.watched[watched.ref] = None
        else:
            watcher.expected_heard.append((watched.ref, watched.goodbyes[-1]))

    @rule(node=nodes, how=st.sampled_from(["fail", "stop", "order", "drain", "kill"]))
    def end(self, node: Node, how: str) -> None:
        if not node.alive:
            return
        if how == "order":
            node.ref.stop()
        elif how == "drain":
            node.ref.stop(drain=True)
        elif how == "kill":
            node.ref.kill()
        else:
            node.ref.tell(how)
        comes_back = {
            "fail": node.restart != "temporary",
            "stop": node.restart == "permanent",
        }.get(how, False)
        reason = {"fail": Reason.FAILED, "kill": Reason.KILLED}.get(how, Reason.NORMAL)
        if not comes_back:
            self.bury(node, reason)
            return
        assert node.parent is not None
        siblings, strategy = node.parent.children, node.parent.strategy
        if isinstance(strategy, OneForOne):
            affected = [node]
        elif isinstance(strategy, OneForAll):
            affected = list(siblings)
        else:
            affected = siblings[siblings.index(node) :]
        for member in affected:
            if member is not node and member.restart == "temporary":
                self.bury(member, Reason.SHUTDOWN)
            else:
                self.renew(member)

    def renew(self, node: Node) -> None:
        """A new instance: the children of the old one are gone."""
        node.expected_instances += 1
        for child in list(node.children):
            self.bury(child, Reason.SHUTDOWN)

    def bury(self, node: Node, reason: Reason) -> None:
        for child in list(node.children):
            self.bury(child, Reason.SHUTDOWN)
        node.alive = False
        if node.parent is not None:
            node.parent.children.remove(node)
        for other in self.everyone:
            if node.ref in other.watched:
                del other.watched[node.ref]
                if other.alive:
                    other.expected_heard.append((node.ref, reason))

    @invariant()
    def all_is_as_the_model_has_it(self) -> None:
        if hasattr(self, "system"):
            calm(self.system)
            self.the_tree_is_the_models()
            self.nothing_is_lost_doubled_or_reordered()
            self.everyone_hears_once_of_each_end()

    def the_tree_is_the_models(self) -> None:
        living = {node.ref.path: node for node in self.everyone if node.alive}
        infos = {info.path: info for info in self.system.tree()}
        assert set(infos) == set(living)
        for path, info in infos.items():
            assert info.state == "running"
            assert info.inbox_size == 0
            assert info.restarts == living[path].expected_instances - 1
        for node in self.everyone:
            assert node.ref.ready() is not node.alive
            assert node.instances == node.expected_instances
            assert len(node.goodbyes) == node.instances - node.alive

    def nothing_is_lost_doubled_or_reordered(self) -> None:
        for node in self.everyone:
            assert node.handled == node.sent
        handled = [number for node in self.everyone for number in node.handled]
        assert sorted(handled + self.dead_letters) == list(range(1, self.told + 1))

    def everyone_hears_once_of_each_end(self) -> None:
        for node in self.everyone:
            if node.alive:
                assert sorted(map(repr, node.heard)) == sorted(map(repr, node.expected_heard))


Tree.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestTree = Tree.TestCase


class Soul:
    """What outlives the instances of one actor in a storm."""

    def __init__(self, number: int, strategy: Strategy, blocks: int) -> None:
        self.number = number
        self.strategy = strategy
        self.blocks = blocks
        self.inside = 0
        self.begun = 0
        self.ended = 0
        self.handled: list[tuple[int, int]] = []
        self.watched: dict[Any, None] = {}
        self.heard: list[Any] = []
        self.trips: list[str] = []
        self.ref: ActorRef[Any]


class Stormy(Actor):
    """Does what a message says, and blocks before and after it in one of three ways."""

    def __init__(self, storm: Storm, soul: Soul) -> None:
        self.supervision = soul.strategy  # type: ignore[misc]
        self.storm = storm
        self.soul = soul
        self.trip("init")
        soul.begun += 1
        if soul.number:
            self.watch_once(storm.soul(soul.number - 1))

    def trip(self, hook: str) -> None:
        if hook in self.soul.trips:
            self.soul.trips.remove(hook)
            raise OSError(hook)

    def on_start(self) -> None:
        self.enter(lambda: self.trip("start"))

    def on_stop(self, reason: Reason) -> None:
        self.soul.ended += 1
        self.enter(lambda: None)

    def receive(self, message: Any) -> None:
        if isinstance(message, Terminated):
            self.soul.heard.append(message.ref)
            return
        sender, number, *act = message
        self.soul.handled.append((sender, number))
        self.enter(lambda: self.act(*act))

    def enter(self, work: Any) -> None:
        assert self.soul.inside == 0
        self.soul.inside += 1
        try:
            self.block()
            work()
            self.block()
        finally:
            self.soul.inside -= 1

    def block(self) -> None:
        if self.soul.blocks:
            gevent.sleep((self.soul.blocks - 1) * 0.0005)

    def watch_once(self, soul: Soul) -> None:
        if soul is not self.soul and soul.ref not in self.soul.watched:
            self.watch(soul.ref)
            self.soul.watched[soul.ref] = None

    def act(self, what: str = "", *args: Any) -> None:
        match what:
            case "fail":
                raise RuntimeError
            case "stop":
                self.stop()
            case "relay":
                self.storm.tell(self.soul.number, *args)
            case "watch":
                self.watch_once(self.storm.soul(args[0]))
            case "spawn":
                self.storm.spawn(self, *args)


class Storm:
    """Acts on a whole tree at once, and keeps the books."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.souls: list[Soul] = []
        self.sent: list[tuple[int, int]] = []
        self.lost: list[tuple[int, int]] = []
        self.failures: list[BaseException] = []
        system.events.subscribe(DeadLetter, lambda letter: self.lost.append(letter.message[:2]))
        system.events.subscribe(ActorFailed, lambda event: self.failures.append(event.error))

    def soul(self, index: int) -> Soul:
        return self.souls[index % len(self.souls)]

    def spawn(self, parent: Any, restart: Restart, strategy: Strategy, blocks: int) -> None:
        soul = Soul(len(self.souls), strategy, blocks)
        soul.ref = parent.spawn(Stormy, self, soul, restart=restart, shutdown=1.0)
        self.souls.append(soul)

    def tell(self, sender: int, to: int, *act: Any) -> None:
        number = len(self.sent)
        self.sent.append((sender, number))
        self.soul(to).ref.tell((sender, number, *act))

    def do(self, what: str, *args: Any) -> None:
        match what, args:
            case "order", (to,):
                self.soul(to).ref.stop()
            case "drain", (to,):
                self.soul(to).ref.stop(drain=True)
            case "kill", (to,):
                self.soul(to).ref.kill()
            case "trip", (to, hook):
                self.soul(to).trips.append(hook)
            case "pause", (seconds,):
                gevent.sleep(seconds)
            case _, (to, *more):
                self.tell(-1, to, what, *more)


someone = st.integers(0, 9)
character = (
    st.sampled_from(["permanent", "transient", "temporary"]),
    st.sampled_from(STRATEGIES),
    st.integers(0, 2),
)
deeds = st.one_of(
    st.tuples(st.sampled_from(["fail", "fail", "stop", "order", "drain", "kill", ""]), someone),
    st.tuples(st.just("relay"), someone, someone),
    st.tuples(st.just("watch"), someone, someone),
    st.tuples(st.just("trip"), someone, st.sampled_from(["init", "start"])),
    st.tuples(st.just("pause"), st.sampled_from([0.0, 0.0003, 0.001])),
    st.tuples(st.just("spawn"), someone, *character),
)


@settings(max_examples=40, deadline=None)
@given(
    first=st.lists(st.tuples(*character), min_size=1, max_size=3),
    then=st.lists(deeds, max_size=40),
)
def test_in_a_storm_nothing_is_lost_stuck_doubled_or_in_two_places(
    first: list[tuple[Restart, Strategy, int]], then: list[tuple[Any, ...]]
) -> None:
    structlog.configure(processors=[silence])
    system = ActorSystem("storm")
    try:
        storm = Storm(system)
        for restart, strategy, blocks in first:
            storm.spawn(system, restart, strategy, blocks)
        for deed in then:
            storm.do(*deed)
        calm(system, lambda: any(soul.inside for soul in storm.souls))
        check(storm)
    finally:
        system.shutdown(timeout=5)
        structlog.reset_defaults()


def check(storm: Storm) -> None:
    living = {info.path: info for info in storm.system.tree()}
    assert {(info.state, info.inbox_size) for info in living.values()} <= {("running", 0)}
    assert {type(error) for error in storm.failures} <= {RuntimeError, OSError}
    handled = [entry for soul in storm.souls for entry in soul.handled]
    assert sorted(handled + storm.lost) == sorted(storm.sent)
    for soul in storm.souls:
        info = living.pop(soul.ref.path, None)
        assert soul.ref.ready() is (info is None)
        assert soul.inside == 0
        assert soul.ended == soul.begun - (info is not None)
        for sender in {sender for sender, _ in soul.handled}:
            numbers = [number for other, number in soul.handled if other == sender]
            assert numbers == sorted(numbers)
        if info is not None:
            assert info.restarts == soul.begun - 1
            ended = [ref for ref in soul.watched if ref.ready()]
            assert sorted(map(repr, soul.heard)) == sorted(map(repr, ended))
    assert living == {}
