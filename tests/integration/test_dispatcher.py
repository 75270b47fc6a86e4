"""The dispatcher: blocking anywhere, kills anywhere, fairness, isolation, no leaks."""

from __future__ import annotations

import contextvars
import gc
import socket as plain_socket
import time
from collections.abc import Callable
from typing import Any, cast

import gevent
import pytest
from gevent import socket
from gevent.event import AsyncResult, Event
from gevent.local import local
from gevent.lock import BoundedSemaphore, RLock
from gevent.queue import Queue
from structlog.testing import capture_logs

from actorkit import Actor, ActorFailed, ActorRef, ActorStopped, ActorSystem, Inbox, Reason
from actorkit.kernel import Cell, Dispatcher, Envelope, Life, Worker
from tests.actors import Collector, Echo, Obedient, instance_of, settle

pytestmark = pytest.mark.timeout(60)


def blocked_in_socket(actor: Actor) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.recv(1)


def blocked_in_lock(actor: Actor) -> None:
    lock = BoundedSemaphore(1)
    lock.acquire()
    lock.acquire()


def blocked_in_full_inbox(actor: Actor) -> None:
    busy = actor.system.spawn(Obedient, inbox=Inbox(maxsize=1), shutdown=0.1)
    busy.tell(lambda actor: gevent.sleep(60))
    gevent.sleep(0.005)
    busy.tell(str)
    busy.tell(str)


def blocked_in_nested_ask(actor: Actor) -> None:
    sleeper = actor.system.spawn(Obedient, shutdown=0.005)
    sleeper.ask(lambda actor: gevent.sleep(60), timeout=None)


def blocked_in_timeout_block(actor: Actor) -> None:
    with gevent.Timeout(60):
        gevent.sleep(60)


def blocked_in_join(actor: Actor) -> None:
    actor.spawn(Echo).join()


SUSPENSION_POINTS: dict[str, Callable[[Any], Any]] = {
    "sleep": lambda actor: gevent.sleep(60),
    "socket": blocked_in_socket,
    "lock": blocked_in_lock,
    "queue": lambda actor: Queue().get(),
    "event": lambda actor: Event().wait(),
    "async_result": lambda actor: AsyncResult().get(),
    "ask": blocked_in_nested_ask,
    "future": lambda actor: actor.ref.ask_nowait("x", timeout=None).get(),
    "full_inbox": blocked_in_full_inbox,
    "inbox_get": lambda actor: actor.inbox.get(),
    "inbox_get_match": lambda actor: actor.inbox.get(match=bytes),
    "inbox_peek": lambda actor: actor.inbox.peek(),
    "offload": lambda actor: actor.offload(time.sleep, 0.3),
    "join": blocked_in_join,
    "joinall": lambda actor: gevent.joinall([actor.spawn(Echo)]),
    "wait": lambda actor: gevent.wait([actor.spawn(Echo)]),
    "timeout_block": blocked_in_timeout_block,
}


class Blocker(Actor):
    """Blocks where it is told: in a hook, in `receive` or in `run`."""

    ended: list[Reason]

    def __init__(self, where: str, block: Callable[[Any], Any]) -> None:
        self.where = where
        self.block = block
        self.ended = []

    def on_start(self) -> None:
        if self.where == "on_start":
            self.block(self)

    def receive(self, message: Any) -> Any:
        if self.where == "receive":
            self.block(self)

    def on_stop(self, reason: Reason) -> None:
        self.ended.append(reason)
        if self.where == "on_stop":
            self.block(self)


class DedicatedBlocker(Blocker):
    dedicated = True


class ProcessBlocker(Blocker):
    def run(self) -> None:
        self.block(self)


@pytest.mark.parametrize("point", SUSPENSION_POINTS)
@pytest.mark.parametrize("cls", [Blocker, DedicatedBlocker, ProcessBlocker])
def test_kill_works_at_every_suspension_point(
    system: ActorSystem, cls: type[Blocker], point: str
) -> None:
    ref = system.spawn(cls, "receive", SUSPENSION_POINTS[point], shutdown=0.1)
    instance = instance_of(ref)
    if cls is not ProcessBlocker:
        ref.tell("go")
    neighbour = system.spawn(Echo)
    gevent.sleep(0.02)
    assert not ref.ready()
    assert neighbour.ask("alive") == "alive"
    ref.kill()
    ref.join(timeout=3)
    assert ref.ready()
    assert instance.ended == [Reason.KILLED]
    assert neighbour.ask("alive") == "alive"


@pytest.mark.parametrize("where", ["on_start", "on_stop"])
@pytest.mark.parametrize("point", ["sleep", "ask", "queue"])
def test_kill_works_in_hooks(system: ActorSystem, where: str, point: str) -> None:
    ref = system.spawn(Blocker, where, SUSPENSION_POINTS[point])
    if where == "on_stop":
        ref.ask("x")
        ref.stop()
    gevent.sleep(0.02)
    assert not ref.ready()
    ref.kill()
    ref.join(timeout=3)
    assert ref.ready()


@pytest.mark.parametrize("point", set(SUSPENSION_POINTS) - {"future"})
def test_an_exception_thrown_in_at_every_suspension_point_is_a_failure(
    system: ActorSystem, point: str
) -> None:
    def block(actor: Actor) -> None:
        with gevent.Timeout(0.02, RuntimeError("thrown in")):
            SUSPENSION_POINTS[point](actor)

    failures: list[ActorFailed] = []
    system.events.subscribe(ActorFailed, failures.append)
    ref = system.spawn(Blocker, "receive", block)
    ref.tell("go")
    gevent.sleep(0.05)
    settle()
    assert [(event.ref, str(event.error)) for event in failures] == [(ref, "thrown in")]
    assert [info.restarts for info in system.tree() if info.path == ref.path] == [1]


def test_a_shutdown_while_thousands_of_actors_are_blocked_everywhere() -> None:
    system = ActorSystem()
    points = [point for point in SUSPENSION_POINTS if point not in ("offload", "socket")]
    refs = [
        system.spawn(Blocker, "receive", SUSPENSION_POINTS[points[n % len(points)]], shutdown=0.1)
        for n in range(2000)
    ]
    for ref in refs:
        ref.tell("go")
    gevent.sleep(0.2)
    with gevent.Timeout(30), capture_logs():  # nothing here is about what a log costs
        system.shutdown()
    assert all(ref.ready() for ref in refs)


def test_two_thousand_actors_block_at_once(system: ActorSystem) -> None:
    refs = [system.spawn(Obedient) for _ in range(2000)]
    answers = [ref.ask_nowait(lambda actor: sleep_and_say(0.2, "awake")) for ref in refs]
    with gevent.Timeout(5):
        assert {answer.get() for answer in answers} == {"awake"}


def test_many_systems_in_one_process_do_not_disturb_each_other() -> None:
    systems = [ActorSystem(f"s{n}") for n in range(20)]
    refs = [system.spawn(Echo, name="echo") for system in systems]
    assert [ref.ask(n) for n, ref in enumerate(refs)] == list(range(20))
    for system in systems[::2]:
        system.shutdown()
    assert [ref.ask(1) for ref in refs[1::2]] == [1] * 10
    with pytest.raises(ActorStopped):
        refs[0].ask(1)
    for system in systems:
        system.shutdown()


def echo_bytes(there: Any, count: int) -> None:
    for _ in range(count):
        there.sendall(there.recv(1))


def sleep_and_say(seconds: float, word: str) -> str:
    gevent.sleep(seconds)
    return word


class Endless(Actor):
    """Its inbox is never empty."""

    turns = 0

    def receive(self, message: Any) -> None:
        Endless.turns += 1
        self.ref.tell(message)


class Asking(Actor):
    """Asks on and on."""

    def __init__(self, echo: ActorRef[Any]) -> None:
        self.echo = echo

    def receive(self, message: Any) -> None:
        while True:
            self.echo.ask(1)


@pytest.mark.parametrize("load", ["endless", "asks", "spawns"])
def test_a_busy_system_starves_nobody(load: str) -> None:
    class Spawning(Actor):
        def receive(self, message: Any) -> None:
            child = self.spawn(Echo)
            child.stop()
            self.ref.tell(message)

    system = ActorSystem()
    for _ in range(5):
        if load == "endless":
            ref: ActorRef[Any] = system.spawn(Endless)
            for _ in range(200):
                ref.tell("on")
        elif load == "asks":
            ref = system.spawn(Asking, system.spawn(Echo), shutdown=0.1)
        else:
            ref = system.spawn(Spawning)
        ref.tell("on")
    gevent.sleep(0.01)

    echo = system.spawn(Echo)
    assert [echo.ask(n) for n in range(20)] == list(range(20))
    ticks: list[Any] = []
    ticker = system.spawn(Obedient)
    ticker.ask(lambda actor: actor.become(ticks.append) or actor.every(0.002, "tick"))
    here, there = socket.socketpair()
    with here, there:
        server = gevent.spawn(echo_bytes, there, 20)
        for _ in range(20):
            here.sendall(b"x")
            assert here.recv(1) == b"x"
        server.join()
    gevent.sleep(0.05)
    assert len(ticks) >= 5
    system.shutdown(timeout=5)


def test_a_message_is_never_handled_in_two_places(system: ActorSystem) -> None:
    class Exclusive(Actor):
        inside = False

        def receive(self, message: int) -> None:
            assert not self.inside
            self.inside = True
            if message % 3 == 0:
                gevent.sleep(0)
            elif message % 7 == 0:
                gevent.sleep(0.001)
            elif message % 5 == 0:
                echo.ask(message)
            self.inside = False

    echo = system.spawn(Echo)
    refs = [system.spawn(Exclusive) for _ in range(20)]

    def send() -> None:
        for number in range(100):
            for ref in refs:
                ref.tell(number)
            if number % 10 == 0:
                gevent.sleep(0)

    gevent.joinall([gevent.spawn(send) for _ in range(3)])
    for ref in refs:
        ref.stop(drain=True)
    gevent.joinall(refs, timeout=20, raise_error=True)
    assert [info.restarts for info in system.tree()] == [0]


def test_context_variables_set_in_a_turn_end_with_it(system: ActorSystem) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    def set_it(actor: Actor) -> str:
        before = variable.get()
        variable.set("leaked")
        gevent.sleep(0)
        assert variable.get() == "leaked"
        return before

    def fail(actor: Actor) -> None:
        set_it(actor)
        raise RuntimeError

    refs = [system.spawn(Obedient) for _ in range(3)]
    answers = [ref.ask_nowait(set_it) for _ in range(5) for ref in refs]
    gevent.joinall(answers)
    assert {answer.value for answer in answers} == {"unset"}
    with pytest.raises(RuntimeError):
        refs[0].ask(fail)
    assert refs[0].ask(lambda actor: variable.get()) == "unset"
    assert variable.get() == "unset"

    class Starts(Actor):
        def on_start(self) -> None:
            variable.set("leaked")

        def receive(self, message: Any) -> str:
            return variable.get()

    assert system.spawn(Starts).ask("?") == "unset"


def test_a_timeout_left_behind_never_fires_in_a_foreign_turn(system: ActorSystem) -> None:
    def leave_behind(actor: Actor) -> None:
        gevent.Timeout.start_new(0.01, RuntimeError("foreign"))

    refs = [system.spawn(Obedient) for _ in range(50)]
    for ref in refs:
        ref.ask(leave_behind)
    answers = [ref.ask_nowait(lambda actor: sleep_and_say(0.03, "whole")) for ref in refs]
    assert {answer.get(timeout=5) for answer in answers} == {"whole"}
    assert {info.restarts for info in system.tree()} == {0}


def test_a_timeout_works_within_its_turn(system: ActorSystem) -> None:
    def wait(actor: Actor) -> str:
        with gevent.Timeout(0.01, cast(Any, False)):
            gevent.sleep(5)
            return "slept"
        return "timed out"

    sleeper = system.spawn(Obedient)
    assert system.spawn(Obedient).ask(wait) == "timed out"

    def ask(actor: Actor) -> str:
        with gevent.Timeout(0.01, cast(Any, False)):
            sleeper.ask(lambda actor: gevent.sleep(0.05))
            return "answered"
        return "timed out"

    assert system.spawn(Obedient).ask(ask) == "timed out"


def test_a_dedicated_actor_has_greenlet_locals_for_life(system: ActorSystem) -> None:
    class Keeper(Actor):
        dedicated = True

        def receive(self, message: Any) -> Any:
            before = getattr(store, "value", None)
            store.value = message
            gevent.sleep(0)
            return before

    store = local()
    keepers = [system.spawn(Keeper) for _ in range(3)]
    for number, keeper in enumerate(keepers):
        assert keeper.ask((number, 0)) is None
    for number, keeper in enumerate(keepers):
        assert keeper.ask((number, 1)) == (number, 0)
        assert keeper.ask((number, 2)) == (number, 1)


@pytest.mark.parametrize("lock", [RLock, BoundedSemaphore])
def test_actors_share_gevents_locks(system: ActorSystem, lock: Any) -> None:
    shared = lock(1) if lock is BoundedSemaphore else lock()
    trace: list[str] = []

    def work(actor: Actor) -> None:
        with shared:
            trace.append("in")
            gevent.sleep(0.001)
            trace.append("out")

    gevent.joinall([system.spawn(Obedient).ask_nowait(work) for _ in range(20)], raise_error=True)
    assert trace == ["in", "out"] * 20


def test_the_hub_itself_cannot_wait(system: ActorSystem) -> None:
    failures: list[BaseException] = []
    echo = system.spawn(Echo)

    def callback() -> None:
        try:
            echo.ask("from the hub")
        except BaseException as error:
            failures.append(error)

    gevent.get_hub().loop.run_callback(callback)
    gevent.sleep(0.01)
    assert len(failures) == 1
    assert "ask_nowait" in str(failures[0])


def test_the_slow_actor_warning_shows_the_stack() -> None:
    def hog(actor: Actor) -> None:
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            pass

    with capture_logs() as logs, ActorSystem() as system:
        system.spawn(Obedient, name="hog").ask(hog)
        system.spawn(Obedient).ask(lambda actor: gevent.sleep(0.3))
    warnings = [log for log in logs if log["log_level"] == "warning"]
    assert len(warnings) == 1
    assert warnings[0]["path"] == "/hog"
    assert "in hog" in warnings[0]["stack"]


def test_asks_that_wait_switch_straight_from_worker_to_worker(system: ActorSystem) -> None:
    """No visit of the hub for each question, from an actor or from the main greenlet."""
    dispatcher = Dispatcher.current()
    echo = system.spawn(Echo)
    asker = system.spawn(Obedient)
    asker.ask(lambda actor: echo.ask(1))
    before = dispatcher.visits
    started = time.monotonic()
    for number in range(1000):
        assert echo.ask(number) == number
    asker.ask(lambda actor: [echo.ask(number) for number in range(1000)])
    slices = (time.monotonic() - started) / 0.001
    assert dispatcher.visits - before <= 4 * slices + 20


def test_nothing_leaks_over_many_lives() -> None:
    def census() -> dict[str, int]:
        gc.collect()
        objects = gc.get_objects()
        return {
            cls.__name__: sum(isinstance(item, cls) for item in objects)
            for cls in (Cell, Life, Worker, Envelope)
        }

    def live() -> None:
        with capture_logs(), ActorSystem() as system:
            for _ in range(200):
                ref = system.spawn(Obedient, restart="permanent")
                ref.ask(lambda actor: actor.spawn(Echo).ask(1))
                ref.tell(lambda actor: 1 / 0)
                ref.tell(lambda actor: actor.watch(actor.spawn(Collector)))
                blocked = ref.ask_nowait(lambda actor: gevent.sleep(60))
                gevent.sleep(0)
                ref.kill()
                with pytest.raises(ActorStopped):
                    blocked.get(timeout=5)

    live()
    before = census()
    for _ in range(3):
        live()
    settle()
    after = census()
    # Workers stay parked for the next burst; everything else is gone. (Less than before is what an
    # earlier test had left.)
    for name in ("Cell", "Life", "Envelope"):
        assert after[name] <= before[name]
    assert after["Worker"] <= before["Worker"] + 10


def test_a_blocking_actor_with_a_plain_socket_on_a_thread(system: ActorSystem) -> None:
    here, there = plain_socket.socketpair()
    with here, there:
        reader = system.spawn(Obedient)
        answer = reader.ask_nowait(lambda actor: actor.offload(here.recv, 5))
        gevent.sleep(0.01)
        there.sendall(b"hello")
        assert answer.get(timeout=5) == b"hello"
