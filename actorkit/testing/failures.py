"""Which failures of actors a test has seen coming, and which not.

Used by probes (`expect_failure`) and by the pytest plugin, which fails a test for the rest.
"""

from __future__ import annotations

from typing import Any

from gevent.event import Event

from ..events import ActorFailed
from ..ref import ActorRef
from ..system import ActorSystem

__all__ = ["Failures"]


class Failures:
    """The failures of one system's actors that nobody has expected yet."""

    def __init__(self, system: ActorSystem) -> None:
        self.unexpected: list[ActorFailed] = []
        self._clock = system._dispatcher.clock
        self._news = Event()
        system.events.subscribe(ActorFailed, self._failed)

    @classmethod
    def of(cls, system: ActorSystem) -> Failures:
        """Those of `system`, from the first call of this on."""
        for _, subscriber in system.events.subscriptions:
            failures = getattr(subscriber, "__self__", None)
            if isinstance(failures, cls):
                return failures
        return cls(system)

    def take(
        self,
        error: type[BaseException] | tuple[type[BaseException], ...],
        ref: ActorRef[Any] | None,
        timeout: float,
    ) -> ActorFailed | None:
        """The first failure with `error` (of `ref`, if given), which counts as expected now.

        Waits up to `timeout` seconds for it; None when there is none.
        """
        deadline = self._clock() + timeout
        while True:
            for failure in self.unexpected:
                if isinstance(failure.error, error) and ref in (None, failure.ref):
                    self.unexpected.remove(failure)
                    return failure
            left = deadline - self._clock()
            if left <= 0:
                return None
            self._news.clear()
            self._news.wait(left)

    def expect(self, error: type[BaseException] | tuple[type[BaseException], ...]) -> None:
        """Every failure with `error` until now counts as expected."""
        self.unexpected = [
            failure for failure in self.unexpected if not isinstance(failure.error, error)
        ]

    def _failed(self, event: ActorFailed) -> None:
        self.unexpected.append(event)
        self._news.set()
