"""Warns of an actor that keeps the hub: nothing else runs on it, no socket, no timer.

A native thread looks at the dispatcher from outside, since the stuck turn itself cannot. Started
with the first system of a hub and ended with the last.
"""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any

from gevent.monkey import get_original

from ..log import get_logger
from .dispatcher import Dispatcher

__all__ = ["SLOW_TURN", "Watchdog"]

#: Seconds that an actor may keep the hub before it is warned about in the log, with its stack.
SLOW_TURN = 0.1
#: Seconds between two looks.
TICK = 0.02

_start_thread = get_original("_thread", "start_new_thread")
_allocate_lock = get_original("_thread", "allocate_lock")


class Watchdog:
    """Watches one dispatcher between `start` and `stop`, which are counted."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._users = 0
        self._stop: Any = None

    @classmethod
    def of(cls, dispatcher: Dispatcher) -> Watchdog:
        """The one watchdog of a dispatcher."""
        if dispatcher.watchdog is None:
            dispatcher.watchdog = cls(dispatcher)
        watchdog: Watchdog = dispatcher.watchdog
        return watchdog

    def start(self) -> None:
        self._users += 1
        if self._users == 1:
            self._stop = _allocate_lock()
            self._stop.acquire()
            _start_thread(self._watch, (self._stop,))

    def stop(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._stop.release()

    def _watch(self, stop: Any) -> None:
        dispatcher = self._dispatcher
        seen: Any = None
        since = 0.0
        warned = False
        while not stop.acquire(timeout=TICK):
            now = time.monotonic()
            worker = dispatcher.active
            cell = None if worker is None else worker.cell
            # The same cell in the same visit of the hub: one turn, since a slice is far shorter.
            state = (dispatcher.visits, cell)
            if cell is None or state != seen:
                seen, since, warned = state, now, False
            elif not warned and now - since >= SLOW_TURN - TICK:
                frame = sys._current_frames().get(dispatcher.thread)
                stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
                del frame
                if (dispatcher.visits, getattr(dispatcher.active, "cell", None)) != seen:
                    continue
                warned = True
                get_logger(
                    system=cell._host.name, path=cell.path, actor=cell._spec.cls.__name__
                ).warning(
                    "actor keeps the hub",
                    hint="use offload() for long work",
                    seconds=round(now - since + TICK, 3),
                    stack=stack,
                )
            cell = worker = None
