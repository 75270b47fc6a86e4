"""Inboxes against lists: four overflow policies, priorities, selective receive, waiting senders."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from gevent.queue import Empty, Full
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from actorkit import (
    Actor,
    ActorSystem,
    AskTimeout,
    DeadLetter,
    Inbox,
    InboxOverflow,
    OneForOne,
)
from actorkit.kernel import EMPTY
from actorkit.kernel.inbox import Box, Overflow
from tests.actors import Obedient, instance_of, settle

pytestmark = pytest.mark.timeout(30)

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
numbers = st.lists(st.integers(0, 9), max_size=25)


class Events:
    """Stands for a system's event stream."""

    def __init__(self) -> None:
        self.dropped: list[Any] = []

    def wants(self, event: type[Any]) -> bool:
        return event is InboxOverflow

    def publish(self, event: InboxOverflow) -> None:
        self.dropped.append(event.message)


class Owner:
    """Stands for the cell that a box belongs to."""

    path = "/owner"
    _ref = None

    def __init__(self) -> None:
        self.events = Events()
        self._host = self

    def _get_life(self) -> Owner:
        return self

    def mail(self) -> None: ...


class BoxMachine(RuleBasedStateMachine):
    """A box by itself. The model is a list of (key, place, message), kept in order."""

    @initialize(
        maxsize=st.none() | st.integers(1, 4),
        overflow=st.sampled_from(["block", "fail", "drop_new", "drop_old"]),
        priority=st.booleans(),
    )
    def begin(self, maxsize: int | None, overflow: Overflow, priority: bool) -> None:
        self.maxsize = maxsize
        self.overflow = overflow
        self.priority = priority
        key = (lambda message: message[0]) if priority else None
        self.box = Box(Inbox(maxsize=maxsize, overflow=overflow, priority=key))
        self.owner: Any = Owner()
        self.model: list[tuple[int, int, Any]] = []
        self.taken: list[Any] = []
        self.dropped: list[Any] = []
        self.count = 0

    def entry(self, place: int, message: Any) -> tuple[int, int, Any]:
        return (message[0] if self.priority else 0, place, message)

    @rule(key=st.integers(0, 3))
    def put(self, key: int) -> None:
        self.count += 1
        message = (key, self.count)
        full = self.maxsize is not None and len(self.model) >= self.maxsize
        if full and self.overflow in ("block", "fail"):
            with pytest.raises(Full):
                self.box.put(self.owner, message, False, None)
            return
        self.box.put(self.owner, message, False, None)
        if full and self.overflow == "drop_new":
            self.dropped.append(message)
            return
        if full:
            oldest = min(self.model, key=lambda entry: entry[1])
            self.model.remove(oldest)
            self.dropped.append(oldest[2])
        self.model.append(self.entry(self.count, message))
        self.model.sort()

    @rule()
    def take(self) -> None:
        expected = self.model.pop(0)[2] if self.model else EMPTY
        assert self.box.take() == expected
        if expected is not EMPTY:
            self.taken.append(expected)

    @rule(key=st.integers(0, 3))
    def take_one_that_matches(self, key: int) -> None:
        fitting = [entry for entry in self.model if entry[2][0] == key]
        if fitting:
            self.model.remove(fitting[0])
            self.taken.append(fitting[0][2])
        expected = fitting[0][2] if fitting else EMPTY
        assert self.box.take(lambda message: message[0] == key) == expected

    @rule(count=st.integers(0, 3))
    def put_back(self, count: int) -> None:
        returned, self.taken = self.taken[:count], self.taken[count:]
        self.box.put_back(returned)
        first = min((place for _, place, _ in self.model), default=0)
        first = min(first, 0) - len(returned)
        self.model += [self.entry(first + i, message) for i, message in enumerate(returned)]
        self.model.sort()

    @rule()
    def drain(self) -> None:
        assert self.box.drain() == [message for _, _, message in self.model]
        self.model.clear()

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        if hasattr(self, "box"):
            assert len(self.box) == len(self.model)
            assert self.box.full() is (self.maxsize is not None and len(self.model) >= self.maxsize)
            assert self.box.peek() == (self.model[0][2] if self.model else EMPTY)
            assert self.owner.events.dropped == self.dropped
            assert self.box.dropped == len(self.dropped)


TestBox = BoxMachine.TestCase


class Gate(Actor):
    """Is shut until "open"; then it notes what it gets."""

    def __init__(self, got: list[Any]) -> None:
        self.got = got

    def on_start(self) -> None:
        self.opened = gevent.event.Event()
        self.opened.wait()

    def receive(self, message: Any) -> None:
        self.got.append(message)


def opened(system: ActorSystem, ref: Any) -> None:
    instance_of(ref).opened.set()
    ref.stop(drain=True)
    ref.join(timeout=5)
    assert ref.ready()


@quick
@given(sent=numbers, maxsize=st.integers(1, 6), overflow=st.sampled_from(["drop_new", "drop_old"]))
def test_dropping_keeps_the_right_end(
    system: ActorSystem, sent: list[int], maxsize: int, overflow: Overflow
) -> None:
    got: list[int] = []
    dropped: list[int] = []
    system.events.subscribe(InboxOverflow, lambda event: dropped.append(event.message))
    ref = system.spawn(Gate, got, inbox=Inbox(maxsize=maxsize, overflow=overflow))
    settle()
    for number in sent:
        ref.tell(number)
        assert ref.inbox.qsize() <= maxsize
    opened(system, ref)
    cut = max(0, len(sent) - maxsize)
    if overflow == "drop_new":
        assert (got, dropped) == (sent[:maxsize], sent[maxsize:])
    else:
        assert (got, dropped) == (sent[cut:], sent[:cut])


@quick
@given(sent=numbers, maxsize=st.integers(1, 6))
def test_fail_refuses_at_the_sender_and_loses_nothing(
    system: ActorSystem, sent: list[int], maxsize: int
) -> None:
    got: list[int] = []
    ref = system.spawn(Gate, got, inbox=Inbox(maxsize=maxsize, overflow="fail"))
    settle()
    refused = 0
    for number in sent:
        try:
            ref.tell(number)
        except Full:
            refused += 1
            assert ref.inbox.full()
    opened(system, ref)
    assert got == sent[:maxsize]
    assert refused == max(0, len(sent) - maxsize)


@quick
@given(sent=numbers, maxsize=st.integers(1, 6))
def test_blocked_senders_get_their_places_in_order(
    system: ActorSystem, sent: list[int], maxsize: int
) -> None:
    got: list[int] = []
    ref = system.spawn(Gate, got, inbox=Inbox(maxsize=maxsize))
    settle()
    senders = [gevent.spawn(ref.tell, number) for number in sent]
    settle()
    assert sum(sender.ready() for sender in senders) == min(len(sent), maxsize)
    instance_of(ref).opened.set()
    gevent.joinall(senders, timeout=5, raise_error=True)
    opened(system, ref)
    assert got == sent


@quick
@given(
    sent=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    leavers=st.sets(st.integers(0, 11)),
    maxsize=st.integers(1, 4),
)
def test_senders_that_give_up_leave_the_order_of_the_others(
    system: ActorSystem, sent: list[int], leavers: set[int], maxsize: int
) -> None:
    got: list[int] = []
    ref = system.spawn(Gate, got, inbox=Inbox(maxsize=maxsize))
    settle()
    senders = [gevent.spawn(ref.tell, number) for number in sent]
    settle()
    gone = {index for index in leavers if maxsize <= index < len(sent)}
    gevent.killall([senders[index] for index in gone], timeout=5)
    instance_of(ref).opened.set()
    gevent.joinall(senders, timeout=5, raise_error=True)
    opened(system, ref)
    assert got == [number for index, number in enumerate(sent) if index not in gone]


@quick
@given(
    sent=st.lists(st.sampled_from([0, 1, 2, "fail"]), max_size=15),
    maxsize=st.integers(1, 4),
    overflow=st.sampled_from(["block", "drop_new", "drop_old"]),
)
def test_a_bounded_inbox_and_its_blocked_senders_outlive_restarts(
    system: ActorSystem, sent: list[Any], maxsize: int, overflow: Overflow
) -> None:
    got: list[Any] = []
    dropped: list[Any] = []
    system.events.subscribe(InboxOverflow, lambda event: dropped.append(event.message))
    keeper = system.spawn(Keeper)
    inbox = Inbox(maxsize=maxsize, overflow=overflow)
    ref = keeper.ask(lambda actor: actor.spawn(Fragile, got, inbox=inbox))
    senders = [gevent.spawn(ref.tell, message) for message in sent]
    gevent.joinall(senders, timeout=5, raise_error=True)
    ref.stop(drain=True)
    ref.join(timeout=5)
    assert ref.ready()
    if overflow == "block":
        assert got == sent
    assert sorted(map(str, got + dropped)) == sorted(map(str, sent))


class Keeper(Obedient):
    supervision = OneForOne(intensity=100, backoff=None)


class Fragile(Actor):
    """Notes what it gets, and fails on "fail"."""

    def __init__(self, got: list[Any]) -> None:
        self.got = got

    def receive(self, message: Any) -> None:
        self.got.append(message)
        gevent.sleep(0)
        if message == "fail":
            raise RuntimeError


@quick
@given(sent=st.lists(st.tuples(st.integers(0, 3), st.integers()), max_size=25))
def test_a_priority_orders_and_equals_keep_their_order(
    system: ActorSystem, sent: list[tuple[int, int]]
) -> None:
    got: list[Any] = []
    ref = system.spawn(Gate, got, inbox=Inbox(priority=lambda message: message[0]))
    settle()
    for message in sent:
        ref.tell(message)
    opened(system, ref)
    assert got == sorted(sent, key=lambda message: message[0])


class Selective(Actor):
    """Takes what it is told to take, in `run`."""

    def __init__(self, wanted: list[int], got: list[int]) -> None:
        self.wanted = wanted
        self.got = got

    def run(self) -> None:
        gevent.sleep(0.001)
        for number in self.wanted:
            try:
                self.got.append(self.inbox.get_nowait() if number < 0 else self.pick(number))
            except Empty:
                self.got.append(-1)
        while True:
            try:
                self.got.append(self.inbox.get_nowait())
            except Empty:
                return

    def pick(self, number: int) -> Any:
        return self.inbox.get(block=False, match=lambda message: message == number)


@quick
@given(
    sent=numbers,
    wanted=st.lists(st.integers(-1, 9), max_size=10),
    inbox=st.sampled_from([None, Inbox(maxsize=100), Inbox(priority=lambda m: 0)]),
)
def test_selective_receive_keeps_the_order_of_the_rest(
    system: ActorSystem, sent: list[int], wanted: list[int], inbox: Inbox | None
) -> None:
    got: list[int] = []
    ref = system.spawn(Selective, wanted, got, inbox=inbox)
    for number in sent:
        ref.tell(number)
    ref.join(timeout=5)
    model, expected = list(sent), []
    for number in wanted:
        if number < 0 and model:
            expected.append(model.pop(0))
        elif number in model:
            model.remove(number)
            expected.append(number)
        else:
            expected.append(-1)
    assert got == expected + model


def test_a_put_with_a_timeout_raises_full_and_stores_nothing(system: ActorSystem) -> None:
    got: list[int] = []
    ref = system.spawn(Gate, got, inbox=Inbox(maxsize=1))
    settle()
    ref.inbox.put(1)
    with pytest.raises(Full):
        ref.inbox.put(2, timeout=0.01)
    with pytest.raises(Full):
        ref.inbox.put_nowait(3)
    opened(system, ref)
    assert got == [1]


def test_an_ask_of_a_full_inbox_times_out_as_any(system: ActorSystem) -> None:
    ref = system.spawn(Gate, [], inbox=Inbox(maxsize=1))
    settle()
    ref.tell(1)
    with pytest.raises(AskTimeout):
        ref.ask(2, timeout=0.02)
    ref.kill()


def test_a_dropped_question_fails_at_its_asker(system: ActorSystem) -> None:
    ref = system.spawn(Gate, [], inbox=Inbox(maxsize=1, overflow="drop_old"))
    settle()
    answer = ref.ask_nowait("old")
    ref.tell("new")
    with pytest.raises(Full):
        answer.get(timeout=2)
    ref.kill()


def test_an_actor_that_fills_its_own_inbox_gets_full(system: ActorSystem) -> None:
    class Greedy(Actor):
        def receive(self, message: Any) -> int:
            told = 0
            try:
                while True:
                    self.ref.tell("more")
                    told += 1
            except Full:
                return told

    ref = system.spawn(Greedy, inbox=Inbox(maxsize=3))
    assert ref.ask("go") == 3
    ref.kill()


def test_senders_that_wait_at_a_dying_actor_go_on(system: ActorSystem) -> None:
    dead: list[Any] = []
    system.events.subscribe(DeadLetter, lambda letter: dead.append(letter.message))
    ref = system.spawn(Gate, [], inbox=Inbox(maxsize=1))
    settle()
    senders = [gevent.spawn(ref.tell, number) for number in range(5)]
    settle()
    ref.kill()
    gevent.joinall(senders, timeout=5, raise_error=True)
    settle()
    assert dead == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"maxsize": 0}, ValueError),
        ({"maxsize": -1}, ValueError),
        ({"maxsize": 1.5}, ValueError),
        ({"maxsize": True}, ValueError),
        ({"overflow": "explode"}, ValueError),
        ({"priority": 3}, TypeError),
    ],
)
def test_wrong_declarations_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Inbox(**options)
