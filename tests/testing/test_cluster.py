"""A simulated cluster: latency, cuts, loss, slow nodes, wrong clocks, crashes, disks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from actorkit import (
    Actor,
    ActorRef,
    ActorSystem,
    AskTimeout,
    NodeDown,
    NodeLost,
    NodeUnreachable,
    NodeUnresponsive,
    NodeUp,
    Reason,
    Terminated,
)
from actorkit.testing import Disk, Recorded, Simulation, SimulationError
from tests.actors import Collector, Echo, Obedient


def far(sim: Simulation, source: str, target: str, name: str = "echo") -> ActorRef[Any]:
    """The actor of one node as another sees it."""
    return sim.system(source).connect(f"sim://{target}").lookup(f"/{name}")


def cluster(sim: Simulation, *names: str) -> None:
    """Nodes of these names, each with an Echo."""
    for name in names:
        sim.system(name).spawn(Echo, name="echo")


def news_of(system: ActorSystem, kinds: Any, sim: Simulation) -> list[tuple[float, type]]:
    news: list[tuple[float, type]] = []
    system.events.subscribe(kinds, lambda event: news.append((sim.time(), type(event))))
    return news


# -- the network -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latency", "least", "most"),
    [
        (0.5, 1.0, 1.0),
        ((0.5, 1.0), 1.0, 2.0),
        (lambda u: 0.5 + u**4, 1.0, 3.0),
    ],
)
def test_frames_take_as_long_as_the_latency_says(latency: Any, least: float, most: float) -> None:
    def main(sim: Simulation) -> list[float]:
        cluster(sim, "a", "b")
        ref = far(sim, "a", "b")
        sim.network.latency = latency
        took = []
        for _ in range(20):
            began = sim.time()
            ref.ask("?", timeout=100)
            took.append(sim.time() - began)
        return took

    took = Simulation(3).run(main)
    assert min(took) >= least - 1e-6
    assert max(took) <= most + 1e-6
    assert len(set(took)) > 1 or least == most


def test_a_slow_node_is_slow_both_ways_until_it_is_not() -> None:
    def main(sim: Simulation) -> list[float]:
        cluster(sim, "a", "b", "c")
        sim.network.latency = 0.0
        refs = far(sim, "a", "b"), far(sim, "a", "c")
        took = []
        for seconds in (2.0, 0.0):
            sim.network.slow("b", seconds)
            gevent.sleep(10)
            for ref in refs:
                began = sim.time()
                ref.ask("?", timeout=100)
                took.append(sim.time() - began)
        return took

    assert Simulation().run(main) == pytest.approx([4.0, 0.0, 0.0, 0.0])


def test_a_short_partition_only_delays() -> None:
    def main(sim: Simulation) -> tuple[Any, float, list[Any]]:
        cluster(sim, "a", "b")
        ref = far(sim, "a", "b")
        news = news_of(sim.system("a"), NodeDown, sim)
        sim.network.partition({"a"}, {"b"})
        answer = ref.ask_nowait("?", timeout=60)
        gevent.sleep(3)
        assert not answer.ready()
        sim.network.heal()
        return answer.get(), sim.time(), news

    answer, time, news = Simulation().run(main)
    assert answer == "?"
    assert 3 < time < 4
    assert news == []


def test_a_long_partition_is_node_down_and_heals_by_a_new_association() -> None:
    def main(sim: Simulation) -> list[tuple[float, type]]:
        cluster(sim, "a", "b")
        ref = far(sim, "a", "b")
        news = news_of(sim.system("a"), NodeDown | NodeUp, sim)
        sim.network.partition({"a"}, {"b"})
        with pytest.raises(NodeLost):
            ref.ask("?", timeout=60)
        gevent.sleep(60)
        sim.network.heal()
        gevent.sleep(60)
        assert far(sim, "a", "b").ask("again") == "again"
        return news

    (down, first), (up, second) = Simulation().run(main)
    assert (first, second) == (NodeDown, NodeUp)
    assert 5 <= down < 7
    assert up > 60


def test_a_partition_of_one_set_cuts_it_off_from_all_others() -> None:
    def main(sim: Simulation) -> list[str]:
        cluster(sim, "a", "b", "c")
        refs = {pair: far(sim, *pair) for pair in ("ab", "ac", "bc")}
        sim.network.partition({sim.system("a")})
        reached = []
        for pair, ref in refs.items():
            try:
                ref.ask("?", timeout=1)
                reached.append(pair)
            except AskTimeout:
                pass
        return reached

    assert Simulation().run(main) == ["bc"]


def test_a_node_is_its_name_or_its_system_alone_or_in_a_set() -> None:
    def main(sim: Simulation) -> None:
        alpha, beta = sim.system("alpha"), sim.system("beta")
        sim.network.partition("alpha", beta)
        assert sim.network.is_cut("alpha", "beta")
        sim.network.heal()
        sim.skew(beta, offset=5)
        sim.disk(beta)["kept"] = 1
        sim.disk("beta").sync()
        sim.crash(beta)
        sim.restart(beta)
        sim.restart(alpha)
        assert sim.disk("beta") == {"kept": 1}

    Simulation().run(main)


def test_a_one_way_cut_lets_the_other_way_through() -> None:
    def main(sim: Simulation) -> tuple[list[Any], list[Any]]:
        for name in "ab":
            sim.system(name).spawn(Collector, name="collector")
        to_b, to_a = far(sim, "a", "b", "collector"), far(sim, "b", "a", "collector")
        sim.network.cut("a", "b")
        to_b.tell("there")
        to_a.tell("back")
        gevent.sleep(1)
        here = [sim.system(name).lookup("/collector").ask(None) for name in "ab"]
        return here[0], here[1]

    assert Simulation().run(main) == (["back"], [])


def test_a_node_that_is_cut_off_is_unresponsive_before_it_is_lost() -> None:
    def main(sim: Simulation) -> list[type]:
        cluster(sim, "a", "b")
        far(sim, "a", "b")
        news = news_of(sim.system("a"), NodeUnresponsive | NodeDown, sim)
        sim.network.partition({"a"}, {"b"})
        gevent.sleep(20)
        return [kind for _, kind in news]

    assert Simulation().run(main) == [NodeUnresponsive, NodeDown]


def test_connections_break_with_the_probability_that_was_set() -> None:
    def main(sim: Simulation) -> int:
        cluster(sim, "a", "b")
        far(sim, "a", "b")
        news = news_of(sim.system("a"), NodeDown, sim)
        sim.network.loss = 0.05
        gevent.sleep(200)
        return len(news)

    downs = [Simulation(seed).run(main) for seed in range(5)]
    assert min(downs) > 0
    assert len(set(downs)) > 1
    assert Simulation(source=Recorded([])).run(main) == 0


def test_whom_nobody_hears_is_unreachable() -> None:
    def main(sim: Simulation) -> float:
        cluster(sim, "a", "b")
        sim.network.partition({"a"}, {"b"})
        with pytest.raises(NodeUnreachable):
            sim.system("a").connect("sim://b", timeout=10)
        began = sim.time()
        with pytest.raises(NodeUnreachable, match="nobody listens there"):
            sim.system("a").connect("sim://nobody", timeout=0.1)
        assert sim.time() - began <= 0.2
        return began

    assert Simulation().run(main) == pytest.approx(10, abs=0.1)


def test_nodes_listen_at_any_address_but_each_at_its_own() -> None:
    def main(sim: Simulation) -> Any:
        a = sim.system("a", listen="tcp://10.0.0.1:0")
        a.spawn(Echo, name="echo")
        with pytest.raises(OSError, match="'a' does"):
            sim.system("b", listen=a.address)
        assert a.address == "tcp://10.0.0.1:49152"
        return sim.system("c").connect(a.address).lookup("/echo").ask("hello")

    assert Simulation().run(main) == "hello"


@pytest.mark.parametrize("wrong", [(), ({"a", "b"}, {"b"})])
def test_a_partition_is_of_sets_that_are_apart(wrong: tuple[set[str], ...]) -> None:
    with pytest.raises(ValueError, match="none in common"):
        Simulation().run(lambda sim: sim.network.partition(*wrong))


def test_what_is_no_node_cannot_be_cut() -> None:
    with pytest.raises(TypeError, match="its name or its system"):
        Simulation().run(lambda sim: sim.network.cut(1, 2))


# -- clocks ----------------------------------------------------------------------------------------


def test_a_fast_clock_has_its_timers_early_and_a_wrong_one_only_shows_it() -> None:
    class Alarm(Actor):
        def __init__(self, ring: Callable[[], None]) -> None:
            self.ring = ring

        def on_start(self) -> None:
            self.after(100, "ring")

        def receive(self, message: Any) -> None:
            self.ring()

    def main(sim: Simulation) -> dict[str, float]:
        rang: dict[str, float] = {}
        sim.skew("fast", rate=2.0)
        sim.skew("off", offset=50.0)
        for name in ("right", "fast", "off"):

            def ring(name: str = name) -> None:
                rang[name] = sim.time()

            sim.system(name).spawn(Alarm, ring)
        gevent.sleep(200)
        with pytest.raises(ValueError, match="above 0"):
            sim.skew("right", rate=0)
        return rang

    assert Simulation().run(main) == pytest.approx({"fast": 50, "off": 100, "right": 100})


def test_a_clock_that_is_set_while_it_runs_loses_no_timer() -> None:
    def main(sim: Simulation) -> list[Any]:
        collector = sim.system("a").spawn(Collector)

        class Alarm(Actor):
            def on_start(self) -> None:
                self.every(10, "tick")

            def receive(self, message: Any) -> None:
                collector.tell(message)

        sim.system("a").spawn(Alarm)
        gevent.sleep(15)
        sim.skew("a", offset=-5.0)
        gevent.sleep(100)
        got: list[Any] = collector.ask(None)
        return got

    assert len(Simulation().run(main)) in (10, 11)


# -- crashes ---------------------------------------------------------------------------------------


class Witness(Actor):
    """Blocks in a way of its choice, and would tell of everything that still runs."""

    def __init__(self, ran: list[str], gate: Event) -> None:
        self.ran = ran
        self.gate = gate

    def on_start(self) -> None:
        self.every(1.0, "tick")

    def receive(self, message: Any) -> None:
        if message == "tick":
            self.ran.append("tick")
            return
        try:
            message(self)
            self.ran.append("went on")
        finally:
            self.ran.append("finally")

    def on_stop(self, reason: Reason) -> None:
        self.ran.append("on_stop")


def _sleeps(me: Witness) -> None:
    gevent.sleep(5)


def _waits(me: Witness) -> None:
    me.gate.wait()


def _times_out(me: Witness) -> None:
    with gevent.Timeout(3):
        gevent.sleep(100)


def _has_greenlets(me: Witness) -> None:
    def task() -> None:
        try:
            me.gate.wait()
        finally:
            me.ran.append("task's finally")

    me.task(task)
    gevent.spawn(task)
    gevent.spawn_later(3, me.ran.append, "spawned")
    gevent.sleep(100)


def _asks(me: Witness) -> None:
    me.system.lookup("/silent").ask("?", timeout=2)


@pytest.mark.parametrize("block", [_sleeps, _waits, _times_out, _has_greenlets, _asks])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_of_a_crashed_node_runs_any_more(
    block: Callable[[Witness], None], seed: int
) -> None:
    ran: list[str] = []

    def main(sim: Simulation) -> None:
        gate = Event()
        system = sim.system("a")
        keep: list[Any] = []
        silent = system.spawn(Obedient, name="silent")
        silent.tell(lambda me: me.become(lambda message: keep.append(me.defer_reply())))
        blocked = system.spawn(Witness, ran, gate)
        blocked.tell(block)
        system.spawn(Obedient).tell(lambda me: gevent.spawn(gate.wait))
        gevent.sleep(0.5)
        sim.crash("a")
        del system, silent, blocked
        gevent.sleep(1)
        gate.set()
        gevent.sleep(60)

    simulation = Simulation(seed)
    simulation.run(main)
    assert ran == []


def test_a_greenlet_that_was_to_begin_in_a_crashed_node_does_not() -> None:
    ran: list[str] = []

    def main(sim: Simulation) -> None:
        def begin(me: Any) -> None:
            gevent.spawn(ran.append, "began")
            sim.crash("a")

        sim.system("a").spawn(Obedient).tell(begin)
        gevent.sleep(10)

    Simulation(source=Recorded([])).run(main)
    assert ran == []


def test_the_others_learn_of_a_crash_by_silence() -> None:
    class Watches(Actor):
        def __init__(self, ref: ActorRef[Any], told: list[Any]) -> None:
            self.watch(ref)
            self.told = told

        def receive(self, message: Any) -> None:
            self.told.append(message)

    def main(sim: Simulation) -> tuple[list[Any], float]:
        cluster(sim, "a", "b")
        ref = far(sim, "a", "b")
        told: list[Any] = []
        sim.system("a").spawn(Watches, ref, told)
        gevent.sleep(1)
        sim.crash("b")
        with pytest.raises(NodeLost):
            ref.ask("?", timeout=60)
        gevent.sleep(0.1)
        return told, sim.time()

    told, time = Simulation().run(main)
    assert [(type(end), end.reason) for end in told] == [(Terminated, Reason.NODE_LOST)]
    assert 5 < time < 10


def test_a_restarted_node_is_another_incarnation_with_its_disk() -> None:
    def boot(system: Any) -> None:
        disk = system.simulation.disk("b")
        disk["boots"] = disk.get("boots", 0) + 1
        disk.sync()
        disk["lost"] = True
        system.spawn(Echo, name="echo")

    def main(sim: Simulation) -> tuple[int, bool]:
        sim.system("b", boot=boot)
        cluster(sim, "a")
        old = far(sim, "a", "b")
        assert "lost" in sim.disk("b")
        sim.crash("b")
        with pytest.raises(SimulationError, match=r"sim\.restart"):
            sim.system("b")
        gevent.sleep(1)
        sim.restart("b")
        gevent.sleep(2)
        new = sim.system("a").connect("sim://b", timeout=60).lookup("/echo")
        assert new.ask("hello") == "hello"
        assert new != old
        with pytest.raises(NodeLost):
            old.ask("anyone?")
        sim.restart("b")
        return sim.disk("b")["boots"], "lost" in sim.disk("b")

    assert Simulation().run(main) == (3, True)


def test_only_what_runs_can_crash() -> None:
    def main(sim: Simulation) -> None:
        with pytest.raises(SimulationError, match="no node 'a' is running"):
            sim.crash("a")
        with pytest.raises(SimulationError, match="there has been no node"):
            sim.restart("a")

    Simulation().run(main)


def test_a_node_that_has_shut_down_can_be_started_anew() -> None:
    def main(sim: Simulation) -> Any:
        with sim.system("a") as system:
            system.spawn(Echo)
        assert "a" not in sim.systems
        return sim.restart("a").spawn(Echo).ask("hello")

    assert Simulation().run(main) == "hello"


def test_a_disk_copies_what_it_is_given_and_keeps_what_was_synced() -> None:
    disk = Disk()
    value = [1]
    disk["a"] = value
    value.append(2)
    disk["a"].append(3)
    assert disk["a"] == [1]
    disk.sync()
    disk["a"] = [9]
    disk["b"] = 1
    assert (dict(disk), len(disk)) == ({"a": [9], "b": 1}, 2)
    disk.lose_unsynced()
    assert dict(disk) == {"a": [1]}
    del disk["a"]
    assert list(disk) == []
    with pytest.raises(TypeError, match="names on a disk are str"):
        disk[1] = 2  # type: ignore[index]


def test_the_test_goes_on_after_the_crash_of_a_node_that_it_has_asked() -> None:
    def main(sim: Simulation) -> float:
        assert sim.system("a", boot=lambda system: system.spawn(Echo, name="echo"))
        assert sim.system("a").lookup("/echo").ask(1) == 1
        sim.restart("a")
        gevent.sleep(1)
        assert sim.system("a").lookup("/echo").ask(2) == 2
        return sim.time()

    assert Simulation().run(main) == 1
