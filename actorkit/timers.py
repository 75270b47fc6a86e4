"""Timers: all those of one hub behind a single timer of its loop, and the coarse ask timeouts.

Pure but for the loop handed in, so that tests and simulation drive it with a clock of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

__all__ = ["ASK_TICK", "TimeoutWheel", "Timer", "Timers"]

#: Seconds between two looks at the timeouts of asks: an ask ends at most this much late.
ASK_TICK = 0.01

#: Cancelled timers are swept out of the heap when there are more of them than this and than half.
SWEEP_FLOOR = 64


class Timer:
    """One planned call. `cancel()` it; it is inert once it has run."""

    __slots__ = ("action", "timers", "when")

    def __init__(self, timers: Timers, when: float, action: Callable[[], None]) -> None:
        self.timers = timers
        self.when = when
        self.action: Callable[[], None] | None = action

    @property
    def active(self) -> bool:
        return self.action is not None

    def cancel(self) -> None:
        if self.action is not None:
            self.action = None
            self.timers._cancelled()


class Timers:
    """A heap of planned calls, each run by the hub at its time or just after, never before.

    `loop`: a gevent loop. `clock`: seconds that never go back.
    """

    __slots__ = ("_dead", "_heap", "_seq", "_watcher", "_when", "clock", "loop")

    def __init__(self, loop: Any, clock: Callable[[], float]) -> None:
        self.loop = loop
        self.clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._seq = 0
        self._dead = 0
        self._watcher: Any = None
        self._when = 0.0

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run `action` in the hub `seconds` from now; it must not block."""
        return self.at(self.clock() + seconds, action)

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Run `action` in the hub when the clock shows `when`; equal times keep their order."""
        timer = Timer(self, when, action)
        self._seq += 1
        heappush(self._heap, (when, self._seq, timer))
        if self._watcher is None or when < self._when:
            self._arm()
        return timer

    def run_due(self) -> None:
        """Run every timer whose time has come."""
        heap = self._heap
        now = self.clock()
        while heap and heap[0][0] <= now:
            timer = heappop(heap)[2]
            action = timer.action
            if action is None:
                self._dead -= 1
                continue
            timer.action = None
            action()

    def close(self) -> None:
        """Forget every timer and free the loop's."""
        for _, _, timer in self._heap:
            timer.action = None
        self._heap.clear()
        self._dead = 0
        self._disarm()

    def _cancelled(self) -> None:
        self._dead += 1
        heap = self._heap
        if self._dead == len(heap):
            self.close()
        elif self._dead > SWEEP_FLOOR and self._dead * 2 > len(heap):
            heap[:] = [entry for entry in heap if entry[2].action is not None]
            heapify(heap)
            self._dead = 0

    def _arm(self) -> None:
        self._disarm()
        while self._heap and not self._heap[0][2].active:
            heappop(self._heap)
            self._dead -= 1
        if self._heap:
            self._when = self._heap[0][0]
            self._watcher = self.loop.timer(max(0.0, self._when - self.clock()))
            self._watcher.start(self._fire, update=True)

    def _disarm(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None

    def _fire(self) -> None:
        try:
            self.run_due()
        finally:
            self._arm()


class TimeoutWheel:
    """Timeouts by the thousand that mostly never come: one timer for each tick of `ASK_TICK`.

    An entry is any hashable object with a `bucket` attribute and an `expire()` method; whoever
    settles it before its time takes it out with `del entry.bucket[entry]`. Buckets keep the order
    of their entries, so that a simulation expires them alike in every run.
    """

    __slots__ = ("_buckets", "timers")

    def __init__(self, timers: Timers) -> None:
        self.timers = timers
        self._buckets: dict[int, dict[Any, None]] = {}

    def add(self, entry: Any, deadline: float) -> None:
        """Call `entry.expire()` at the first tick after `deadline` (on the timers' clock)."""
        tick = int(deadline / ASK_TICK) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            self.timers.at(tick * ASK_TICK, lambda: self._expire(tick))
        bucket[entry] = None
        entry.bucket = bucket

    def _expire(self, tick: int) -> None:
        bucket = self._buckets.pop(tick)
        while bucket:  # an entry that expires may settle others
            entry = next(iter(bucket))
            del bucket[entry]
            entry.bucket = None
            entry.expire()
