"""`decide` against a plain model of OTP's restart intensity, with backoff and directives."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actorkit import Backoff, Directive, OneForAll, OneForOne, RestForOne
from actorkit.supervision import Action, Decision, History, Restart, Strategy, decide

seconds = st.floats(0.0, 100.0)
#: Sums of these are exact, so that a failure may come at the very end of a period.
quarters = st.integers(0, 80).map(lambda number: number / 4)
backoffs = st.builds(
    lambda first, minimum, extra, factor, jitter: Backoff(
        first, minimum, minimum + extra, factor, jitter
    ),
    seconds,
    seconds,
    seconds,
    st.floats(1.0, 10.0),
    st.floats(0.0, 1.0),
)
pytestmark = pytest.mark.timeout(30)

restarts: st.SearchStrategy[Restart] = st.sampled_from(["permanent", "transient", "temporary"])


class Supervision(RuleBasedStateMachine):
    """One child over time. The model keeps every restart and looks back over the period."""

    @initialize(
        cls=st.sampled_from([OneForOne, OneForAll, RestForOne]),
        intensity=st.integers(0, 4),
        period=quarters.filter(bool),
        backoff=st.none() | backoffs,
    )
    def begin(
        self, cls: type[Strategy], intensity: int, period: float, backoff: Backoff | None
    ) -> None:
        self.strategy = cls(intensity=intensity, period=period, backoff=backoff)
        self.history = History()
        self.now = 1000.0
        self.restarted: list[float] = []
        self.last_effect: float | None = None
        self.series = 0

    @rule(passed=quarters)
    def wait(self, passed: float) -> None:
        self.now += passed

    @rule()
    def wait_until_the_oldest_restart_is_just_a_period_old(self) -> None:
        if self.restarted:
            self.now = max(self.now, self.restarted[0] + self.strategy.period)

    @rule(
        restart=restarts,
        fails=st.booleans(),
        directive=st.none() | st.sampled_from(Directive),
        rand=st.floats(0.0, 1.0, exclude_max=True),
    )
    def end(self, restart: Restart, fails: bool, directive: Directive | None, rand: float) -> None:
        error = RuntimeError() if fails else None

        def decided() -> Decision:
            return decide(
                self.strategy,
                self.history,
                self.now,
                restart=restart,
                error=error,
                directive=directive,
                rand=rand,
            )

        before = copy.deepcopy(self.history)
        decision = decided()
        assert self.history == before
        assert decided() == decision
        wanted = self.wanted(restart, fails, directive)
        if wanted is not Directive.RESTART:
            assert decision.action is Action[wanted.name]
            assert decision.delay == 0.0
            assert decision.history == self.history
            return
        recent = [at for at in self.restarted if self.now - at <= self.strategy.period]
        if len(recent) >= self.strategy.intensity:
            assert decision.action is Action.ESCALATE
            assert decision.history == History()
            self.restarted, self.series, self.last_effect = [], 0, None
        else:
            assert decision.action is Action.RESTART
            continues = (
                self.last_effect is not None and self.now - self.last_effect <= self.strategy.period
            )
            self.series = self.series + 1 if continues else 1
            expected = 0.0
            if self.strategy.backoff is not None:
                expected = self.strategy.backoff.delay(self.series, rand)
            assert decision.delay == expected
            self.restarted.append(self.now)
            self.last_effect = self.now + decision.delay
        self.history = decision.history

    def wanted(self, restart: Restart, fails: bool, directive: Directive | None) -> Directive:
        if not fails:
            return Directive.RESTART if restart == "permanent" else Directive.STOP
        if directive in (None, Directive.RESTART):
            return Directive.STOP if restart == "temporary" else Directive.RESTART
        assert directive is not None
        return directive

    @invariant()
    def the_history_is_bounded(self) -> None:
        if hasattr(self, "history"):
            assert len(self.history.restarts) <= max(1, self.strategy.intensity)


TestSupervision = Supervision.TestCase


@given(backoff=backoffs, attempt=st.integers(1, 10_000), rand=st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_its_bounds(backoff: Backoff, attempt: int, rand: float) -> None:
    plain = backoff.delay(attempt, 0.5)
    assert 0.0 <= plain <= max(backoff.first, backoff.maximum)
    delay = backoff.delay(attempt, rand)
    assert plain * (1 - backoff.jitter) * 0.999 <= delay <= plain * (1 + backoff.jitter) * 1.001


@given(backoff=backoffs, attempt=st.integers(2, 1000))
def test_delays_never_shrink_within_a_series(backoff: Backoff, attempt: int) -> None:
    assert backoff.delay(attempt, 0.5) <= backoff.delay(attempt + 1, 0.5)


@given(index=st.integers(0, 50), more=st.integers(1, 50))
def test_who_is_affected(index: int, more: int) -> None:
    count = index + more
    strategies: list[tuple[Strategy, list[int]]] = [
        (OneForOne(), [index]),
        (OneForAll(), list(range(count))),
        (RestForOne(), list(range(index, count))),
    ]
    for strategy, expected in strategies:
        assert list(strategy.affected(index, count)) == expected


@given(error=st.sampled_from([KeyError(), OSError(), ValueError()]))
def test_decide_asks_the_strategy_when_the_parent_has_no_word(error: Exception) -> None:
    verdicts = {KeyError: Directive.STOP, OSError: Directive.RESUME, ValueError: Directive.ESCALATE}
    strategy = OneForOne(decide=lambda error: verdicts[type(error)])  # type: ignore[index]
    decision = decide(strategy, History(), 0.0, restart="permanent", error=error)
    assert decision.action is Action[verdicts[type(error)].name]


def test_a_strategy_that_returns_no_directive_is_named() -> None:
    strategy = OneForOne(decide=lambda error: "restart")  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="must return a Directive"):
        decide(strategy, History(), 0.0, restart="permanent", error=OSError())


one_for_one: Any = OneForOne
backing_off: Any = Backoff


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: one_for_one(intensity=-1), ValueError),
        (lambda: one_for_one(intensity=1.5), TypeError),
        (lambda: one_for_one(intensity=True), TypeError),
        (lambda: one_for_one(period=0), ValueError),
        (lambda: one_for_one(period=-1.0), ValueError),
        (lambda: one_for_one(period="5"), TypeError),
        (lambda: one_for_one(period=float("nan")), ValueError),
        (lambda: one_for_one(backoff=5), TypeError),
        (lambda: one_for_one(decide=None), TypeError),
        (lambda: one_for_one(3), TypeError),
        (lambda: backing_off(minimum=-0.1), ValueError),
        (lambda: backing_off(minimum=2.0, maximum=1.0), ValueError),
        (lambda: backing_off(factor=0.5), ValueError),
        (lambda: backing_off(jitter=1.5), ValueError),
        (lambda: backing_off(first=float("inf")), ValueError),
    ],
)
def test_wrong_settings_are_refused(make: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        make()  # type: ignore[operator]
