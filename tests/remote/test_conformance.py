"""The guarantees between nodes, held against zmq and against the simulated network alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gevent
import pytest
import structlog

from actorkit import (
    Actor,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskTimeout,
    DeadLetter,
    HandshakeRefused,
    LinkedActorDied,
    NodeDown,
    NodeLost,
    NodeUnreachable,
    NodeUp,
    Reason,
    Refused,
    Terminated,
)
from actorkit.remote import transport
from tests.actors import Collector, Echo, Obedient
from tests.remote.clusters import KINDS, Claim, Cluster, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=KINDS)
def hold(request: pytest.FixtureRequest) -> Iterator[Callable[[Claim], None]]:
    """Holds a claim against one kind of cluster."""
    with structlog.testing.capture_logs():
        yield KINDS[request.param]


class Clerk(Actor):
    """Does what it is asked, in the ways there are."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.owed: list[Any] = []

    def receive(self, message: Any) -> Any:
        match message:
            case "fail":
                raise KeyError("failed")
            case "refuse":
                raise Refused("no")
            case "never":
                self.owed.append(self.defer_reply())
            case "stop":
                self.stop()
            case ("watch", ActorRef() as ref):
                self.watch(ref)
            case ("link", ActorRef() as ref):
                self.link(ref)
            case "got":
                return self.got
            case _:
                self.got.append(message)
        return message


class Pair:
    """alpha listens with a clerk and a collector; beta has connected."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.alpha, self.beta = cluster.system("alpha"), cluster.system("beta")
        self.news: list[Any] = []
        self.news_of_alpha: list[Any] = []
        self.beta.events.subscribe(NodeUp | NodeDown | DeadLetter, self.news.append)
        self.alpha.events.subscribe(NodeUp | NodeDown | DeadLetter, self.news_of_alpha.append)
        self.collector = self.alpha.spawn(Collector, name="collector")
        self.clerk = self.alpha.spawn(Clerk, name="clerk", restart="temporary")
        self.node = self.beta.connect(cluster.way(self.beta, self.alpha))

    def far(self, name: str) -> ActorRef[Any]:
        return self.beta.connect(self.cluster.way(self.beta, self.alpha)).lookup(f"/{name}")

    def lose(self) -> None:
        self.cluster.lose(self.beta, self.alpha)

    def down(self) -> list[NodeDown]:
        return [event for event in self.news if isinstance(event, NodeDown)]


# -- delivery --------------------------------------------------------------------------------------


def test_tells_arrive_once_and_in_order(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("collector")
        sent: list[Any] = [
            (n, "text") if n % 3 else n if n % 2 else [n, {"n": n}] for n in range(300)
        ]
        for message in sent:
            far.tell(message)
        assert far.ask(None) == sent

    hold(claim)


def test_each_of_many_senders_keeps_its_order(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("collector")

        def send(me: Obedient, number: int) -> None:
            for n in range(20):
                far.tell((number, n))
                if n % 7 == number:
                    gevent.sleep(0.001)

        senders = [pair.beta.spawn(Obedient) for _ in range(5)]
        for number, sender in enumerate(senders):
            sender.tell(partial(send, number=number))
        got = until(lambda: len(got := far.ask(None)) == 100 and got)
        for number in range(5):
            assert [n for who, n in got if who == number] == list(range(20))

    hold(claim)


def test_a_message_is_what_it_was_when_it_was_told(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("collector")
        value = {"a": [1]}
        far.tell(value)
        value["a"].append(2)
        assert far.ask(None) == [{"a": [1]}]

    hold(claim)


def test_big_buffers_arrive_whole(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        pair.alpha.spawn(Echo, name="echo")
        big = bytes(range(256)) * 1024
        assert bytes(pair.far("echo").ask(big)) == big

    hold(claim)


def test_references_travel_and_lead_back(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        pair.alpha.spawn(Echo, name="echo")
        mine = pair.beta.spawn(Collector)
        assert pair.far("echo").ask(mine) is mine
        pair.far("collector").tell(mine)
        (theirs,) = until(lambda: pair.collector.ask(None))
        theirs.tell("hello")
        assert until(lambda: mine.ask(None)) == ["hello"]

    hold(claim)


# -- questions -------------------------------------------------------------------------------------


def test_questions_are_answered_or_fail_as_at_home(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("clerk")
        assert far.ask("hello") == "hello"
        with pytest.raises(Refused, match="no"):
            far.ask("refuse")
        with pytest.raises(AskTimeout):
            far.ask("never", timeout=0.1)
        with pytest.raises(KeyError) as caught:
            far.ask("fail")
        assert "raised in actor /clerk" in "".join(caught.value.__notes__)
        with pytest.raises(ActorStopped):
            far.ask("anyone?")

    hold(claim)


def test_questions_under_way_fail_at_once_when_the_connection_is_lost(
    hold: Callable[[Claim], None],
) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        waiting = [pair.far("clerk").ask_nowait("never", timeout=None) for _ in range(3)]
        until(lambda: pair.clerk.ask("got") == [])
        gevent.sleep(0.1)
        pair.lose()
        for answer in waiting:
            with pytest.raises(NodeLost):
                answer.get(timeout=10)

    hold(claim)


# -- ends ------------------------------------------------------------------------------------------


def test_an_actor_that_ends_over_there_is_told_of_once_with_its_reason(
    hold: Callable[[Claim], None],
) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("clerk")
        watcher = pair.beta.spawn(Clerk)
        watcher.ask(("watch", far))
        far.tell("stop")
        assert until(lambda: watcher.ask("got")) == [Terminated(far, Reason.NORMAL)]
        assert far.ready()
        gevent.sleep(0.1)
        assert len(watcher.ask("got")) == 1
        late = pair.beta.spawn(Clerk)
        late.ask(("watch", far))
        assert until(lambda: late.ask("got"))[0].ref == far

    hold(claim)


def test_a_lost_node_is_told_to_watchers_and_links(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("clerk")
        watcher = pair.beta.spawn(Clerk)
        linked = pair.beta.spawn(Clerk, restart="temporary")
        watcher.ask(("watch", far))
        linked.ask(("link", far))
        gevent.sleep(0.1)
        pair.lose()
        assert until(lambda: watcher.ask("got"))[0].reason is Reason.NODE_LOST
        linked.join(10)
        assert isinstance(linked.exception, LinkedActorDied)

    hold(claim)


def test_a_link_to_one_that_was_killed_meanwhile_fires(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("clerk")
        linked = pair.beta.spawn(Clerk, restart="temporary")
        pair.clerk.kill()
        pair.clerk.join(10)
        linked.ask(("link", far))
        linked.join(10)
        assert isinstance(linked.exception, LinkedActorDied)

    hold(claim)


def test_a_shutdown_is_a_visible_end(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("clerk")
        pair.alpha.shutdown()
        assert "shut down" in until(pair.down)[0].reason
        with pytest.raises(ActorStopped):
            far.ask("anyone?", timeout=10)

    hold(claim)


# -- loss ------------------------------------------------------------------------------------------


def test_a_lost_connection_is_visible_on_both_sides_and_made_anew(
    hold: Callable[[Claim], None],
) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        pair.lose()
        until(pair.down)
        until(lambda: len([e for e in pair.news if isinstance(e, NodeUp)]) == 2)
        kinds = [type(e) for e in pair.news_of_alpha if not isinstance(e, DeadLetter)]
        assert kinds == [NodeUp, NodeDown, NodeUp]
        assert pair.far("clerk").ask("hello") == "hello"

    hold(claim)


def test_across_losses_nothing_comes_twice_or_out_of_order(
    hold: Callable[[Claim], None],
) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("collector")
        for n in range(300):
            far.tell(n)
            if n % 100 == 50:
                gevent.sleep(0.003)
                pair.lose()
            if n % 10 == 0:
                gevent.sleep(0.001)
        far = until(lambda: _answers(pair))
        far.tell("last")
        got = until(lambda: (got := pair.collector.ask(None)) and got[-1] == "last" and got)[:-1]
        assert got == sorted(set(got))
        lost = 300 - len(got)
        assert lost == 0 or pair.down()

    def _answers(pair: Pair) -> ActorRef[Any] | None:
        try:
            far = pair.far("collector")
            far.ask(None)
        except (NodeLost, AskTimeout, NodeUnreachable):
            return None
        return far

    hold(claim)


def test_a_cut_that_lasts_is_a_lost_node(
    hold: Callable[[Claim], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "HEARTBEAT_MS", 500)
    monkeypatch.setattr(transport, "HEARTBEAT_TIMEOUT_MS", 2_000)

    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        far = pair.far("clerk")
        waiting = far.ask_nowait("never", timeout=None)
        gevent.sleep(0.1)
        cluster.cut(pair.beta, pair.alpha)
        with pytest.raises(NodeLost):
            waiting.get(timeout=60)
        until(pair.down)
        cluster.heal()
        assert until(lambda: _asked(pair)) == "hello"

    def _asked(pair: Pair) -> Any:
        try:
            return pair.far("clerk").ask("hello")
        except (NodeLost, AskTimeout, NodeUnreachable):
            return None

    hold(claim)


def test_a_node_that_is_not_there_is_unreachable(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        address = pair.alpha.address
        pair.alpha.shutdown()
        gamma = cluster.system("gamma")
        with pytest.raises(NodeUnreachable, match="no node answered"):
            gamma.connect(address, timeout=0.5)

    hold(claim)


# -- names -----------------------------------------------------------------------------------------


def test_a_node_started_anew_is_another_incarnation(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        old = pair.far("clerk")
        pair.alpha.shutdown()
        until(pair.down)
        again = cluster.system("alpha")
        again.spawn(Clerk, name="clerk")
        new = pair.beta.connect(cluster.way(pair.beta, again), timeout=30).lookup("/clerk")
        assert new.ask("hello") == "hello"
        assert new != old
        with pytest.raises(ActorStopped):
            old.ask("anyone?", timeout=10)

    hold(claim)


def test_a_node_does_not_connect_to_itself(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        alpha = cluster.system("alpha")
        with pytest.raises(HandshakeRefused, match="mine"):
            alpha.connect(alpha.address)

    hold(claim)


def test_both_connect_at_once_and_share_one_association(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        systems = [cluster.system("alpha"), cluster.system("beta")]
        for system in systems:
            system.spawn(Echo, name="echo")

        def connect(me: ActorSystem, other: ActorSystem) -> None:
            assert me.connect(cluster.way(me, other)).lookup("/echo").ask(me.name) == me.name

        alpha, beta = systems
        gevent.joinall(
            [gevent.spawn(connect, alpha, beta), gevent.spawn(connect, beta, alpha)],
            raise_error=True,
        )
        assert [len(system.nodes) for system in systems] == [1, 1]

    hold(claim)


def test_connected_nodes_share_their_groups(hold: Callable[[Claim], None]) -> None:
    def claim(cluster: Cluster) -> None:
        pair = Pair(cluster)
        pair.alpha.groups.join("room", pair.collector)
        until(lambda: pair.beta.groups.members("room"))
        pair.beta.groups.publish("room", "hello")
        assert until(lambda: pair.collector.ask(None)) == ["hello"]
        pair.lose()
        until(pair.down)
        until(lambda: pair.beta.groups.members("room"))
        pair.alpha.shutdown()
        until(lambda: not pair.beta.groups.members("room"))

    hold(claim)
