"""What an actor can do in its own code: hooks, timers, behaviours, stash, tasks, children."""

from __future__ import annotations

import threading
from typing import Any

import gevent
import pytest
from gevent.event import Event
from structlog.testing import capture_logs

from actorkit import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    IdleTimeout,
    NameTaken,
    NotInActor,
    Reason,
    Terminated,
)
from tests.actors import Collector, Echo, Obedient, settle

LOG: list[Any] = []


@pytest.fixture(autouse=True)
def _empty_log() -> None:
    LOG.clear()


class Logged(Actor):
    """Logs its hooks; "fail" fails it."""

    def __init__(self) -> None:
        LOG.append("init")

    def on_start(self) -> None:
        LOG.append("start")

    def on_stop(self, reason: Reason) -> None:
        LOG.append(("stop", reason))

    def on_restart(self, error: BaseException | None) -> None:
        LOG.append(("restart", repr(error)))

    def receive(self, message: Any) -> Any:
        LOG.append(message)
        if message == "fail":
            raise RuntimeError("told to")
        if message == "stop":
            self.stop()
        return message


def test_the_constructor_runs_at_once_and_on_start_as_the_first_turn(system: ActorSystem) -> None:
    ref = system.spawn(Logged)
    ref.tell("a")
    assert LOG == ["init"]
    ref.ask("b")
    assert LOG == ["init", "start", "a", "b"]


def test_a_restart_runs_the_hooks_in_order(system: ActorSystem) -> None:
    ref = system.spawn(Logged)
    ref.tell("fail")
    ref.ask("after")
    assert LOG == [
        "init",
        "start",
        "fail",
        ("stop", Reason.FAILED),
        "init",
        ("restart", "RuntimeError('told to')"),
        "start",
        "after",
    ]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda ref: ref.stop(), Reason.NORMAL),
        (lambda ref: ref.tell("stop"), Reason.NORMAL),
        (lambda ref: ref.kill(), Reason.KILLED),
    ],
)
def test_on_stop_gets_the_reason(system: ActorSystem, end: Any, reason: Reason) -> None:
    ref = system.spawn(Logged)
    ref.ask("x")
    end(ref)
    ref.join(timeout=2)
    assert LOG[-1] == ("stop", reason)
    assert LOG.count(("stop", reason)) == 1


def test_on_stop_at_shutdown_gets_shutdown() -> None:
    with ActorSystem() as system:
        system.spawn(Logged).ask("x")
    assert LOG[-1] == ("stop", Reason.SHUTDOWN)


def test_what_on_stop_raises_is_logged_and_stops_nothing(system: ActorSystem) -> None:
    class Sour(Actor):
        def on_stop(self, reason: Reason) -> None:
            raise RuntimeError("sour")

        def receive(self, message: Any) -> None:
            pass

    ref = system.spawn(Sour)
    ref.stop()
    ref.join(timeout=2)
    assert ref.successful()


def test_identity_works_in_the_constructor(system: ActorSystem) -> None:
    class Curious(Actor):
        def __init__(self) -> None:
            assert self.parent is None
            self.log.info("made")
            self.child = self.spawn(Echo, name="child")
            self.facts = (self.ref, self.system, self.children)

        def receive(self, message: Any) -> Any:
            return (*self.facts, self.child)

    ref = system.spawn(Curious, name="curious")
    own, host, children, child = ref.ask("facts")
    assert own == ref
    assert host is system
    assert children == [child]
    assert child.path == "/curious/child"
    assert ref.path == "/curious"


def test_a_constructor_that_fails_leaves_nothing_behind(system: ActorSystem) -> None:
    class Broken(Actor):
        def __init__(self) -> None:
            self.spawn(Echo, name="child")
            raise OSError("no")

        def receive(self, message: Any) -> None:
            pass

    with pytest.raises(OSError, match="no"):
        system.spawn(Broken, name="broken")
    settle()
    assert system.tree() == []
    system.spawn(Echo, name="broken")


def test_constructor_arguments_are_checked_by_python_at_the_caller(system: ActorSystem) -> None:
    with pytest.raises(TypeError, match="argument"):
        system.spawn(Echo, 1, 2)
    with pytest.raises(TypeError, match="argument"):
        system.spawn(Echo, unknown=1)


def test_children_end_before_their_parent_last_started_first(system: ActorSystem) -> None:
    class Child(Actor):
        def __init__(self, label: str) -> None:
            self.label = label

        def on_stop(self, reason: Reason) -> None:
            LOG.append((self.label, reason))

        def receive(self, message: Any) -> None:
            pass

    class Parent(Child):
        def on_start(self) -> None:
            for label in "abc":
                self.spawn(Child, label)

    ref = system.spawn(Parent, "parent")
    settle()
    ref.stop()
    ref.join(timeout=2)
    down = Reason.SHUTDOWN
    assert [("c", down), ("b", down), ("a", down), ("parent", Reason.NORMAL)] == LOG


def test_names_are_unique_among_siblings_and_free_again_after_the_end(
    system: ActorSystem,
) -> None:
    first = system.spawn(Echo, name="echo")
    with pytest.raises(NameTaken, match="/echo"):
        system.spawn(Echo, name="echo")
    first.stop()
    first.join()
    second = system.spawn(Echo, name="echo")
    assert second.path == first.path
    assert second != first


def test_watching_gives_terminated_with_reason_and_error(system: ActorSystem) -> None:
    class Fragile(Actor):
        def receive(self, message: Any) -> None:
            raise RuntimeError("cracked")

    watcher = system.spawn(Collector)
    fragile = system.spawn(Fragile, restart="temporary")
    obedient = system.spawn(Obedient)
    assert obedient.ask(lambda actor: actor.watch(fragile)) is None
    system.events.subscribe(Terminated, watcher)

    got: list[Any] = []
    obedient.ask(lambda actor: actor.become(got.append))
    fragile.tell("x")
    fragile.join(timeout=2)
    settle()
    assert [(m.ref, m.reason) for m in got] == [(fragile, Reason.FAILED)]
    assert isinstance(got[0].error, RuntimeError)


def test_watching_a_dead_actor_tells_at_once(system: ActorSystem) -> None:
    echo = system.spawn(Echo)
    echo.kill()
    echo.join()
    got: list[Any] = []
    watcher = system.spawn(Obedient)
    watcher.ask(lambda actor: actor.become(got.append) or actor.watch(echo))
    settle()
    assert got == [Terminated(echo, Reason.KILLED, None)]


def test_watching_twice_tells_once_and_unwatch_takes_it_back(system: ActorSystem) -> None:
    one, two = system.spawn(Echo), system.spawn(Echo)
    got: list[Any] = []

    def prepare(actor: Actor) -> None:
        actor.watch(one)
        actor.watch(one)
        actor.watch(two)
        actor.unwatch(two)
        actor.become(got.append)

    system.spawn(Obedient).ask(prepare)
    one.stop()
    two.stop()
    gevent.joinall([one, two], timeout=2)
    settle()
    assert [m.ref for m in got] == [one]


def test_unwatch_takes_back_a_terminated_that_waits_in_the_inbox(system: ActorSystem) -> None:
    echo = system.spawn(Echo)
    got: list[Any] = []

    def wait_and_unwatch(actor: Actor) -> None:
        actor.watch(echo)
        actor.become(got.append)
        echo.stop()
        gevent.sleep(0.02)
        assert echo.ready()
        actor.unwatch(echo)

    system.spawn(Obedient).ask(wait_and_unwatch)
    settle()
    assert got == []


def test_linked_actors_die_together_unless_the_end_is_normal(system: ActorSystem) -> None:
    linked = [system.spawn(Obedient, restart="temporary") for _ in range(2)]
    linked[0].ask(lambda actor: actor.link(linked[1]))
    linked[1].kill()
    gevent.joinall(linked, timeout=2)
    assert linked[0].ready()
    assert type(linked[0].exception).__name__ == "LinkedActorDied"

    normal = [system.spawn(Obedient, restart="temporary") for _ in range(3)]
    normal[0].ask(lambda actor: actor.link(normal[1]))
    normal[0].ask(lambda actor: actor.link(normal[2]))
    normal[0].ask(lambda actor: actor.unlink(normal[2]))
    normal[1].stop()
    normal[2].kill()
    gevent.joinall(normal[1:], timeout=2)
    settle()
    assert not normal[0].ready()


def test_linking_to_a_dead_actor_fails_at_once(system: ActorSystem) -> None:
    dead = system.spawn(Echo)
    dead.kill()
    dead.join()
    ref = system.spawn(Obedient, restart="temporary")
    ref.tell(lambda actor: actor.link(dead))
    ref.join(timeout=2)
    assert type(ref.exception).__name__ == "LinkedActorDied"


def test_after_and_every_send_messages_to_oneself(system: ActorSystem) -> None:
    class Timed(Actor):
        def __init__(self) -> None:
            self.got: list[Any] = []
            self.after(0.01, "once")
            self.every(0.01, "beat", key="beat")
            self.done = Event()

        def receive(self, message: Any) -> Any:
            if message == "got":
                return self.got
            self.got.append(message)
            if self.got.count("beat") == 3:
                assert self.cancel("beat")
                assert not self.cancel("beat")
            return None

    ref = system.spawn(Timed)
    gevent.sleep(0.1)
    got = ref.ask("got")
    assert got.count("once") == 1
    assert got.count("beat") == 3


def test_a_cancelled_timer_never_delivers_even_when_already_in_the_inbox(
    system: ActorSystem,
) -> None:
    got: list[Any] = []

    def set_and_cancel(actor: Actor) -> None:
        actor.become(got.append)
        key = actor.after(0.005, "late")
        actor.after(0.005, "replaced", key="k")
        gevent.sleep(0.03)
        assert actor.ref.inbox.qsize() == 2
        assert actor.cancel(key)
        actor.after(0.005, "new", key="k")

    ref = system.spawn(Obedient)
    ref.ask(set_and_cancel)
    gevent.sleep(0.05)
    assert got == ["new"]


def test_timers_end_with_the_instance(system: ActorSystem) -> None:
    class Timed(Actor):
        def receive(self, message: Any) -> Any:
            if message == "fail":
                self.every(0.005, "tick")
                raise RuntimeError
            LOG.append(message)
            return None

    ref = system.spawn(Timed)
    ref.tell("fail")
    gevent.sleep(0.05)
    assert LOG == []
    ref.ask("alive")


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_timers_refuse_times_that_are_none(system: ActorSystem, seconds: float) -> None:
    ref = system.spawn(Obedient)
    for act in (
        lambda actor: actor.after(seconds, "x"),
        lambda actor: actor.every(seconds, "x"),
        lambda actor: actor.idle_timeout(seconds),
    ):
        with pytest.raises(ValueError, match="seconds"):
            ref.ask(act)


def test_idle_timeout_comes_when_nothing_else_does(system: ActorSystem) -> None:
    class Idle(Actor):
        def __init__(self) -> None:
            self.idle_timeout(0.4)

        def receive(self, message: Any) -> None:
            LOG.append(message)
            if isinstance(message, IdleTimeout):
                self.idle_timeout(None)

    ref = system.spawn(Idle)
    for _ in range(10):
        gevent.sleep(0.05)
        ref.tell("busy")
    assert LOG.count("busy") >= 9
    assert IdleTimeout(0.4) not in LOG
    with gevent.Timeout(20):
        while IdleTimeout(0.4) not in LOG:
            gevent.sleep(0.01)
    settle()
    assert LOG.count(IdleTimeout(0.4)) == 1


def test_become_changes_the_behaviour_until_unbecome(system: ActorSystem) -> None:
    class Door(Actor):
        def receive(self, message: str) -> str:
            if message == "open":
                self.become(self.opened)
            return "closed"

        def opened(self, message: str) -> str:
            if message == "close":
                self.unbecome()
            return "opened"

    door = system.spawn(Door)
    asked = [door.ask(m) for m in ("look", "open", "look", "close", "look")]
    assert asked == ["closed", "closed", "opened", "opened", "closed"]


def test_behaviours_stack_and_a_restart_forgets_them(system: ActorSystem) -> None:
    ref = system.spawn(Obedient)
    ref.ask(lambda actor: actor.become(lambda m: ("one", m(actor))))
    ref.ask(lambda actor: actor.become(lambda m: ("two", m(actor))))
    assert ref.ask(lambda actor: 1) == ("two", 1)
    assert ref.ask(lambda actor: actor.unbecome())[0] == "two"
    assert ref.ask(lambda actor: 1) == ("one", 1)
    with pytest.raises(ZeroDivisionError):
        ref.ask(lambda actor: 1 / 0)
    assert ref.ask(lambda actor: 1) == 1


def test_unbecome_with_nothing_to_go_back_to_does_nothing(system: ActorSystem) -> None:
    ref = system.spawn(Obedient)
    ref.ask(lambda actor: actor.unbecome())
    assert ref.ask(lambda actor: 1) == 1


class Stashing(Actor):
    """Stashes everything but numbers until "open"."""

    def __init__(self) -> None:
        self.opened = False

    def receive(self, message: Any) -> Any:
        if message == "open":
            self.opened = True
            self.unstash_all()
        elif message == "fail":
            raise RuntimeError
        elif not self.opened:
            self.stash()
        else:
            LOG.append(message)
            return message
        return None


def test_stashed_messages_come_back_in_front_in_their_order(system: ActorSystem) -> None:
    ref = system.spawn(Stashing)
    for message in ("a", "b", "open", "c"):
        ref.tell(message)
    assert ref.ask("d") == "d"
    assert LOG == ["a", "b", "c", "d"]


def test_a_stashed_question_is_answered_when_it_comes_back(system: ActorSystem) -> None:
    ref = system.spawn(Stashing)
    answer = ref.ask_nowait("question")
    ref.ask("open")
    assert answer.get(timeout=2) == "question"


def test_a_restart_puts_the_stash_back_at_the_front_of_the_inbox(system: ActorSystem) -> None:
    ref = system.spawn(Stashing)
    for message in ("a", "b", "fail", "c", "open", "d"):
        ref.tell(message)
    ref.ask("e")
    assert LOG == ["a", "b", "c", "d", "e"]


def test_offload_runs_on_another_thread_and_only_this_actor_waits(system: ActorSystem) -> None:
    release = threading.Event()
    busy = system.spawn(Obedient)
    answer = busy.ask_nowait(lambda actor: actor.offload(release.wait, 5))
    assert system.spawn(Echo).ask("meanwhile") == "meanwhile"
    threads = busy.ask_nowait(lambda actor: actor.offload(threading.get_ident))
    release.set()
    assert answer.get(timeout=5) is True
    assert threads.get(timeout=5) != threading.get_ident()


def test_offload_raises_what_the_function_raises(system: ActorSystem) -> None:
    def fail() -> None:
        raise LookupError("there")

    ref = system.spawn(Obedient)
    with pytest.raises(LookupError, match="there"):
        ref.ask(lambda actor: actor.offload(fail))
    with pytest.raises(TypeError, match="function"):
        ref.ask(lambda actor: actor.offload(3))


def test_a_task_is_killed_with_its_actor(system: ActorSystem) -> None:
    tasks: list[Any] = []
    ref = system.spawn(Obedient)
    ref.ask(lambda actor: tasks.append(actor.task(gevent.sleep, 60)))
    gevent.sleep(0.01)
    ref.stop()
    gevent.joinall(tasks, timeout=2)
    assert tasks[0].ready()
    assert isinstance(tasks[0].value, gevent.GreenletExit)


def test_the_failure_of_a_task_is_the_failure_of_its_actor(system: ActorSystem) -> None:
    def fail() -> None:
        raise RuntimeError("in task")

    ref = system.spawn(Obedient, restart="temporary")
    ref.ask(lambda actor: actor.task(fail))
    ref.join(timeout=2)
    assert isinstance(ref.exception, RuntimeError)


def test_the_failure_of_a_task_is_logged_once_and_printed_nowhere_else(
    system: ActorSystem, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("in task")

    tasks: list[Any] = []
    ref = system.spawn(Obedient, restart="temporary")
    with capture_logs() as logs:
        ref.ask(lambda actor: tasks.append(actor.task(fail)))
        ref.join(timeout=2)
    assert [entry["event"] for entry in logs] == ["actor failed"]
    assert capfd.readouterr().err == ""


def test_a_failed_task_says_so_in_the_words_of_a_greenlet(system: ActorSystem) -> None:
    def fail() -> None:
        raise RuntimeError("in task")

    tasks: list[Any] = []
    heard: list[Any] = []

    def begin(actor: Any) -> None:
        tasks.append(actor.task(fail))
        tasks[0].link_exception(heard.append)
        tasks[0].link_value(heard.clear)

    system.spawn(Obedient, restart="temporary").ask(begin)
    with pytest.raises(RuntimeError, match="in task"):
        tasks[0].get(timeout=2)
    with pytest.raises(RuntimeError, match="in task"):
        gevent.joinall(tasks, raise_error=True)
    gevent.sleep(0)
    assert heard == tasks
    assert (tasks[0].ready(), tasks[0].successful(), tasks[0].value) == (True, False, None)
    assert isinstance(tasks[0].exception, RuntimeError)


def test_a_task_that_ends_well_changes_nothing(system: ActorSystem) -> None:
    collector = system.spawn(Collector)
    system.spawn(Obedient).ask(lambda actor: actor.task(collector.tell, "done"))
    gevent.sleep(0.01)
    assert collector.ask(None) == ["done"]
    assert [info.restarts for info in system.tree()] == [0, 0]


class Process(Actor):
    """Reads its inbox itself."""

    def run(self) -> str:
        LOG.append(self.inbox.get(match=str))
        LOG.append(self.inbox.get(match=lambda m: m == 3))
        while (message := self.inbox.get()) != "end":
            LOG.append(message)
        return "finished"


def test_the_process_style_reads_selectively_and_keeps_the_order_of_the_rest(
    system: ActorSystem,
) -> None:
    ref = system.spawn(Process)
    for message in (1, 2, "first", 3, 4, "end"):
        ref.tell(message)
    ref.join(timeout=2)
    assert LOG == ["first", 3, 1, 2, 4]
    assert ref.value == "finished"
    assert ref.successful()


def test_get_with_a_timeout_raises_gevents_empty(system: ActorSystem) -> None:
    class Patient(Actor):
        def run(self) -> None:
            for act in (
                lambda: self.inbox.get(timeout=0.01),
                self.inbox.get_nowait,
                lambda: self.inbox.get(timeout=0.01, match=int),
                self.inbox.peek_nowait,
            ):
                read: Any = act
                with pytest.raises(gevent.queue.Empty):
                    read()
            LOG.append(self.inbox.peek())
            LOG.append(self.inbox.get())

    ref = system.spawn(Patient)
    gevent.sleep(0.1)
    ref.tell("at last")
    ref.join(timeout=2)
    assert ref.exception is None
    assert LOG == ["at last", "at last"]


def test_a_process_answers_with_defer_reply(system: ActorSystem) -> None:
    class Server(Actor):
        def run(self) -> None:
            while True:
                message = self.inbox.get()
                self.defer_reply().set(message + 1)

    ref = system.spawn(Server)
    assert [ref.ask(n) for n in range(3)] == [1, 2, 3]
    ref.stop()
    ref.join(timeout=2)
    assert ref.ready()


def test_a_process_that_waits_elsewhere_is_killed_after_its_shutdown_time(
    system: ActorSystem,
) -> None:
    class Deaf(Actor):
        def run(self) -> None:
            try:
                Event().wait()
            finally:
                LOG.append("thrown out")

        def on_stop(self, reason: Reason) -> None:
            LOG.append(reason)

    ref = system.spawn(Deaf, shutdown=0.05)
    settle()
    ref.stop()
    ref.join(timeout=20)
    assert ref.ready()
    assert LOG == ["thrown out", Reason.KILLED]


def test_receive_may_take_more_messages_from_its_inbox(system: ActorSystem) -> None:
    def take_two(actor: Actor) -> list[Any]:
        reply = actor.defer_reply()
        taken = [actor.inbox.get(), actor.inbox.get()]
        reply.set(taken)
        return taken

    ref = system.spawn(Obedient)
    answer = ref.ask_nowait(take_two)
    gevent.sleep(0.01)
    ref.tell("one")
    ref.tell("two")
    assert answer.get(timeout=2) == ["one", "two"]
    assert ref.ask(lambda actor: "still here") == "still here"


def test_only_the_actor_itself_reads_its_inbox(system: ActorSystem) -> None:
    ref = system.spawn(Echo)
    with pytest.raises(NotInActor):
        ref.inbox.get()


def test_a_bare_object_says_that_it_must_be_spawned() -> None:
    with pytest.raises(ActorError, match="spawn"):
        Echo().ref  # noqa: B018


def test_a_permanent_actor_comes_back_from_its_own_end(system: ActorSystem) -> None:
    ref = system.spawn(Logged, restart="permanent")
    ref.tell("stop")
    ref.ask("again")
    assert LOG.count("start") == 2
    assert ("restart", "None") in LOG
    ref.stop()
    ref.join(timeout=2)
    assert ref.ready()


def test_an_actor_may_stop_itself_in_on_start(system: ActorSystem) -> None:
    class Brief(Actor):
        def on_start(self) -> None:
            self.stop()

        def receive(self, message: Any) -> None:
            LOG.append(message)

    ref = system.spawn(Brief)
    ref.tell("unheard")
    ref.join(timeout=2)
    assert ref.ready()
    assert LOG == []


def test_an_actor_may_kill_itself(system: ActorSystem) -> None:
    def kill(actor: Actor) -> None:
        actor.ref.kill()
        gevent.sleep(5)

    ref: ActorRef[Any] = system.spawn(Obedient)
    ref.tell(kill)
    ref.join(timeout=2)
    assert ref.ready()


def test_actors_are_not_pickled(system: ActorSystem) -> None:
    import pickle

    ref = system.spawn(Obedient)
    with pytest.raises(TypeError, match=r"self\.ref"):
        ref.ask(pickle.dumps)
    with pytest.raises(TypeError, match="lookup"):
        pickle.dumps(ref)
