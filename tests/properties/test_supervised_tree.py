"""A real tree of actors against a model of who lives, who was told what and who hears of it."""

from __future__ import annotations

from typing import Any

import structlog
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from actorkit import (
    Actor,
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
from tests.actors import settle
from tests.soak import silence

OFTEN = {"intensity": 1000, "backoff": None}
STRATEGIES: list[Strategy] = [OneForOne(**OFTEN), OneForAll(**OFTEN), RestForOne(**OFTEN)]  # type: ignore[arg-type]


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
        settle()

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
        settle()

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
        settle()
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
    def the_tree_is_the_models(self) -> None:
        if not hasattr(self, "system"):
            return
        settle()
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

    @invariant()
    def nothing_is_lost_doubled_or_reordered(self) -> None:
        if hasattr(self, "system"):
            for node in self.everyone:
                assert node.handled == sorted(node.handled)
                assert node.handled == node.sent
            handled = [number for node in self.everyone for number in node.handled]
            assert sorted(handled + self.dead_letters) == list(range(1, self.told + 1))

    @invariant()
    def everyone_hears_once_of_each_end(self) -> None:
        if hasattr(self, "system"):
            for node in self.everyone:
                if node.alive:
                    assert sorted(map(repr, node.heard)) == sorted(map(repr, node.expected_heard))


Tree.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestTree = Tree.TestCase
