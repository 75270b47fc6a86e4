"""The process of one worker of a `NodePool`: a node that lives no longer than its parent.

pool.py starts it with one end of a socket pair, the control channel. Lines of JSON come over it:
first the `Settings`, then [module, qualified name] of each class that may be spawned here. Each is
answered by [subject, error, traceback], the start itself with the subject "". When the channel
closes, the parent is gone, or wants this process to be.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, NamedTuple

import gevent
from gevent.monkey import get_original
from gevent.queue import Queue

from ..actor import Actor
from ..kernel.life import KILL_GRACE
from ..system import ActorSystem

__all__ = ["MAIN_NAMES", "Settings", "abandon_in_children", "lines", "main"]

#: The names of the module that is the program: in the parent, and here, where it does not start it.
MAIN_NAMES = ("__main__", "__mp_main__")

#: True while the parent's program is imported: it must not start itself again.
importing_main = False

_sleep = get_original("time", "sleep")
_start_new_thread = get_original("_thread", "start_new_thread")


class Settings(NamedTuple):
    """What a worker is to be."""

    path: str  #: of its socket
    shutdown: float  #: seconds that its actors have to stop
    argv: list[str]
    main: dict[str, str]  #: the parent's program, as `multiprocessing.spawn.prepare` takes it
    spawnable: list[tuple[str, str]]


def main(name: str, descriptor: int) -> None:
    """Be the worker `name`, with the control channel at `descriptor`, until the parent's end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent decides
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.set_inheritable(descriptor, False)
    os.set_blocking(descriptor, True)
    abandon_in_children(lambda: [descriptor])
    for stream in (sys.stdout, sys.stderr):  # they are everyone's: whole lines, and at once
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)
    _Worker(descriptor).run(name)


def lines(descriptor: int) -> Iterator[bytes]:
    """What comes in at a file descriptor, line by line; blocks the thread."""
    rest = b""
    with suppress(OSError):
        while data := os.read(descriptor, 65_536):
            *whole, rest = (rest + data).split(b"\n")
            yield from whole


def abandon_in_children(descriptors: Any) -> None:
    """Let a child made by `os.fork` hold none of `descriptors()`: a copy would hide our end."""

    def abandon() -> None:
        with open(os.devnull, "rb") as nothing:
            for descriptor in descriptors():
                os.dup2(nothing.fileno(), descriptor, inheritable=False)

    os.register_at_fork(after_in_child=abandon)


class _Worker:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines = lines(descriptor)
        self._orders: Queue[list[str] | None] = Queue()
        self._loop = gevent.get_hub().loop
        self._ready = False
        self._orphaned = False

    def run(self, name: str) -> None:
        first = next(self._lines, None)
        if first is None:
            return
        settings = self._settings = Settings(*json.loads(first))
        sys.argv[:] = settings.argv
        _start_new_thread(self._follow, ())
        try:
            with ActorSystem(name, listen=f"ipc://{settings.path}") as system:
                self._serve(system)
        except BaseException as error:
            self._answer("", error)
            raise
        finally:
            if self._orphaned:
                self._clear()

    def _serve(self, system: ActorSystem) -> None:
        spawnable = system._get_network().spawnable
        for entry in self._settings.spawnable:
            spawnable[".".join(entry)] = self._find(*entry)
        # However it ends, by a signal or by one of its actors: the process ends with it.
        gevent.signal_handler(signal.SIGTERM, self._orders.put, None)
        system._root.rawlink(lambda _: self._orders.put(None))
        self._ready = True
        self._answer("", None)
        while (order := self._orders.get()) is not None:
            subject = ".".join(order)
            try:
                spawnable[subject] = self._find(*order)
            except (Exception, SystemExit) as error:
                self._answer(subject, error)
            else:
                self._answer(subject, None)
        system.shutdown(self._settings.shutdown)

    def _find(self, module: str, name: str) -> type[Actor]:
        """The actor class that the parent names: it is told by no one else."""
        if module in MAIN_NAMES:
            self._import_main()
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not (isinstance(found, type) and issubclass(found, Actor)):
            raise TypeError(f"{module}.{name} is no actor class here, but {found!r}")
        return found

    def _import_main(self) -> None:
        global importing_main
        from multiprocessing import spawn

        importing_main = True
        try:
            spawn.prepare(dict(self._settings.main))
        finally:
            importing_main = False

    def _answer(self, subject: str, error: BaseException | None) -> None:
        content = [subject, None, None]
        if error is not None:
            trace = "".join(traceback.format_exception(error))
            content = [subject, f"{type(error).__name__}: {error}", trace]
        with suppress(OSError):
            os.write(self._descriptor, json.dumps(content).encode() + b"\n")

    # -- on a thread of its own, for the hub may be held by an actor ----------------------------

    def _follow(self) -> None:
        """Pass on what the parent says; when it is gone, see this process end."""
        try:
            for line in self._lines:
                self._loop.run_callback_threadsafe(self._orders.put, json.loads(line))
            self._orphaned = True
            if self._ready:
                self._loop.run_callback_threadsafe(self._orders.put, None)
                _sleep(self._settings.shutdown + 3 * KILL_GRACE)
            self._clear()
        finally:
            os._exit(1)

    def _clear(self) -> None:
        """Remove the socket, and with the last one the folder: perhaps nobody else is left to."""
        path = self._settings.path
        with suppress(OSError):
            os.unlink(path)
        with suppress(OSError):
            os.rmdir(os.path.dirname(path))
