"""Metrics: what is counted, by which labels, where it is scraped; and that counting is safe."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import gevent
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from actorkit import Actor, ActorRef, ActorSystem, DeadLetter, Inbox, OneForOne, Refused
from actorkit.observe import counts, sampling
from actorkit.observe.metrics import Metrics
from actorkit.testing import Simulation


@pytest.fixture
def every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message is a sample."""
    monkeypatch.setattr(sampling.Sampler, "time", 0.0)


@pytest.fixture
def metrics(system: ActorSystem, every_message: None) -> Iterator[Metrics]:
    with Metrics(system) as metrics:
        yield metrics


class Till(Actor):
    supervision = OneForOne(intensity=100, backoff=None)

    def __init__(self) -> None:
        self.sum = 0
        self.put_off = False

    def receive(self, message: Any) -> Any:
        match message:
            case "fail":
                raise RuntimeError("as told")
            case "refuse":
                raise Refused("as told")
            case "stop":
                self.stop()
            case "quiet":
                self.become(lambda message: "hush")
            case "later" if not self.put_off:
                self.put_off = True
                self.stash()
                self.become(self.and_now)
            case float(seconds):
                gevent.sleep(seconds)
        return message

    def and_now(self, message: Any) -> Any:
        self.unbecome()
        self.unstash_all()
        return message

    def add(self, amount: int) -> int:
        self.sum += amount
        return self.sum


NAME = f"{__name__}.Till"


def value(metrics: Metrics, name: str, actor: str = NAME, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry.get_sample_value(name, {"system": "test", "actor": actor, **labels})


def test_messages_are_counted_exactly_and_each_is_in_the_histogram_when_each_is_a_sample(
    system: ActorSystem, metrics: Metrics
) -> None:
    till = system.spawn(Till)
    for number in range(10):
        till.tell(number)
        assert till.ask(number) == number
        assert till.proxy().add(1) == number + 1
    assert value(metrics, "actorkit_messages_handled_total") == 30
    assert value(metrics, "actorkit_receive_seconds_count") == 30


@pytest.mark.parametrize(
    "options", [{}, {"inbox": Inbox(maxsize=5)}, {"inbox": Inbox(priority=str)}], ids=repr
)
def test_every_way_to_end_a_turn_is_timed_and_changes_nothing(
    system: ActorSystem, metrics: Metrics, options: dict[str, Any]
) -> None:
    till = system.spawn(Till, **options)
    assert till.ask("quiet") == "quiet"
    assert till.ask("any") == "hush"
    till.kill()
    till.join()
    till = system.spawn(Till, **options)
    with pytest.raises(RuntimeError):
        till.ask("fail")
    with pytest.raises(Refused):
        till.ask("refuse")
    assert till.ask(0.001) == 0.001
    assert till.proxy().add(2) == 2
    first = till.ask_nowait("later")
    assert till.ask("now") == "now"
    assert first.get() == "later"
    assert till.ask("stop") == "stop"
    till.join()
    assert value(metrics, "actorkit_failures_total") == 1
    assert value(metrics, "actorkit_restarts_total") == 1
    handled = value(metrics, "actorkit_messages_handled_total")
    assert handled == value(metrics, "actorkit_receive_seconds_count")


def test_the_time_of_a_turn_has_its_waits_in_it(system: ActorSystem, metrics: Metrics) -> None:
    till = system.spawn(Till)
    till.ask(0.3)
    total = value(metrics, "actorkit_receive_seconds_sum")
    assert total is not None
    assert total >= 0.3
    assert value(metrics, "actorkit_receive_seconds_bucket", le="0.1") == 0
    assert value(metrics, "actorkit_receive_seconds_bucket", le="+Inf") == 1


def test_under_load_samples_stand_for_all_messages(system: ActorSystem) -> None:
    class Relay(Actor):
        def receive(self, message: Any) -> None:
            to, left = message
            if left:
                to.tell((self.ref, left - 1))
            else:
                done.set()

    class Other(Relay):
        pass

    done = gevent.event.Event()
    with Metrics(system) as metrics:
        system.spawn(Relay).tell((system.spawn(Other), 600_000))
        assert done.wait(60)
        names = [f"{__name__}.{cls.__qualname__}" for cls in (Relay, Other)]
        for name in names:
            handled = value(metrics, "actorkit_messages_handled_total", name)
            estimate = value(metrics, "actorkit_receive_seconds_count", name)
            assert handled in (300_000, 300_001)
            assert estimate is not None
            assert 150_000 < estimate < 450_000


def test_inboxes_actors_dead_letters_and_overflows_are_told_by_class(
    system: ActorSystem, metrics: Metrics
) -> None:
    tills = [system.spawn(Till, inbox=Inbox(maxsize=2, overflow="drop_new")) for _ in range(3)]
    for till in tills[:2]:
        till.tell(30.0)
    while any(till.inbox.qsize() for till in tills[:2]):
        gevent.sleep(0.001)
    for message in range(4):
        tills[0].tell(message)
    tills[1].tell("waits")
    tills[2].stop()
    tills[2].join()
    tills[2].tell("too late")
    assert value(metrics, "actorkit_actors") == 2
    assert value(metrics, "actorkit_inbox_messages") == 3
    assert value(metrics, "actorkit_inbox_messages_max") == 2
    assert value(metrics, "actorkit_dead_letters_total") == 1
    assert value(metrics, "actorkit_inbox_overflows_total", policy="drop_new") == 2
    for till in tills[:2]:
        till.kill()


def test_messages_of_actors_that_end_stay_counted(system: ActorSystem, metrics: Metrics) -> None:
    for number in range(400):
        till = system.spawn(Till, shutdown=number % 7)
        till.tell("hello")
        till.tell("fail" if number % 3 else 0)
        till.tell("stop")
    till.join()
    assert value(metrics, "actorkit_actors") == 0
    assert value(metrics, "actorkit_messages_handled_total") == 1_200
    assert value(metrics, "actorkit_failures_total") == 266


def test_an_actor_that_ends_amid_its_mail_counts_what_it_has_handled(
    system: ActorSystem, metrics: Metrics
) -> None:
    letters: list[DeadLetter] = []
    system.events.subscribe(DeadLetter, letters.append)
    till = system.spawn(Till)
    for message in ("one", "two", "stop", "late"):
        till.tell(message)
    till.join()
    assert value(metrics, "actorkit_messages_handled_total") == 3
    assert value(metrics, "actorkit_dead_letters_total") == len(letters) == 1


def test_what_a_killed_actor_was_in_the_middle_of_is_counted(
    system: ActorSystem, metrics: Metrics
) -> None:
    till = system.spawn(Till)
    till.ask("hello")
    till.tell(60.0)
    while till.inbox.qsize():
        gevent.sleep(0.001)
    till.kill()
    till.join()
    assert value(metrics, "actorkit_messages_handled_total") == 2
    assert value(metrics, "actorkit_actors") == 0


def test_a_restart_ends_no_count_and_an_escalation_ends_each_once(
    system: ActorSystem, metrics: Metrics
) -> None:
    class House(Actor):
        supervision = OneForOne(intensity=2, period=60, backoff=None)

        def __init__(self) -> None:
            self.room = self.spawn(Till, name="room")

        def receive(self, message: Any) -> None:
            self.room.tell(message)

    house = system.spawn(House, restart="temporary")
    for number in range(6):
        house.tell("hello")
        house.tell("fail" if number % 2 else "again")
    house.join()
    restarted = value(metrics, "actorkit_restarts_total")
    assert restarted == 2
    assert value(metrics, "actorkit_failures_total") == 3
    assert value(metrics, "actorkit_actors") == 0
    assert value(metrics, "actorkit_messages_handled_total") == 12
    name = f"{__name__}.{House.__qualname__}"
    assert value(metrics, "actorkit_messages_handled_total", name) == 12
    assert value(metrics, "actorkit_failures_total", name) == 1
    assert value(metrics, "actorkit_actors", name) == 0


def test_an_actor_whose_constructor_fails_is_not_there_and_its_children_are_counted(
    system: ActorSystem, metrics: Metrics
) -> None:
    children: list[ActorRef[Till]] = []

    class Broken(Actor):
        def __init__(self) -> None:
            children.append(self.spawn(Till))
            children[0].ask("hello")
            raise ValueError("as told")

        def receive(self, message: Any) -> None:
            raise NotImplementedError

    with pytest.raises(ValueError, match="as told"):
        system.spawn(Broken)
    children[0].join()
    assert value(metrics, "actorkit_actors") == 0
    assert value(metrics, "actorkit_messages_handled_total") == 1
    assert value(metrics, "actorkit_actors", f"{__name__}.{Broken.__qualname__}") is None


def test_a_shutdown_of_thousands_of_actors_loses_no_count(every_message: None) -> None:
    with ActorSystem("test") as system:
        metrics = Metrics(system)
        options: list[dict[str, Any]] = [{}, {"inbox": Inbox(maxsize=9)}, {"restart": "permanent"}]
        tills = [system.spawn(Till, **options[number % 3]) for number in range(3_000)]
        for till in tills:
            till.tell("hello")
        for till in tills:
            till.ask("again")
        assert value(metrics, "actorkit_actors") == 3_000
    assert value(metrics, "actorkit_actors") == 0
    assert value(metrics, "actorkit_messages_handled_total") == 6_000


def test_more_kinds_of_ended_actors_than_are_told_apart_are_added_up_before_a_scrape(
    system: ActorSystem, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_DEPARTED", 3)
    for number in range(20):
        made: type[Till] = type(f"Made{number}", (Till,), {})
        till = system.spawn(made, shutdown=number)
        till.tell("stop")
        till.join()
        assert system.departed is not None
        assert len(system.departed) <= 3
    for number in range(20):
        name = f"{__name__}.Made{number}"
        assert value(metrics, "actorkit_messages_handled_total", name) == 1


def test_starts_and_ends_make_no_events_for_metrics(system: ActorSystem, metrics: Metrics) -> None:
    assert not system.events.starts
    assert not system.events.ends
    assert value(metrics, "actorkit_actors") is None
    assert not system.events.ends


def test_actors_that_end_while_they_are_counted_are_counted_once(
    system: ActorSystem, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "SLICE", 0.0)  # a pause after every step
    tills = [system.spawn(Till) for _ in range(10 * counts.STEP)]
    for till in tills:
        till.tell("hello")
    tills[-1].ask("all before have had theirs")
    counting = gevent.spawn(value, metrics, "actorkit_messages_handled_total")
    for till in tills[::2]:
        till.tell("stop")
        gevent.sleep(0)
    counted = counting.get(timeout=30)
    exact = 1 + len(tills) + len(tills[::2])
    assert counted is not None
    assert 1 + len(tills) <= counted <= exact
    assert value(metrics, "actorkit_messages_handled_total") == exact


def test_a_scrape_of_many_actors_lets_others_run(system: ActorSystem) -> None:
    with Metrics(system) as metrics:
        for _ in range(20_000):
            system.spawn(Till)
        turns = 0

        def count_turns() -> None:
            nonlocal turns
            while True:
                gevent.sleep(0)
                turns += 1

        others = gevent.spawn(count_turns)
        gevent.sleep(0)
        before = turns
        assert value(metrics, "actorkit_actors") == 20_000
        assert turns > before + 1
        others.kill()


def test_classes_beyond_the_limit_are_counted_together(
    system: ActorSystem, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MAX_CLASSES", 3)
    for number in range(6):
        cls = type(f"Made{number}", (Till,), {})
        assert system.spawn(cls).ask(1) == 1
    assert value(metrics, "actorkit_actors", counts.OTHER) == 3
    assert value(metrics, "actorkit_messages_handled_total", counts.OTHER) == 3
    assert value(metrics, "actorkit_actors", f"{__name__}.Made2") == 1


def test_no_label_names_an_actor(system: ActorSystem, metrics: Metrics) -> None:
    system.spawn(Till, name="somebody").ask(1)
    registry = CollectorRegistry()
    registry.register(metrics)
    assert b"somebody" not in generate_latest(registry)


def test_a_page_on_loopback_serves_them(system: ActorSystem, metrics: Metrics) -> None:
    system.spawn(Till).ask(1)
    host, port = metrics.serve(port=0)
    assert host == "127.0.0.1"
    pool = gevent.get_hub().threadpool
    page = pool.apply(lambda: urlopen(f"http://{host}:{port}/metrics", timeout=30).read())
    assert f'actorkit_messages_handled_total{{actor="{NAME}",system="test"}} 1.0' in page.decode()


def test_a_registry_that_is_scraped_in_another_thread_gets_them(
    system: ActorSystem, metrics: Metrics
) -> None:
    registry = CollectorRegistry()
    registry.register(metrics)
    system.spawn(Till).ask(1)
    page = gevent.get_hub().threadpool.apply(generate_latest, (registry,))
    assert f'actorkit_actors{{actor="{NAME}",system="test"}} 1.0' in page.decode()


def test_two_systems_share_a_collector_and_two_of_one_name_cannot() -> None:
    with ActorSystem("one") as one, ActorSystem("two") as two:
        with Metrics(one, two) as metrics:
            one.spawn(Till).ask(1)
            two.spawn(Till).ask(1)
            registry = CollectorRegistry()
            registry.register(metrics)
            for name in ("one", "two"):
                labels = {"system": name, "actor": NAME}
                assert registry.get_sample_value("actorkit_actors", labels) == 1
        with ActorSystem("one") as again, pytest.raises(ValueError, match="different names"):
            Metrics(one, again)


def test_a_system_has_one_set_of_metrics_at_a_time(system: ActorSystem, metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="close"):
        Metrics(system)
    metrics.close()
    with Metrics(system) as again:
        system.spawn(Till).ask(1)
        assert value(again, "actorkit_messages_handled_total") == 1


def test_what_a_system_counts_of_its_nodes_is_there() -> None:
    with (
        ActorSystem("there", listen="tcp://127.0.0.1:0") as there,
        ActorSystem("here") as here,
        Metrics(here) as metrics,
    ):
        registry = CollectorRegistry()
        registry.register(metrics)
        here.connect(there.address)
        assert registry.get_sample_value("actorkit_nodes", {"system": "here"}) == 1
        labels = {"system": "here", "event": "associations"}
        assert registry.get_sample_value("actorkit_events_total", labels) == 1


def test_closed_metrics_count_no_more_and_leave_nothing_behind(system: ActorSystem) -> None:
    metrics = Metrics(system)
    till = system.spawn(Till)
    till.ask(1)
    metrics.close()
    assert system._dispatcher.sampler is None
    assert system.departed is None
    assert not system.events.subscriptions
    assert till.ask(2) == 2
    assert value(metrics, "actorkit_receive_seconds_count") == 1


def test_the_last_numbers_of_a_system_outlive_it(every_message: None) -> None:
    with ActorSystem("test") as system:
        metrics = Metrics(system)
        system.spawn(Till).ask(1)
    assert system._dispatcher.sampler is None
    assert value(metrics, "actorkit_messages_handled_total") == 1
    assert value(metrics, "actorkit_actors") == 0
    assert gevent.get_hub().threadpool.apply(value, (metrics, "actorkit_actors")) == 0


def test_a_simulated_system_has_metrics_too() -> None:
    def main(sim: Simulation) -> float | None:
        system = sim.system("test")
        with Metrics(system) as metrics:
            system.spawn(Till).ask(1)
            return value(metrics, "actorkit_messages_handled_total")

    assert Simulation(seed=1).run(main) == 1


def test_prometheus_is_not_imported_unless_asked_for() -> None:
    program = "import sys, actorkit; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
