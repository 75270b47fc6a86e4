"""The life of one actor beyond its messages: start, children, failure, restart, stop, watchers.

Made by a `Cell` on first need. Each step that runs user code (`on_start`, `on_stop`, a new
instance, `on_child_failure`) is a *signal*: a function in `signals` that runs as a turn of the
actor, ahead of its messages and never beside them. Everything else here is bookkeeping that does
not block, done by whoever causes it. So a parent that is busy does not hold up the restart of its
children, unless it wants to judge their failures itself::

    STARTING -> RUNNING -> FAILED -> RESTARTING -> RUNNING ...
        any of them -> STOPPING -> STOPPED

Uses the dispatcher, the cell, supervision (pure) and events. Used by actor, ref and system.
"""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gevent import Greenlet, GreenletExit
from greenlet import getcurrent

from ..errors import (
    ActorExit,
    ActorStopped,
    LinkedActorDied,
    Refused,
)
from ..events import ActorFailed, ActorRestarted
from ..log import get_logger
from ..messages import IdleTimeout, Reason, Terminated
from ..supervision import History
from ..timers import Timer
from .cell import Cell
from .dispatcher import Dispatcher, Worker, own_worker
from .reader import Reader, close_question
from .supervisor import Regroup, supervise
from .terms import EMPTY, RUNNING, STOPPED, State
from .twin import Envelope, Family, Queue, make_instance

__all__ = ["KILL_GRACE", "ActorTimer", "Life"]

#: Seconds that a killed actor has for its `finally` blocks and `on_stop` before it is abandoned.
KILL_GRACE = 1.0

#: Children without a life of their own that end within one signal.
ENDS_AT_ONCE = 8

ABNORMAL = (Reason.FAILED, Reason.KILLED, Reason.NODE_LOST)


class Life(Family):
    """Everything about a cell that most cells never need."""

    __slots__ = (
        "_clock_timer",
        "_halted",
        "_idle_after",
        "_idle_timer",
        "_to_stop",
        "_touched",
        "behaviour",
        "behaviours",
        "cell",
        "deferred",
        "ending_within",
        "error",
        "front",
        "held",
        "history",
        "links",
        "observers",
        "order",
        "owner",
        "reader",
        "reason",
        "regroup",
        "restarts",
        "signals",
        "stash",
        "tap",
        "tasks",
        "timers",
        "value",
        "watchers",
        "watching",
    )

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        cell._life = self
        #: Functions to run as turns of the actor, ahead of its messages.
        self.signals: list[Callable[[], None]] = []
        #: True while the cell is in nobody's hands and not idle: the next signal schedules it.
        self.held = False
        #: System messages (Terminated) that go ahead of user messages.
        self.front: list[Any] = []
        self.behaviour: Callable[[Any, Any], Any] = cell._spec.receive
        self.behaviours: list[Callable[[Any, Any], Any]] = []
        self.stash: list[Any] = []
        #: Who looks at the messages: called with each, gives what to call at its end, or None.
        self.tap: Callable[[Any], Callable[[bool], None] | None] | None = None
        self.box = cell._spec.make_box() if cell._spec.bounded else None
        self.children = {}
        self.when_childless = None
        self.watchers: dict[Any, None] = {}
        self.watching: dict[Any, None] = {}
        self.links: dict[Any, None] = {}
        self.observers: list[Callable[[Any], Any]] = []
        self.timers: dict[Any, ActorTimer] = {}
        self.tasks: dict[Greenlet[..., Any], None] = {}
        #: True once its end has a time limit.
        self.ending_within = False
        self.farewell = False
        self._to_stop: list[Cell] = []
        self.deferred: weakref.WeakSet[Any] | None = None
        self.history = History()
        self.restarts = 0
        self.regroup: Regroup | None = None
        #: The end that was ordered: reason and error.
        self.order: tuple[Reason, BaseException | None] | None = None
        self.owner: OwnWorker | None = None
        self.reader: Reader | None = None
        self.reason: Reason | None = None
        self.error: BaseException | None = None
        self.value: Any = None
        self._halted: Callable[[], None] | None = None
        self._clock_timer: Timer | None = None
        self._idle_after: float | None = None
        self._idle_timer: Timer | None = None
        self._touched = 0.0
        if cell._state is RUNNING and cell._handler is None:
            # Told to stop while it had no life, and has not got to it.
            self.order = (Reason.NORMAL, None)
            self.signals.append(self._stop)

    # -- turns ----------------------------------------------------------------------------------

    def signal(self, function: Callable[[], None]) -> None:
        """Run `function` as the actor's next turn."""
        cell = self.cell
        self.signals.append(function)
        cell._handler = None
        if cell._idle:
            cell._idle = False
            cell._dispatcher.schedule(cell)
        elif self.held:
            self.held = False
            cell._dispatcher.schedule(cell)

    def mail(self) -> None:
        """Something came into the box or to the front: have it handled."""
        cell = self.cell
        if cell._idle:
            cell._handler = None
            cell._idle = False
            cell._dispatcher.schedule(cell)
        elif self.held and cell._state is RUNNING:
            self.held = False
            cell._dispatcher.schedule(cell)
        elif self.front:
            cell._handler = None

    def turn(self, worker: Worker) -> None:
        """Run on a worker that has taken the cell from the ready deque."""
        if self.reader is not None and self.reader.takes_turn(worker):
            return
        if self.owner is not None:
            worker.dispatcher.hand_to(worker, self.owner)
        else:
            self.run_turn(worker)

    def run_turn(self, worker: Worker) -> None:
        """Signals first, then messages, until there are none or others should have their turn."""
        cell = self.cell
        worker.cell = cell
        dispatcher = cell._dispatcher
        for _ in range(dispatcher.stride):
            if self.signals:
                self.signals.pop(0)()
            elif cell._state is RUNNING and cell._handler is None:
                message = self.take()
                if message is EMPTY:
                    break
                self.touch()
                ended = None if self.tap is None else self.tap(message)
                handled = worker.handle(cell, self.behaviour, message)
                if ended is not None:
                    ended(handled)
                if not handled:
                    break
                if not self._slow:
                    break
            else:
                break
            if dispatcher.active is not worker:
                break
        if dispatcher.active is not worker:
            cell._worker = None
        self.settle()

    @property
    def _slow(self) -> bool:
        """Whether every message needs the long way through `run_turn`."""
        return (
            self.box is not None
            or self.owner is not None
            or self._idle_after is not None
            or self.tap is not None
        )

    def settle(self) -> None:
        """After a turn: put the cell where it belongs, the ready deque, idle or held."""
        cell = self.cell
        if self.signals:
            cell._handler = None
            cell._dispatcher.schedule(cell)
        elif cell._state is not RUNNING:
            cell._handler = None
            self.held = True
        elif self.front or self._slow:
            cell._handler = None
            if self.front or cell._first is not EMPTY or cell._inbox or self.box:
                cell._dispatcher.schedule(cell)
            elif self.box is None:
                cell._idle = True
            else:
                self.held = True
        else:
            cell._handler = self.behaviour
            if cell._first is EMPTY:
                if not cell._inbox:
                    cell._inbox = None
                    cell._idle = True
                    return
                cell._first = cell._inbox.popleft()
            cell._dispatcher.schedule(cell)

    def take(self) -> Any:
        """The next message, system messages first, or EMPTY."""
        cell = self.cell
        if self.front:
            return self.front.pop(0)
        if self.box is not None:
            return self.box.take()
        first = cell._first
        if first is not EMPTY:
            cell._first = EMPTY
            return first
        return cell._inbox.popleft() if cell._inbox else EMPTY

    def touch(self) -> None:
        """A message came: the idle timeout begins anew."""
        if self._idle_after is not None:
            self._touched = self.cell._dispatcher.clock()

    def run_signals(self) -> bool:
        """Run what is due within the actor's turn; True when the instance is to end."""
        while self.signals and not self.leaving:
            self.signals.pop(0)()
        return self.leaving

    @property
    def leaving(self) -> bool:
        """Whether the instance has been told to end."""
        return self.order is not None or self._halted is not None

    def get_reader(self) -> Reader:
        """What reads the inbox on the actor's own greenlet, made on first need."""
        if self.reader is None:
            self.reader = Reader(self)
        return self.reader

    @property
    def reading(self) -> bool:
        """Whether the actor waits for mail in `inbox.get`."""
        return self.reader is not None and self.reader.waiting

    # -- start ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first turn: `on_start`, and `run` in the process style."""
        cell = self.cell
        if cell._spec.dedicated:
            self.owner = OwnWorker(cell._dispatcher, self)
        self.signals.append(self._start)
        cell._dispatcher.schedule(cell)

    def _start(self) -> None:
        cell = self.cell
        if cell._state is not State.STARTING or self.order is not None:
            return
        if cell._spec.on_start and not self._call(cell._instance.on_start):
            return
        if cell._state is State.STARTING:
            cell._state = RUNNING
        if cell._spec.process:
            self._run_process()

    def _run_process(self) -> None:
        cell = self.cell
        worker = own_worker(cell)
        instance = cell._instance
        try:
            self.value = instance.run()
        except BaseException as error:
            close_question(worker, error)
            self.failed(error, None)
        else:
            close_question(worker)
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
        if isinstance(worker, Worker) and not self.cell._spec.dedicated:
            worker.clean(EMPTY)

    # -- failure --------------------------------------------------------------------------------

    def failed(self, error: BaseException, envelope: Envelope | None) -> None:
        """User code raised `error` in a turn, while answering `envelope` if there is one."""
        cell = self.cell
        hub = cell._dispatcher.hub
        if isinstance(error, hub.SYSTEM_ERROR):
            # The program ends, and not this actor: the main greenlet gets it, as with gevent.
            cell._dispatcher.loop.run_callback(hub.handle_system_error, type(error), error)
            if envelope is not None:
                envelope.fail(cell._stopped_error())
        elif isinstance(error, Refused):
            if envelope is None or envelope.cell is None:
                self.get_log().info("refused with nobody to tell", error=repr(error))
            else:
                envelope.fail(error)
        elif isinstance(error, GreenletExit):
            if envelope is not None:
                envelope.fail(cell._stopped_error())
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
        if cell._state in (State.STOPPING, STOPPED):
            return
        events = cell._host.events
        if events.wants(ActorFailed):
            events.publish(ActorFailed(cell._ref, error))
        cell._host.failures.add(cell, error)
        self.get_log().error("actor failed", exc_info=error)
        if self.order is not None:
            if self.order[0] is not Reason.KILLED:
                self.order = (Reason.FAILED, error)
        elif self._halted is None:
            cell._state = State.FAILED
            cell._handler = None
            supervise(cell, error)

    def fail_soon(self, error: BaseException) -> None:
        """Fail as a turn of its own, after the current one."""

        def fail() -> None:
            if self.cell._state is RUNNING:
                self.fail(error)

        self.signal(fail)

    @property
    def escalated(self) -> bool:
        """Whether its failure became its parent's."""
        return self.error is not None and self.regroup is None

    def resume(self) -> None:
        """Go on with the next message as if nothing had happened."""
        cell = self.cell
        if cell._state is State.FAILED:
            cell._state = RUNNING
            for child in list(self.children.values()):
                life = child._life
                if child._state is State.FAILED and life is not None and life.escalated:
                    life.order_stop(Reason.FAILED, life.error)
            if cell._spec.process:
                self.signal(self._run_process)
            elif self.held:
                self.held = False
                self.settle()

    # -- end ------------------------------------------------------------------------------------

    def end_itself(self) -> None:
        """The actor's own normal end: `self.stop()`, or the end of `run`."""
        cell = self.cell
        if self.order is not None or cell._state in (State.STOPPING, STOPPED):
            return
        if cell._spec.restart == "permanent":
            cell._state = State.FAILED
            cell._handler = None
            supervise(cell, None)
        else:
            self.order_stop(Reason.NORMAL)

    def order_stop(
        self, reason: Reason, error: BaseException | None = None, within: float | None = None
    ) -> None:
        """End for good after the current turn; killed if that is not done `within` seconds."""
        cell = self.cell
        if cell._state is STOPPED:
            return
        if self.order is None:
            self.order = (reason, error)
            self.signal(self._stop)
        if within is not None and not self.ending_within:
            self.ending_within = True
            self._start_clock(within, self.kill)

    def order_stop_when_drained(self) -> None:
        """Stop after the messages that are in the inbox now."""

        def stop() -> bool:
            self.order_stop(Reason.NORMAL)
            return False

        self.cell._put(Envelope(EMPTY, None, gate=stop))

    def kill(self) -> None:
        """End for good, interrupting the actor wherever it is blocked."""
        cell = self.cell
        if cell._state is STOPPED:
            return
        stopping = cell._state is State.STOPPING
        self.order = (Reason.KILLED, None)
        self.ending_within = True
        self._start_clock(KILL_GRACE, self._abandon)
        if not stopping:
            self.signal(self._stop)
        cell._dispatcher.loop.run_callback(self.interrupt)

    def interrupt(self) -> None:
        """Throw the actor out of whatever it waits for; runs in the hub."""
        worker = self.running_worker()
        if worker is not None:
            worker.throw(ActorExit(f"{self.cell.path} was killed"))

    def running_worker(self) -> Worker | None:
        """The worker that is blocked in this actor's turn."""
        cell = self.cell
        if cell._worker is not None:
            return cell._worker
        active = cell._dispatcher.active
        if active is not None and active.cell is cell and active is not getcurrent():
            return active
        return None

    def _stop(self) -> None:
        cell = self.cell
        if cell._state in (State.STOPPING, STOPPED):
            return
        cell._state = State.STOPPING
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
        instance = self.cell._instance
        if instance is None or not self.cell._spec.on_stop:
            return
        self.farewell = True
        try:
            instance.on_stop(reason)
        except GreenletExit:
            pass
        except self.cell._dispatcher.hub.SYSTEM_ERROR as error:
            self.failed(error, None)
        except BaseException:
            self.get_log().exception("on_stop failed")
        finally:
            self.farewell = False
            self._clean()

    def _abandon(self) -> None:
        """The killed actor has not ended in its time."""
        cell = self.cell
        if cell._state is STOPPED:
            return
        if self.running_worker() is not None:
            self.get_log().error("actor abandoned", grace=KILL_GRACE)
            self.abandon_tree()
        elif self.children:
            for child in list(self.children.values()):
                child._get_life().kill()
            self._start_clock(KILL_GRACE, self._abandon)

    def finish(self, reason: Reason, error: BaseException | None) -> None:
        """The last transition: settle everything with everyone, in an order that loses nothing."""
        cell = self.cell
        cell._state = STOPPED
        cell._handler = None
        cell._idle = False
        self.reason = reason
        self.error = error
        self._stop_clock()
        self.signals.clear()
        host = cell._host
        if cell._parent is not None:
            siblings = cell._parent._get_life()
            if siblings.children.get(cell._key) is cell:
                del siblings.children[cell._key]
        cell._instance = None
        for message in self.stash:
            cell._dead_letter(message)
        self.stash.clear()
        self.front.clear()
        cell._flush()
        if cell._parent is not None:
            if host.departed is not None:
                host.departed[cell._spec] += cell._handled
            if host.events.ends:
                host.events.publish(
                    ActorStopped(f"{cell.path} ended", ref=cell._ref, reason=reason, error=error)
                )
        terminated = Terminated(cell._ref, reason, error)
        for watcher in self.watchers:
            watcher.terminated(terminated)
        self.watchers.clear()
        for watched in self.watching:
            watched._remove_watcher(self)
        self.watching.clear()
        for linked in self.links:
            linked._linked_ended(cell, reason, error)
        self.links.clear()
        for observer in self.observers:
            cell._dispatcher.loop.run_callback(observer, cell)
        self.observers.clear()
        halted, self._halted = self._halted, None
        if halted is not None:
            halted()
        elif self.regroup is not None:
            self.regroup.member_ended(cell)
        if cell._parent is not None:
            parent = cell._parent._get_life()
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
        self.behaviour = self.cell._spec.receive

    def _start_clock(self, seconds: float, action: Callable[[], None]) -> None:
        self._stop_clock()
        self._clock_timer = self.cell._dispatcher.timers.after(seconds, action)

    def _stop_clock(self) -> None:
        if self._clock_timer is not None:
            self._clock_timer.cancel()
            self._clock_timer = None

    def kill_tree(self) -> None:
        """Kill everything below, and then this."""
        for child in reversed(list(self.children.values())):
            child._get_life().kill_tree()
        self.kill()

    def leave_behind(self) -> None:
        """Let go of everybody, without a word to anybody: nothing runs here any more."""
        self.children, self.links, self.watchers, self.watching = {}, {}, {}, {}
        self.observers, self.signals, self.timers, self.tasks = [], [], {}, {}
        self.tap = None

    def abandon_tree(self) -> None:
        """End everything here and now, without waiting for anybody's code."""
        self.order = (Reason.KILLED, None)
        for child in reversed(list(self.children.values())):
            child._get_life().abandon_tree()
        if self.cell._state is not STOPPED:
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
        for _ in range(ENDS_AT_ONCE):
            if not to_stop:
                if not self.children:
                    then()
                    return
                to_stop.extend(self.children.values())  # started meanwhile
            child = to_stop[-1]
            if child._state is STOPPED:
                to_stop.pop()
            elif child._idle and child._life is None and child._spec.ordered_plainly:
                to_stop.pop()
                child._end(Reason.SHUTDOWN)
            else:
                self.when_childless = then
                life = child._get_life()
                if not life.ending_within:
                    life.order_stop(Reason.SHUTDOWN, within=child._spec.shutdown)
                return
        self.when_childless = then
        self.signal(self.child_gone)  # many ends are many turns, so that others have theirs

    def _hurry_blocked(self) -> None:
        for child in self.children.values():
            worker = child._worker
            if worker is not None:
                life = child._get_life()
                life._kill_if_still_in(worker, child._handled, child._spec.shutdown)
            if child._life is not None:
                child._life._hurry_blocked()

    def _kill_if_still_in(self, worker: Worker, handled: int, seconds: float) -> None:
        cell = self.cell

        def check() -> None:
            if cell._worker is worker and cell._handled == handled and not self.reading:
                self.kill()

        cell._dispatcher.timers.after(seconds, check)

    # -- restart --------------------------------------------------------------------------------

    def halt(self, reason: Reason, then: Callable[[], None]) -> None:
        """End the instance, but not the actor: the first half of a restart."""
        cell = self.cell
        if cell._state in (State.STOPPING, STOPPED):
            then()
            return
        self._halted = then
        self._start_clock(cell._spec.shutdown, self._halt_overdue)

        def halt() -> None:
            if self._halted is None:
                return
            cell._state = State.RESTARTING
            self._end_activities()
            self.stop_children(lambda: self.signal(lambda: self._halt_done(reason)))

        self.signal(halt)

    def _halt_overdue(self) -> None:
        """The instance has not ended in its time: it is thrown out, and at last abandoned."""
        self._start_clock(KILL_GRACE, self._abandon)
        self.interrupt()

    def _halt_done(self, reason: Reason) -> None:
        then = self._halted
        cell = self.cell
        if then is None or cell._state is not State.RESTARTING:
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
        instance = cell._instance
        cell._instance = None
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
            if cell._state is not State.RESTARTING or self.regroup is not regroup:
                return
            if not self._call(make_instance, cell):
                cell._instance = None
                return
            self.restarts += 1
            instance = cell._instance
            if not self._call(instance.on_restart, error):
                return
            if cell._spec.on_start and not self._call(instance.on_start):
                return
            if cell._state is not State.RESTARTING or self.order is not None:
                return
            cell._state = RUNNING
            self.regroup = None
            self.error = None
            events = cell._host.events
            if events.wants(ActorRestarted):
                events.publish(ActorRestarted(cell._ref, error, self.restarts))
            self.get_log().info("actor restarted", restarts=self.restarts)
            then()
            if cell._spec.process:
                self._run_process()

        self.signal(start)

    # -- what an instance has for itself --------------------------------------------------------

    def put_back(self, messages: list[Any]) -> None:
        """Put messages in front of the inbox, in their order."""
        cell = self.cell
        if self.box is not None:
            self.box.put_back(messages)
            return
        if cell._first is not EMPTY:
            messages = [*messages, cell._first]
            cell._first = EMPTY
        if cell._inbox is None:
            cell._inbox = Queue(messages)
        else:
            cell._inbox.extendleft(reversed(messages))

    def set_behaviour(self, handler: Callable[[Any, Any], Any]) -> None:
        self.behaviour = handler
        if self.cell._handler is not None:
            self.cell._handler = handler

    def set_tap(self, tap: Callable[[Any], Callable[[bool], None] | None] | None) -> None:
        """Have every message shown to `tap` from the next one on; None ends that."""
        self.tap = tap
        self.cell._handler = None

    def set_idle_timeout(self, seconds: float | None) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        self._idle_after = seconds
        if seconds is not None:
            self.cell._handler = None
            self._touched = self.cell._dispatcher.clock()
            self._watch_idleness()

    def _watch_idleness(self) -> None:
        cell = self.cell
        timers = cell._dispatcher.timers
        seconds = self._idle_after
        if seconds is None or cell._state is STOPPED:
            return
        due = self._touched + seconds
        busy = not (cell._idle or self.held)
        if not busy and timers.clock() >= due:
            self._touched = timers.clock()
            due = self._touched + seconds
            cell._put(
                Envelope(IdleTimeout(seconds), None, gate=lambda: self._idle_after == seconds)
            )
        elif busy:
            due = max(due, timers.clock() + min(seconds, 0.05))
        self._idle_timer = timers.at(due, self._watch_idleness)

    def add_task(self, task: Greenlet[..., Any]) -> None:
        """A helper greenlet of the instance: killed with it, its failure is the actor's."""
        self.tasks[task] = None

        def ended(task: Greenlet[..., Any]) -> None:
            if task in self.tasks:
                del self.tasks[task]
                if not task.successful() and task.exception is not None:
                    self.fail_soon(self.noted(task.exception))

        task.rawlink(ended)

    def terminated(self, message: Terminated) -> None:
        """One that this actor watches has ended."""
        self.watching.pop(message.ref, None)
        if self.cell._state is not STOPPED:
            self.front.append(message)
            self.mail()

    def linked_ended(self, ref: Any, reason: Reason, error: BaseException | None) -> None:
        """One that this actor is linked to has ended."""
        self.links.pop(ref, None)
        if reason in ABNORMAL and self.cell._state is not STOPPED:
            died = LinkedActorDied(
                f"{ref} ended: {reason.value}" + (f", {error!r}" if error else "")
            )
            died.__cause__ = error
            self.fail_soon(died)

    def get_log(self) -> Any:
        cell = self.cell
        return get_logger(system=cell._host.name, path=cell.path, actor=cell._spec.cls.__name__)


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
            if life.cell._state is STOPPED:
                break
            dispatcher.rest(self)
        life.owner = None
        dispatcher.leave_for_good(self)
        if not dispatcher.hub:
            # The loop has not run yet: to return here would start it with our value as argument.
            dispatcher.hub.switch()


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
        self.timer: Timer = life.cell._dispatcher.timers.after(seconds, self._fire)

    def cancel(self) -> None:
        self.timer.cancel()
        self.life = None  # type: ignore[assignment]

    def _fire(self) -> None:
        life = self.life
        if self.interval is not None:
            timers = life.cell._dispatcher.timers
            due = self.timer.when + self.interval
            now = timers.clock()
            if due <= now:  # missed beats are skipped, not made up for
                due += ((now - due) // self.interval + 1) * self.interval
            self.timer = timers.at(due, self._fire)
        life.cell._put(Envelope(self.message, None, gate=self._stands))

    def _stands(self) -> bool:
        life = self.life
        if life is None or life.timers.get(self.key) is not self:
            return False
        if self.interval is None:
            del life.timers[self.key]
        return True
