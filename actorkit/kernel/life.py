"""The life of one actor beyond its messages: start, children, failure, restart, stop, watchers.

Made by a `Cell` on first need. Each step that runs user code (`on_start`, `on_stop`, a new
instance, `on_child_failure`) is a *signal*: a function in `signals` that runs as a turn of the
actor, ahead of its messages and never beside them. Everything else here is bookkeeping that does
not block, done by whoever causes it. So a parent that is busy does not hold up the restart of its
children, unless it wants to judge their failures itself.

    STARTING -> RUNNING -> FAILED -> RESTARTING -> RUNNING ...
        any of them -> STOPPING -> STOPPED

Uses the dispatcher, the cell, supervision (pure) and events. Used by actor, ref and system.
"""

from __future__ import annotations

import traceback
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from gevent import Greenlet, GreenletExit
from gevent.queue import Empty
from greenlet import getcurrent

from ..errors import (
    ActorError,
    ActorExit,
    ActorStopped,
    LinkedActorDied,
    NameTaken,
    NotInActor,
    Refused,
    ReplyDropped,
    SystemStopped,
)
from ..events import ActorFailed, ActorRestarted, ActorStarted
from ..log import get_logger
from ..messages import Call, IdleTimeout, Reason, Terminated
from ..supervision import Action, Directive, History, OneForOne, Strategy, decide
from ..timers import Timer
from .cell import RUNNING, STOPPED, Cell, Host, Spec, State
from .dispatcher import STRIDE, Dispatcher, Worker
from .envelope import EMPTY, Envelope, Waiter
from .inbox import Box, payload
from .sender import check_timeout

__all__ = ["KILL_GRACE", "Life", "spawn"]

#: Seconds that a killed actor has for its `finally` blocks and `on_stop` before it is abandoned.
KILL_GRACE = 1.0

ABNORMAL = (Reason.FAILED, Reason.KILLED, Reason.NODE_LOST)

_uids = count(1)


def spawn(
    host: Host,
    dispatcher: Dispatcher,
    parent: Cell,
    spec: Spec,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str | None,
) -> Cell:
    """Make an actor below `parent`. Its constructor runs here, its `on_start` as its first turn.

    Raises NameTaken, SystemStopped, and whatever the constructor raises.
    """
    dispatcher.check_thread()
    if host.stopping or parent.state is STOPPED:
        raise SystemStopped(f"cannot start {spec.cls.__name__}: {host.name!r} is shutting down")
    siblings = parent.get_life().children
    uid = next(_uids)
    key: str | int = uid
    if name is not None:
        if name in siblings:
            raise NameTaken(f"{siblings[name].path} is alive; stop it first or choose another name")
        key = name
    cell = Cell(host, dispatcher, parent, spec, key, uid, args, kwargs or None)
    siblings[key] = cell
    box = None if spec.inbox.plain else Box(spec.inbox)
    if box is not None:
        cell.box = box
        cell.get_life()
    try:
        make_instance(cell)
    except BaseException:
        cell.state = STOPPED
        siblings.pop(key, None)
        if cell.life is not None:
            for child in reversed(list(cell.life.children.values())):
                child.get_life().order_stop(Reason.SHUTDOWN)
        cell.flush()
        cell.ref = None
        raise
    events = host.events
    if events.wants(ActorStarted):
        events.publish(ActorStarted(cell.ref))
    if spec.on_start or spec.dedicated:
        cell.get_life().begin()
    else:
        cell.state = RUNNING
        life = cell.life
        if life is not None:
            life.settle()
        else:
            cell.handler = spec.receive
            queue = cell.queue
            if queue is None:
                cell.idle = True
            else:
                cell.first = queue.popleft()
                dispatcher.schedule(cell)
    return cell


def make_instance(cell: Cell) -> None:
    """Construct the actor's object; `_cell` is there before `__init__` runs."""
    cls = cell.spec.cls
    kwargs = cell.kwargs
    if kwargs is None:
        instance = cls.__new__(cls, *cell.args)
        instance._cell = cell
        cell.instance = instance
        instance.__init__(*cell.args)
    else:
        instance = cls.__new__(cls, *cell.args, **kwargs)
        instance._cell = cell
        cell.instance = instance
        instance.__init__(*cell.args, **kwargs)


class Life:
    """Everything about a cell that most cells never need."""

    __slots__ = (
        "_clock_timer",
        "_halted",
        "_idle_after",
        "_idle_timer",
        "_skipped",
        "_stale",
        "_to_stop",
        "_touched",
        "behaviour",
        "behaviours",
        "cell",
        "children",
        "deferred",
        "ending_within",
        "error",
        "front",
        "getter",
        "held",
        "history",
        "links",
        "observers",
        "order",
        "owner",
        "reason",
        "regroup",
        "restarts",
        "signals",
        "stash",
        "tasks",
        "timers",
        "value",
        "watchers",
        "watching",
        "when_childless",
    )

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        cell.life = self
        #: Functions to run as turns of the actor, ahead of its messages.
        self.signals: list[Callable[[], None]] = []
        #: True while the cell is in nobody's hands and not idle: the next signal schedules it.
        self.held = False
        #: System messages (Terminated) that go ahead of user messages.
        self.front: list[Any] = []
        self.behaviour: Callable[[Any, Any], Any] = cell.spec.receive
        self.behaviours: list[Callable[[Any, Any], Any]] = []
        self.stash: list[Any] = []
        self.children: dict[str | int, Cell] = {}
        self.when_childless: Callable[[], None] | None = None
        self.watchers: dict[Any, None] = {}
        self.watching: dict[Any, None] = {}
        self.links: dict[Any, None] = {}
        self.observers: list[Callable[[Any], Any]] = []
        self.timers: dict[Any, ActorTimer] = {}
        self.tasks: dict[Greenlet, None] = {}
        #: True once its end has a time limit.
        self.ending_within = False
        self._to_stop: list[Cell] = []
        self.deferred: weakref.WeakSet[Any] | None = None
        self.history = History()
        self.restarts = 0
        self.regroup: Regroup | None = None
        #: The end that was ordered: reason and error.
        self.order: tuple[Reason, BaseException | None] | None = None
        self.owner: OwnWorker | None = None
        self.getter: Waiter | None = None
        self.reason: Reason | None = None
        self.error: BaseException | None = None
        self.value: Any = None
        self._halted: Callable[[], None] | None = None
        self._clock_timer: Timer | None = None
        self._idle_after: float | None = None
        self._idle_timer: Timer | None = None
        self._touched = 0.0
        #: Messages that a selective `inbox.get` has passed over and not yet put back.
        self._skipped: list[Any] = []
        self._stale = 0
        if cell.state is RUNNING and cell.handler is None:
            # Told to stop while it had no life, and has not got to it.
            self.order = (Reason.NORMAL, None)
            self.signals.append(self._stop)

    # -- turns ----------------------------------------------------------------------------------

    def signal(self, function: Callable[[], None]) -> None:
        """Run `function` as the actor's next turn."""
        cell = self.cell
        self.signals.append(function)
        cell.handler = None
        if cell.idle:
            cell.idle = False
            cell.dispatcher.schedule(cell)
        elif self.held:
            self.held = False
            cell.dispatcher.schedule(cell)

    def mail(self) -> None:
        """Something came into the box or to the front: have it handled."""
        cell = self.cell
        if cell.idle:
            cell.handler = None
            cell.idle = False
            cell.dispatcher.schedule(cell)
        elif self.held and cell.state is RUNNING:
            self.held = False
            cell.dispatcher.schedule(cell)
        elif self.front:
            cell.handler = None

    def turn(self, worker: Worker) -> None:
        """Run on a worker that has taken the cell from the ready deque."""
        if self._stale:
            self._stale -= 1
            return
        getter = self.getter
        if getter is not None:
            self.getter = None
            getter.step(worker)
        elif self.owner is not None:
            worker.dispatcher.hand_to(worker, self.owner)
        else:
            self.run_turn(worker)

    def run_turn(self, worker: Worker) -> None:
        """Signals first, then messages, until there are none or others should have their turn."""
        cell = self.cell
        worker.cell = cell
        dispatcher = cell.dispatcher
        for _ in range(STRIDE):
            if self.signals:
                self.signals.pop(0)()
            elif cell.state is RUNNING and cell.handler is None:
                message = self._take()
                if message is EMPTY:
                    break
                if self._idle_after is not None:
                    self._touched = dispatcher.clock()
                if not worker.handle(cell, self.behaviour, message):
                    break
                if not self._slow:
                    break
            else:
                break
            if dispatcher.active is not worker:
                break
        if dispatcher.active is not worker:
            cell.worker = None
        self.settle()

    @property
    def _slow(self) -> bool:
        """Whether every message needs the long way through `run_turn`."""
        return self.cell.box is not None or self.owner is not None or self._idle_after is not None

    def settle(self) -> None:
        """After a turn: put the cell where it belongs, the ready deque, idle or held."""
        cell = self.cell
        if self.signals:
            cell.handler = None
            cell.dispatcher.schedule(cell)
        elif cell.state is not RUNNING:
            cell.handler = None
            self.held = True
        elif self.front or self._slow:
            cell.handler = None
            if self.front or cell.first is not EMPTY or cell.queue or cell.box:
                cell.dispatcher.schedule(cell)
            elif cell.box is None:
                cell.idle = True
            else:
                self.held = True
        else:
            cell.handler = self.behaviour
            if cell.first is EMPTY:
                if not cell.queue:
                    cell.queue = None
                    cell.idle = True
                    return
                cell.first = cell.queue.popleft()
            cell.dispatcher.schedule(cell)

    def _take(self) -> Any:
        """The next message, system messages first, or EMPTY."""
        cell = self.cell
        if self.front:
            return self.front.pop(0)
        if cell.box is not None:
            return cell.box.take()
        first = cell.first
        if first is not EMPTY:
            cell.first = EMPTY
            return first
        return cell.queue.popleft() if cell.queue else EMPTY

    # -- reading the inbox oneself --------------------------------------------------------------

    def next_message(
        self, match: Any, block: bool, timeout: float | None, peek: bool = False
    ) -> Any:
        """`inbox.get` and `inbox.peek`, in the actor's own turn."""
        cell = self.cell
        worker = own_worker(cell)
        timers = cell.dispatcher.timers
        matches = _matcher(match)
        deadline = None if timeout is None else timers.clock() + check_timeout(timeout)
        if not peek:
            self.close_question(worker)
        timer: Timer | None = None
        try:
            while True:
                while self.signals and not self._leaving:
                    self.signals.pop(0)()
                if self._leaving:
                    raise ActorExit(f"{cell.path} was told to stop")
                message = self._peek() if peek else self._take_matching(matches)
                if message is not EMPTY:
                    if not peek:
                        message = self._open(worker, message)
                    elif type(message) is Envelope:
                        message = message.message
                    if message is not EMPTY:
                        return message
                elif not block or (deadline is not None and timers.clock() >= deadline):
                    raise Empty
                else:
                    if deadline is not None and timer is None:
                        timer = timers.at(deadline, self._wake_getter)
                    self._await_mail(Waiter())
        finally:
            if timer is not None:
                timer.cancel()
            if self._skipped:
                skipped, self._skipped = self._skipped, []
                self.put_back(skipped)

    @property
    def _leaving(self) -> bool:
        return self.order is not None or self._halted is not None

    def _take_matching(self, matches: Callable[[Any], bool] | None) -> Any:
        """The next message that matches; what does not is kept aside until `get` returns."""
        if matches is None:
            return self._take()
        for index, message in enumerate(self.front):
            if matches(message):
                return self.front.pop(index)
        cell = self.cell
        if cell.box is not None:
            return cell.box.take(matches)
        front, self.front = self.front, []
        try:
            while (message := self._take()) is not EMPTY:
                if matches(message):
                    return message
                self._skipped.append(message)
        finally:
            self.front = front
        return EMPTY

    def _wake_getter(self) -> None:
        """Let the greenlet that waits in `inbox.get` look again."""
        if self.getter is not None and (self.cell.idle or self.held):
            self.cell.idle = self.held = False
            self.cell.dispatcher.schedule(self.cell)

    def _await_mail(self, waiter: Waiter) -> None:
        cell = self.cell
        cell.handler = None
        self.getter = waiter
        if cell.box is None:
            cell.queue = None
            cell.idle = True
        else:
            self.held = True
        try:
            cell.dispatcher.suspend(waiter)
        except BaseException:
            if self.getter is waiter and not (cell.idle or self.held):
                self._stale += 1  # the cell stands in the ready deque for nothing
            raise
        finally:
            self.getter = None
            cell.idle = self.held = False

    def _peek(self) -> Any:
        cell = self.cell
        if self.front:
            return self.front[0]
        if cell.first is not EMPTY:
            return cell.first
        if cell.box is not None:
            return cell.box.peek()
        return cell.queue[0] if cell.queue else EMPTY

    def _open(self, worker: Worker, message: Any) -> Any:
        """The message for `get` to return, EMPTY when it was dealt with here."""
        self.cell.handled += 1
        self._touched = self.cell.dispatcher.clock()
        if type(message) is not Envelope:
            return message
        if message.gate is not None and not message.gate():
            return EMPTY
        if type(message.message) is not Call:
            worker.envelope = message
            return message.message
        try:
            message.deliver(worker, self.behaviour, self.cell.instance)
        except Refused as error:
            worker.envelope = None
            message.fail(error)
        except Exception as error:
            worker.envelope = None
            message.fail(self.noted(error))
            raise
        return EMPTY

    def close_question(self, worker: Worker) -> None:
        """A question taken from the inbox and neither answered nor deferred is lost by now."""
        envelope = worker.envelope
        if envelope is not None:
            worker.envelope = None
            if not envelope.passed and not envelope.done:
                envelope.fail(
                    ReplyDropped(f"{self.cell.path} read this question and did not answer it")
                )

    # -- start ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first turn: `on_start`, and `run` in the process style."""
        cell = self.cell
        if cell.spec.dedicated:
            self.owner = OwnWorker(cell.dispatcher, self)
        self.signals.append(self._start)
        cell.dispatcher.schedule(cell)

    def _start(self) -> None:
        cell = self.cell
        if cell.state is not State.STARTING or self.order is not None:
            return
        if cell.spec.on_start and not self._call(cell.instance.on_start):
            return
        if cell.state is State.STARTING:
            cell.state = RUNNING
        if cell.spec.process:
            self._run_process()

    def _run_process(self) -> None:
        cell = self.cell
        worker = own_worker(cell)
        instance = cell.instance
        try:
            self.value = instance.run()
        except BaseException as error:
            self.close_question(worker)
            self.failed(error, None)
        else:
            self.close_question(worker)
            self.end_itself()

    def _call(self, hook: Callable[..., Any], *args: Any) -> bool:
        """Run a hook in the actor's turn; its failure is the actor's. False when it failed."""
        try:
            hook(*args)
        except BaseException as error:
            self.failed(error, None)
            return False
        finally:
            self._clean()
        return True

    def _clean(self) -> None:
        worker = getcurrent()
        if isinstance(worker, Worker) and not self.cell.spec.dedicated:
            worker.clean(EMPTY)
            if worker.gr_context is not None:
                worker.gr_context = None

    # -- failure --------------------------------------------------------------------------------

    def failed(self, error: BaseException, envelope: Envelope | None) -> None:
        """User code raised `error` in a turn, while answering `envelope` if there is one."""
        cell = self.cell
        hub = cell.dispatcher.hub
        if isinstance(error, hub.SYSTEM_ERROR):
            # The program ends, and not this actor: the main greenlet gets it, as with gevent.
            cell.dispatcher.loop.run_callback(hub.handle_system_error, type(error), error)
            if envelope is not None:
                envelope.fail(cell.stopped_error())
        elif isinstance(error, Refused):
            if envelope is None or envelope.cell is None:
                self.get_log().info("refused with nobody to tell", error=str(error))
            else:
                envelope.fail(error)
        elif isinstance(error, GreenletExit):
            if envelope is not None:
                envelope.fail(cell.stopped_error())
            if self.order is None and self._halted is None:
                self.end_itself()
        else:
            self.noted(error)
            if envelope is not None:
                envelope.fail(error)
            self.fail(error)

    def noted(self, error: BaseException) -> BaseException:
        note = f"raised in actor {self.cell.path}"
        if note not in getattr(error, "__notes__", ()):
            with suppress(AttributeError, TypeError):
                error.add_note(note)
        return error

    def fail(self, error: BaseException) -> None:
        """The actor has failed: stop handling messages and have its supervisor decide."""
        cell = self.cell
        if cell.state in (State.STOPPING, STOPPED):
            return
        events = cell.host.events
        if events.wants(ActorFailed):
            events.publish(ActorFailed(cell.ref, error))
        self.get_log().error("actor failed", exc_info=error)
        if self.order is not None:
            if self.order[0] is not Reason.KILLED:
                self.order = (Reason.FAILED, error)
        elif self._halted is None:
            cell.state = State.FAILED
            cell.handler = None
            supervise(cell, error)

    def fail_soon(self, error: BaseException) -> None:
        """Fail as a turn of its own, after the current one."""

        def fail() -> None:
            if self.cell.state is RUNNING:
                self.fail(error)

        self.signal(fail)

    def resume(self) -> None:
        """Go on with the next message as if nothing had happened."""
        cell = self.cell
        if cell.state is State.FAILED:
            cell.state = State.RUNNING
            if cell.spec.process:
                self.signal(self._run_process)
            elif self.held:
                self.held = False
                self.settle()

    # -- end ------------------------------------------------------------------------------------

    def end_itself(self) -> None:
        """The actor's own normal end: `self.stop()`, or the end of `run`."""
        cell = self.cell
        if self.order is not None or cell.state in (State.STOPPING, STOPPED):
            return
        if cell.spec.restart == "permanent":
            cell.state = State.FAILED
            cell.handler = None
            supervise(cell, None)
        else:
            self.order_stop(Reason.NORMAL)

    def order_stop(
        self, reason: Reason, error: BaseException | None = None, within: float | None = None
    ) -> None:
        """End for good after the current turn; killed if that is not done `within` seconds."""
        cell = self.cell
        if cell.state is STOPPED:
            return
        if self.order is None:
            self.order = (reason, error)
            self.signal(self._stop)
        if within is not None:
            self.ending_within = True
            self._start_clock(within, self.kill)

    def order_stop_when_drained(self) -> None:
        """Stop after the messages that are in the inbox now."""

        def stop() -> bool:
            self.order_stop(Reason.NORMAL)
            return False

        self.cell.put(Envelope(EMPTY, None, gate=stop))

    def kill(self) -> None:
        """End for good, interrupting the actor wherever it is blocked."""
        cell = self.cell
        if cell.state is STOPPED:
            return
        stopping = cell.state is State.STOPPING
        self.order = (Reason.KILLED, None)
        self.ending_within = True
        self._start_clock(KILL_GRACE, self._abandon)
        if not stopping:
            self.signal(self._stop)
        cell.dispatcher.loop.run_callback(self.interrupt)

    def interrupt(self) -> None:
        """Throw the actor out of whatever it waits for; runs in the hub."""
        worker = self.running_worker()
        if worker is not None:
            worker.throw(ActorExit(f"{self.cell.path} was killed"))

    def running_worker(self) -> Worker | None:
        """The worker that is blocked in this actor's turn."""
        cell = self.cell
        if cell.worker is not None:
            return cell.worker
        active = cell.dispatcher.active
        if active is not None and active.cell is cell and active is not getcurrent():
            return active
        return None

    def _stop(self) -> None:
        cell = self.cell
        if cell.state in (State.STOPPING, STOPPED):
            return
        cell.state = State.STOPPING
        self._end_activities()
        halted, self._halted = self._halted, None
        if halted is not None:
            halted()
        self.stop_children(lambda: self.signal(self._finish))

    def _finish(self) -> None:
        self._say_goodbye(self.order[0])  # type: ignore[index]
        self.finish(*self.order)  # type: ignore[misc]

    def _say_goodbye(self, reason: Reason) -> None:
        """Run `on_stop`; an error in it is logged and changes nothing."""
        instance = self.cell.instance
        if instance is None or not self.cell.spec.on_stop:
            return
        try:
            instance.on_stop(reason)
        except GreenletExit:
            pass
        except self.cell.dispatcher.hub.SYSTEM_ERROR as error:
            self.failed(error, None)
        except BaseException:
            self.get_log().exception("on_stop failed")
        finally:
            self._clean()

    def _abandon(self) -> None:
        """The killed actor has not ended in its time."""
        cell = self.cell
        if cell.state is STOPPED:
            return
        if self.running_worker() is not None:
            self.get_log().error("killed actor does not end; abandoned", grace=KILL_GRACE)
            self.abandon_tree()
        elif self.children:
            for child in list(self.children.values()):
                child.get_life().kill()
            self._start_clock(KILL_GRACE, self._abandon)

    def finish(self, reason: Reason, error: BaseException | None) -> None:
        """The last transition: settle everything with everyone, in an order that loses nothing."""
        cell = self.cell
        cell.state = STOPPED
        cell.handler = None
        cell.idle = False
        self.reason = reason
        self.error = error
        self._stop_clock()
        self.signals.clear()
        host = cell.host
        if cell.parent is not None:
            siblings = cell.parent.get_life()
            if siblings.children.get(cell.key) is cell:
                del siblings.children[cell.key]
        cell.instance = None
        for message in self.stash:
            cell.dead_letter(message)
        self.stash.clear()
        self.front.clear()
        cell.flush()
        if host.events.wants(ActorStopped):
            host.events.publish(
                ActorStopped(f"{cell.path} ended", ref=cell.ref, reason=reason, error=error)
            )
        terminated = Terminated(cell.ref, reason, error)
        for watcher in self.watchers:
            watcher.terminated(terminated)
        self.watchers.clear()
        for watched in self.watching:
            watched._remove_watcher(self)
        self.watching.clear()
        for linked in self.links:
            linked._linked_ended(cell.ref, reason, error)
        self.links.clear()
        for observer in self.observers:
            cell.dispatcher.loop.run_callback(observer, cell.ref)
        self.observers.clear()
        cell.ref = None
        if self.regroup is not None:
            self.regroup.member_ended(cell)
        if cell.parent is not None:
            parent = cell.parent.get_life()
            if parent.when_childless is not None:
                parent.child_gone()

    def _end_activities(self) -> None:
        """Timers, tasks, the idle timeout and changed behaviour end with the instance."""
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()
        self.set_idle_timeout(None)
        tasks = list(self.tasks)
        self.tasks.clear()
        for task in tasks:
            task.kill(block=False)
        self.behaviours.clear()
        self.behaviour = self.cell.spec.receive

    def _start_clock(self, seconds: float, action: Callable[[], None]) -> None:
        self._stop_clock()
        self._clock_timer = self.cell.dispatcher.timers.after(seconds, action)

    def _stop_clock(self) -> None:
        if self._clock_timer is not None:
            self._clock_timer.cancel()
            self._clock_timer = None

    def kill_tree(self) -> None:
        """Kill everything below, and then this."""
        for child in reversed(list(self.children.values())):
            child.get_life().kill_tree()
        self.kill()

    def abandon_tree(self) -> None:
        """End everything here and now, without waiting for anybody's code."""
        self.order = (Reason.KILLED, None)
        for child in reversed(list(self.children.values())):
            child.get_life().abandon_tree()
        if self.cell.state is not STOPPED:
            self.finish(Reason.KILLED, None)

    # -- children -------------------------------------------------------------------------------

    def stop_children(self, then: Callable[[], None]) -> None:
        """Stop them one after the other, the last started first; call `then` when none is left.

        Every child that is blocked in a turn now has its shutdown time from now on, not from when
        the row comes to it: a thousand blocked siblings end together.
        """
        if not self.children:
            then()
            return
        self.when_childless = then
        self._hurry_blocked()
        self._to_stop = list(self.children.values())
        self.child_gone()

    def child_gone(self) -> None:
        """A child ended while all are to end: stop the next, or be done."""
        then = self.when_childless
        if then is None:
            return
        self.when_childless = None  # ends of children below must not come back in here
        to_stop = self._to_stop
        while to_stop or self.children:
            if not to_stop:
                to_stop.extend(self.children.values())  # started meanwhile
            child = to_stop[-1]
            if child.state is STOPPED:
                to_stop.pop()
            elif child.idle and child.life is None and child.spec.ordered_plainly:
                to_stop.pop()
                child.end(Reason.SHUTDOWN)
            else:
                self.when_childless = then
                life = child.get_life()
                if not life.ending_within:
                    life.order_stop(Reason.SHUTDOWN, within=child.spec.shutdown)
                return
        then()

    def _hurry_blocked(self) -> None:
        for child in self.children.values():
            worker = child.worker
            if worker is not None:
                life = child.get_life()
                life._kill_if_still_in(worker, child.handled, child.spec.shutdown)
            if child.life is not None:
                child.life._hurry_blocked()

    def _kill_if_still_in(self, worker: Worker, handled: int, seconds: float) -> None:
        cell = self.cell

        def check() -> None:
            if cell.worker is worker and cell.handled == handled and self.getter is None:
                self.kill()

        cell.dispatcher.timers.after(seconds, check)

    # -- restart --------------------------------------------------------------------------------

    def halt(self, reason: Reason, then: Callable[[], None]) -> None:
        """End the instance, but not the actor: the first half of a restart."""
        cell = self.cell
        if cell.state in (State.STOPPING, STOPPED):
            then()
            return
        self._halted = then
        self._start_clock(cell.spec.shutdown, self.interrupt)

        def halt() -> None:
            if self._halted is None:
                return
            cell.state = State.RESTARTING
            self._end_activities()
            self.stop_children(lambda: self.signal(lambda: self._halt_done(reason)))

        self.signal(halt)

    def _halt_done(self, reason: Reason) -> None:
        then = self._halted
        cell = self.cell
        if then is None or cell.state is not State.RESTARTING:
            return
        self._say_goodbye(reason)
        self._stop_clock()
        if self.stash:
            self.put_back(self.stash)
            self.stash = []
        self._drop_instance()
        self._halted = None
        then()

    def _drop_instance(self) -> None:
        """Let go of the instance, and of questions that only it could have answered."""
        cell = self.cell
        instance = cell.instance
        cell.instance = None
        if self.deferred:
            if self.error is not None and self.error.__traceback__ is not None:
                traceback.clear_frames(self.error.__traceback__)
            # Break circles through the dead instance: what it alone held is gone at once.
            with suppress(TypeError):
                vars(instance).clear()
        del instance

    def revive(self, regroup: Regroup, then: Callable[[], None]) -> None:
        """Make the new instance: the second half of a restart."""
        error = regroup.error

        def start() -> None:
            cell = self.cell
            if cell.state is not State.RESTARTING or self.regroup is not regroup:
                return
            if not self._call(make_instance, cell):
                cell.instance = None
                return
            self.restarts += 1
            instance = cell.instance
            if not self._call(instance.on_restart, error):
                return
            if cell.spec.on_start and not self._call(instance.on_start):
                return
            if cell.state is not State.RESTARTING or self.order is not None:
                return
            cell.state = RUNNING
            self.regroup = None
            self.error = None
            events = cell.host.events
            if events.wants(ActorRestarted):
                events.publish(ActorRestarted(cell.ref, error, self.restarts))
            self.get_log().info("actor restarted", restarts=self.restarts)
            then()
            if cell.spec.process:
                self._run_process()

        self.signal(start)

    # -- what an instance has for itself --------------------------------------------------------

    def put_back(self, messages: list[Any]) -> None:
        """Put messages in front of the inbox, in their order."""
        cell = self.cell
        if cell.box is not None:
            cell.box.put_back(messages)
            return
        if cell.first is not EMPTY:
            messages = [*messages, cell.first]
            cell.first = EMPTY
        if cell.queue is None:
            cell.queue = deque(messages)
        else:
            cell.queue.extendleft(reversed(messages))

    def set_behaviour(self, handler: Callable[[Any, Any], Any]) -> None:
        self.behaviour = handler
        if self.cell.handler is not None:
            self.cell.handler = handler

    def set_idle_timeout(self, seconds: float | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._idle_after = seconds
        if seconds is not None:
            self.cell.handler = None
            self._touched = self.cell.dispatcher.clock()
            self._watch_idleness()

    def _watch_idleness(self) -> None:
        cell = self.cell
        timers = cell.dispatcher.timers
        seconds = self._idle_after
        if seconds is None or cell.state is STOPPED:
            return
        due = self._touched + seconds
        busy = not (cell.idle or self.held)
        if not busy and timers.clock() >= due:
            self._touched = timers.clock()
            due = self._touched + seconds
            cell.put(Envelope(IdleTimeout(seconds), None, gate=lambda: self._idle_after == seconds))
        elif busy:
            due = max(due, timers.clock() + min(seconds, 0.05))
        self._idle_timer = timers.at(due, self._watch_idleness)

    def add_task(self, task: Greenlet) -> None:
        """A helper greenlet of the instance: killed with it, its failure is the actor's."""
        self.tasks[task] = None

        def ended(task: Greenlet) -> None:
            if task in self.tasks:
                del self.tasks[task]
                if not task.successful() and task.exception is not None:
                    self.fail_soon(self.noted(task.exception))

        task.rawlink(ended)

    def terminated(self, message: Terminated) -> None:
        """One that this actor watches has ended."""
        self.watching.pop(message.ref, None)
        if self.cell.state is not STOPPED:
            self.front.append(message)
            self.mail()

    def linked_ended(self, ref: Any, reason: Reason, error: BaseException | None) -> None:
        """One that this actor is linked to has ended."""
        self.links.pop(ref, None)
        if reason in ABNORMAL and self.cell.state is not STOPPED:
            died = LinkedActorDied(
                f"{ref} ended: {reason.value}" + (f", {error!r}" if error else "")
            )
            died.__cause__ = error
            self.fail_soon(died)

    def get_log(self) -> Any:
        cell = self.cell
        return get_logger(system=cell.host.name, path=cell.path, actor=cell.spec.cls.__name__)


Cell.make_life = Life


class OwnWorker(Worker):
    """The greenlet of one actor for its whole life (`dedicated`, or with a `run` of its own)."""

    __slots__ = ("life",)

    def __init__(self, dispatcher: Dispatcher, life: Life) -> None:
        super().__init__(dispatcher)
        self.life = life

    def run(self) -> None:
        life = self.life
        dispatcher = self.dispatcher
        while True:
            life.run_turn(self)
            self.cell = None
            if life.cell.state is STOPPED:
                break
            dispatcher.rest(self)
        life.owner = None
        dispatcher.leave_for_good(self)


class ActorTimer:
    """A timer of an actor: its message passes the gate only while it is the one in force."""

    __slots__ = ("interval", "key", "life", "message", "timer")

    def __init__(
        self, life: Life, key: Any, message: Any, seconds: float, interval: float | None
    ) -> None:
        self.life = life
        self.key = key
        self.message = message
        self.interval = interval
        self.timer: Timer = life.cell.dispatcher.timers.after(seconds, self._fire)

    def cancel(self) -> None:
        self.timer.cancel()
        self.life = None  # type: ignore[assignment]

    def _fire(self) -> None:
        life = self.life
        if self.interval is not None:
            timers = life.cell.dispatcher.timers
            due = self.timer.when + self.interval
            now = timers.clock()
            if due <= now:  # missed beats are skipped, not made up for
                due += ((now - due) // self.interval + 1) * self.interval
            self.timer = timers.at(due, self._fire)
        life.cell.put(Envelope(self.message, None, gate=self._stands))

    def _stands(self) -> bool:
        life = self.life
        if life is None or life.timers.get(self.key) is not self:
            return False
        if self.interval is None:
            del life.timers[self.key]
        return True


def _matcher(match: Any) -> Callable[[Any], bool] | None:
    if match is None:
        return None
    if isinstance(match, type | tuple):
        types = match

        def by_type(message: Any) -> bool:
            message = payload(message)
            return isinstance(message, types) or type(message) is Call

        return by_type
    if not callable(match):
        raise TypeError(f"match must be a type, a tuple of types or a predicate, not {match!r}")

    def by_predicate(message: Any) -> bool:
        message = payload(message)
        return message is EMPTY or type(message) is Call or bool(match(message))

    return by_predicate


def own_worker(cell: Cell) -> Worker:
    """The worker that runs `cell`'s turn, which must be the caller."""
    worker = getcurrent()
    if isinstance(worker, Worker) and worker.cell is cell:
        return worker
    raise NotInActor(f"this works only inside a turn of {cell.path} itself")


# -- supervision ------------------------------------------------------------------------------------

_DEFAULT = OneForOne()


def supervise(cell: Cell, error: BaseException | None) -> None:
    """Have the parent of a failed (error) or normally ended (None) permanent actor decide."""
    parent = cell.parent
    if parent is None:
        cell.get_life().order_stop(Reason.FAILED, error)
        return
    life = parent.get_life()
    if parent.state in (State.STOPPING, STOPPED) or life._halted is not None:
        return  # it stops its children anyway
    if error is not None and parent.spec.judges:
        life.signal(lambda: _judge(life, cell, error))
    else:
        _apply(life, cell, error, None)


def _judge(life: Life, cell: Cell, error: BaseException) -> None:
    """Ask the parent's `on_child_failure`, as a turn of the parent."""
    if cell.state is not State.FAILED:
        return
    try:
        directive = life.cell.instance.on_child_failure(cell.ref, error)
        if directive is not None and not isinstance(directive, Directive):
            raise TypeError(
                f"{life.cell.spec.cls.__name__}.on_child_failure must return a Directive or None,"
                f" not {directive!r}"
            )
    except BaseException as hook_error:
        life.failed(hook_error, None)
    else:
        _apply(life, cell, error, directive)
    finally:
        life._clean()


def _apply(
    life: Life, cell: Cell, error: BaseException | None, directive: Directive | None
) -> None:
    """Carry out what supervision decides for the failed child `cell` of `life`."""
    parent = life.cell
    child = cell.get_life()
    strategy: Strategy = _DEFAULT if parent.instance is None else parent.instance.supervision
    if cell.spec.restart == "temporary" or not strategy.grouped:
        record = child
    else:
        record = life
    dispatcher = parent.dispatcher
    try:
        decision = decide(
            strategy,
            record.history,
            dispatcher.clock(),
            restart=cell.spec.restart,  # type: ignore[arg-type]
            error=error,
            directive=directive,
            rand=dispatcher.random(),
        )
    except Exception as decide_error:
        life.get_log().exception("supervision could not decide; escalating")
        _escalate(life, cell, error or decide_error)
        return
    record.history = decision.history
    if decision.action is Action.RESUME:
        child.resume()
    elif decision.action is Action.STOP:
        child.order_stop(Reason.NORMAL if error is None else Reason.FAILED, error)
    elif decision.action is Action.ESCALATE:
        _escalate(life, cell, error or ActorError(f"{cell.path} ended more often than allowed"))
    else:
        siblings = list(life.children.values())
        affected = [siblings[i] for i in strategy.affected(siblings.index(cell), len(siblings))]
        child.error = error
        Regroup(life, affected, cell, error, decision.delay)


def _escalate(life: Life, cell: Cell, error: BaseException) -> None:
    parent = life.cell
    if parent.parent is None:
        cell.get_life().get_log().critical("actor failed for good", error=repr(error))
        cell.get_life().order_stop(Reason.FAILED, error)
    else:
        life.fail_soon(error)


class Regroup:
    """A restart under way, of one child or of several: all end, last first; all begin, first first.

    One step at a time, each begun by the end of the one before. A failure during it makes a new
    `Regroup`, which takes the members over.
    """

    __slots__ = ("culprit", "error", "halting", "life", "members", "reviving", "waiting")

    def __init__(
        self,
        life: Life,
        members: list[Cell],
        culprit: Cell,
        error: BaseException | None,
        delay: float,
    ) -> None:
        self.life = life
        self.culprit = culprit
        self.error = error
        taken_over = {id(cell): cell for cell in members}
        for cell in list(life.children.values()):
            regroup = cell.get_life().regroup if cell.life is not None else None
            if regroup is not None and any(id(m) in taken_over for m in regroup.members):
                taken_over[id(cell)] = cell
                regroup.cancel()
        self.members = [c for c in life.children.values() if id(c) in taken_over]
        self.halting = list(self.members)
        self.reviving: deque[Cell] = deque()
        self.waiting: Cell | None = None
        for cell in self.members:
            cell.get_life().regroup = self
        dispatcher = life.cell.dispatcher
        ready_at = dispatcher.clock() + delay
        for cell in list(self.halting):
            # OTP: a temporary sibling ends with the group and does not come back.
            if cell is not culprit and cell.spec.restart == "temporary":
                cell.get_life().order_stop(Reason.SHUTDOWN, within=cell.spec.shutdown)
        self._halt_next(ready_at)

    def cancel(self) -> None:
        self.halting = []
        self.reviving.clear()
        self.waiting = None
        self.members = []

    def member_ended(self, cell: Cell) -> None:
        """A member ended for good: go on without it."""
        if cell is self.waiting:
            self._revive_next()

    def _halt_next(self, ready_at: float) -> None:
        if not self.members:
            return
        while self.halting:
            cell = self.halting.pop()
            if cell.state in (State.STOPPING, STOPPED):
                continue
            reason = Reason.SHUTDOWN
            if cell is self.culprit:
                reason = Reason.NORMAL if self.error is None else Reason.FAILED
            if cell.state is State.RESTARTING and cell.instance is None:
                continue
            cell.get_life().halt(reason, lambda: self._halt_next(ready_at))
            return
        dispatcher = self.life.cell.dispatcher
        delay = ready_at - dispatcher.clock()
        self.reviving = deque(self.members)
        if delay > 0:
            dispatcher.timers.after(delay, self._revive_next)
        else:
            self._revive_next()

    def _revive_next(self) -> None:
        self.waiting = None
        while self.reviving:
            cell = self.reviving.popleft()
            if cell.state is State.RESTARTING:
                self.waiting = cell
                cell.get_life().revive(self, self._revive_next)
                return
