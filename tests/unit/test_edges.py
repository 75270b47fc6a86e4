"""Edges of the kernel that no other test walks along."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import gevent
import pytest
import structlog
from gevent.event import Event
from structlog.testing import capture_logs

from actorkit import (
    Actor,
    ActorStopped,
    ActorSystem,
    AskTimeout,
    DeadLetter,
    Directive,
    Inbox,
    OneForOne,
    Reason,
    use_stdlib_logging,
)
from actorkit.kernel import EMPTY, Dispatcher
from tests.actors import Collector, Echo, Obedient, settle


def test_a_throw_into_an_idle_worker_ends_only_that_worker(system: ActorSystem) -> None:
    echo = system.spawn(Echo)
    assert echo.ask(1) == 1
    dispatcher = Dispatcher.current()
    settle()
    workers = list(dispatcher.parked)
    assert workers
    for worker in workers:
        dispatcher.loop.run_callback(worker.throw, RuntimeError("stray"))
    with gevent.Timeout(20):  # there may be a thousand, and the loop takes some of them at a time
        while not all(worker.dead for worker in workers):
            gevent.sleep(0.001)
    assert not set(workers) & set(dispatcher.parked)
    assert echo.ask(2) == 2


def test_a_stray_switch_does_not_end_a_wait(system: ActorSystem) -> None:
    gate = Event()
    waiting = gevent.spawn(system.spawn(Obedient).ask, lambda actor: gate.wait())
    settle()
    gevent.get_hub().loop.run_callback(waiting.switch)
    settle()
    assert not waiting.ready()
    gate.set()
    assert waiting.get(timeout=20) is True


def test_stop_of_an_actor_that_stops_already_changes_nothing(system: ActorSystem) -> None:
    gate = Event()

    class Slow(Echo):
        def on_stop(self, reason: Reason) -> None:
            self.reasons.append(reason)
            gate.wait()

        reasons: list[Reason] = []  # noqa: RUF012

    ref = system.spawn(Slow)
    ref.ask(1)
    ref.stop()
    settle()
    ref.stop()
    ref.stop(drain=True)
    ref.tell("late")
    gate.set()
    ref.join(timeout=20)
    assert ref.ready()
    assert Slow.reasons == [Reason.NORMAL]


def test_a_kill_while_it_stops_ends_it_now(system: ActorSystem) -> None:
    class Slow(Echo):
        def on_stop(self, reason: Reason) -> None:
            gevent.sleep(30)

    ref = system.spawn(Slow)
    ref.ask(1)
    ref.stop()
    settle()
    ref.kill()
    ref.join(timeout=20)
    assert ref.ready()


def test_a_killed_parent_with_a_stubborn_child_is_gone_after_the_grace(
    system: ActorSystem,
) -> None:
    class Stubborn(Actor):
        def receive(self, message: Any) -> None:
            while True:
                try:
                    gevent.sleep(0.2)
                except gevent.GreenletExit:
                    continue

    parent = system.spawn(Obedient)
    child = parent.ask(lambda actor: actor.spawn(Stubborn, shutdown=60))
    child.tell("go")
    settle()
    parent.kill()
    parent.join(timeout=20)
    assert parent.ready()
    assert child.ready()


def test_a_failure_while_ordered_to_stop_ends_with_the_failure(system: ActorSystem) -> None:
    gate = Event()

    def fail_late(actor: Actor) -> None:
        gate.wait()
        raise RuntimeError("late")

    ref = system.spawn(Obedient)
    ref.tell(fail_late)
    settle()
    ref.stop()
    gate.set()
    ref.join(timeout=20)
    assert isinstance(ref.exception, RuntimeError)


def test_resume_of_a_process_runs_it_again(system: ActorSystem) -> None:
    class Process(Actor):
        runs = 0

        def run(self) -> None:
            Process.runs += 1
            if self.inbox.get() == "fail":
                raise ValueError

    class Boss(Obedient):
        supervision = OneForOne(decide=lambda error: Directive.RESUME)

    process = system.spawn(Boss).ask(lambda actor: actor.spawn(Process))
    process.tell("fail")
    process.tell("end")
    process.join(timeout=20)
    assert process.successful()
    assert Process.runs == 2


def test_an_ask_within_its_own_timeout_block_leaves_nothing_in_the_wheel(
    system: ActorSystem,
) -> None:
    sleeper = system.spawn(Obedient)
    for _ in range(10):
        with gevent.Timeout(0.002), contextlib.suppress(gevent.Timeout):
            sleeper.ask(lambda actor: gevent.sleep(0.005), timeout=30)
    with gevent.Timeout(20):
        while Dispatcher.current().fresh:
            gevent.sleep(0.001)
    assert sleeper.ask(lambda actor: "still there") == "still there"


def test_an_ask_that_expires_in_a_full_inbox(system: ActorSystem) -> None:
    busy = system.spawn(Obedient, inbox=Inbox(maxsize=1))
    gate = Event()
    busy.tell(lambda actor: gate.wait())
    settle()
    busy.tell(str)
    with pytest.raises(AskTimeout):
        busy.ask(str, timeout=0.01)
    gate.set()


def test_forwarding_into_nothing_keeps_the_question(system: ActorSystem) -> None:
    class Clerk(Actor):
        def receive(self, message: Any) -> Any:
            try:
                self.forward(None, message)  # type: ignore[arg-type]
            except AttributeError:
                return "kept"
            return None

    assert system.spawn(Clerk).ask("x") == "kept"


def test_a_cast_after_the_end_is_a_dead_letter_with_the_call(system: ActorSystem) -> None:
    class Methods(Actor):
        def note(self) -> None: ...

    dead: list[Any] = []
    system.events.subscribe(DeadLetter, dead.append)
    ref = system.spawn(Methods)
    ref.stop()
    ref.join()
    ref.cast("note")
    assert dead[0].message.name == "note"
    with pytest.raises(ActorStopped):
        ref.call("note")


def test_an_actor_without_run_says_so() -> None:
    with pytest.raises(NotImplementedError):
        Echo().run()


def test_empty_says_what_it_is() -> None:
    assert repr(EMPTY) == "EMPTY"


def test_the_bridge_to_logging_in_this_process(
    system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        with caplog.at_level(logging.INFO, logger="actorkit"):
            use_stdlib_logging(logging.INFO)
            system.spawn(Obedient, name="talker").ask(
                lambda actor: actor.log.info("heard", message="news", name="x")
            )
    finally:
        structlog.reset_defaults()
        logging.getLogger("actorkit").setLevel(logging.NOTSET)
    (record,) = [record for record in caplog.records if record.msg == "heard"]
    assert vars(record)["message_"] == "news"
    assert vars(record)["name_"] == "x"


def test_a_refusal_of_a_told_message_is_logged() -> None:
    from actorkit import Refused

    class Picky(Actor):
        def receive(self, message: Any) -> None:
            raise Refused("no")

    with capture_logs() as logs, ActorSystem() as system:
        system.spawn(Picky).tell("please")
        settle()
    assert [log["event"] for log in logs] == ["refused with nobody to tell"]


def test_a_restart_interrupts_a_sibling_that_blocks_past_its_shutdown_time(
    system: ActorSystem,
) -> None:
    from actorkit import OneForAll

    class Group(Obedient):
        supervision = OneForAll(backoff=None)

    group = system.spawn(Group)
    blocked = group.ask(lambda actor: actor.spawn(Obedient, shutdown=0.02))
    failing = group.ask(lambda actor: actor.spawn(Obedient))
    blocked.tell(lambda actor: gevent.sleep(60))
    settle()
    failing.tell(lambda actor: 1 / 0)
    assert blocked.ask(lambda actor: "anew", timeout=20) == "anew"
    assert failing.ask(lambda actor: "anew", timeout=20) == "anew"


def test_shutdown_inside_an_actor_with_a_timeout_kills_what_is_left() -> None:
    system = ActorSystem()
    blocked = system.spawn(Obedient, shutdown=60)
    blocked.tell(lambda actor: gevent.sleep(60))
    settle()
    system.spawn(Collector)
    system.spawn(Obedient).tell(lambda actor: actor.system.shutdown(timeout=0.02))
    with gevent.Timeout(20):
        system.wait()
    assert blocked.ready()


@pytest.mark.parametrize(
    "use",
    [
        lambda actor, what: actor.watch(what),
        lambda actor, what: actor.unwatch(what),
        lambda actor, what: actor.link(what),
        lambda actor, what: actor.unlink(what),
    ],
)
def test_what_is_no_reference_is_refused_and_the_actor_still_ends(
    system: ActorSystem, use: Any
) -> None:
    class Confused(Actor):
        def receive(self, message: Any) -> list[str]:
            said = []
            for what in (self, "/path"):
                with pytest.raises(TypeError) as refused:
                    use(self, what)
                said.append(str(refused.value))
            return said

    confused = system.spawn(Confused)
    for_itself, for_a_path = confused.ask("go")
    assert "the actor's ref, not the actor" in for_itself
    assert "an ActorRef: '/path'" in for_a_path
    confused.stop()
    confused.join(5)
    assert confused.successful()


@pytest.mark.parametrize("inbox", [Inbox(), Inbox(maxsize=10), Inbox(priority=abs)])
def test_a_match_that_raises_loses_no_message(system: ActorSystem, inbox: Inbox) -> None:
    class Picky(Actor):
        def run(self) -> list[int]:
            with pytest.raises(ZeroDivisionError):
                self.inbox.get(match=lambda number: number / 0 if number == 2 else False)
            return [self.inbox.get(timeout=5) for _ in range(3)]

    picky = system.spawn(Picky, inbox=inbox)
    for number in (1, 2, 3):
        picky.tell(number)
    picky.join(5)
    assert picky.value == [1, 2, 3]
