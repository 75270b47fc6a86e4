"""Looking inside a system: what the inspector tells, to whom, and when it stops to look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import pytest
import structlog
from gevent.event import Event

from actorkit import (
    Actor,
    ActorNotFound,
    ActorSystem,
    Inbox,
    Insecure,
    NodeLost,
    Refused,
    RestartOrdered,
)
from actorkit.observe import failures as failures_module
from actorkit.observe import inspector as inspector_module
from actorkit.observe import tap as tap_module
from actorkit.observe import view as view_module
from actorkit.observe.brief import MAX_BRIEF, brief
from actorkit.observe.watch import Inspection, Row, Tree
from actorkit.testing import Simulation
from tests.remote.clusters import LOOPBACK, until


class Account(Actor):
    def __init__(self, balance: int = 0) -> None:
        self.balance = balance
        self._secret = "sesame"
        self.open = Event()

    def receive(self, message: Any) -> Any:
        match message:
            case ("add", amount):
                self.balance += amount
                return self.balance
            case "refuse":
                raise Refused("no")
            case "wait":
                self.open.wait()
            case "fail":
                raise ValueError("the reason")
            case ("become", word):
                self.become(lambda _: word)
            case "unbecome":
                self.unbecome()
        return None

    def greet(self, name: str) -> str:
        return f"hello {name}"


class Summarised(Actor):
    def __init__(self, summary: Any) -> None:
        self.summary = summary

    def receive(self, message: Any) -> None:
        pass

    def on_inspect(self) -> Any:
        return self.summary()


class Parent(Actor):
    def on_start(self) -> None:
        self.spawn(Account, name="child")

    def receive(self, message: Any) -> None:
        pass


class Reading(Actor):
    def run(self) -> None:
        while self.inbox.get() != "end":
            pass


@pytest.fixture
def inside(system: ActorSystem) -> Inspection:
    return Inspection(system)


@pytest.fixture
def pair() -> Iterator[tuple[ActorSystem, ActorSystem]]:
    """A system that listens on loopback, and one that is connected to it."""
    with (
        structlog.testing.capture_logs(),
        ActorSystem("there", listen=LOOPBACK) as there,
        ActorSystem("here") as here,
    ):
        here.connect(there.address)
        yield here, there


def rows(tree: Tree) -> dict[str, Row]:
    return {tree.path(row): row for row in tree.rows.values()}


def messages(inside: Inspection, path: str, after: int = 0) -> list[Any]:
    found: list[Any] = inside.ask("messages", path, after)["messages"]
    return found


class TestTheTree:
    def test_it_has_every_actor_with_its_parent_and_numbers(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        system.spawn(Parent, name="parent")
        account = system.spawn(Account, name="account")
        account.ask(("add", 1))
        tree = Tree(inside)
        tree.refresh()
        seen = rows(tree)
        assert set(seen) == {"/parent", "/parent/child", "/account", "/$inspector"}
        assert (seen["/account"].cls, seen["/account"].handled) == ("Account", 1)
        assert seen["/account"].state == "running"
        assert [(depth, row.name) for depth, row in tree.walk("/parent")] == [
            (0, "parent"),
            (1, "child"),
        ]

    def test_a_second_look_tells_only_what_changed(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        quiet, loud, leaver = (system.spawn(Account) for _ in range(3))
        tree = Tree(inside)
        tree.refresh()
        loud.ask(("add", 1))
        leaver.stop()
        leaver.join()
        changes = tree.refresh()
        assert loud.uid in {row.uid for row in changes.rows}
        assert quiet.uid not in {row.uid for row in changes.rows}
        assert changes.gone == [leaver.uid]
        assert leaver.uid not in tree.rows

    def test_rates_come_from_the_counters_and_fall_to_zero_at_rest(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        account = system.spawn(Account)
        tree = Tree(inside)
        tree.refresh()
        for _ in range(100):
            account.ask(("add", 1))
        tree.refresh()
        assert tree.rows[account.uid].rate > 0
        tree.refresh()
        assert tree.rows[account.uid].rate == 0

    def test_a_big_tree_comes_in_pages_that_look_at_a_bounded_number(
        self, system: ActorSystem, inside: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(view_module, "PAGE", 10)
        for _ in range(95):
            system.spawn(Account)
        view = inside.ask("view")
        sizes = []
        while True:
            page = inside.ask("page", view)
            sizes.append(len(page["rows"]))
            if page["done"]:
                break
        assert max(sizes) == 10
        assert sum(sizes) == 96

    def test_actors_that_come_and_go_between_pages_are_told_right(
        self, system: ActorSystem, inside: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(view_module, "PAGE", 3)
        refs = [system.spawn(Account) for _ in range(10)]
        view = inside.ask("view")
        inside.ask("page", view)
        refs[0].stop()  # seen already
        refs[9].stop()  # not seen yet
        gevent.joinall([refs[0], refs[9]])
        system.spawn(Account, name="late")
        seen: set[int] = set()
        gone: set[int] = set()
        passes = 0
        while passes < 2:
            page = inside.ask("page", view)
            seen.update(row[0] for row in page["rows"])
            gone.update(page["gone"])
            passes += page["done"]
        assert refs[9].uid not in seen
        assert refs[0].uid in gone
        assert system.lookup("/late").uid in seen

    def test_more_actors_than_a_view_shows_are_said_to_be_there(
        self, system: ActorSystem, inside: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(view_module, "MAX_ACTORS", 20)
        monkeypatch.setattr(view_module, "PAGE", 10)
        for _ in range(40):
            system.spawn(Account)
        tree = Tree(inside)
        tree.refresh()
        assert tree.more
        assert len(tree.rows) == 20

    def test_a_blocked_actor_is_busy_since_it_was_first_seen_so(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        account = system.spawn(Account, name="account")
        account.tell("wait")
        gevent.sleep(0)
        tree = Tree(inside)
        tree.refresh()
        assert tree.rows[account.uid].activity == "blocked"
        gevent.sleep(0.01)
        tree.refresh()
        assert (tree.busy(tree.rows[account.uid]) or 0) >= 0.01
        stack = inside.ask("actor", "/account")["stack"]
        assert any("test_inspector.py" in line and "receive" in line for line in stack)
        system.lookup("/account")._instance.open.set()  # type: ignore[attr-defined]
        account.ask(("add", 1))
        tree.refresh()
        assert tree.rows[account.uid].activity == ""
        assert tree.busy(tree.rows[account.uid]) is None


class TestFailures:
    def test_those_from_before_anyone_looked_are_there_with_their_tracebacks(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        account = system.spawn(Account, name="account")
        with pytest.raises(ValueError, match="the reason"):
            account.ask("fail")
        [failure] = inside.ask("failures", 0)
        assert (failure["path"], failure["class"]) == ("/account", "Account")
        assert failure["error"] == "ValueError"
        assert 'raise ValueError("the reason")' in failure["trace"]
        assert "ValueError: the reason" in failure["trace"]
        assert inside.ask("failures", failure["number"]) == []

    def test_only_the_last_ones_are_kept_and_all_are_counted(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        for _ in range(30):
            with pytest.raises(ValueError, match="the reason"):
                system.spawn(Account).ask("fail")
        first = inside.ask("failures", 0)
        rest = inside.ask("failures", first[-1]["number"])
        assert [len(first), len(rest)] == [inspector_module.FAILURES_AT_ONCE, 10]
        assert inside.ask("about")["failures"] == 30

    def test_in_a_storm_most_are_only_counted(
        self, system: ActorSystem, inside: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(failures_module, "RATE", 1)
        monkeypatch.setattr(system._dispatcher, "clock", lambda: 7.0)
        account = system.spawn(Account)
        for _ in range(3):
            system.failures.add(account, ValueError("no traceback"))  # type: ignore[arg-type]
        monkeypatch.undo()
        assert inside.ask("about")["failures"] == 3
        assert [failure["number"] for failure in inside.ask("failures", 0)] == [1]

    def test_a_failed_actors_objects_do_not_live_on_in_them(self, system: ActorSystem) -> None:
        account = system.spawn(Account, restart="temporary")
        with pytest.raises(ValueError, match="the reason"):
            account.ask("fail")
        account.join()
        [failure] = system.failures.after(0)
        assert not hasattr(failure.trace, "__traceback__")
        assert all(frame.locals is None for frame in failure.trace.stack)


class TestOneActor:
    def test_its_public_attributes_are_its_summary(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        system.spawn(Account, 7, name="account", inbox=Inbox(maxsize=3))
        details = inside.ask("actor", "/account")
        assert details["class"] == f"{__name__}.Account"
        assert (details["inbox"], details["maxsize"]) == (0, 3)
        assert details["summary"] == {"balance": "7", "open": "<Event>"}

    def test_on_inspect_takes_their_place(self, system: ActorSystem, inside: Inspection) -> None:
        system.spawn(Summarised, lambda: {"shown": [1, 2]}, name="dict")
        system.spawn(Summarised, lambda: "one value", name="value")
        assert inside.ask("actor", "/dict")["summary"] == {"shown": "[1, 2]"}
        assert inside.ask("actor", "/value")["summary"] == {"": "'one value'"}

    def test_a_hook_that_fails_or_blocks_hurts_nobody(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        def fails() -> None:
            raise ZeroDivisionError("oh")

        system.spawn(Summarised, fails, name="fails")
        system.spawn(Summarised, lambda: gevent.sleep(60), name="blocks")
        summary = inside.ask("actor", "/fails")["summary"]
        assert summary == {"on_inspect": "failed: ZeroDivisionError('oh')"}
        assert "took more than" in inside.ask("actor", "/blocks")["summary"]["on_inspect"]
        assert system.failures.count == 0

    def test_a_path_without_an_actor_is_not_found(self, inside: Inspection) -> None:
        with pytest.raises(ActorNotFound):
            inside.ask("actor", "/nobody")
        with pytest.raises(Refused, match="no such question"):
            inside.ask("dance", 1)


class TestMessages:
    def test_they_are_seen_as_they_come_with_what_became_of_them(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        account = system.spawn(Account, name="account")
        account.ask(("add", 1))
        assert inside.ask("tap", "/account") == 0
        account.ask(("add", 2))
        account.tell(("add", 3))
        assert account.proxy().greet("you") == "hello you"
        with pytest.raises(Refused):
            account.ask("refuse")
        seen = messages(inside, "/account")
        assert [(how, text, outcome) for _, _, how, text, _, outcome in seen] == [
            ("asked", "('add', 2)", "3"),
            ("told", "('add', 3)", "ok"),
            ("asked", "greet('you')", "'hello you'"),
            ("asked", "'refuse'", "failed: Refused('no')"),
        ]
        assert all(seconds >= 0 for _, _, _, _, seconds, _ in seen)
        assert messages(inside, "/account", after=seen[-1][0]) == []

    def test_a_running_turn_is_shown_before_its_end(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        account = system.spawn(Account, name="account")
        inside.ask("tap", "/account")
        account.tell("wait")
        gevent.sleep(0)
        assert [entry[3:] for entry in messages(inside, "/account")] == [["'wait'", None, None]]
        account.kill()

    def test_a_tap_outlives_changes_of_behaviour_and_restarts(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        account = system.spawn(Account, name="account")
        inside.ask("tap", "/account")
        account.ask(("become", "word"))
        assert account.ask("any") == "word"
        with pytest.raises(TypeError):
            account.call("greet")
        until(lambda: account.ask(("add", 1)) == 1)
        texts = [entry[3] for entry in messages(inside, "/account")]
        assert texts == ["('become', 'word')", "'any'", "greet()", "('add', 1)"]

    def test_what_a_process_reads_is_seen(self, system: ActorSystem, inside: Inspection) -> None:
        reading = system.spawn(Reading, name="reading")
        inside.ask("tap", "/reading")
        reading.tell("one")
        reading.tell("end")
        reading.join()
        answer = inside.ask("messages", "/reading", 0)
        assert [entry[3] for entry in answer["messages"]] == ["'one'", "'end'"]
        assert answer["ended"] == "the actor has stopped"

    def test_a_withdrawn_timer_is_not_shown(self, system: ActorSystem, inside: Inspection) -> None:
        class Clock(Actor):
            def receive(self, message: Any) -> None:
                if message == "set":
                    self.after(0, "withdrawn", key=1)
                    self.after(0, "in force", key=2)
                    gevent.sleep(0.02)  # both are in the inbox by now
                    self.cancel(1)

        clock = system.spawn(Clock, name="clock")
        inside.ask("tap", "/clock")
        clock.tell("set")
        until(lambda: len(messages(inside, "/clock")) == 2)
        seen = messages(inside, "/clock")
        assert [(how, text) for _, _, how, text, _, _ in seen] == [
            ("told", "'set'"),
            ("timer", "'in force'"),
        ]

    def test_order_and_delivery_stay_what_they_were(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        got: list[int] = []

        class Keeper(Actor):
            def receive(self, message: Any) -> None:
                got.append(message)

        keeper = system.spawn(Keeper, name="keeper")
        for number in range(3000):
            if number == 1000:
                inside.ask("tap", "/keeper")
            if number == 2000:
                inside.ask("messages", "/keeper", 0)
            keeper.tell(number)
            if number % 7 == 0:
                gevent.sleep(0)
        keeper.stop(drain=True)
        keeper.join()
        assert got == list(range(3000))

    def test_it_ends_when_nobody_looks_and_the_actor_goes_its_short_way_again(
        self, system: ActorSystem, inside: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspector_module, "GONE_AFTER", 0.05)
        account = system.spawn(Account, name="account")
        inside.ask("tap", "/account")
        inside.ask("view")
        cell: Any = account
        until(lambda: cell._life.tap is None)
        account.ask(("add", 1))
        assert cell._handler is not None
        assert inside.ask("messages", "/account", 0)["ended"] == "nobody looked"
        with pytest.raises(Refused, match="no view"):
            inside.ask("page", 1)

    def test_it_ends_after_its_number_of_messages(
        self, system: ActorSystem, inside: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tap_module, "TAP_MESSAGES", 5)
        account = system.spawn(Account, name="account")
        inside.ask("tap", "/account")
        for _ in range(8):
            account.ask(("add", 1))
        answer = inside.ask("messages", "/account", 0)
        assert len(answer["messages"]) == 5
        assert answer["ended"] == "5 messages have passed"

    def test_a_flood_is_counted_and_not_described(
        self, system: ActorSystem, inside: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tap_module, "TAP_RATE", 2)
        account = system.spawn(Account, name="account")
        inside.ask("tap", "/account")
        for _ in range(50):
            account.ask(("add", 1))
        answer = inside.ask("messages", "/account", 0)
        assert len(answer["messages"]) + answer["skipped"] == 50
        assert answer["skipped"] > 0

    def test_taps_and_views_are_bounded_in_number(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        for number in range(inspector_module.MAX_TAPS):
            system.spawn(Account, name=f"a{number}")
            inside.ask("tap", f"/a{number}")
        system.spawn(Account, name="last")
        with pytest.raises(Refused, match="watched already"):
            inside.ask("tap", "/last")
        for _ in range(inspector_module.MAX_VIEWS):
            inside.ask("view")
        with pytest.raises(Refused, match="watchers"):
            inside.ask("view")
        assert inside.ask("close", 1)
        tree = Tree(inside)
        tree.refresh()
        tree.close()
        assert inside.ask("view") == inspector_module.MAX_VIEWS + 2


class TestOtherNodes:
    def test_a_node_is_looked_into_as_a_system_is(
        self, pair: tuple[ActorSystem, ActorSystem]
    ) -> None:
        here, there = pair
        account = there.spawn(Account, 3, name="account")
        inside = Inspection(here.nodes[0])
        tree = Tree(inside)
        tree.refresh()
        assert "/account" in rows(tree)
        assert inside.ask("actor", "/account")["summary"]["balance"] == "3"
        inside.ask("tap", "/account")
        account.tell(("add", 1))
        until(lambda: [entry[3] for entry in messages(inside, "/account")] == ["('add', 1)"])
        with pytest.raises(ActorNotFound):
            inside.ask("actor", "/nobody")

    def test_a_node_passes_questions_on_to_the_nodes_that_it_knows(
        self, pair: tuple[ActorSystem, ActorSystem]
    ) -> None:
        here, there = pair
        with ActorSystem("far") as far:  # it does not listen: only `there` can reach it
            far.connect(there.address)
            far.spawn(Account, 9, name="account")
            inside = Inspection(here.nodes[0])
            assert sorted(name for name, _ in inside.ask("about")["nodes"]) == ["far", "here"]
            tree = Tree(inside.of("far"))
            tree.refresh()
            assert "/account" in rows(tree)
            assert inside.of("far").ask("actor", "/account")["summary"]["balance"] == "9"
            with pytest.raises(ActorNotFound):
                inside.of("far").ask("actor", "/nobody")
            with pytest.raises(NodeLost, match="not connected"):
                inside.of("nobody").ask("about")
            with pytest.raises(Refused, match="no such question"):
                inside.of("far").ask("relay", "there", ["about"])

    def test_a_node_that_came_again_is_looked_into_as_before(
        self, pair: tuple[ActorSystem, ActorSystem]
    ) -> None:
        here, there = pair
        address = there.address
        inside = Inspection(here.nodes[0])
        first = Tree(inside)
        first.refresh()
        there.shutdown()
        until(lambda: not here.nodes)
        with pytest.raises(NodeLost):
            first.refresh()
        with ActorSystem("there", listen=address) as again:
            again.spawn(Account, name="new")
            until(lambda: here.nodes)
            first.forget()
            first.refresh()
            assert "/new" in rows(first)

    def test_ten_thousand_actors_come_over_an_association(
        self, pair: tuple[ActorSystem, ActorSystem]
    ) -> None:
        here, there = pair
        for _ in range(10_000):
            there.spawn(Account)
        tree = Tree(Inspection(here.nodes[0]))
        tree.refresh()
        assert len(tree.rows) == 10_001

    def test_it_works_in_a_simulation(self) -> None:
        def main(sim: Simulation) -> Any:
            there = sim.system("there", listen="tcp://there:1", config={"inspect": "all"})
            here = sim.system("here")
            there.spawn(Account, 5, name="account")
            inside = Inspection(here.connect("tcp://there:1"))
            tree = Tree(inside)
            tree.refresh()
            inside.ask("tap", "/account")
            here.nodes[0].lookup("/account").ask(("add", 1))
            return sorted(rows(tree)), [e[3] for e in messages(inside, "/account")]

        expected = (["/$inspector", "/account"], ["('add', 1)"])
        with structlog.testing.capture_logs():
            assert Simulation(seed=3).run(main) == expected
            assert Simulation(seed=4).run(main) == expected


class TestWhoMaySeeWhat:
    def test_a_system_that_others_can_reach_hides_state_messages_and_what_errors_say(self) -> None:
        with (
            structlog.testing.capture_logs(),
            ActorSystem("open", listen="tcp://0.0.0.0:0", security=Insecure()) as system,
        ):
            inside = Inspection(system)
            account = system.spawn(Account, name="account")
            with pytest.raises(ValueError, match="the reason"):
                account.ask("fail")
            assert inside.ask("about")["level"] == "tree"
            assert inside.ask("actor", "/account")["summary"] is None
            [failure] = inside.ask("failures", 0)
            assert failure["error"] == "ValueError"
            assert "ValueError: the reason" not in failure["trace"]
            with pytest.raises(Refused, match=r'config=\{"inspect": "all"\}'):
                inside.ask("tap", "/account")

    def test_one_that_connects_beyond_this_machine_hides_them_too(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        assert inside.ask("about")["level"] == "all"
        connecting = gevent.spawn(system.connect, "tcp://192.0.2.1:7001", timeout=30)
        until(lambda: inside.ask("about")["level"] == "tree")
        connecting.kill()

    def test_what_it_hides_it_does_not_fetch_from_other_nodes_either(self) -> None:
        with (
            structlog.testing.capture_logs(),
            ActorSystem("hub", listen=LOOPBACK, config={"inspect": "tree"}) as hub,
            ActorSystem("worker") as worker,
        ):
            worker.connect(hub.address)
            worker.spawn(Account, name="account")
            inside = Inspection(hub).of("worker")
            assert inside.ask("about")["name"] == "worker"
            with pytest.raises(Refused, match="'worker' does not show"):
                inside.ask("tap", "/account")
            assert inside.ask("about")["level"] == "tree"
            assert inside.ask("actor", "/account")["summary"] is None

    def test_off_is_off(self) -> None:
        with (
            ActorSystem("shut", config={"inspect": "off"}) as system,
            pytest.raises(Refused, match="does not show"),
        ):
            Inspection(system).ask("about")

    def test_control_has_to_be_allowed_by_the_system(
        self, system: ActorSystem, inside: Inspection
    ) -> None:
        account = system.spawn(Account, name="account")
        for order in ("stop", "kill", "restart"):
            with pytest.raises(Refused, match="control"):
                inside.ask(order, "/account")
        assert not account.ready()

    def test_allowed_control_restarts_stops_and_kills(self) -> None:
        with (
            structlog.testing.capture_logs(),
            ActorSystem("open", config={"inspect": "control"}) as system,
        ):
            inside = Inspection(system)
            account = system.spawn(Account, 1, name="account")
            account.ask(("add", 1))
            assert inside.ask("restart", "/account")
            assert account.ask(("add", 1)) == 2
            assert inside.ask("failures", 0)[0]["error"] == RestartOrdered.__name__
            inside.ask("stop", "/account")
            account.join()
            blocked = system.spawn(Account, name="blocked")
            blocked.tell("wait")
            gevent.sleep(0)
            inside.ask("kill", "/blocked")
            blocked.join()
            with pytest.raises(Refused, match="itself"):
                inside.ask("kill", "/$inspector")

    def test_a_wrong_level_is_refused_at_once(self) -> None:
        with pytest.raises(ValueError, match="inspect"):
            ActorSystem("x", config={"inspect": "everything"})


class Loud:
    def __repr__(self) -> str:
        raise AssertionError("code of a user has run")


@dataclass
class Order:
    number: int
    what: Any


class TestWords:
    def test_plain_values_read_as_in_python(self) -> None:
        value = (1, "two", [3.0, None], {"k": {4}}, b"5", Order(6, True))
        expected = "(1, 'two', [3.0, None], {'k': {4}}, b'5', Order(number=6, what=True))"
        assert brief(value) == expected

    def test_no_code_of_users_runs(self) -> None:
        assert brief([Loud(), Order(1, Loud())]) == "[<Loud>, Order(number=1, what=<Loud>)]"

    def test_length_and_work_are_bounded(self) -> None:
        for value in (
            "x" * 10**6,
            list(range(10**6)),
            dict.fromkeys(range(1000), "y" * 1000),
            set(range(10**5)),
            10**100_000,
            [[[[[[[["deep"]]]]]]]] * 1000,
        ):
            assert len(brief(value)) <= MAX_BRIEF

    def test_what_holds_itself_comes_to_an_end(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        assert brief(circle) == "[[[[...]]]]"
