"""Processes that explore: forked, so that any function can be tested, and silent.

`Children(jobs)` runs each job in a process of its own; what a job sends comes out of the iteration
as dicts. Knows nothing of actors; used by the exploration.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog
from gevent.monkey import get_original

from .errors import SimulationError

__all__ = ["Children", "Job"]

_fork = get_original("os", "fork")
_waitpid = get_original("os", "waitpid")

Send = Callable[[dict[str, Any]], None]
Job = Callable[[Send], None]


class Children:
    """The processes, and what they send: an iteration of (number of the job, message)."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._pids: dict[int, int] = {}
        self._pipes: dict[int, int] = {}
        for number, job in enumerate(jobs):
            self._start(number, job)

    def _start(self, number: int, job: Job) -> None:
        reads, writes = os.pipe()
        with warnings.catch_warnings():
            # Other threads' locks do not matter: the child runs simulations, and then is gone.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = _fork()
        if pid == 0:
            os.close(reads)
            _run(job, writes)
        os.close(writes)
        self._pids[number] = pid
        self._pipes[number] = reads

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        texts = dict.fromkeys(self._pipes, b"")
        try:
            with selectors.PollSelector() as selector:
                for number, pipe in self._pipes.items():
                    selector.register(pipe, selectors.EVENT_READ, number)
                while self._pipes:
                    for key, _ in selector.select():
                        number = key.data
                        if number not in self._pipes:
                            continue
                        chunk = os.read(key.fd, 1 << 16)
                        if not chunk:
                            selector.unregister(key.fd)
                            self._ended(number)
                            continue
                        *lines, texts[number] = (texts[number] + chunk).split(b"\n")
                        for line in lines:
                            message = json.loads(line)
                            if "harness" in message:
                                raise SimulationError(
                                    f"the exploration itself failed:\n{message['harness']}"
                                )
                            yield number, message
        finally:
            self.end()

    def kill(self, number: int) -> None:
        """End a process; nothing of it is of interest any more."""
        if number in self._pids:
            with suppress(ProcessLookupError):
                os.kill(self._pids[number], signal.SIGKILL)

    def end(self) -> None:
        """End all of them."""
        for number in list(self._pids):
            self.kill(number)
            self._ended(number, killed=True)

    def _ended(self, number: int, killed: bool = False) -> None:
        os.close(self._pipes.pop(number))
        _, status = _waitpid(self._pids.pop(number), 0)
        if status and not killed and os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise SimulationError(
                f"a process of the exploration died with status {os.waitstatus_to_exitcode(status)}"
            )


def _run(job: Job, pipe: int) -> NoReturn:
    """The life of a child."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        structlog.configure(processors=[_drop])  # rendering takes longer than what it is about
        gc.freeze()

        def send(message: dict[str, Any]) -> None:
            line = json.dumps(message).encode() + b"\n"
            while line:
                line = line[os.write(pipe, line) :]

        try:
            job(send)
        except BaseException:
            send({"harness": traceback.format_exc()})
        status = 0
    finally:
        os._exit(status)


def _drop(*event: Any) -> NoReturn:
    raise structlog.DropEvent
