"""Keeps a simulation from the real world: what cannot be replayed raises at the call.

Sockets and processes are refused by an audit hook of the interpreter, which sees them whoever
calls. Threads, the clock and the random numbers of the standard library are refused, or virtual by
choice, through replacements that look at the calling thread. Used by `Simulation.run`.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gevent
from gevent.monkey import get_original, is_module_patched

from .errors import SimulationEscape

__all__ = ["EPOCH", "World", "closed_world"]

#: What `time.time()` shows when a simulation begins: the first second of the year 2000.
EPOCH = 946_684_800.0

get_ident = get_original("_thread", "get_ident")

_SOCKETS = (
    "real sockets do not exist in a simulation: connect systems made by sim.system(name), or hand"
    " the actor something that stands for the other side"
)
_PROCESSES = "real processes do not exist in a simulation: sim.system(name) makes a node of its own"
_THREADS = (
    "real threads do not exist in a simulation: use an actor or gevent.spawn, and call what"
    " offload() would run directly"
)
_WAITS = (
    "nobody could wake this: real threads do not exist in a simulation; use gevent.event.Event,"
    " gevent.queue.Queue, gevent.lock or an actor"
)
_SIGNALS = (
    "real signals do not exist in a simulation: call what the handler would, or sim.crash(name)"
)
_REFUSED = {
    "socket.__new__": _SOCKETS,
    "socket.getaddrinfo": _SOCKETS,
    "socket.gethostbyname": _SOCKETS,
    "subprocess.Popen": _PROCESSES,
    "os.fork": _PROCESSES,
    "os.forkpty": _PROCESSES,
    "os.posix_spawn": _PROCESSES,
    "os.spawn": _PROCESSES,
    "os.system": _PROCESSES,
    "os.exec": _PROCESSES,
    "os.kill": _SIGNALS,
}

#: Modules that only stamp what they write; they get real time where others are refused.
_STAMPERS = frozenset({"gevent", "logging", "structlog", "warnings"})


@dataclass(frozen=True, slots=True)
class World:
    """What one simulation has in the place of the real clock and of real chance."""

    clock: Callable[[], float]  #: seconds since the beginning
    random: random.Random
    patch_time: bool  #: whether the functions of `time` show it, or refuse
    patch_random: bool  #: whether those of `random` draw from it, or refuse


#: The worlds of the threads in which a simulation runs.
_worlds: dict[int, World] = {}
_lock = get_original("_thread", "allocate_lock")()
_originals: list[tuple[Any, str, Any]] = []
_hooked = False


@contextmanager
def closed_world(world: World) -> Iterator[None]:
    """Within the block the calling thread is cut off from the real world."""
    global _hooked
    ident = get_ident()
    with _lock:
        if not _hooked:
            _hooked = True
            sys.addaudithook(_audit)
        if not _worlds:
            _replace()
        _worlds[ident] = world
    try:
        yield
    finally:
        with _lock:
            del _worlds[ident]
            if not _worlds:
                _restore()


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event in _REFUSED and get_ident() in _worlds:
        raise SimulationEscape(_REFUSED[event])


def _replace() -> None:
    for module, name, make in _REPLACED:
        original = getattr(module, name)
        _originals.append((module, name, original))
        setattr(module, name, _made(make, original))


@lru_cache
def _made(make: Callable[[Any], Any], original: Any) -> Any:
    """What stands for `original` in every simulation."""
    return make(original)


def _restore() -> None:
    while _originals:
        setattr(*_originals.pop())


def _virtual_clock(name: str, read: Callable[[float], Any]) -> Callable[[Any], Any]:
    def make(original: Callable[[], Any]) -> Callable[[], Any]:
        def clock() -> Any:
            world = _worlds.get(get_ident())
            if world is None:
                return original()
            if world.patch_time:
                return read(world.clock())
            if _caller() in _STAMPERS:
                return original()
            raise SimulationEscape(
                f"time.{name}() is real: use sim.time(), or Simulation(..., patch_time=True)"
            )

        return clock

    return make


def _clock_face(name: str, most: int, stamp: Callable[[float], Any]) -> Callable[[Any], Any]:
    """A function of `time` that shows the present unless it has the last of `most` arguments."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def show(*args: Any) -> Any:
            world = _worlds.get(get_ident())
            if world is None or (len(args) == most and args[-1] is not None):
                return original(*args)
            if world.patch_time:
                return original(*args[: most - 1], stamp(EPOCH + world.clock()))
            if _caller() in _STAMPERS:
                return original(*args)
            raise SimulationEscape(
                f"time.{name}() without a time is real: give it sim.time(), or"
                " Simulation(..., patch_time=True)"
            )

        return show

    return make


def _drawn(method: str, shown: str) -> Callable[[Any], Any]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def draw(*args: Any, **kwargs: Any) -> Any:
            world = _worlds.get(get_ident())
            if world is None:
                return original(*args, **kwargs)
            if world.patch_random:
                return getattr(world.random, method)(*args, **kwargs)
            raise SimulationEscape(
                f"{shown}() is left to real chance: use sim.random.{method}, or"
                " Simulation(..., patch_random=True)"
            )

        return draw

    return make


def _refused(text: str) -> Callable[[Any], Any]:
    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            if get_ident() in _worlds:
                raise SimulationEscape(text)
            return original(*args, **kwargs)

        return refuse

    return make


def _wait(original: Callable[..., Any]) -> Callable[..., Any]:
    # Where gevent has patched `threading` its locks are gevent's, and follow virtual time.
    return original if is_module_patched("threading") else _refused(_WAITS)(original)


def _sleep(original: Callable[[float], None]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        world = _worlds.get(get_ident())
        if world is not None and not world.patch_time and original is not gevent.sleep:
            raise SimulationEscape(
                "time.sleep() is real: use gevent.sleep, or Simulation(..., patch_time=True)"
            )
        (original if world is None else gevent.sleep)(seconds)

    return sleep


def _caller() -> str:
    """The package of whoever called a replacement."""
    name: str = sys._getframe(2).f_globals.get("__name__", "")
    return name.partition(".")[0]


_CLOCKS: dict[str, Callable[[float], Any]] = {
    "time": lambda now: EPOCH + now,
    "time_ns": lambda now: int((EPOCH + now) * 1e9),
    "monotonic": lambda now: now,
    "monotonic_ns": lambda now: int(now * 1e9),
    "perf_counter": lambda now: now,
    "perf_counter_ns": lambda now: int(now * 1e9),
}

_local_time = time.localtime
_FACES: dict[str, tuple[int, Callable[[float], Any]]] = {
    "localtime": (1, lambda now: now),
    "gmtime": (1, lambda now: now),
    "ctime": (1, lambda now: now),
    "asctime": (1, _local_time),
    "strftime": (2, _local_time),
}

_REPLACED: list[tuple[Any, str, Callable[[Any], Any]]] = [
    *((time, name, _virtual_clock(name, read)) for name, read in _CLOCKS.items()),
    *((time, name, _clock_face(name, *face)) for name, face in _FACES.items()),
    *(
        (random, name, _drawn(name, f"random.{name}"))
        for name, value in vars(random).items()
        if getattr(value, "__self__", None) is random._inst
    ),
    (os, "urandom", _drawn("randbytes", "os.urandom")),
    (random, "_urandom", _drawn("randbytes", "os.urandom")),  # what SystemRandom and secrets use
    (time, "sleep", _sleep),
    *(
        (threading, name, _refused(_THREADS))
        for name in ("_start_new_thread", "_start_joinable_thread")
        if hasattr(threading, name)
    ),
    (threading.Condition, "wait", _wait),  # of Event, Semaphore, Barrier and queue.Queue too
    *(
        (signal, name, _refused(_SIGNALS))
        for name in ("signal", "alarm", "setitimer", "raise_signal")
        if hasattr(signal, name)
    ),
]
