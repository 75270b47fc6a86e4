"""Inboxes in gevent's queue words, and reading them in the process style."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Empty, Full

from actorkit import Actor, ActorSystem, Inbox, InboxQueue, Refused, Reply, ReplyDropped
from tests.actors import Collector, Obedient, settle

pytestmark = pytest.mark.timeout(30)


class Office(Actor):
    """A process that also has methods and refuses some of them."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def run(self) -> None:
        while True:
            self.got.append(self.inbox.get(match=(int, str)))

    def seen(self) -> list[Any]:
        return self.got

    def refuse(self) -> None:
        raise Refused("closed")

    def fail(self) -> None:
        raise RuntimeError("method failed")


@pytest.mark.parametrize("inbox", [None, Inbox(maxsize=10), Inbox(priority=lambda m: 0)])
def test_a_process_answers_method_calls_while_it_waits_for_messages(
    system: ActorSystem, inbox: Inbox | None
) -> None:
    office = system.spawn(Office, inbox=inbox)
    office.tell(1.5)
    office.tell(1)
    office.tell("two")
    settle()
    assert office.proxy().seen() == [1, "two"]
    with pytest.raises(Refused, match="closed"):
        office.proxy().refuse()
    assert office.proxy().seen() == [1, "two"]
    with pytest.raises(RuntimeError, match="method failed"):
        office.proxy().fail()
    assert office.proxy().seen() == []
    settle()
    assert [info.restarts for info in system.tree()] == [1]


def test_a_question_that_a_process_reads_and_forgets_fails_at_its_next_get(
    system: ActorSystem,
) -> None:
    office = system.spawn(Office)
    with pytest.raises(ReplyDropped, match="did not answer"):
        office.ask(1, timeout=None)


def test_the_inbox_declares_itself_on_the_class_and_lives_on_the_actor(
    system: ActorSystem,
) -> None:
    class Small(Actor):
        inbox = Inbox(maxsize=2, overflow="fail")

        def receive(self, message: Any) -> Any:
            return self.inbox

    assert isinstance(Small.inbox, Inbox)
    ref = system.spawn(Small)
    queue = ref.ask("yours?")
    assert isinstance(queue, InboxQueue)
    assert queue.maxsize == 2
    assert not queue.full()
    ref.tell(1)
    ref.tell(2)
    assert queue.full()
    assert len(queue) == queue.qsize() == 2
    assert repr(queue) == f"<inbox of {ref.path}: 2 of 2>"
    with pytest.raises(Full, match="full"):
        ref.tell(3)
    settle()
    assert queue.empty()
    assert queue
    assert repr(system.spawn(Collector).inbox).endswith("0 of any number>")
    assert system.spawn(Collector).inbox.dropped == 0
    assert system.spawn(Collector).inbox.maxsize is None


def test_system_messages_find_room_in_a_full_inbox(system: ActorSystem) -> None:
    got: list[Any] = []
    gate = Event()

    def wait(actor: Actor) -> None:
        actor.become(got.append)
        actor.watch(watched)
        actor.after(0.001, "timer")
        gate.wait()

    watched = system.spawn(Collector)
    ref = system.spawn(Obedient, inbox=Inbox(maxsize=1, overflow="fail"))
    ref.tell(wait)
    settle()
    ref.tell("fills it")
    with pytest.raises(Full):
        ref.tell("too much")
    watched.stop()
    watched.join(timeout=20)
    gevent.sleep(0.02)  # the timer was due before this
    gate.set()
    with gevent.Timeout(20):
        while len(got) < 3:
            gevent.sleep(0.001)
    assert [type(message).__name__ for message in got] == ["Terminated", "str", "str"]
    assert got[1:] == ["timer", "fills it"]
    ref.stop()
    ref.join(timeout=20)
    assert ref.ready()


def test_a_priority_inbox_is_peeked_in_its_order(system: ActorSystem) -> None:
    class Peeking(Actor):
        def run(self) -> list[Any]:
            gevent.sleep(0.01)
            return [self.inbox.peek(), self.inbox.get(), self.inbox.peek_nowait()]

    ref = system.spawn(Peeking, inbox=Inbox(priority=lambda message: -message))
    for number in (1, 3, 2):
        ref.tell(number)
    ref.join(timeout=20)
    assert ref.value == [3, 3, 2]


def test_a_drain_stop_comes_after_all_that_waits_whatever_its_priority(
    system: ActorSystem,
) -> None:
    got: list[int] = []

    class Slow(Actor):
        def receive(self, message: int) -> None:
            gevent.sleep(0.001)
            got.append(message)

    ref = system.spawn(Slow, inbox=Inbox(priority=lambda message: -message))
    for number in (1, 2, 3):
        ref.tell(number)
    ref.stop(drain=True)
    ref.join(timeout=20)
    assert got == [3, 2, 1]


def test_a_failure_keeps_the_order_of_a_priority_inbox(system: ActorSystem) -> None:
    got: list[int] = []

    class Fragile(Actor):
        def receive(self, message: int) -> None:
            if message == 9:
                raise RuntimeError
            if message == 8 and not got:
                self.stash()
            got.append(message)
            if message == 1:
                self.unstash_all()

    ref = system.spawn(Fragile, inbox=Inbox(priority=lambda message: -message))
    for number in (1, 9, 8, 5):
        ref.tell(number)
    settle()
    assert got == [8, 5, 1, 8]


def test_keys_that_cannot_be_compared_are_refused_at_the_sender(system: ActorSystem) -> None:
    got: list[Any] = []

    class Sorted(Actor):
        def receive(self, message: Any) -> None:
            got.append(message)

        def count(self) -> int:
            return len(got)

    ref = system.spawn(Sorted, inbox=Inbox(priority=lambda message: message))
    ref.tell(2)
    with pytest.raises(TypeError, match="cannot be compared"):
        ref.tell("text")
    ref.tell(1)
    assert ref.proxy().count() == 0  # method calls go ahead
    settle()
    assert got == [1, 2]


def test_match_must_be_a_type_or_a_predicate(system: ActorSystem) -> None:
    def get(actor: Actor) -> None:
        actor.inbox.get(match=3)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="match"):
        system.spawn(Obedient).ask(get)

    def late(actor: Actor) -> None:
        actor.inbox.get(timeout=-1)

    with pytest.raises(ValueError, match="timeout"):
        system.spawn(Obedient).ask(late)

    def empty(actor: Actor) -> str:
        reply = actor.defer_reply()
        try:
            actor.inbox.get(timeout=0)
        except Empty:
            reply.set("empty")
        return ""

    assert system.spawn(Obedient).ask(empty) == "empty"


def test_replies_say_what_they_are(system: ActorSystem) -> None:
    replies: list[Reply] = []
    ref = system.spawn(Obedient)
    answer = ref.ask_nowait(lambda actor: replies.append(actor.defer_reply()))
    settle()
    assert repr(replies[0]) == f"<Reply of {ref.path}: owed>"
    with pytest.raises(TypeError, match="exception"):
        replies[0].set_exception("no")  # type: ignore[arg-type]
    replies[0].set(None)
    assert repr(replies[0]).endswith("settled>")
    answer.join(timeout=20)
    called: list[Any] = []
    answer.then(called.append)
    settle()
    assert called == [answer]


def test_tasks_and_loads_and_other_small_words(system: ActorSystem) -> None:
    ref = system.spawn(Obedient)
    with pytest.raises(TypeError, match="task"):
        ref.ask(lambda actor: actor.task(3))
    settle()
    assert ref.inbox.load() == 0
    gate = Event()
    ref.tell(lambda actor: gate.wait())
    ref.tell(lambda actor: None)
    settle()
    assert ref.inbox.load() == 2
    gate.set()
    assert "inbox" in repr(ref.inbox)
    assert "proxy of" in repr(ref.proxy())
    assert repr(system) == "<ActorSystem 'test'>"


@pytest.mark.parametrize("priority", [None, lambda message: -message])
def test_drop_old_drops_what_has_waited_longest_and_never_a_stop(
    system: ActorSystem, priority: Any
) -> None:
    got: list[int] = []
    gate = Event()

    class Slow(Actor):
        def on_start(self) -> None:
            gate.wait()

        def receive(self, message: int) -> None:
            got.append(message)

    inbox = Inbox(maxsize=2, overflow="drop_old", priority=priority)
    ref = system.spawn(Slow, inbox=inbox)
    ref.tell(9)
    ref.stop(drain=True)
    for number in (1, 2, 3):
        ref.tell(number)
    gate.set()
    ref.join(timeout=20)
    assert ref.ready()
    assert got == ([] if priority is None else [3, 2])


def test_a_sender_that_waits_with_a_key_that_cannot_be_compared_is_refused_alone(
    system: ActorSystem,
) -> None:
    got: list[Any] = []
    gate = Event()

    class Slow(Actor):
        def on_start(self) -> None:
            gate.wait()

        def receive(self, message: Any) -> None:
            got.append(message)

    ref = system.spawn(Slow, inbox=Inbox(maxsize=2, priority=lambda message: message))
    settle()
    for number in (1, 2):
        ref.tell(number)
    senders = [gevent.spawn(ref.tell, message) for message in ("text", 0)]
    settle()
    gate.set()
    gevent.joinall(senders, timeout=20)
    assert isinstance(senders[0].exception, TypeError)
    assert senders[1].successful()
    settle()
    assert sorted(got) == [0, 1, 2]
    assert [info.restarts for info in system.tree()] == [0]


def test_a_newcomer_does_not_overtake_a_sender_that_waits(system: ActorSystem) -> None:
    got: list[int] = []

    class Slow(Actor):
        def receive(self, message: int) -> None:
            gevent.sleep(0.002)
            got.append(message)

    ref = system.spawn(Slow, inbox=Inbox(maxsize=1))
    for number in range(20):
        gevent.spawn(ref.tell, number)
        gevent.sleep(0.0005)
    ref.stop(drain=True)
    ref.join(timeout=20)
    gevent.sleep(0.01)
    assert got == list(range(len(got)))
    assert len(got) > 2
