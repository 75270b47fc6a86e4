"""`decide`, `Backoff` and the strategies one case at a time; properties/ has the general laws."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from actorkit import Backoff, Directive, OneForAll, OneForOne, RestForOne
from actorkit.supervision import Action, Decision, History, Restart, Strategy, decide

ERROR = RuntimeError("broken")
BROKEN: Any = None


def run(
    strategy: Strategy, times: list[float], restart: Restart = "transient", rand: float = 0.5
) -> list[Decision]:
    """The decisions on failures at these times, each with the history of the one before."""
    history = History()
    decisions = []
    for now in times:
        decision = decide(strategy, history, now, restart=restart, error=ERROR, rand=rand)
        history = decision.history
        decisions.append(decision)
    return decisions


def actions(strategy: Strategy, times: list[float]) -> list[Action]:
    return [decision.action for decision in run(strategy, times)]


@pytest.mark.parametrize("cls", [OneForOne, OneForAll, RestForOne])
def test_the_defaults_are_those_of_the_documentation(cls: type[Strategy]) -> None:
    strategy = cls()
    assert (strategy.intensity, strategy.period) == (3, 5.0)
    assert strategy.backoff == Backoff(first=0.0, minimum=0.1, maximum=10.0, factor=2.0, jitter=0.2)
    assert strategy.decide(ERROR) is Directive.RESTART
    assert strategy.grouped is (cls is not OneForOne)


def test_the_base_class_affects_nobody() -> None:
    with pytest.raises(NotImplementedError):
        Strategy().affected(0, 1)


@pytest.mark.parametrize("intensity", [0, 1, 2, 5])
def test_so_many_restarts_pass_and_one_more_escalates(intensity: int) -> None:
    strategy = OneForOne(intensity=intensity, period=10.0, backoff=None)
    times = [100.0 + number / 10 for number in range(intensity + 1)]
    assert actions(strategy, times) == [Action.RESTART] * intensity + [Action.ESCALATE]


@pytest.mark.parametrize(
    ("second", "action"),
    [(104.0, Action.ESCALATE), (105.0, Action.ESCALATE), (105.001, Action.RESTART)],
)
def test_a_restart_counts_up_to_the_very_end_of_the_period(second: float, action: Action) -> None:
    strategy = OneForOne(intensity=1, period=5.0, backoff=None)
    assert actions(strategy, [100.0, second])[-1] is action


def test_the_period_slides_instead_of_beginning_anew() -> None:
    strategy = OneForOne(intensity=2, period=5.0, backoff=None)
    assert actions(strategy, [0.0, 4.0, 6.0, 8.0]) == [
        Action.RESTART,
        Action.RESTART,
        Action.RESTART,
        Action.ESCALATE,
    ]


def test_an_escalation_begins_a_new_count() -> None:
    strategy = OneForOne(intensity=1, period=5.0, backoff=Backoff(first=1.0))
    decisions = run(strategy, [0.0, 1.0, 2.0, 3.0])
    assert [decision.action for decision in decisions] == [
        Action.RESTART,
        Action.ESCALATE,
        Action.RESTART,
        Action.ESCALATE,
    ]
    assert decisions[1].history == History()
    assert decisions[2].delay == 1.0


@pytest.mark.parametrize(
    ("restart", "action"),
    [
        ("permanent", Action.RESTART),
        ("transient", Action.STOP),
        ("temporary", Action.STOP),
    ],
)
def test_only_a_permanent_child_comes_back_from_a_normal_end(
    restart: Restart, action: Action
) -> None:
    decision = decide(OneForOne(), History(), 0.0, restart=restart, error=None)
    assert decision.action is action


def test_a_normal_end_asks_nobody_and_counts_like_a_failure() -> None:
    strategy = OneForOne(intensity=1, backoff=None, decide=lambda error: 1 / 0)  # type: ignore[arg-type,return-value]
    first = decide(
        strategy, History(), 0.0, restart="permanent", error=None, directive=Directive.STOP
    )
    assert first.action is Action.RESTART
    second = decide(strategy, first.history, 1.0, restart="permanent", error=None)
    assert second.action is Action.ESCALATE


@pytest.mark.parametrize("directive", Directive)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("by_parent", [True, False])
def test_a_directive_stands_but_for_the_restart_of_a_temporary_child(
    directive: Directive, restart: Restart, by_parent: bool
) -> None:
    strategy = OneForOne() if by_parent else OneForOne(decide=lambda error: directive)
    decision = decide(
        strategy,
        History(),
        0.0,
        restart=restart,
        error=ERROR,
        directive=directive if by_parent else None,
    )
    wanted = directive
    if directive is Directive.RESTART and restart == "temporary":
        wanted = Directive.STOP
    assert decision.action is Action[wanted.name]


def test_the_parents_word_goes_before_the_strategys() -> None:
    strategy = OneForOne(decide=lambda error: 1 / 0)  # type: ignore[arg-type,return-value]
    decision = decide(
        strategy, History(), 0.0, restart="transient", error=ERROR, directive=Directive.RESUME
    )
    assert decision == Decision(Action.RESUME, 0.0, History())


def test_what_the_strategy_raises_is_raised() -> None:
    strategy = OneForOne(decide=lambda error: 1 / 0)  # type: ignore[arg-type,return-value]
    with pytest.raises(ZeroDivisionError):
        decide(strategy, History(), 0.0, restart="transient", error=ERROR)


@pytest.mark.parametrize("directive", [Directive.RESUME, Directive.STOP, Directive.ESCALATE])
def test_only_restarts_are_counted(directive: Directive) -> None:
    history = History(((0.0, 0.0), (1.0, 0.0)), 2)
    decision = decide(
        OneForOne(), history, 2.0, restart="transient", error=ERROR, directive=directive
    )
    assert decision.history is history


def test_delays_grow_by_the_factor_up_to_the_maximum() -> None:
    backoff = Backoff(first=0.05, minimum=0.1, maximum=1.0, factor=3.0, jitter=0.0)
    delays = [backoff.delay(attempt) for attempt in range(1, 7)]
    assert delays == pytest.approx([0.05, 0.1, 0.3, 0.9, 1.0, 1.0])


def test_a_series_of_any_length_stays_at_the_maximum() -> None:
    assert Backoff(jitter=0.0).delay(10**6) == 10.0


@pytest.mark.parametrize(("rand", "delay"), [(0.0, 0.08), (0.5, 0.1), (0.75, 0.11)])
def test_jitter_varies_a_delay_both_ways(rand: float, delay: float) -> None:
    assert Backoff(minimum=0.1, jitter=0.2).delay(2, rand) == pytest.approx(delay)


def test_failures_in_a_row_wait_longer_and_longer() -> None:
    strategy = OneForOne(intensity=10, period=5.0, backoff=Backoff(jitter=0.0))
    delays = [decision.delay for decision in run(strategy, [0.0, 1.0, 2.0, 3.0])]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4])


def test_a_series_goes_on_across_waits_longer_than_the_period() -> None:
    backoff = Backoff(first=8.0, minimum=16.0, maximum=100.0, jitter=0.0)
    strategy = OneForOne(intensity=1, period=5.0, backoff=backoff)
    # Each failure comes four seconds after the restart before took effect.
    decisions = run(strategy, [0.0, 12.0, 32.0, 68.0])
    assert [decision.delay for decision in decisions] == [8.0, 16.0, 32.0, 64.0]


def test_a_quiet_period_ends_a_series() -> None:
    strategy = OneForOne(intensity=10, period=5.0, backoff=Backoff(jitter=0.0))
    delays = [decision.delay for decision in run(strategy, [0.0, 1.0, 6.11, 6.2])]
    assert delays == pytest.approx([0.0, 0.1, 0.0, 0.1])


def test_without_a_backoff_every_restart_is_at_once() -> None:
    decisions = run(OneForOne(backoff=None), [0.0, 1.0, 2.0])
    assert [decision.delay for decision in decisions] == [0.0] * 3


@pytest.mark.parametrize(
    "thing",
    [OneForOne(), OneForAll(), RestForOne(), Backoff(), History(), run(OneForOne(), [0])[0]],
)
def test_everything_here_is_immutable(thing: Any) -> None:
    for field in dataclasses.fields(thing):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, field.name, None)


@pytest.mark.parametrize(
    ("error", "make", "words"),
    [
        (ValueError, lambda: Backoff(minimum=2.0, maximum=1.0), "must not exceed"),
        (ValueError, lambda: Backoff(jitter=2.0), "from 0.0 to 1.0"),
        (TypeError, lambda: Backoff(first=BROKEN), "first must be a number"),
        (ValueError, lambda: OneForOne(intensity=-1), "intensity must be >= 0"),
        (ValueError, lambda: OneForOne(period=0), "period must be > 0"),
        (TypeError, lambda: OneForOne(backoff=0.5), "backoff must be a Backoff"),  # type: ignore[arg-type]
        (TypeError, lambda: OneForOne(decide=BROKEN), "decide must be a function"),
    ],
)
def test_a_refused_setting_is_named(error: type[Exception], make: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        make()
