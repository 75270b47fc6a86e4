"""What a test leaves behind: systems with actors, greenlets, sockets, threads.

`Traces` is a picture of what lives now; two of them tell what came and stayed. Used by the pytest
plugin around tests that use its fixtures.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent.hub import Hub
from greenlet import getcurrent, greenlet

from ..kernel import Worker
from ..system import ActorSystem, systems

__all__ = [
    "LEAVE_TIME",
    "Traces",
    "describe_system",
    "end_systems",
    "left_since",
    "running_systems",
]

#: Seconds that what a test has started has to end by itself.
LEAVE_TIME = 1.0

_KINDS = ("systems", "greenlets", "sockets", "threads")


class Traces:
    """Everything that lives now and that a test could leave behind."""

    def __init__(self) -> None:
        self.systems = running_systems()
        self.greenlets: set[greenlet] = set()
        self.sockets: set[Any] = set()
        self.threads = {
            thread
            for thread in threading.enumerate()
            if not isinstance(thread, threading._DummyThread)
        }
        looks: dict[type[Any], Callable[[Any], bool] | None] = {}
        for thing in gc.get_objects():
            kind = type(thing)
            if kind not in looks:
                looks[kind] = _look_for(kind)
            look = looks[kind]
            if look is not None and look(thing):
                (self.greenlets if look is _lives else self.sockets).add(thing)

    def subtract(self, before: Traces) -> bool:
        """Forget what was there before; False when nothing is left."""
        for kind in _KINDS:
            setattr(self, kind, getattr(self, kind) - getattr(before, kind))
        return any(getattr(self, kind) for kind in _KINDS)

    def describe(self) -> str:
        """What it is, a line each."""
        lines = [describe_system(system) for system in self.systems]
        lines += [f"greenlet {_describe_greenlet(left)}" for left in self.greenlets]
        lines += [f"socket {left!r}" for left in self.sockets]
        lines += [f"thread {left.name!r}" for left in self.threads]
        return "\n".join(sorted(lines))

    def end(self) -> None:
        """End what can be ended, so that the next test does not suffer for it."""
        end_systems(self.systems)
        tasks = [left for left in self.greenlets if isinstance(left, gevent.Greenlet)]
        gevent.killall(tasks, timeout=LEAVE_TIME)
        for left in self.sockets:
            with suppress(Exception):
                left.close()


def left_since(before: Traces) -> Traces | None:
    """What has come since `before` and stays though it had time to go; None for nothing."""
    for part in (0.0, 0.02, 0.18, 0.8):
        gevent.sleep(part * LEAVE_TIME)
        rest = Traces()
        if not rest.subtract(before):
            return None
        if part == 0.0:
            del rest  # it must not keep what it looks for
            gc.collect()
    return rest


def running_systems() -> set[ActorSystem]:
    """The systems of this thread that have not shut down."""
    here = threading.get_ident()
    return {
        system for system in systems if not system.terminated and system._dispatcher.thread == here
    }


def end_systems(running: set[ActorSystem]) -> None:
    """Shut systems down that nobody else will."""
    for system in running:
        system.shutdown(timeout=LEAVE_TIME)


def describe_system(system: ActorSystem) -> str:
    """That a system still runs, and with whom."""
    paths = [info.path for info in system.tree() if info.path != "/"]
    shown = ", ".join(paths[:8]) + (", ..." if len(paths) > 8 else "")
    return (
        f"system {system.name!r} still runs with {f'actors {shown}' if paths else 'no actors'}:"
        " leave its `with` block, or shut it down"
    )


def _lives(thing: greenlet) -> bool:
    if thing.dead or thing.parent is None or isinstance(thing, Hub) or thing is getcurrent():
        return False
    if isinstance(thing.parent, Hub) and thing.parent is not gevent.get_hub():
        return False  # of another thread, or of a simulation that is over
    if isinstance(thing, Worker):
        return thing.cell is not None
    return bool(thing)  # a gevent.Greenlet that is about to begin, too


def _look_for(kind: type[Any]) -> Callable[[Any], bool] | None:
    """How to see whether an object of this class is something left; None for most classes."""
    if issubclass(kind, greenlet):
        return _lives
    module = str(kind.__module__)
    if issubclass(kind, socket.socket) or (
        module.startswith(("zmq.", "gevent.")) and kind.__name__ in ("Socket", "socket")
    ):
        return _is_open
    return None


def _is_open(thing: Any) -> bool:
    try:
        return not thing.closed if hasattr(thing, "linger") else bool(thing.fileno() >= 0)
    except Exception:
        return False  # half-made


def _describe_greenlet(left: greenlet) -> str:
    if isinstance(left, Worker):
        return f"of actor {left.cell.path}" if left.cell is not None else "of an actor"
    run = getattr(left, "_run", None)
    text = getattr(run, "__qualname__", None) or type(left).__name__
    frame = left.gr_frame
    while frame is not None and frame.f_back is not None and _is_gevents(frame):
        frame = frame.f_back
    if frame is not None:
        text += f", which waits in {_where(frame)}"
    born = getattr(left, "spawning_stack", None)
    while born is not None and _is_gevents(born):
        born = born.f_back
    return text if born is None else f"{text}, spawned in {_where(born)}"


def _is_gevents(frame: Any) -> bool:
    return f"{os.sep}gevent{os.sep}" in frame.f_code.co_filename


def _where(frame: Any) -> str:
    code = frame.f_code
    return f"{code.co_name} ({os.path.basename(code.co_filename)}:{frame.f_lineno})"
