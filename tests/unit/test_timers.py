"""Timers and the timeout wheel one case at a time, and ask timeouts on a real hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from actorkit import Actor, ActorRef, ActorSystem, AskTimeout, Backoff, OneForOne
from actorkit.timers import ASK_TICK, SWEEP_FLOOR, TimeoutWheel, Timer, Timers
from tests.actors import Obedient, settle
from tests.properties.test_timers import Loop

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def timers(loop: Loop) -> Timers:
    return Timers(loop, lambda: loop.now)


def test_timers_run_by_time_and_equal_times_in_order_of_planning(
    loop: Loop, timers: Timers
) -> None:
    ran: list[str] = []
    for when, name in [(2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b"), (0.5, "first")]:
        timers.at(when, lambda name=name: ran.append(name))  # type: ignore[misc]
    loop.advance(1.5)
    assert ran == ["first", "a", "b"]
    loop.advance(1.5)
    assert ran == ["first", "a", "b", "c", "d"]
    assert len(timers) == 0


def test_a_loop_that_wakes_early_makes_no_timer_early(loop: Loop) -> None:
    clock = [0.0]
    timers = Timers(loop, lambda: clock[0])
    ran: list[float] = []
    timers.after(1.0, lambda: ran.append(clock[0]))
    clock[0] = 0.99
    loop.advance(1.0)
    assert ran == []
    clock[0] = 1.0
    loop.advance(0.02)
    assert ran == [1.0]


def test_a_time_in_the_past_is_now(loop: Loop, timers: Timers) -> None:
    loop.advance(5.0)
    ran: list[int] = []
    timers.at(1.0, lambda: ran.append(1))
    assert ran == []
    loop.advance(0.0)
    assert ran == [1]


def test_a_cancelled_timer_never_runs_and_cancelling_again_changes_nothing(
    loop: Loop, timers: Timers
) -> None:
    ran: list[int] = []
    timer = timers.after(1.0, lambda: ran.append(1))
    kept = timers.after(1.0, lambda: ran.append(2))
    assert timer.active
    timer.cancel()
    timer.cancel()
    assert not timer.active
    assert len(timers) == 1
    loop.advance(2.0)
    assert ran == [2]
    kept.cancel()
    assert len(timers) == 0


def test_an_action_may_cancel_one_that_is_due_with_it(loop: Loop, timers: Timers) -> None:
    ran: list[str] = []
    victims: list[Timer] = []
    timers.after(1.0, lambda: victims[0].cancel())
    victims.append(timers.after(1.0, lambda: ran.append("victim")))
    timers.after(1.0, lambda: ran.append("last"))
    loop.advance(1.0)
    assert ran == ["last"]
    assert loop.watchers == []


def test_an_action_may_plan_an_earlier_one_and_a_later_one(loop: Loop, timers: Timers) -> None:
    ran: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: ran.append((name, loop.now))

    def plan() -> None:
        timers.after(0.0, note("at once"))
        timers.after(0.5, note("soon"))

    timers.after(1.0, plan)
    timers.after(3.0, note("late"))
    loop.advance(4.0)
    assert ran == [("at once", 1.0), ("soon", 1.5), ("late", 3.0)]


def test_an_action_that_raises_takes_no_other_with_it(loop: Loop, timers: Timers) -> None:
    ran: list[int] = []

    def fail() -> None:
        raise RuntimeError("action")

    timers.after(1.0, fail)
    timers.after(1.0, lambda: ran.append(1))
    timers.after(2.0, lambda: ran.append(2))
    with pytest.raises(RuntimeError, match="action"):
        loop.advance(1.0)
    loop.advance(2.0)
    assert ran == [1, 2]


def test_a_mass_of_cancelled_timers_is_swept_out(loop: Loop, timers: Timers) -> None:
    ran: list[int] = []
    timers.after(100.0, lambda: ran.append(1))
    for _ in range(20):
        for timer in [timers.after(50.0, lambda: ran.append(-1)) for _ in range(100)]:
            timer.cancel()
        assert len(timers._heap) <= 2 * len(timers) + SWEEP_FLOOR + 1
    loop.advance(200.0)
    assert ran == [1]


def test_nothing_stands_on_the_loop_when_nothing_waits(loop: Loop, timers: Timers) -> None:
    timer = timers.after(1.0, lambda: None)
    assert len(loop.watchers) == 1
    timer.cancel()
    assert loop.watchers == []
    timers.after(1.0, lambda: None)
    loop.advance(1.0)
    assert loop.watchers == []


def test_close_forgets_everything(loop: Loop, timers: Timers) -> None:
    ran: list[int] = []
    timers.after(1.0, lambda: ran.append(1))
    timers.close()
    assert loop.watchers == []
    loop.advance(2.0)
    assert ran == []


def test_cancelling_a_timer_from_before_a_close_leaves_later_ones_alone(
    loop: Loop, timers: Timers
) -> None:
    ran: list[int] = []
    old = timers.after(1.0, lambda: ran.append(1))
    timers.close()
    timers.after(1.0, lambda: ran.append(2))
    old.cancel()
    assert len(timers) == 1
    loop.advance(2.0)
    assert ran == [2]


class Question:
    """An entry of the wheel; it may settle another when it expires."""

    def __init__(self, name: str, expired: list[str], settles: Question | None = None) -> None:
        self.name = name
        self.expired = expired
        self.settles = settles
        self.bucket: dict[Any, None] | None = None

    def expire(self) -> None:
        self.expired.append(self.name)
        if self.settles is not None:
            self.settles.settle()

    def settle(self) -> None:
        if self.bucket is not None:
            del self.bucket[self]
            self.bucket = None


def test_the_wheel_expires_in_order_and_never_early(loop: Loop, timers: Timers) -> None:
    wheel = TimeoutWheel(timers)
    expired: list[str] = []
    for name, deadline in [("b", 1.0), ("c", 1.0), ("a", 0.5), ("d", 1.0 + ASK_TICK)]:
        wheel.add(Question(name, expired), deadline)
    loop.advance(0.5 - 1e-9)
    assert expired == []
    loop.advance(ASK_TICK + 2e-9)
    assert expired == ["a"]
    loop.advance(1.0)
    assert expired == ["a", "b", "c", "d"]


def test_questions_of_one_tick_cost_one_timer(timers: Timers) -> None:
    wheel = TimeoutWheel(timers)
    for _ in range(1000):
        wheel.add(Question("", []), 1.0)
    assert len(timers) == 1


def test_a_settled_question_never_expires(loop: Loop, timers: Timers) -> None:
    wheel = TimeoutWheel(timers)
    expired: list[str] = []
    settled, waiting = Question("settled", expired), Question("waiting", expired)
    for question in (settled, waiting):
        wheel.add(question, 1.0)
    settled.settle()
    loop.advance(2.0)
    assert expired == ["waiting"]
    assert waiting.bucket is None


def test_a_question_that_settles_another_as_it_expires_loses_no_third(
    loop: Loop, timers: Timers
) -> None:
    wheel = TimeoutWheel(timers)
    expired: list[str] = []
    second, third = Question("second", expired), Question("third", expired)
    for question in (Question("first", expired, settles=second), second, third):
        wheel.add(question, 1.0)
    loop.advance(2.0)
    assert expired == ["first", "third"]


def test_a_real_loop_runs_them_in_order() -> None:
    hub = gevent.get_hub()
    timers = Timers(hub.loop, lambda: gevent.get_hub().loop.now())
    ran: list[str] = []
    done = gevent.event.Event()
    timers.after(0.02, done.set)
    timers.after(0.01, lambda: ran.append("b"))
    timers.after(0.0, lambda: ran.append("a"))
    timers.after(0.005, lambda: ran.append("never")).cancel()
    assert done.wait(5)
    assert ran == ["a", "b"]
    assert len(timers) == 0


class Called(Obedient):
    """Has a method too."""

    def method(self) -> None: ...


def blocked(system: ActorSystem) -> ActorRef[Any]:
    """An actor in the middle of a long sleep, and nothing else to do in the system."""
    ref = system.spawn(Called, shutdown=0.01)
    ref.tell(lambda actor: gevent.sleep(60))
    return ref


def restarting(system: ActorSystem) -> ActorRef[Any]:
    """An actor that waits for the end of its backoff."""

    class Parent(Obedient):
        supervision = OneForOne(backoff=Backoff(first=60))

    def fail(actor: Actor) -> None:
        raise RuntimeError

    ref: ActorRef[Any] = system.spawn(Parent).ask(lambda actor: actor.spawn(Called))
    ref.tell(fail)
    return ref


STYLES: dict[str, Callable[[ActorRef[Any]], Any]] = {
    "ask": lambda ref: ref.ask(str, timeout=0.03),
    "ask_nowait": lambda ref: ref.ask_nowait(str, timeout=0.03).get(),
    "proxy": lambda ref: ref.proxy(timeout=0.03).method(),
}


@pytest.mark.parametrize("busy", [blocked, restarting])
@pytest.mark.parametrize("style", STYLES)
def test_a_question_times_out_while_the_whole_system_sleeps(
    system: ActorSystem, busy: Callable[[ActorSystem], ActorRef[Any]], style: str
) -> None:
    ref = busy(system)
    settle()
    with gevent.Timeout(1, RuntimeError("the question never timed out")), pytest.raises(AskTimeout):
        STYLES[style](ref)


def test_a_question_from_an_actor_times_out_while_the_rest_sleeps(system: ActorSystem) -> None:
    ref = blocked(system)
    settle()
    asker = system.spawn(Obedient)
    answer = asker.ask_nowait(lambda actor: ref.ask(str, timeout=0.03), timeout=None)
    with pytest.raises(AskTimeout):
        answer.get(timeout=1)


def test_a_question_that_is_answered_leaves_no_timer_for_long(system: ActorSystem) -> None:
    ref = system.spawn(Obedient)
    assert ref.ask(lambda actor: 1, timeout=0.02) == 1
    assert ref.ask_nowait(lambda actor: 2, timeout=0.02).get() == 2
    gevent.sleep(0.05)
    wheel = ref._dispatcher.timeouts
    assert not any(wheel._buckets.values())
