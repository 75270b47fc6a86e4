"""Tracing: which spans there are, who is whose parent, and that messages arrive as without it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from typing import Any

import gevent
import pytest
from gevent.queue import Full
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from actorkit import (
    Actor,
    ActorRef,
    ActorSystem,
    AskDeadlock,
    AskTimeout,
    DeadLetter,
    Inbox,
    Refused,
    Reply,
)
from actorkit.observe.tracing import Tracing
from actorkit.testing import Simulation
from tests.actors import Collector, Echo, Obedient, settle

from .traced_node import Back, Spans


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def traced(system: ActorSystem, spans: Spans) -> Iterator[ActorSystem]:
    with Tracing(system, spans.provider):
        yield system


def named(spans: Spans, name: str) -> ReadableSpan:
    found = [span for span in spans.finished if span.name == name]
    assert len(found) == 1, [span.name for span in spans.finished]
    return found[0]


def assert_chain(spans: list[tuple[str, str, str, str]], *names: str) -> None:
    """These spans are of one trace, each the parent of the next."""
    by_name = {span[0]: span for span in spans}
    for first, second in pairwise(names):
        assert by_name[first][1] == by_name[second][1]
        assert by_name[second][3] == by_name[first][2]


def test_main_asks_an_actor_that_tells_another_in_one_trace(
    traced: ActorSystem, spans: Spans
) -> None:
    back = traced.spawn(Back, name="back")
    assert back.ask("hello") == "hello"
    settle()
    assert_chain(spans.short(), "ask Back", "receive Back", "receive Store")
    assert len(spans.finished) == 3
    received = named(spans, "receive Back")
    assert received.attributes == {
        "actorkit.system": "test",
        "actorkit.path": "/back",
        "actorkit.class": "Back",
        "actorkit.message": "str",
    }
    assert received.status.status_code is StatusCode.UNSET


def test_a_span_of_the_caller_is_the_parent_of_what_it_sends(
    traced: ActorSystem, spans: Spans
) -> None:
    echo = traced.spawn(Echo)
    with spans.provider.get_tracer("test").start_as_current_span("mine"):
        echo.tell(1)
        assert echo.ask_nowait(2).get(timeout=5) == 2
    by_name = [(span[0], span[3]) for span in spans.short()]
    mine = next(span[2] for span in spans.short() if span[0] == "mine")
    assert ("receive Echo", mine) in by_name
    assert ("ask Echo", mine) in by_name


def test_code_in_receive_sees_its_span_as_the_current_one_and_the_next_turn_does_not(
    traced: ActorSystem, spans: Spans
) -> None:
    def current(actor: Actor) -> int:
        gevent.sleep(0.001)
        return trace.get_current_span().get_span_context().span_id

    actor = traced.spawn(Obedient)
    seen = [actor.ask(current) for _ in range(2)]
    received = [span.context.span_id for span in spans.finished if span.name == "receive Obedient"]
    assert seen == received
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_failure_is_the_status_of_the_receive_and_of_the_ask(
    traced: ActorSystem, spans: Spans
) -> None:
    def fail(actor: Actor) -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError):
        traced.spawn(Obedient).ask(fail)
    for name in ("ask Obedient", "receive Obedient"):
        span = named(spans, name)
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "KeyError: 'lost'"
        assert [event.name for event in span.events] == ["exception"]


def test_a_refusal_fails_the_ask_alone(traced: ActorSystem, spans: Spans) -> None:
    def refuse(actor: Actor) -> None:
        raise Refused("no")

    with pytest.raises(Refused):
        traced.spawn(Obedient).ask(refuse)
    assert named(spans, "ask Obedient").status.status_code is StatusCode.ERROR
    assert named(spans, "receive Obedient").status.status_code is StatusCode.UNSET


def test_a_method_call_is_named(traced: ActorSystem, spans: Spans) -> None:
    class Account(Actor):
        def deposit(self, amount: int) -> int:
            return amount

    account = traced.spawn(Account)
    assert account.proxy().deposit(3) == 3
    account.cast("deposit", 4)
    settle()
    messages = [dict(span.attributes or {})["actorkit.message"] for span in spans.finished]
    assert messages == ["deposit()"] * 3


def test_an_ask_ends_with_a_reply_that_is_given_later(traced: ActorSystem, spans: Spans) -> None:
    replies: list[Reply] = []
    actor = traced.spawn(Obedient)
    future = actor.ask_nowait(lambda actor: replies.append(actor.defer_reply()))
    settle()
    assert [span.name for span in spans.finished] == ["receive Obedient"]
    replies[0].set("late")
    assert future.get(timeout=5) == "late"
    assert named(spans, "ask Obedient").status.status_code is StatusCode.UNSET


def test_an_ask_that_nobody_answers_fails_its_span(traced: ActorSystem, spans: Spans) -> None:
    actor = traced.spawn(Obedient, shutdown=0.01)
    with pytest.raises(AskTimeout):
        actor.ask(lambda actor: gevent.sleep(60), timeout=0.01)
    assert named(spans, "ask Obedient").status.status_code is StatusCode.ERROR


def test_a_forwarded_question_goes_on_in_its_trace(traced: ActorSystem, spans: Spans) -> None:
    echo = traced.spawn(Echo)
    front = traced.spawn(Obedient)
    assert front.ask(lambda actor: actor.forward(echo, "over there")) == "over there"
    assert_chain(spans.short(), "ask Obedient", "receive Obedient", "receive Echo")


def test_a_stashed_message_keeps_its_trace(traced: ActorSystem, spans: Spans) -> None:
    class Late(Actor):
        ready = False

        def receive(self, message: Any) -> Any:
            if not self.ready:
                self.ready = True
                self.stash()
                self.after(0, "now")
            elif message == "now":
                self.unstash_all()
            return message

    with spans.provider.get_tracer("test").start_as_current_span("mine"):
        assert traced.spawn(Late).ask("first") == "first"
    traces = {span[1] for span in spans.short() if span[0] != "receive Late"}
    late = [span[1] for span in spans.short() if span[0] == "receive Late"]
    assert len(traces) == 1
    assert [one in traces for one in late] == [True, False, True]  # the timer is of no trace


def test_actors_in_the_process_style_have_a_span_from_one_get_to_the_next(
    traced: ActorSystem, spans: Spans
) -> None:
    echo = traced.spawn(Echo)

    class Reading(Actor):
        def run(self) -> None:
            while (message := self.inbox.get()) != "end":
                echo.tell(message)

    reading = traced.spawn(Reading)
    reading.tell("one")
    reading.tell("end")
    reading.join()
    settle()
    assert [span.name for span in spans.finished].count("receive Reading") == 2
    echoed = next(span for span in spans.short() if span[0] == "receive Echo")
    assert echoed[3] in {span[2] for span in spans.short() if span[0] == "receive Reading"}


def test_bounds_orders_and_dead_letters_see_the_bare_message(
    traced: ActorSystem, spans: Spans
) -> None:
    dead: list[Any] = []
    traced.events.subscribe(DeadLetter, lambda letter: dead.append(letter.message))
    actor = traced.spawn(Obedient, inbox=Inbox(maxsize=1, overflow="fail"), shutdown=0.01)
    actor.tell(lambda actor: gevent.sleep(60))
    while actor.inbox.qsize():
        gevent.sleep(0.001)
    actor.tell("waits")
    with pytest.raises(Full):
        actor.tell("too much")
    actor.kill()
    actor.join()
    actor.tell("too late")
    assert dead == ["waits", "too late"]

    sorted_one = traced.spawn(Collector, inbox=Inbox(priority=lambda message: message or 0))
    for number in (3, 1, 2):
        sorted_one.tell(number)
    settle()
    assert sorted_one.ask(None) == [1, 2, 3]

    class Choose(Actor):
        def run(self) -> list[Any]:
            return [self.inbox.get(match=str), self.inbox.get(match=lambda m: m > 1)]

    chooser = traced.spawn(Choose)
    for message in (1, "text", 2):
        chooser.tell(message)
    chooser.join()
    assert chooser.value == ["text", 2]


def test_an_actor_without_receive_makes_dead_letters_as_before(traced: ActorSystem) -> None:
    class Methods(Actor):
        def method(self) -> int:
            return 1

    dead: list[Any] = []
    traced.events.subscribe(DeadLetter, lambda letter: dead.append(letter.message))
    methods = traced.spawn(Methods)
    methods.tell("lost")
    assert methods.proxy().method() == 1
    assert dead == ["lost"]


def test_a_circle_of_asks_is_refused_as_before(traced: ActorSystem) -> None:
    actor = traced.spawn(Obedient)
    with pytest.raises(AskDeadlock):
        actor.ask(lambda actor: actor.ref.ask(str))


def test_actors_that_live_already_are_traced_from_now_on_and_no_more_after_the_end(
    system: ActorSystem, spans: Spans
) -> None:
    echo = system.spawn(Echo)
    with Tracing(system, spans.provider):
        assert echo.ask(1) == 1
        with pytest.raises(ValueError, match="traced already"):
            Tracing(system)
        later = system.spawn(Echo)
    assert later.ask(2) == echo.ask(3) - 1
    assert [span.name for span in spans.finished] == ["receive Echo", "ask Echo"]
    assert system.tracing is None


@pytest.fixture
def unsampled(system: ActorSystem) -> Iterator[Counted]:
    sampler = Counted()
    with Tracing(system, TracerProvider(sampler=sampler)):
        yield sampler


class Counted(Sampler):
    """Samples nothing, and knows what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *_: Any, **__: Any
    ) -> SamplingResult:
        self.asked.append(name)
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return "nothing"


def test_a_trace_that_is_not_recorded_is_decided_once_and_stays_one_trace(
    system: ActorSystem, unsampled: Counted
) -> None:
    def ids(actor: Actor) -> list[int]:
        context = trace.get_current_span().get_span_context()
        assert not context.trace_flags.sampled
        return [context.trace_id]

    echo = system.spawn(Echo)
    account = system.spawn(Counting)
    end, front = system.spawn(Obedient), system.spawn(Obedient, inbox=Inbox(maxsize=5))

    def on(actor: Actor) -> list[int]:
        later = end.ask_nowait(ids)
        echo.tell("aside")
        assert account.proxy().add(1) == 1
        asked: list[int] = end.ask(ids)
        return ids(actor) + asked + (later.get(timeout=5) or [])

    seen = front.ask(on)
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert unsampled.asked == ["ask Obedient"]
    assert front.ask(ids) != seen[:1]
    assert unsampled.asked == ["ask Obedient"] * 2
    assert not trace.get_current_span().get_span_context().is_valid


class Counting(Actor):
    count = 0

    def add(self, amount: int) -> int:
        self.count += amount
        return self.count


def test_without_a_record_messages_fail_refuse_time_out_and_are_read_as_before(
    system: ActorSystem, unsampled: Counted
) -> None:
    actor = system.spawn(Obedient)
    read: list[Any] = []

    class Reading(Actor):
        def run(self) -> None:
            while (message := self.inbox.get()) != "end":
                read.append((message, trace.get_current_span().get_span_context().trace_id))

    reading = system.spawn(Reading)

    def fail(actor: Actor) -> None:
        raise KeyError("lost")

    def refuse(actor: Actor) -> None:
        raise Refused("no")

    def on(front: Actor) -> int:
        with pytest.raises(KeyError):
            actor.ask(fail)
        with pytest.raises(Refused):
            actor.ask(refuse)
        with pytest.raises(AskTimeout):
            actor.ask(lambda actor: gevent.sleep(0.1), timeout=0.001)
        with pytest.raises(AskDeadlock):
            front.ref.ask(str)
        for message in (1, 2):
            reading.tell(message)
        return trace.get_current_span().get_span_context().trace_id

    trace_id = system.spawn(Obedient).ask(on)
    reading.tell("end")
    reading.join()
    assert read == [(1, trace_id), (2, trace_id)]
    assert unsampled.asked == ["ask Obedient", "receive Reading"]  # "end" begins a trace


def test_a_span_recorded_within_a_trace_that_is_not_is_the_parent_of_what_is_sent(
    system: ActorSystem, unsampled: Counted, spans: Spans
) -> None:
    tracer = spans.provider.get_tracer("test")
    echo = system.spawn(Echo)

    def on(actor: Actor) -> None:
        with tracer.start_as_current_span("mine", context=Context()):
            echo.ask("within")
        echo.ask("without")

    system.spawn(Obedient).ask(on)
    assert unsampled.asked == ["ask Obedient", "ask Echo"]


@contextmanager
def node(*options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.observe.traced_node", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(90)
def test_two_processes_have_one_trace(traced: ActorSystem, spans: Spans) -> None:
    with node() as address:
        there = traced.connect(address, timeout=30)
        back: ActorRef[Any] = there.lookup("/back", timeout=30)
        teller: ActorRef[Any] = there.lookup("/teller", timeout=30)
        big = 1 << 80  # what a batch cannot hold as it is
        assert back.ask(("hello", {1: 2}), timeout=30) == ("hello", {1: 2})
        with spans.provider.get_tracer("test").start_as_current_span("mine"):
            back.tell(big)
            assert back.ask(big, timeout=30) == big
        told = [tuple(span) for span in teller.ask("spans", timeout=30)]
    asked = [span for span in spans.short() if span[0].startswith("ask")]
    mine = next(span for span in spans.short() if span[0] == "mine")
    received = [span for span in told if span[0] == "receive Back"]
    stored = [span for span in told if span[0] == "receive Store"]
    assert [span[3] for span in received] == [asked[0][2], mine[2], asked[1][2]]
    assert [span[1] for span in received] == [asked[0][1], mine[1], mine[1]]
    assert [span[3] for span in stored] == [span[2] for span in received]


@pytest.mark.timeout(90)
def test_a_node_that_is_not_traced_gets_the_messages_all_the_same(
    traced: ActorSystem, spans: Spans
) -> None:
    with node("untraced") as address:
        back: ActorRef[Any] = traced.connect(address, timeout=30).lookup("/back", timeout=30)
        assert back.ask("hello", timeout=30) == "hello"
    assert [span.name for span in spans.finished] == ["ask str"]


def test_a_peer_without_the_feature_gets_plain_records(spans: Spans) -> None:
    with ActorSystem("there", listen="tcp://127.0.0.1:0") as there, ActorSystem("here") as here:
        echo = there.spawn(Echo, name="echo")
        with Tracing(here, spans.provider), Tracing(there, spans.provider):
            remote = here.connect(there.address).lookup("/echo")
            remote.node.peer.features = frozenset()  # type: ignore[attr-defined]
            assert remote.ask("hello") == "hello"
        assert echo.path == "/echo"
    asked, received = named(spans, "ask str"), named(spans, "receive Echo")
    assert received.context.trace_id != asked.context.trace_id


def test_a_traced_message_that_is_not_sent_is_a_bare_dead_letter(spans: Spans) -> None:
    dead: list[Any] = []
    with (
        ActorSystem("there", listen="tcp://127.0.0.1:0") as there,
        ActorSystem("here") as here,
        Tracing(here, spans.provider),
        spans.provider.get_tracer("test").start_as_current_span("mine"),
    ):
        there.spawn(Echo, name="echo")
        here.events.subscribe(DeadLetter, lambda letter: dead.append(letter.message))
        remote: Any = here.connect(there.address).lookup("/echo")
        for message in ("text", ("a", "tuple"), {1: [2]}):
            remote.tell(message)
        remote.node.peer.association.end("pulled", tell=False)
    assert dead == ["text", ("a", "tuple"), {1: [2]}]


class CountedIds(IdGenerator):
    """Ids without chance, which a simulation would have to replay."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def generate_span_id(self) -> int:
        return next(self._numbers)

    generate_trace_id = generate_span_id


def test_a_simulation_is_traced_and_its_log_is_the_same() -> None:
    spans = Spans(CountedIds())

    def plain(sim: Simulation) -> str:
        assert sim.system("one").spawn(Back).ask("hello") == "hello"
        return str(sim.log)

    def traced(sim: Simulation) -> str:
        with Tracing(sim.system("one"), spans.provider):
            return plain(sim)

    assert Simulation(seed=3).run(traced) == Simulation(seed=3).run(plain)
    assert_chain(spans.short(), "ask Back", "receive Back")


def test_opentelemetry_is_not_imported_unless_asked_for() -> None:
    program = "import sys, actorkit; sys.exit(any('opentelemetry' in n for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
