"""What to do with a failure: pure decisions from a strategy, a history and the time.

No clock, no randomness, no actors in here: the kernel hands them in and carries the decision out.
The model is OTP's supervisor, with a backoff added.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

__all__ = [
    "Action",
    "Backoff",
    "Decision",
    "Directive",
    "History",
    "OneForAll",
    "OneForOne",
    "RestForOne",
    "Restart",
    "Strategy",
    "decide",
]

#: Which ends an actor comes back from: every one, only failures, none.
Restart = Literal["permanent", "transient", "temporary"]


class Directive(enum.Enum):
    """What to do with a child that failed."""

    RESTART = "restart"  #: a new instance, the same reference and inbox
    RESUME = "resume"  #: the same instance goes on with the next message
    STOP = "stop"  #: end the child for good
    ESCALATE = "escalate"  #: the parent fails with the child's error


class Action(enum.Enum):
    """What the kernel is to do: a directive after counting."""

    RESTART = "restart"
    RESUME = "resume"
    STOP = "stop"
    ESCALATE = "escalate"


def _number(name: str, value: float, least: float, most: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not least <= value <= most or math.isinf(value):
        limits = f">= {least}" if math.isinf(most) else f"from {least} to {most}"
        raise ValueError(f"{name} must be a finite number {limits}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart, in seconds.

    The first failure of a series waits `first`, the second `minimum`, each one after that `factor`
    times longer, up to `maximum`. `jitter` is the share by which each wait varies both ways, so
    that many actors that failed together do not come back together.
    """

    first: float = 0.0
    minimum: float = 0.1
    maximum: float = 10.0
    factor: float = 2.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        _number("first", self.first, 0.0)
        _number("minimum", self.minimum, 0.0)
        _number("maximum", self.maximum, 0.0)
        _number("factor", self.factor, 1.0)
        _number("jitter", self.jitter, 0.0, 1.0)
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} must not exceed maximum {self.maximum}")

    def delay(self, attempt: int, rand: float = 0.5) -> float:
        """Seconds before restart number `attempt` (from 1) of a series; `rand` is in [0, 1)."""
        if attempt <= 1:
            plain = self.first
        else:
            try:
                plain = min(self.maximum, self.minimum * self.factor ** (attempt - 2))
            except OverflowError:
                plain = self.maximum
        return plain * (1.0 + self.jitter * (2.0 * rand - 1.0))


def always_restart(error: BaseException) -> Directive:
    """The default `decide`: every failure is a restart."""
    return Directive.RESTART


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """The part that the three strategies share.

    `intensity`: restarts allowed within `period` seconds; one more escalates. `backoff`: waits
    before restarts, None for none. `decide(error)`: the directive for an error.
    """

    grouped: ClassVar[bool] = False

    intensity: int = 3
    period: float = 5.0
    backoff: Backoff | None = field(default_factory=Backoff)
    decide: Callable[[BaseException], Directive] = always_restart

    def __post_init__(self) -> None:
        if isinstance(self.intensity, bool) or not isinstance(self.intensity, int):
            raise TypeError(f"intensity must be an int, not {self.intensity!r}")
        if self.intensity < 0:
            raise ValueError(f"intensity must be >= 0, not {self.intensity!r}")
        _number("period", self.period, 0.0)
        if self.period == 0:
            raise ValueError("period must be > 0 seconds")
        if self.backoff is not None and not isinstance(self.backoff, Backoff):
            raise TypeError(f"backoff must be a Backoff(...) or None, not {self.backoff!r}")
        if not callable(self.decide):
            raise TypeError(f"decide must be a function of an error, not {self.decide!r}")

    def affected(self, index: int, count: int) -> range:
        """Positions, in order of start, of the children to restart when number `index` fails."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class OneForOne(Strategy):
    """Only the failed child is restarted; each child has a count of its own."""

    def affected(self, index: int, count: int) -> range:
        return range(index, index + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneForAll(Strategy):
    """All children are restarted when one fails: they cannot do without each other."""

    grouped: ClassVar[bool] = True

    def affected(self, index: int, count: int) -> range:
        return range(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestForOne(Strategy):
    """The failed child and those started after it are restarted: they depend on it."""

    grouped: ClassVar[bool] = True

    def affected(self, index: int, count: int) -> range:
        return range(index, count)


@dataclass(frozen=True, slots=True)
class History:
    """The restarts that still count, as (time, delay), and the length of the current series."""

    restarts: tuple[tuple[float, float], ...] = ()
    series: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, after how many seconds, and the history to remember."""

    action: Action
    delay: float
    history: History


def decide(
    strategy: Strategy,
    history: History,
    now: float,
    *,
    restart: Restart,
    error: BaseException | None,
    directive: Directive | None = None,
    rand: float = 0.5,
) -> Decision:
    """Decide on the end of a child.

    `error` is None for a normal end of its own. `directive` is the parent's word, None to ask the
    strategy. Times in seconds on any clock that does not go back; `rand` in [0, 1) is the jitter.

    A restart counts while it is at most `period` seconds old, that age included, as in OTP. A
    failure continues the series that the backoff counts when it comes within `period` seconds of
    the moment at which the last restart took effect, so that long waits can grow to their maximum.
    Raises what `strategy.decide` raises, and TypeError when it returns no Directive.
    """
    if error is None:
        directive = Directive.RESTART if restart == "permanent" else Directive.STOP
    else:
        if directive is None:
            directive = strategy.decide(error)
            if not isinstance(directive, Directive):
                raise TypeError(
                    f"decide={strategy.decide!r} must return a Directive, not {directive!r}"
                )
        if directive is Directive.RESTART and restart == "temporary":
            directive = Directive.STOP
    if directive is not Directive.RESTART:
        return Decision(Action[directive.name], 0.0, history)
    recent = tuple(entry for entry in history.restarts if now - entry[0] <= strategy.period)
    if len(recent) >= strategy.intensity:
        return Decision(Action.ESCALATE, 0.0, History())
    series = 1
    if history.restarts:
        last, waited = history.restarts[-1]
        if now - (last + waited) <= strategy.period:
            series = history.series + 1
    delay = 0.0 if strategy.backoff is None else strategy.backoff.delay(series, rand)
    return Decision(Action.RESTART, delay, History((*recent, (now, delay)), series))
