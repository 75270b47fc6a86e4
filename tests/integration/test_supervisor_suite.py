"""The cases of OTP's supervisor suite that make sense here, on real actors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gevent
import pytest
from gevent.event import Event
from structlog.testing import capture_logs

from actorkit import (
    Actor,
    ActorRef,
    ActorRestarted,
    ActorStopped,
    ActorSystem,
    Backoff,
    Directive,
    OneForAll,
    OneForOne,
    Reason,
    RestForOne,
    Strategy,
    Terminated,
)
from tests.actors import Obedient, settle

pytestmark = pytest.mark.timeout(30)

Log = list[tuple[Any, ...]]

STRATEGIES = {
    "one_for_one": OneForOne(backoff=None),
    "one_for_all": OneForAll(backoff=None),
    "rest_for_one": RestForOne(backoff=None),
}


class Child(Actor):
    """Logs its life under its label, and does what it is told."""

    def __init__(self, label: str, log: Log) -> None:
        self.label = label
        self.life = log
        log.append((label, "init"))

    def on_start(self) -> None:
        self.life.append((self.label, "start"))

    def on_stop(self, reason: Reason) -> None:
        self.life.append((self.label, "stop", reason))

    def on_restart(self, error: BaseException | None) -> None:
        self.life.append((self.label, "restart", type(error).__name__))

    def receive(self, message: Any) -> Any:
        if message == "fail":
            raise RuntimeError(self.label)
        if message == "stop":
            self.stop()
        if message == "exit":
            raise gevent.GreenletExit
        if callable(message):
            return message(self)
        return message


class Parent(Child):
    """Starts children as told by (label, restart) pairs; "children" asks for their refs."""

    def __init__(
        self, label: str, log: Log, children: list[tuple[str, str]], strategy: Strategy
    ) -> None:
        self.supervision = strategy  # type: ignore[misc]
        super().__init__(label, log)
        self.refs = [
            self.spawn(Child, name, log, name=name, restart=restart) for name, restart in children
        ]

    def receive(self, message: Any) -> Any:
        return self.refs if message == "children" else super().receive(message)


def family(
    system: ActorSystem,
    strategy: Strategy,
    *children: tuple[str, str],
    restart: str = "temporary",
) -> tuple[Log, ActorRef[Any], list[ActorRef[Any]]]:
    log: Log = []
    parent = system.spawn(Parent, "parent", log, list(children), strategy, restart=restart)
    refs: list[ActorRef[Any]] = parent.ask("children")
    settle(*refs)
    return log, parent, refs


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("end", ["fail", "stop", "exit", "order", "kill"])
def test_who_comes_back(system: ActorSystem, strategy: str, restart: str, end: str) -> None:
    log, _, refs = family(
        system, STRATEGIES[strategy], ("a", "permanent"), ("b", restart), ("c", "permanent")
    )
    log.clear()
    before, culprit, after = refs
    if end == "order":
        culprit.stop()
    elif end == "kill":
        culprit.kill()
    else:
        culprit.tell(end)
    settle(before, after)

    returns = restart == "permanent" if end in ("stop", "exit") else restart != "temporary"
    returns = returns and end not in ("order", "kill")
    assert culprit.ready() is not returns
    restarted = {label for label, *event in log if event[0] == "restart"}
    expected = {
        "one_for_one": {"b"},
        "one_for_all": {"a", "b", "c"},
        "rest_for_one": {"b", "c"},
    }[strategy]
    assert restarted == (expected if returns else set())
    assert before.ask("alive") == after.ask("alive") == "alive"
    if returns:
        assert culprit.ask("alive") == "alive"


def test_one_for_all_ends_last_first_and_begins_first_first(system: ActorSystem) -> None:
    log, _, (_, b, _) = family(
        system, STRATEGIES["one_for_all"], *((label, "transient") for label in "abc")
    )
    log.clear()
    b.tell("fail")
    settle()
    assert log == [
        ("c", "stop", Reason.SHUTDOWN),
        ("b", "stop", Reason.FAILED),
        ("a", "stop", Reason.SHUTDOWN),
        *(
            (label, event, *more)
            for label in "abc"
            for event, *more in (("init",), ("restart", "RuntimeError"), ("start",))
        ),
    ]


def test_rest_for_one_leaves_those_before_alone(system: ActorSystem) -> None:
    log, _, (_, b, _) = family(
        system, STRATEGIES["rest_for_one"], *((label, "transient") for label in "abc")
    )
    log.clear()
    b.tell("fail")
    settle()
    assert [entry[:2] for entry in log] == [
        ("c", "stop"),
        ("b", "stop"),
        *((label, event) for label in "bc" for event in ("init", "restart", "start")),
    ]


def test_a_second_failure_while_the_group_is_ending_loses_nobody(system: ActorSystem) -> None:
    _, _, (a, b, c) = family(
        system, STRATEGIES["rest_for_one"], *((label, "transient") for label in "abc")
    )
    c.tell(lambda actor: gevent.sleep(0.05))
    settle()
    a.tell("fail")
    settle()
    b.tell("fail")
    assert [ref.ask("alive") for ref in (a, b, c)] == ["alive"] * 3
    assert [info.restarts for info in system.tree()] == [0, 1, 1, 1]


def test_a_failure_while_the_group_begins_anew_leaves_the_earlier_ones_alone(
    system: ActorSystem,
) -> None:
    log: Log = []
    Flaky.fails = {}
    strategy = RestForOne(intensity=5, backoff=None)
    parent = system.spawn(Parent, "parent", log, [("a", "transient")], strategy)
    (a,) = parent.ask("children")
    flaky = parent.ask(lambda actor: actor.spawn(Flaky, "flaky", log))
    last = parent.ask(lambda actor: actor.spawn(Child, "last", log))
    settle(a, flaky, last)
    log.clear()
    Flaky.fails = {"start": 1}
    a.tell("fail")
    assert [ref.ask("alive") for ref in (a, flaky, last)] == ["alive"] * 3
    assert [entry[0] for entry in log if entry[1] == "start"] == ["a", "flaky", "flaky", "last"]


def test_a_temporary_sibling_ends_with_the_group_and_does_not_come_back(
    system: ActorSystem,
) -> None:
    log, _, (a, b, c) = family(
        system,
        STRATEGIES["one_for_all"],
        ("a", "temporary"),
        ("b", "transient"),
        ("c", "permanent"),
    )
    b.tell("fail")
    settle(b, c)
    assert a.ready()
    assert ("a", "stop", Reason.SHUTDOWN) in log


@pytest.mark.parametrize("intensity", [0, 1, 3])
def test_the_intensity_is_the_last_number_that_is_mended(
    system: ActorSystem, intensity: int
) -> None:
    strategy = OneForOne(intensity=intensity, period=60, backoff=None)
    _, parent, (child,) = family(system, strategy, ("a", "transient"))
    for _ in range(intensity):
        child.tell("fail")
    assert child.ask("alive") == "alive"
    child.tell("fail")
    parent.join(timeout=2)
    assert isinstance(parent.exception, RuntimeError)
    assert child.ready()


def test_old_failures_do_not_count(system: ActorSystem) -> None:
    strategy = OneForOne(intensity=1, period=0.02, backoff=None)
    _, _, (child,) = family(system, strategy, ("a", "transient"))
    for _ in range(4):
        child.tell("fail")
        gevent.sleep(0.03)
    assert child.ask("alive") == "alive"


def test_one_for_one_counts_for_each_child_and_the_others_for_the_group(
    system: ActorSystem,
) -> None:
    one = OneForOne(intensity=1, period=60, backoff=None)
    _, parent, children = family(system, one, ("a", "transient"), ("b", "transient"))
    for child in children:
        child.tell("fail")
    settle(parent, *children)

    group = OneForAll(intensity=1, period=60, backoff=None)
    _, parent, children = family(system, group, ("a", "transient"), ("b", "transient"))
    for child in children:
        child.tell("fail")
        settle()
    parent.join(timeout=2)
    assert isinstance(parent.exception, RuntimeError)


def test_a_normal_end_past_the_intensity_escalates_too(system: ActorSystem) -> None:
    strategy = OneForOne(intensity=2, period=60, backoff=None)
    _, parent, (child,) = family(system, strategy, ("a", "permanent"))
    for _ in range(3):
        child.tell("stop")
    parent.join(timeout=2)
    assert "more often than allowed" in str(parent.exception)


class Flaky(Child):
    """Fails in the hook that `fails` names, as often as it says."""

    fails: ClassVar[dict[str, int]] = {}

    def trip(self, hook: str) -> None:
        if self.fails.get(hook, 0) > 0:
            self.fails[hook] -= 1
            raise OSError(hook)

    def __init__(self, label: str, log: Log) -> None:
        super().__init__(label, log)
        self.trip("init")

    def on_start(self) -> None:
        super().on_start()
        self.trip("start")

    def on_restart(self, error: BaseException | None) -> None:
        super().on_restart(error)
        self.trip("restart")


@pytest.mark.parametrize("hook", ["init", "start", "restart"])
def test_a_failure_during_a_restart_is_a_failure_as_any(system: ActorSystem, hook: str) -> None:
    log: Log = []
    Flaky.fails = {}
    parent = system.spawn(
        Parent, "parent", log, [], OneForOne(intensity=5, backoff=None), restart="temporary"
    )
    child = parent.ask(lambda actor: actor.spawn(Flaky, "f", log))
    settle(child)
    Flaky.fails = {hook: 2}
    child.tell("fail")
    assert child.ask("alive") == "alive"
    assert Flaky.fails == {hook: 0}

    Flaky.fails = {hook: 100}
    child.tell("fail")
    parent.join(timeout=2)
    assert isinstance(parent.exception, OSError)
    Flaky.fails = {}


def test_a_failure_in_the_first_on_start_is_supervised(system: ActorSystem) -> None:
    Flaky.fails = {"start": 1}
    log: Log = []
    child = system.spawn(Flaky, "f", log)
    assert child.ask("alive") == "alive"
    assert [entry[1] for entry in log] == ["init", "start", "stop", "init", "restart", "start"]


class Stubborn(Actor):
    """Will not be interrupted: it goes on sleeping whatever is thrown at it."""

    def receive(self, message: Any) -> None:
        while True:
            try:
                gevent.sleep(0.05)
            except gevent.GreenletExit:
                continue


class Polite(Actor):
    """Blocks, but ends when it is interrupted."""

    def receive(self, message: Any) -> None:
        gevent.sleep(60)


@pytest.mark.parametrize("cls", [Polite, Stubborn])
def test_a_child_that_refuses_to_stop_is_killed_and_at_last_abandoned(cls: type[Actor]) -> None:
    with capture_logs() as logs:
        system = ActorSystem()
        child = system.spawn(cls, shutdown=0.02)
        other = system.spawn(Polite)
        child.tell("go")
        gevent.sleep(0.01)
        system.shutdown(timeout=10)
    assert child.ready()
    assert other.ready()
    abandoned = [log for log in logs if "abandoned" in log["event"]]
    assert len(abandoned) == (cls is Stubborn)


def test_the_failure_of_a_parent_while_its_children_restart(system: ActorSystem) -> None:
    slow = OneForAll(intensity=10, backoff=Backoff(first=0.05, jitter=0.0))
    log, parent, (a, b) = family(
        system, slow, ("a", "transient"), ("b", "transient"), restart="transient"
    )
    a.tell("fail")
    settle()
    parent.tell("fail")
    first = parent.ask("children")
    gevent.sleep(0.1)
    assert a.ready()
    assert b.ready()
    assert [ref.ask("alive") for ref in parent.ask("children")] == ["alive", "alive"]
    assert first == parent.ask("children")
    assert [entry for entry in log if entry[0] == "a"].count(("a", "start")) == 2


@pytest.mark.parametrize("order", ["stop", "kill"])
@pytest.mark.parametrize("strategy", [OneForOne, OneForAll])
def test_an_order_during_the_backoff_is_final(
    system: ActorSystem, order: str, strategy: type[Strategy]
) -> None:
    waiting = strategy(backoff=Backoff(first=0.1, jitter=0.0))
    log, parent, (child, other) = family(system, waiting, ("a", "permanent"), ("b", "permanent"))
    child.tell("fail")
    settle()
    assert not child.ready()
    getattr(child, order)()
    child.join(timeout=0.05)
    assert child.ready()
    gevent.sleep(0.15)
    assert other.ask("alive") == "alive"
    assert parent.ask("alive") == "alive"
    assert log.count(("a", "init")) == 1


def test_a_shutdown_during_the_backoff_does_not_wait_for_it() -> None:
    system = ActorSystem()
    log, _, (child,) = family(system, OneForOne(backoff=Backoff(first=60)), ("a", "permanent"))
    child.tell("fail")
    settle()
    with gevent.Timeout(5):
        system.shutdown()
    assert child.ready()
    assert log.count(("a", "init")) == 1


class Judge(Child):
    """Decides on its children's failures by its `verdict`."""

    supervision = OneForOne(backoff=None)
    verdict: ClassVar[Callable[[ActorRef[Any], BaseException], Any]]

    def on_child_failure(self, child: ActorRef[Any], error: BaseException) -> Directive | None:
        self.life.append(("judged", child.name, type(error).__name__))
        return type(self).verdict(child, error)  # type: ignore[no-any-return]


def court(system: ActorSystem, verdict: Any) -> tuple[Log, ActorRef[Any], ActorRef[Any]]:
    log: Log = []
    Judge.verdict = staticmethod(verdict)
    judge = system.spawn(Judge, "judge", log, restart="temporary")
    child = judge.ask(lambda actor: actor.spawn(Child, "child", log, name="child"))
    settle(child)
    return log, judge, child


@pytest.mark.parametrize("directive", [*Directive, None])
def test_on_child_failure_decides(system: ActorSystem, directive: Directive | None) -> None:
    log, judge, child = court(system, lambda child, error: directive)
    child.tell("fail")
    settle()
    assert ("judged", "child", "RuntimeError") in log
    assert judge.ready() is (directive is Directive.ESCALATE)
    assert child.ready() is (directive in (Directive.ESCALATE, Directive.STOP))
    inits = log.count(("child", "init"))
    assert inits == (2 if directive in (Directive.RESTART, None) else 1)
    if directive is Directive.STOP:
        assert isinstance(child.exception, RuntimeError)
        assert ("child", "stop", Reason.FAILED) in log


def test_on_child_failure_that_raises_is_the_parents_failure(system: ActorSystem) -> None:
    def fail(child: Any, error: Any) -> None:
        raise LookupError("no verdict")

    _, judge, child = court(system, fail)
    child.tell("fail")
    judge.join(timeout=2)
    assert isinstance(judge.exception, LookupError)
    assert child.ready()


def test_on_child_failure_that_returns_nonsense_is_the_parents_failure(
    system: ActorSystem,
) -> None:
    _, judge, child = court(system, lambda child, error: "restart")
    child.tell("fail")
    judge.join(timeout=2)
    assert "must return a Directive" in str(judge.exception)
    assert child.ready()


def test_a_judge_that_is_busy_decides_when_it_comes_to_it(system: ActorSystem) -> None:
    log, judge, child = court(system, lambda child, error: Directive.RESTART)
    gate = Event()
    judge.tell(lambda actor: gate.wait())
    settle()
    child.tell("fail")
    settle()
    assert log.count(("child", "init")) == 1
    gate.set()
    assert child.ask("alive") == "alive"
    assert log.count(("child", "init")) == 2


def test_a_busy_parent_without_a_verdict_of_its_own_holds_nobody_up(system: ActorSystem) -> None:
    _, parent, (child,) = family(system, OneForOne(backoff=None), ("a", "transient"))
    parent.tell(lambda actor: gevent.sleep(60))
    settle()
    child.tell("fail")
    assert child.ask("alive", timeout=20) == "alive"
    parent.kill()


def test_a_strategy_that_cannot_decide_escalates(system: ActorSystem) -> None:
    def fail(error: BaseException) -> Directive:
        raise LookupError

    _, parent, (child,) = family(system, OneForOne(decide=fail), ("a", "transient"))
    child.tell("fail")
    parent.join(timeout=2)
    assert isinstance(parent.exception, RuntimeError)


def test_escalation_climbs_until_someone_mends_it(system: ActorSystem) -> None:
    log: Log = []
    strict = OneForOne(intensity=0)
    top = system.spawn(Parent, "top", log, [], OneForOne(backoff=None), restart="temporary")

    def grow(actor: Actor) -> ActorRef[Any]:
        return actor.spawn(Parent, "middle", log, [("leaf", "permanent")], strict, name="middle")

    middle = top.ask(grow)
    (leaf,) = middle.ask("children")
    leaf.tell("fail")
    settle()
    assert leaf.ready()
    (new_leaf,) = middle.ask("children")
    assert new_leaf.ask("alive") == "alive"
    assert new_leaf.path == leaf.path
    assert ("middle", "stop", Reason.FAILED) in log
    assert ("leaf", "stop", Reason.SHUTDOWN) in log or ("leaf", "stop", Reason.FAILED) in log


def test_at_the_root_escalation_ends_one_actor_and_the_rest_goes_on(system: ActorSystem) -> None:
    log: Log = []
    with capture_logs() as logs:
        a = system.spawn(Child, "a", log)
        b = system.spawn(Child, "b", log)
        for _ in range(4):
            a.tell("fail")
        a.join(timeout=3)
    assert isinstance(a.exception, RuntimeError)
    assert b.ask("alive") == "alive"
    critical = [entry for entry in logs if entry["log_level"] == "critical"]
    assert [(entry["event"], entry["path"]) for entry in critical] == [
        ("actor failed for good", a.path)
    ]


def test_a_restart_keeps_ref_path_inbox_and_watchers(system: ActorSystem) -> None:
    got: list[Any] = []
    _, _parent, (child,) = family(system, OneForOne(backoff=None), ("a", "transient"))
    watcher = system.spawn(Child, "watcher", [])
    watcher.ask(lambda actor: actor.become(got.append) or actor.watch(child))
    seen: list[Any] = []
    child.tell("fail")
    for number in range(5):
        child.tell(lambda actor, number=number: seen.append((number, actor.ref, actor.ref.path)))
    child.ask("alive")
    assert seen == [(number, child, child.path) for number in range(5)]
    assert got == []
    child.stop()
    settle()
    assert got == [Terminated(child, Reason.NORMAL, None)]


def test_the_failed_message_is_not_delivered_again(system: ActorSystem) -> None:
    deliveries: list[int] = []

    def poison(actor: Actor) -> None:
        deliveries.append(1)
        raise RuntimeError

    _, _, (child,) = family(system, OneForOne(backoff=None), ("a", "transient"))
    child.tell(poison)
    assert child.ask("alive") == "alive"
    assert deliveries == [1]


def test_queued_questions_are_answered_by_the_next_instance(system: ActorSystem) -> None:
    _, _, (child,) = family(system, OneForOne(backoff=Backoff(first=0.05)), ("a", "transient"))
    failing = child.ask_nowait("fail")
    queued = [child.ask_nowait(number) for number in range(3)]
    with pytest.raises(RuntimeError):
        failing.get(timeout=2)
    assert [answer.get(timeout=2) for answer in queued] == [0, 1, 2]


def test_queued_questions_fail_when_the_actor_ends_for_good(system: ActorSystem) -> None:
    _, _, (child,) = family(system, OneForOne(backoff=None), ("a", "temporary"))
    failing = child.ask_nowait("fail", timeout=None)
    queued = child.ask_nowait(1, timeout=None)
    with pytest.raises(RuntimeError):
        failing.get(timeout=2)
    with pytest.raises(ActorStopped):
        queued.get(timeout=2)


def test_children_are_made_anew_under_the_same_names(system: ActorSystem) -> None:
    log, parent, (first,) = family(
        system, OneForOne(backoff=None), ("a", "transient"), restart="transient"
    )
    parent.tell("fail")
    (second,) = parent.ask("children")
    assert second.path == first.path
    assert second != first
    assert first.ready()
    settle()
    ends = [entry for entry in log if entry[1] in ("stop", "init")]
    assert ends == [
        ("parent", "init"),
        ("a", "init"),
        ("a", "stop", Reason.SHUTDOWN),
        ("parent", "stop", Reason.FAILED),
        ("parent", "init"),
        ("a", "init"),
    ]


def test_a_process_is_restarted_like_any_actor(system: ActorSystem) -> None:
    class Process(Child):
        def run(self) -> None:
            while True:
                message = self.inbox.get()
                if message == "fail":
                    raise RuntimeError
                self.life.append(("got", message))

    log: Log = []
    process = system.spawn(Process, "p", log)
    for message in (1, "fail", 2, "fail", 3):
        process.tell(message)
    gevent.sleep(0.5)
    assert [entry[1] for entry in log if entry[0] == "got"] == [1, 2, 3]
    assert system.tree()[0].restarts == 2


def test_restarts_are_counted_and_published(system: ActorSystem) -> None:
    events: list[ActorRestarted] = []
    system.events.subscribe(ActorRestarted, events.append)
    _, _, (child,) = family(system, OneForOne(backoff=None), ("a", "transient"))
    for _ in range(3):
        child.tell("fail")
    child.ask("alive")
    assert [event.restarts for event in events] == [1, 2, 3]


def test_the_backoff_delays_the_second_restart(system: ActorSystem) -> None:
    backoff = Backoff(first=0.0, minimum=0.2, jitter=0.0)
    _, _, (child,) = family(system, OneForOne(backoff=backoff), ("a", "transient"))
    child.tell("fail")
    assert child.ask("alive") == "alive"
    child.tell("fail")
    settle()
    (info,) = [info for info in system.tree() if info.path == child.path]
    assert info.state == "restarting"
    assert child.ask("alive") == "alive"


def test_a_sibling_that_catches_its_kill_does_not_hold_the_group_up_for_ever(
    system: ActorSystem,
) -> None:
    log: Log = []
    parent = system.spawn(Parent, "parent", log, [("a", "transient")], OneForAll(backoff=None))
    (a,) = parent.ask("children")
    stubborn = parent.ask(lambda actor: actor.spawn(Stubborn, shutdown=0.02))
    settle(a)
    stubborn.tell("go")
    settle()
    a.tell("fail")
    assert a.ask("alive", timeout=1.8) == "alive"


def test_a_temporary_sibling_ends_in_its_place_in_the_row(system: ActorSystem) -> None:
    class Slow(Child):
        def on_stop(self, reason: Reason) -> None:
            gevent.sleep(0.02)
            super().on_stop(reason)

    log: Log = []
    parent = system.spawn(Parent, "parent", log, [("a", "transient")], OneForAll(backoff=None))
    (a,) = parent.ask("children")
    temporary = parent.ask(lambda actor: actor.spawn(Slow, "t", log, restart="temporary"))
    last = parent.ask(lambda actor: actor.spawn(Slow, "last", log))
    settle(a, temporary, last)
    log.clear()
    a.tell("fail")
    assert [ref.ask("alive") for ref in (a, last)] == ["alive"] * 2
    temporary.join(timeout=2)
    assert [entry[:2] for entry in log] == [
        ("last", "stop"),
        ("t", "stop"),
        ("a", "stop"),
        *((label, event) for label in ("a", "last") for event in ("init", "restart", "start")),
    ]


RESUME_OS_ERRORS: dict[str, Any] = {
    "intensity": 5,
    "backoff": None,
    "decide": lambda error: Directive.RESUME if isinstance(error, OSError) else Directive.RESTART,
}


@pytest.mark.parametrize("hook", ["init", "start", "restart"])
@pytest.mark.parametrize("strategy", [OneForOne, OneForAll, RestForOne])
def test_resume_after_a_failed_restart_leaves_nobody_half_made(
    system: ActorSystem, strategy: type[Strategy], hook: str
) -> None:
    log: Log = []
    Flaky.fails = {}
    parent = system.spawn(Parent, "parent", log, [], strategy(**RESUME_OS_ERRORS))
    flaky = parent.ask(lambda actor: actor.spawn(Flaky, "flaky", log))
    last = parent.ask(lambda actor: actor.spawn(Child, "last", log))
    settle(flaky, last)
    Flaky.fails = {hook: 1}
    flaky.tell("fail")
    settle()
    assert Flaky.fails == {hook: 0}
    states = {info.path: info.state for info in system.tree()}
    assert set(states.values()) == {"running"}
    assert flaky.ready() or flaky.ask(lambda actor: type(actor), timeout=1) is Flaky
    assert last.ask(lambda actor: type(actor), timeout=1) is Child


@pytest.mark.parametrize("leaf_restart", ["permanent", "temporary"])
def test_a_child_that_escalated_to_a_resumed_parent_is_not_left_hanging(
    system: ActorSystem, leaf_restart: str
) -> None:
    log: Log = []
    resume = OneForOne(backoff=None, decide=lambda error: Directive.RESUME)
    escalate = OneForOne(decide=lambda error: Directive.ESCALATE)
    top = system.spawn(Parent, "top", log, [], resume)
    children = [("leaf", leaf_restart)]
    middle = top.ask(lambda actor: actor.spawn(Parent, "middle", log, children, escalate))
    (leaf,) = middle.ask("children")
    leaf.tell("fail")
    settle()
    assert middle.ask("alive") == "alive"
    assert {info.state for info in system.tree()} == {"running"}


@pytest.mark.parametrize("restart", ["transient", "temporary"])
def test_a_child_started_in_on_stop_is_refused_or_ends_with_its_parent(
    system: ActorSystem, restart: str
) -> None:
    late: list[ActorRef[Any]] = []

    class Sower(Child):
        def on_stop(self, reason: Reason) -> None:
            late.append(self.spawn(Child, "late", self.life, name="late"))

    log: Log = []
    sower = system.spawn(Sower, "sower", log, restart=restart)
    sower.tell("fail")
    settle()
    assert all(ref.ready() for ref in late)
    assert [info.cls for info in system.tree()] == [Sower] * (restart == "transient")


def test_children_of_an_init_that_failed_are_ended_before_the_next_try(
    system: ActorSystem,
) -> None:
    log: Log = []

    class Sower(Flaky):
        def __init__(self, label: str, log: Log) -> None:
            self.seed = self.spawn(Child, "seed", log, name="seed")
            super().__init__(label, log)

    Flaky.fails = {}
    sower = system.spawn(Sower, "sower", log)
    settle(sower)
    Flaky.fails = {"init": 1}
    sower.tell("fail")
    assert sower.ask("alive") == "alive"
    settle()
    assert [info.path for info in system.tree()] == [sower.path, f"{sower.path}/seed"]
    events = [entry[1] for entry in log if entry[0] == "seed"]
    assert (events.count("init"), events.count("stop")) == (3, 2)


@pytest.mark.parametrize("hook", ["__init__", "on_restart", "on_start"])
@pytest.mark.parametrize("order", ["stop", "kill", "drain"])
def test_an_order_while_a_restart_is_blocked_is_final_and_the_group_goes_on(
    system: ActorSystem, hook: str, order: str
) -> None:
    gate, entered = Event(), Event()
    gate.set()

    def block(where: str) -> None:
        if where == hook and not gate.is_set():
            entered.set()
            gate.wait()

    class Slow(Child):
        def __init__(self, label: str, log: Log) -> None:
            super().__init__(label, log)
            block("__init__")

        def on_restart(self, error: BaseException | None) -> None:
            block("on_restart")

        def on_start(self) -> None:
            block("on_start")

    log: Log = []
    parent = system.spawn(Parent, "parent", log, [], OneForAll(backoff=None))
    slow = parent.ask(lambda actor: actor.spawn(Slow, "slow", log, restart="permanent"))
    last = parent.ask(lambda actor: actor.spawn(Child, "last", log))
    settle(slow, last)
    gate.clear()
    last.tell("fail")
    assert entered.wait(2)
    if order == "kill":
        slow.kill()
    else:
        slow.stop(drain=order == "drain")
        gate.set()
    slow.join(timeout=2)
    assert slow.ready()
    assert last.ask("alive") == "alive"
    assert {info.state for info in system.tree()} == {"running"}


def test_a_drain_stop_during_the_backoff_comes_after_what_is_queued(system: ActorSystem) -> None:
    backoff = Backoff(first=0.05, jitter=0.0)
    _, _, (child,) = family(system, OneForOne(backoff=backoff), ("a", "permanent"))
    child.tell("fail")
    settle()
    answers = [child.ask_nowait(number) for number in range(3)]
    child.stop(drain=True)
    late = child.ask_nowait("late")
    assert [answer.get(timeout=2) for answer in answers] == [0, 1, 2]
    with pytest.raises(ActorStopped):
        late.get(timeout=2)
    child.join(timeout=2)
    assert child.successful()


@pytest.mark.parametrize("order", ["stop", "kill"])
def test_an_order_to_the_parent_during_the_backoff_ends_all(
    system: ActorSystem, order: str
) -> None:
    waiting = OneForAll(backoff=Backoff(first=60))
    log, parent, children = family(system, waiting, ("a", "permanent"), ("b", "permanent"))
    children[0].tell("fail")
    settle()
    getattr(parent, order)()
    parent.join(timeout=2)
    assert parent.ready()
    assert all(child.ready() for child in children)
    assert [log.count((label, "init")) for label in "ab"] == [1, 1]


def test_an_on_stop_that_raises_does_not_hinder_the_restart(system: ActorSystem) -> None:
    class Rude(Child):
        def on_stop(self, reason: Reason) -> None:
            super().on_stop(reason)
            raise LookupError("on_stop")

    log: Log = []
    parent = system.spawn(Parent, "parent", log, [], OneForAll(backoff=None))
    refs = [parent.ask(lambda actor, label=label: actor.spawn(Rude, label, log)) for label in "ab"]
    settle(*refs)
    refs[0].tell("fail")
    assert [ref.ask("alive") for ref in refs] == ["alive"] * 2
    assert [entry for entry in log if entry[1] == "stop"] == [
        ("b", "stop", Reason.SHUTDOWN),
        ("a", "stop", Reason.FAILED),
    ]


def test_siblings_get_the_culprits_very_error(system: ActorSystem) -> None:
    errors: list[BaseException | None] = []

    class Curious(Child):
        def on_restart(self, error: BaseException | None) -> None:
            errors.append(error)

    log: Log = []
    parent = system.spawn(Parent, "parent", log, [], OneForAll(backoff=None))
    refs = [
        parent.ask(lambda actor, label=label: actor.spawn(Curious, label, log)) for label in "ab"
    ]
    settle(*refs)
    with pytest.raises(RuntimeError) as caught:
        refs[1].ask("fail")
    settle(*refs)
    assert errors == [caught.value, caught.value]


def test_a_permanent_childs_normal_end_restarts_without_an_error(system: ActorSystem) -> None:
    log, _, (a, b) = family(
        system, STRATEGIES["one_for_all"], ("a", "permanent"), ("b", "transient")
    )
    log.clear()
    a.tell("stop")
    settle(a, b)
    assert ("a", "stop", Reason.NORMAL) in log
    assert [entry for entry in log if entry[1] == "restart"] == [
        ("a", "restart", "NoneType"),
        ("b", "restart", "NoneType"),
    ]


def test_a_siblings_stash_outlives_the_restart_of_the_group(system: ActorSystem) -> None:
    got: list[Any] = []

    class Hoarder(Child):
        def receive(self, message: Any) -> None:
            if isinstance(message, int) and not got:
                self.stash()
            else:
                got.append(message)

    log: Log = []
    parent = system.spawn(Parent, "parent", log, [("a", "transient")], OneForAll(backoff=None))
    (a,) = parent.ask("children")
    hoarder = parent.ask(lambda actor: actor.spawn(Hoarder, "hoarder", log))
    for message in (1, 2, "first", 3):
        hoarder.tell(message)
    settle(a)
    assert got == ["first", 3]
    a.tell("fail")
    settle(a)
    assert got == ["first", 3, 1, 2]


def test_a_failure_puts_the_stash_in_front_of_what_is_queued(system: ActorSystem) -> None:
    got: list[int] = []
    instances: list[int] = []

    class Hoarder(Actor):
        def __init__(self) -> None:
            instances.append(1)

        def receive(self, message: Any) -> None:
            if message == "fail":
                raise RuntimeError
            if len(instances) == 1:
                self.stash()
            else:
                got.append(message)

    class Keeper(Obedient):
        supervision = OneForOne(backoff=None)

    hoarder = system.spawn(Keeper).ask(lambda actor: actor.spawn(Hoarder))
    for message in (1, 2, "fail", 3, 4):
        hoarder.tell(message)
    settle()
    assert got == [1, 2, 3, 4]


def test_a_process_that_waits_for_mail_is_restarted_with_its_group(system: ActorSystem) -> None:
    class Process(Child):
        def run(self) -> None:
            while True:
                self.life.append((self.label, "got", self.inbox.get()))

    log: Log = []
    parent = system.spawn(Parent, "parent", log, [("a", "transient")], OneForAll(backoff=None))
    (a,) = parent.ask("children")
    process = parent.ask(lambda actor: actor.spawn(Process, "p", log))
    process.tell(1)
    settle(a)
    a.tell("fail")
    process.tell(2)
    assert a.ask("alive") == "alive"
    process.tell(3)
    settle()
    events = [entry[1:] for entry in log if entry[0] == "p"]
    assert [event for event in events if event[0] == "got"] == [("got", 1), ("got", 2), ("got", 3)]
    assert [event for event in events if event[0] != "got"] == [
        ("init",),
        ("start",),
        ("stop", Reason.SHUTDOWN),
        ("init",),
        ("restart", "RuntimeError"),
        ("start",),
    ]


def test_a_child_fails_and_returns_while_its_parent_is_still_starting(system: ActorSystem) -> None:
    log: Log = []

    class Starting(Parent):
        def on_start(self) -> None:
            self.refs[0].tell("fail")
            assert self.refs[0].ask("alive") == "alive"
            super().on_start()

    parent = system.spawn(
        Starting, "parent", log, [("a", "transient")], OneForOne(backoff=None), restart="temporary"
    )
    (a,) = parent.ask("children")
    assert log.index(("a", "restart", "RuntimeError")) < log.index(("parent", "start"))
    assert a.ask("alive") == "alive"


def test_on_child_failure_is_not_asked_about_a_normal_end(system: ActorSystem) -> None:
    log, judge, child = court(system, lambda child, error: Directive.ESCALATE)
    child.tell("stop")
    child.join(timeout=2)
    assert child.successful()
    assert judge.ask("alive") == "alive"
    assert not [entry for entry in log if entry[0] == "judged"]


def test_resume_keeps_the_instance_its_state_and_the_queue(system: ActorSystem) -> None:
    log, _, child = court(system, lambda child, error: Directive.RESUME)
    child.ask(lambda actor: setattr(actor, "mark", 7))
    child.tell("fail")
    child.tell("fail")
    assert child.ask(lambda actor: actor.mark) == 7
    assert [entry for entry in log if entry[:2] == ("child", "stop")] == []
    assert {info.restarts for info in system.tree()} == {0}


def test_watchers_hear_of_the_end_once_and_of_restarts_never(system: ActorSystem) -> None:
    heard: list[Any] = []
    strategy = OneForOne(intensity=2, backoff=None)
    _, parent, (child,) = family(system, strategy, ("a", "permanent"))
    watcher = system.spawn(Obedient)
    watcher.ask(lambda actor: (actor.become(heard.append), actor.watch(child)))
    for _ in range(2):
        child.tell("fail")
    child.ask("alive")
    assert heard == []
    child.tell("fail")
    parent.join(timeout=2)
    settle()
    assert [(type(message), message.ref) for message in heard] == [(Terminated, child)]


def test_an_end_by_the_directive_stop_is_a_failure_for_good(system: ActorSystem) -> None:
    ends: list[ActorStopped] = []
    system.events.subscribe(ActorStopped, ends.append)
    strategy = OneForOne(decide=lambda error: Directive.STOP)
    _, parent, (child,) = family(system, strategy, ("a", "permanent"))
    child.tell("fail")
    child.join(timeout=2)
    settle()
    assert isinstance(child.exception, RuntimeError)
    assert [(end.ref, end.reason) for end in ends] == [(child, Reason.FAILED)]
    assert parent.ask("alive") == "alive"


def test_a_group_restarts_although_a_member_was_ordered_to_stop_meanwhile(
    system: ActorSystem,
) -> None:
    log, _, (a, b, c) = family(
        system, STRATEGIES["one_for_all"], *((label, "permanent") for label in "abc")
    )
    c.tell(lambda actor: gevent.sleep(0.03))
    settle()
    a.tell("fail")
    settle()
    b.stop()
    assert [ref.ask("alive") for ref in (a, c)] == ["alive"] * 2
    b.join(timeout=2)
    assert b.ready()
    assert [log.count((label, "init")) for label in "abc"] == [2, 1, 2]


@pytest.mark.parametrize("verdict", [lambda child, error: 1 / 0, lambda child, error: "restart"])
def test_a_child_whose_judge_failed_and_was_resumed_is_not_left_hanging(
    system: ActorSystem, verdict: Any
) -> None:
    log: Log = []
    Judge.verdict = staticmethod(verdict)
    resume = OneForOne(backoff=None, decide=lambda error: Directive.RESUME)
    top = system.spawn(Parent, "top", log, [], resume)
    judge = top.ask(lambda actor: actor.spawn(Judge, "judge", log))
    child = judge.ask(lambda actor: actor.spawn(Child, "child", log))
    settle(child)
    child.tell("fail")
    settle()
    assert judge.ask("alive") == "alive"
    assert {info.state for info in system.tree()} == {"running"}


def test_a_resume_that_cannot_be_is_counted_as_the_restart_that_it_becomes(
    system: ActorSystem,
) -> None:
    log: Log = []
    Flaky.fails = {}
    parent = system.spawn(
        Parent, "parent", log, [], OneForOne(**RESUME_OS_ERRORS), restart="temporary"
    )
    flaky = parent.ask(lambda actor: actor.spawn(Flaky, "flaky", log))
    settle(flaky)
    Flaky.fails = {"init": 100}
    flaky.tell("fail")
    parent.join(timeout=2)
    assert isinstance(parent.exception, OSError)
    assert Flaky.fails == {"init": 95}
    assert flaky.ready()


def test_a_parent_that_is_abandoned_takes_its_restarting_children_along(
    system: ActorSystem,
) -> None:
    log: Log = []
    parent = system.spawn(
        Parent, "parent", log, [("a", "permanent")], OneForOne(backoff=Backoff(first=0.05))
    )
    (a,) = parent.ask("children")

    def cling(actor: Actor) -> None:
        Stubborn.receive(actor, "go")  # type: ignore[arg-type]

    parent.tell(cling)
    settle()
    parent.kill()
    a.tell("fail")
    parent.join(timeout=1.8)
    assert parent.ready()
    assert a.ready()
    gevent.sleep(0.1)
    assert system.tree() == []
