"""Questions: ask, futures, deferred and forwarded answers, refusals."""

from __future__ import annotations

import gc
import itertools
from typing import Any

import gevent
import pytest

from actorkit import (
    Actor,
    ActorError,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskDeadlock,
    AskTimeout,
    Refused,
    ReplyDropped,
    UnhandledMessage,
)
from actorkit.actor import Reply
from tests.actors import Collector, Echo, Obedient, settle


class Sleeper(Actor):
    def receive(self, message: float) -> str:
        gevent.sleep(message)
        return "awake"


class Failing(Actor):
    def receive(self, message: Any) -> Any:
        raise KeyError(message)


def test_ask_returns_what_receive_returns(system: ActorSystem) -> None:
    echo = system.spawn(Echo)
    for value in (1, None, "text", [1, 2], ActorSystem):
        assert echo.ask(value) is value


def test_ask_raises_what_the_actor_raised_with_its_path_as_a_note(system: ActorSystem) -> None:
    failing = system.spawn(Failing, name="failing")
    with pytest.raises(KeyError, match="x") as caught:
        failing.ask("x")
    assert any("/failing" in note for note in caught.value.__notes__)


def test_ask_times_out_with_a_timeout_error_and_the_actor_goes_on(system: ActorSystem) -> None:
    sleeper = system.spawn(Sleeper)
    with pytest.raises(AskTimeout) as caught:
        sleeper.ask(0.05, timeout=0.01)
    assert isinstance(caught.value, TimeoutError)
    assert sleeper.ask(0) == "awake"
    assert system.late_answers == 1


def test_ask_with_timeout_zero_still_gets_an_answer_that_needs_no_waiting_for_the_loop(
    system: ActorSystem,
) -> None:
    assert system.spawn(Echo).ask(1, timeout=0) == 1


def test_ask_without_timeout_waits_as_long_as_it_takes(system: ActorSystem) -> None:
    assert system.spawn(Sleeper).ask(0.05, timeout=None) == "awake"


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_that_is_no_time_is_refused_before_anything_is_sent(
    system: ActorSystem, timeout: float
) -> None:
    collector = system.spawn(Collector)
    with pytest.raises(ValueError, match="timeout"):
        collector.ask("x", timeout=timeout)
    with pytest.raises(ValueError, match="timeout"):
        collector.ask_nowait("x", timeout=timeout)
    with pytest.raises(ValueError, match="timeout"):
        collector.proxy(timeout=timeout)
    assert collector.ask(None) == []


def test_asking_a_dead_actor_fails_at_once(system: ActorSystem) -> None:
    echo = system.spawn(Echo)
    echo.stop()
    echo.join()
    with pytest.raises(ActorStopped) as caught:
        echo.ask(1, timeout=None)
    assert caught.value.ref == echo


def test_a_question_fails_at_once_when_its_actor_ends_before_answering(
    system: ActorSystem,
) -> None:
    sleeper = system.spawn(Sleeper)
    answer = sleeper.ask_nowait(30, timeout=None)
    queued = sleeper.ask_nowait(0, timeout=None)
    gevent.sleep(0.01)
    sleeper.kill()
    with pytest.raises(ActorStopped):
        answer.get(timeout=2)
    with pytest.raises(ActorStopped):
        queued.get(timeout=2)


def test_refused_goes_to_the_asker_alone_and_is_no_failure(system: ActorSystem) -> None:
    class Picky(Actor):
        def __init__(self) -> None:
            self.refusals = 0

        def receive(self, message: Any) -> Any:
            if message == "count":
                return self.refusals
            self.refusals += 1
            raise Refused("not today")

    picky = system.spawn(Picky)
    with pytest.raises(Refused, match="not today"):
        picky.ask("please")
    picky.tell("please")
    assert picky.ask("count") == 2
    assert [info.restarts for info in system.tree()] == [0]


def test_an_actor_without_receive_refuses_questions_and_goes_on(system: ActorSystem) -> None:
    class Methods(Actor):
        def double(self, x: int) -> int:
            return 2 * x

    methods = system.spawn(Methods)
    with pytest.raises(UnhandledMessage, match="Methods has no receive"):
        methods.ask("what?")
    assert methods.proxy().double(4) == 8


def test_a_future_has_the_words_of_an_async_result(system: ActorSystem) -> None:
    future = system.spawn(Sleeper).ask_nowait(0.01)
    assert not future.ready()
    called: list[Any] = []
    future.rawlink(called.append)
    assert gevent.wait([future], timeout=2) == [future]
    assert future.get() == "awake"
    assert future.successful()
    assert future.value == "awake"
    gevent.sleep(0)
    assert called == [future]


def test_a_future_times_out_by_itself(system: ActorSystem) -> None:
    future = system.spawn(Sleeper).ask_nowait(1, timeout=0.01)
    with pytest.raises(AskTimeout):
        future.get(timeout=2)


def test_many_futures_are_waited_for_together(system: ActorSystem) -> None:
    futures = [system.spawn(Sleeper).ask_nowait(0.02) for _ in range(100)]
    gevent.joinall(futures, raise_error=True)
    assert {future.value for future in futures} == {"awake"}


def test_a_deferred_reply_is_answered_later_and_from_elsewhere(system: ActorSystem) -> None:
    class Later(Actor):
        def receive(self, message: Any) -> Any:
            reply = self.defer_reply()
            gevent.spawn_later(0.01, reply.set, message * 2)

    assert system.spawn(Later).ask(21) == 42


def test_a_deferred_reply_can_be_an_error(system: ActorSystem) -> None:
    def refuse(actor: Actor) -> None:
        actor.defer_reply().set_exception(OSError("disk"))

    with pytest.raises(OSError, match="disk"):
        system.spawn(Obedient).ask(refuse)


def test_a_second_answer_is_dropped_and_counted(system: ActorSystem) -> None:
    def answer_twice(actor: Actor) -> None:
        reply = actor.defer_reply()
        assert reply.set(1)
        assert reply.ready()
        assert not reply.set(2)

    assert system.spawn(Obedient).ask(answer_twice) == 1
    assert system.late_answers == 1


def test_a_deferred_reply_that_nobody_can_give_any_more_fails_at_once(system: ActorSystem) -> None:
    def drop(actor: Actor) -> None:
        actor.defer_reply()

    with pytest.raises(ReplyDropped):
        system.spawn(Obedient).ask(drop, timeout=None)


def test_a_restart_drops_the_replies_that_only_the_old_instance_held(system: ActorSystem) -> None:
    class Keeper(Actor):
        def receive(self, message: str) -> None:
            if message == "keep":
                self.kept = self.defer_reply()
            else:
                raise RuntimeError("broken")

    keeper = system.spawn(Keeper)
    answer = keeper.ask_nowait("keep", timeout=None)
    keeper.tell("fail")
    gevent.sleep(0.05)
    gc.collect()
    with pytest.raises(ReplyDropped):
        answer.get(timeout=2)


def test_a_reply_passed_on_outlives_the_restart_of_its_actor(system: ActorSystem) -> None:
    collector = system.spawn(Collector)

    class Keeper(Actor):
        def receive(self, message: str) -> None:
            if message == "keep":
                collector.tell(self.defer_reply())
            else:
                raise RuntimeError("broken")

    keeper = system.spawn(Keeper)
    answer = keeper.ask_nowait("keep")
    keeper.tell("fail")
    gevent.sleep(0.05)
    collector.ask(None)[0].set("in time")
    assert answer.get(timeout=2) == "in time"


def test_a_deferred_reply_of_an_ended_actor_fails_with_actor_stopped(system: ActorSystem) -> None:
    class Keeper(Actor):
        def receive(self, message: Any) -> None:
            self.kept = self.defer_reply()

    keeper = system.spawn(Keeper)
    answer = keeper.ask_nowait("keep", timeout=None)
    gevent.sleep(0)
    keeper.stop()
    keeper.join()
    gc.collect()
    with pytest.raises(ActorStopped):
        answer.get(timeout=2)


def test_forward_passes_on_the_question_with_its_asker(system: ActorSystem) -> None:
    def forward(actor: Actor) -> None:
        actor.forward(echo, "through")

    echo = system.spawn(Echo)
    desk = system.spawn(Obedient)
    assert desk.ask(forward) == "through"


def test_forwarding_a_told_message_is_telling(system: ActorSystem) -> None:
    def forward(actor: Actor) -> None:
        actor.forward(collector, "told")

    collector = system.spawn(Collector)
    desk = system.spawn(Obedient)
    desk.tell(forward)
    settle(collector)
    assert collector.ask(None) == ["told"]


def test_forwarding_to_a_dead_actor_fails_the_question(system: ActorSystem) -> None:
    echo = system.spawn(Echo)
    echo.stop()
    echo.join()
    with pytest.raises(ActorStopped):
        system.spawn(Obedient).ask(lambda actor: actor.forward(echo, 1))


def test_defer_reply_outside_its_own_turn_is_refused(system: ActorSystem) -> None:
    actors: list[Actor] = []
    system.spawn(Obedient).ask(actors.append)
    with pytest.raises(ActorError, match="inside a turn"):
        actors[0].defer_reply()


class Link(Actor):
    """Asks the next of a chain, or answers if it is the last."""

    def __init__(self) -> None:
        self.next: ActorRef[Any] | None = None

    def receive(self, message: Any) -> Any:
        if isinstance(message, ActorRef):
            self.next = message
            return None
        assert self.next is not None
        return self.next.ask(message)


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_a_cycle_of_asks_raises_ask_deadlock_naming_the_path(
    system: ActorSystem, length: int
) -> None:
    links = [system.spawn(Link, name=f"link{i}") for i in range(length)]
    for link, following in zip(links, links[1:] + links[:1], strict=True):
        link.ask(following)
    with pytest.raises(AskDeadlock) as caught:
        links[0].ask("go", timeout=None)
    assert all(link.path in str(caught.value) for link in links)


def test_a_cycle_through_a_deferred_reply_is_no_deadlock(system: ActorSystem) -> None:
    class Front(Actor):
        def receive(self, message: Any) -> Any:
            if message == "inner":
                return "answered"
            reply = self.defer_reply()
            back = self.spawn(Back, self.ref)
            back.tell(reply)
            return None

    class Back(Actor):
        def __init__(self, front: ActorRef[Any]) -> None:
            self.front = front

        def receive(self, reply: Any) -> None:
            reply.set(self.front.ask("inner"))

    assert system.spawn(Front).ask("outer") == "answered"


def test_an_ask_within_an_ask_within_an_ask(system: ActorSystem) -> None:
    links = [system.spawn(Link) for _ in range(50)]
    for link, following in itertools.pairwise(links):
        link.ask(following)
    links[-1].ask(system.spawn(Echo))
    assert links[0].ask("deep") == "deep"


def test_thousands_of_actors_may_wait_for_answers_at_once(system: ActorSystem) -> None:
    class Oracle(Actor):
        def __init__(self) -> None:
            self.owed: list[Reply] = []

        def receive(self, message: str) -> int | None:
            if message == "question":
                self.owed.append(self.defer_reply())
                return None
            for reply in self.owed:
                reply.set("answer")
            return len(self.owed)

    class Pilgrim(Actor):
        def receive(self, oracle: ActorRef[Oracle]) -> Any:
            return oracle.ask("question", timeout=30)

    oracle = system.spawn(Oracle)
    asked = [system.spawn(Pilgrim).ask_nowait(oracle, timeout=30) for _ in range(2000)]
    settle()
    while oracle.ask("how many?") < 2000:
        gevent.sleep(0.01)
    assert {each.get() for each in asked} == {"answer"}


def test_asks_from_plain_greenlets_and_their_timeouts(system: ActorSystem) -> None:
    sleeper = system.spawn(Sleeper)
    asker = gevent.spawn(sleeper.ask, 0.02)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        sleeper.ask(0.03, timeout=None)
    assert asker.get(timeout=2) == "awake"
    assert sleeper.ask(0) == "awake"
