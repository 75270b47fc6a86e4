"""`Task`: a helper greenlet of an actor, which reports its failure to nobody but its actor.

gevent prints the traceback of a greenlet that fails; the actor logs it. Made by `Actor.task`, ended
by the actor's life.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from gevent import Greenlet, GreenletExit, get_hub

__all__ = ["Task"]


class Task(Greenlet):  # type: ignore[type-arg]
    """`gevent.Greenlet` in every word, but that gevent does not see it fail."""

    _error: BaseException | None = None

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._work = partial(function, *args, **kwargs)

    def _run(self) -> Any:
        hub: Any = get_hub()
        try:
            return self._work()
        except BaseException as error:
            if isinstance(error, (GreenletExit, hub.SYSTEM_ERROR)):
                raise
            self._error = error

    def successful(self) -> bool:
        return self._error is None and super().successful()

    @property
    def exception(self) -> BaseException | None:
        return self._error or super().exception

    @property
    def exc_info(self) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
        error = self.exception
        return None if error is None else (type(error), error, error.__traceback__)
