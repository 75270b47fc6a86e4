"""Timers and the timeout wheel against a sorted list, with a loop and a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from actorkit.timers import ASK_TICK, SWEEP_FLOOR, TimeoutWheel, Timer, Timers

pytestmark = pytest.mark.timeout(30)

#: Whole seconds come up often, so that many fall due at the same time.
delays = st.integers(0, 3).map(float) | st.floats(0.0, 10.0)


class Watcher:
    """The one timer that the code under test has in the loop."""

    def __init__(self, loop: Loop, after: float) -> None:
        self.loop = loop
        self.due = loop.now + after
        self.callback: Callable[[], Any] | None = None

    def start(self, callback: Callable[[], Any], update: bool = False) -> None:
        self.callback = callback
        self.loop.watchers.append(self)

    def stop(self) -> None:
        if self in self.loop.watchers:
            self.loop.watchers.remove(self)

    def close(self) -> None:
        self.stop()


class Loop:
    def __init__(self) -> None:
        self.now = 0.0
        self.watchers: list[Watcher] = []

    def timer(self, after: float) -> Watcher:
        return Watcher(self, after)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.watchers and min(w.due for w in self.watchers) <= end:
            watcher = min(self.watchers, key=lambda w: w.due)
            self.now = max(self.now, watcher.due)
            watcher.stop()
            assert watcher.callback is not None
            watcher.callback()
        self.now = end


class TimersMachine(RuleBasedStateMachine):
    timers = Bundle("timers")

    @initialize()
    def begin(self) -> None:
        self.loop = Loop()
        self.subject = Timers(self.loop, lambda: self.loop.now)
        self.model: dict[int, float] = {}
        self.began = 0.0
        self.count = 0

    @rule(target=timers, seconds=delays)
    def plan(self, seconds: float) -> tuple[int, Timer]:
        number = self.count = self.count + 1
        timer = self.subject.after(seconds, lambda: self.note(number))
        self.model[number] = timer.when
        return number, timer

    @rule(pair=timers, seconds=delays)
    def plan_one_that_cancels_another(self, pair: tuple[int, Timer], seconds: float) -> None:
        number = self.count = self.count + 1

        def fire() -> None:
            self.note(number)
            self.cancel(pair)

        self.model[number] = self.subject.after(seconds, fire).when

    @rule(seconds=delays)
    def plan_one_that_plans_another(self, seconds: float) -> None:
        number = self.count = self.count + 1

        def fire() -> None:
            self.note(number)
            self.plan(seconds)

        self.model[number] = self.subject.after(seconds, fire).when

    @rule(pair=timers)
    def cancel(self, pair: tuple[int, Timer]) -> None:
        number, timer = pair
        timer.cancel()
        timer.cancel()
        assert not timer.active
        self.model.pop(number, None)

    def note(self, number: int) -> None:
        when = self.model.pop(number)  # KeyError: it was cancelled, or fired twice
        assert when <= self.loop.now <= max(when, self.began) + 1e-6
        assert all((when, number) <= (other, key) for key, other in self.model.items())

    @rule(seconds=delays)
    def pass_time(self, seconds: float) -> None:
        self.began = self.loop.now
        self.loop.advance(seconds)
        assert all(when > self.loop.now for when in self.model.values())

    @invariant()
    def it_knows_how_many_wait_and_has_one_watcher_at_most(self) -> None:
        if hasattr(self, "subject"):
            assert len(self.subject) == len(self.model)
            assert len(self.loop.watchers) == bool(self.model)
            assert len(self.subject._heap) <= 2 * len(self.model) + SWEEP_FLOOR + 1


TestTimers = TimersMachine.TestCase


class Entry:
    """A question that waits."""

    def __init__(self, loop: Loop, deadline: float) -> None:
        self.loop = loop
        self.deadline = deadline
        self.bucket: dict[Any, None] | None = None
        self.expired: list[float] = []

    def expire(self) -> None:
        self.expired.append(self.loop.now)


class WheelMachine(RuleBasedStateMachine):
    entries = Bundle("entries")

    @initialize()
    def begin(self) -> None:
        self.loop = Loop()
        self.timers = Timers(self.loop, lambda: self.loop.now)
        self.wheel = TimeoutWheel(self.timers)
        self.waiting: list[Entry] = []

    @rule(target=entries, seconds=st.floats(0.0, 3.0))
    def ask(self, seconds: float) -> Entry:
        entry = Entry(self.loop, self.loop.now + seconds)
        self.wheel.add(entry, entry.deadline)
        self.waiting.append(entry)
        return entry

    @rule(entry=entries)
    def settle(self, entry: Entry) -> None:
        if entry.bucket is not None:
            del entry.bucket[entry]
            entry.bucket = None
            self.waiting.remove(entry)

    @rule(seconds=st.floats(0.0, 4.0))
    def pass_time(self, seconds: float) -> None:
        self.loop.advance(seconds)
        for entry in list(self.waiting):
            if entry.expired:
                assert len(entry.expired) == 1
                assert entry.deadline <= entry.expired[0] <= entry.deadline + ASK_TICK + 1e-6
                self.waiting.remove(entry)
            else:
                assert entry.deadline + ASK_TICK >= self.loop.now - 1e-6


TestTimeoutWheel = WheelMachine.TestCase
