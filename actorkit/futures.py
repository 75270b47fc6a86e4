"""`Future`: the answer to `ask_nowait`, in the words of `gevent.event.AsyncResult`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent.event import AsyncResult

T = TypeVar("T")

__all__ = ["Future"]


class Future(AsyncResult, Generic[T]):  # type: ignore[type-arg]  # generic in stubs only
    """An answer that may still come. `gevent.wait([...])` and `gevent.joinall` take it::

        future = ref.ask_nowait("work")
        ...
        result = future.get(timeout=1.0)

    `get` returns the answer or raises what `ask` would. `ready`, `successful`, `value`,
    `exception`, `wait`, `rawlink` and `unlink` are those of gevent's AsyncResult.
    """

    def settle(self, value: T, error: BaseException | None) -> None:
        if error is None:
            self.set(value)
        else:
            self.set_exception(error)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is settled, or `timeout` seconds; raises nothing of the answer."""
        self.wait(timeout)

    def then(self, callback: Callable[[Future[T]], Any]) -> None:
        """Call `callback(self)` in the hub once it is settled; it must not block."""
        self.rawlink(callback)
