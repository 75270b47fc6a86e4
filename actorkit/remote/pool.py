"""`NodePool`: worker processes on this host, as nodes on which `spawn(..., on=pool)` starts actors.

Each runs worker.py and is tied to this process by a socket pair, the control channel: over it the
pool names the classes that may be spawned there, and each side learns at once of the other's end.
Actors and messages go over ordinary associations, one for each worker and system that uses it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import gevent
from gevent.event import AsyncResult, Event
from gevent.socket import SHUT_WR, socket, socketpair

from ..actor import Actor
from ..errors import (
    AskTimeout,
    ForkedSystem,
    HandshakeRefused,
    NodeLost,
    NodeUnreachable,
    SystemStopped,
    WrongThread,
)
from ..kernel import Dispatcher
from ..kernel.asking import ASK_TIMEOUT, check_timeout
from ..kernel.life import KILL_GRACE
from ..kernel.twin import get_ident
from ..log import get_logger
from ..ref import ActorRef
from ..supervision import Backoff
from ..system import ActorSystem, check_system_name
from . import worker

if TYPE_CHECKING:
    from .node import Node

__all__ = ["NodePool"]

#: Seconds that a worker process has to get ready.
START_TIME = 30.0
#: Seconds of being up after which the next end of a worker is the first of a series again.
HEALTHY = 10.0
#: Seconds that a process whose control channel has closed has to end.
LAST_BREATH = 1.0

#: A worker's program; its arguments are its name, the descriptor of the channel and our sys.path.
_BOOT = (
    "import sys; _, name, channel, *sys.path = sys.argv;"
    " from actorkit.remote.worker import main; main(name, int(channel))"
)

_BACKOFF = Backoff()

#: The pools of this process by name, until they are closed.
_open: dict[str, NodePool] = {}


class NodePool:
    """Worker processes on this host: restarted when they die, ended with this process::

        if __name__ == "__main__":
            with NodePool(4) as pool, ActorSystem("main") as system:
                workers = [system.spawn(Worker, on=pool) for _ in range(4)]

    An actor goes to the process with the fewest living ones that the pool has placed. Any system of
    this thread may use it. A process that dies takes its actors along: their watchers get
    `Terminated` with `Reason.NODE_LOST`. It is started again after the `backoff`, as a node of the
    same name, without them.

    `processes`: how many, by default one for each core. `name`: the nodes are "pool-1", "pool-2"
    and so on. `spawnable`: classes and modules to import when a process starts; other classes are
    imported when they are first spawned. `shutdown`: seconds that actors there have to stop when
    the pool is closed or this process ends.

    Waits until all are ready; raises NodeUnreachable when one does not start.
    """

    def __init__(
        self,
        processes: int | None = None,
        *,
        name: str = "pool",
        spawnable: Iterable[Any] = (),
        backoff: Backoff = _BACKOFF,
        shutdown: float = 5.0,
    ) -> None:
        _check_possible()
        if processes is None:
            processes = os.cpu_count() or 1
        if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
            raise ValueError(f"processes must be an int >= 1, not {processes!r}")
        if not isinstance(backoff, Backoff):
            raise TypeError(f"backoff must be a Backoff(...), not {backoff!r}")
        check_system_name(name)
        if name in _open:
            raise ValueError(f"a pool named {name!r} is open in this process; pass another name=")
        self.name = name
        self._backoff = backoff
        self._settings = worker.Settings(
            path="",
            shutdown=check_timeout(shutdown),
            argv=sys.argv,
            main=_program(),
            spawnable=_places(spawnable),
        )
        self._dispatcher = Dispatcher.current()
        self._closed = False
        self._turn = 0
        self._systems: WeakSet[ActorSystem] = WeakSet()
        self._folder = _make_folder(processes)
        _open[name] = self
        self._workers = [_Worker(self, number) for number in range(1, processes + 1)]
        try:
            for each in self._workers:
                each.started.get()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> NodePool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._dispatcher.forked:
            self.close()

    @property
    def processes(self) -> int:
        """How many processes it keeps running."""
        return len(self._workers)

    @property
    def names(self) -> list[str]:
        """The names of the nodes."""
        return [each.name for each in self._workers]

    @property
    def addresses(self) -> list[str]:
        """Where the nodes listen, in the order of `names`: for `system.connect`."""
        return [each.address for each in self._workers]

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that are ready now."""
        return [each.process.pid for each in self._workers if each.process and each.is_up()]

    def close(self) -> None:
        """Stop the actors of every process and end it; kill it when its time is over."""
        self._check_thread()
        self._closed = True
        for each in self._workers:
            each.dismiss()
        supervisors = [each.supervisor for each in self._workers]
        try:
            gevent.joinall(supervisors, timeout=self._settings.shutdown + 4 * KILL_GRACE)
        finally:
            for each in self._workers:
                if each.process is not None:
                    each.process.kill()
                    each.process.wait()
            gevent.joinall(supervisors)
            shutil.rmtree(self._folder, ignore_errors=True)
            for system in self._systems:
                for each in self._workers:
                    system._forget_node(each.address)
            if _open.get(self.name) is self:
                del _open[self.name]

    @property
    def _over(self) -> bool:
        """Whether nothing is to be started any more: closed, or the copy in a forked child."""
        return self._closed or self._dispatcher.forked

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self.pids)} of {self.processes} processes up"
        return f"<NodePool {self.name!r}: {state}>"

    # -- placing actors -------------------------------------------------------------------------

    def _spawn(
        self,
        system: ActorSystem,
        cls: type[Actor],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
    ) -> ActorRef[Any]:
        """What `system.spawn(cls, ..., on=self)` does."""
        self._check_open()
        place = _place(cls)
        clock = self._dispatcher.clock
        deadline = clock() + ASK_TIMEOUT
        chosen, node = self._choose(system, deadline)
        try:
            chosen.allow(place, max(0.0, deadline - clock()))
            left = max(0.0, deadline - clock())
            ref = node.start(".".join(place), args, kwargs, options, left)
        except BaseException:
            chosen.actors -= 1
            raise
        ref.rawlink(chosen.actor_ended)
        return ref

    def _choose(self, system: ActorSystem, deadline: float) -> tuple[_Worker, Node]:
        """The worker for the next actor, which is counted there already, and its node."""
        clock = self._dispatcher.clock
        self._systems.add(system)
        while clock() < deadline:
            turn, self._turn = self._turn, (self._turn + 1) % len(self._workers)
            in_turn = self._workers[turn:] + self._workers[:turn]
            candidates = [each for each in in_turn if each.is_up()]
            candidates.sort(key=lambda each: each.actors)
            for left, each in zip(range(len(candidates), 0, -1), candidates, strict=True):
                node = each.connect(system, max(0.0, deadline - clock()) / left)
                if node is not None:
                    return each, node
            ups = [each.up for each in self._workers]
            gevent.wait(ups, timeout=max(0.0, deadline - clock()), count=1)
            self._check_open()
        raise NodeUnreachable(f"no process of {self!r} can be reached; the log says how they ended")

    def _check_open(self) -> None:
        self._check_thread()
        if self._closed:
            raise SystemStopped(f"{self!r} starts no more actors; make a new one")

    def _check_thread(self) -> None:
        if self._dispatcher.forked:
            raise ForkedSystem(
                "this pool belongs to the parent process; make a new NodePool after fork"
            )
        if get_ident() != self._dispatcher.thread:
            raise WrongThread("a pool belongs to the thread that made it; make one for each thread")


class _Worker:
    """One worker of a pool: its present process, and what is known of it here."""

    def __init__(self, pool: NodePool, number: int) -> None:
        self.name = f"{pool.name}-{number}"
        self.path = os.path.join(pool._folder, str(number))
        self.address = f"ipc://{self.path}"
        #: How the first start went.
        self.started: AsyncResult[None] = AsyncResult()
        #: Set while the process is ready.
        self.up = Event()
        #: Living actors that the pool has placed here, and those on their way.
        self.actors = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: socket | None = None
        self._pool = pool
        self._up_since = 0.0
        #: What became of each class that the process was told of.
        self._allowed: dict[str, AsyncResult[None]] = {}
        #: What the process said went wrong with it.
        self._complaint: tuple[str, str] | None = None
        self.supervisor = gevent.spawn(self._supervise)

    def is_up(self) -> bool:
        """Whether the process is ready; looks at it, for its end may not have been heard of yet."""
        if self.up.is_set() and self.process is not None and self.process.poll() is not None:
            self.up.clear()
        return self.up.is_set()

    def connect(self, system: ActorSystem, timeout: float) -> Node | None:
        """Its node, with one more actor counted; None when it cannot be reached."""
        self.actors += 1
        node = None
        try:
            node = system.connect(self.address, timeout)
        except NodeUnreachable:
            pass
        except HandshakeRefused:
            gevent.sleep(0.01)  # a process that ends looks like it; then we are about to hear so
            if self.is_up():
                raise
        finally:
            if node is None:
                self.actors -= 1
        return node

    def allow(self, place: tuple[str, str], timeout: float) -> None:
        """Have the process import a class, if it has not; waits for it at most `timeout` seconds.

        Raises ImportError, with what went wrong there, AskTimeout and NodeLost.
        """
        subject = ".".join(place)
        answer = self._allowed.get(subject)
        if answer is None:
            answer = self._allowed[subject] = AsyncResult()
            self._say(place)
        answer.wait(timeout)
        if not answer.ready():
            raise AskTimeout(
                f"{self.name} has not imported {subject} within {timeout:.1f} s: an actor keeps"
                " its hub, or the import takes long; name it in spawnable= of the pool"
            )
        answer.get()

    def actor_ended(self, ref: ActorRef[Any]) -> None:
        self.actors -= 1

    def dismiss(self) -> None:
        """Have the process end, and its supervisor with it."""
        if self.channel is None:
            self.supervisor.kill(block=False)
        else:
            with suppress(OSError):
                self.channel.shutdown(SHUT_WR)

    # -- the greenlet that looks after it -------------------------------------------------------

    def _supervise(self) -> None:
        """Keep a process running until the pool is closed."""
        pool = self._pool
        log = get_logger(pool=pool.name, node=self.name)
        series = 0
        while True:
            reason, trace = self._run()
            if pool._over:
                return
            if not self.started.ready():
                failure = NodeUnreachable(f"the worker process {self.name} did not start: {reason}")
                if trace:
                    failure.add_note(f"raised there:\n{trace}")
                self.started.set_exception(failure)
                return
            lived = pool._dispatcher.clock() - self._up_since
            series = 1 if self._up_since and lived >= HEALTHY else series + 1
            delay = pool._backoff.delay(series, pool._dispatcher.random())
            log.warning("worker process ended", reason=reason, restart_in=round(delay, 3))
            gevent.sleep(delay)
            if pool._over:
                return

    def _run(self) -> tuple[str, str]:
        """Start a process and listen to it until it ends; returns why, and its traceback if any."""
        here, there = socketpair()
        try:
            process = self._start(there.fileno())
        except Exception as error:
            here.close()
            return f"it could not be started: {error}", ""
        finally:
            there.close()
        self.channel = here
        self._complaint = None
        self._up_since = 0.0
        limit = self._pool._dispatcher.timers.after(START_TIME, self._give_up)
        with here, here.makefile("rb") as stream, suppress(OSError):
            self._say(self._pool._settings._replace(path=self.path))
            for line in stream:
                subject, why, trace = json.loads(line)
                if subject:
                    self._answered(subject, why, trace)
                elif why:
                    self._complaint = (why, trace)
                else:
                    limit.cancel()
                    self._is_ready()
        limit.cancel()
        self.channel = None
        self.up.clear()
        if self._pool._dispatcher.forked:
            return "", ""  # a copy of this greenlet in a child: the process is not its own
        status = self._bury(process)
        reason, trace = self._complaint or ("", "")
        reason = f"{reason} ({status})" if reason else status
        lost = NodeLost(f"the worker process {self.name} ended: {reason}")
        asked, self._allowed = self._allowed, {}
        for answer in asked.values():
            if not answer.ready():
                answer.set_exception(lost)
        return reason, trace

    def _start(self, channel: int) -> subprocess.Popen[bytes]:
        """A new process, with its end of the channel."""
        command = [sys.executable, "-c", _BOOT, self.name, str(channel), *map(str, sys.path)]
        # It begins with our mask: a SIGINT of the terminal waits until it knows to ignore it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[channel])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # may raise KeyboardInterrupt
        return self.process

    def _say(self, content: Any) -> None:
        if self.channel is not None:
            with suppress(OSError):  # it has ended, and its supervisor is about to hear it
                self.channel.sendall(json.dumps(content).encode() + b"\n")

    def _is_ready(self) -> None:
        self._up_since = self._pool._dispatcher.clock()
        self.up.set()
        if self.started.ready():
            get_logger(pool=self._pool.name, node=self.name).info("worker process restarted")
        else:
            self.started.set(None)

    def _answered(self, subject: str, why: str | None, trace: str) -> None:
        if why is None:
            self._allowed[subject].set(None)
            return
        failure = ImportError(
            f"{self.name} cannot import {subject}: {why}; a worker process imports a class by its"
            " module and name"
        )
        failure.add_note(f"raised there:\n{trace}")
        self._allowed.pop(subject).set_exception(failure)

    def _give_up(self) -> None:
        assert self.process is not None
        self._complaint = (f"it was not ready within {START_TIME:g} s", "")
        self.process.kill()

    def _bury(self, process: subprocess.Popen[bytes]) -> str:
        """See the process end, and say how it did."""
        clock = self._pool._dispatcher.clock
        deadline = clock() + LAST_BREATH
        while process.poll() is None and clock() < deadline:
            gevent.sleep(0.005)
        process.kill()
        status = process.wait()
        return f"killed by signal {-status}" if status < 0 else f"exit status {status}"


def _check_possible() -> None:
    if sys.platform == "win32":
        raise NotImplementedError(
            "NodePool needs Unix sockets; start nodes with `actorkit node` instead"
        )
    if worker.importing_main:
        raise RuntimeError(
            "a worker process is importing the program's main module: put what starts the program"
            ' there below `if __name__ == "__main__":`'
        )


def _make_folder(processes: int) -> str:
    """A folder for the sockets, which only this user can enter."""
    import zmq

    folder = tempfile.mkdtemp(prefix="actorkit-")
    longest = len(os.fsencode(os.path.join(folder, str(processes))))
    if longest > zmq.IPC_PATH_MAX_LEN:
        os.rmdir(folder)
        raise ValueError(
            f"a socket in {folder} would have a path of {longest} bytes, and {zmq.IPC_PATH_MAX_LEN}"
            " is the most that there may be: set TMPDIR to a shorter path"
        )
    return folder


def _program() -> dict[str, str]:
    """Where the main module is from, as `multiprocessing.spawn.prepare` takes it; may be empty."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return {"init_main_from_name": spec.name}
    path = getattr(main, "__file__", None)
    return {} if path is None else {"init_main_from_path": os.path.abspath(path)}


def _places(entries: Iterable[Any]) -> list[tuple[str, str]]:
    """Where to find each class of `spawnable=`."""
    from .node import _spawnable

    return [_place(cls) for _, cls in _spawnable(entries)]


def _place(cls: Any) -> tuple[str, str]:
    """The module and the name under which a worker process finds `cls`."""
    if not (isinstance(cls, type) and issubclass(cls, Actor)):
        raise TypeError(f"a pool starts subclasses of Actor, not {cls!r}")
    if "<locals>" in cls.__qualname__:
        why = "it is defined in a function"
    elif cls.__module__ in worker.MAIN_NAMES and not _program():
        why = "the main module is not a file"
    else:
        return cls.__module__, cls.__qualname__
    raise ImportError(
        f"a worker process cannot import {cls.__module__}.{cls.__qualname__}: {why}; define the"
        " class at the top of a module"
    )


def _inherited() -> list[int]:
    """What a forked child has of our channels; the pools are no longer its own."""
    workers = [each for pool in _open.values() for each in pool._workers]
    _open.clear()
    return [each.channel.fileno() for each in workers if each.channel is not None]


worker.abandon_in_children(_inherited)
