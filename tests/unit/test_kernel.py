"""The kernel that runs, whichever it is: its choice, and what must not differ between the two."""

from __future__ import annotations

import copy
import faulthandler
import gc
import inspect
import os
import pickle
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from collections import deque
from contextvars import ContextVar
from typing import Any

import gevent
import gevent.event
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from actorkit import Actor, ActorRef, ActorStopped, ActorSystem, kernel
from actorkit.errors import ActorExit
from actorkit.kernel import twin
from tests.actors import Echo, Obedient, instance_of

BUILT = pytest.mark.skipif(not kernel.BUILT, reason="the compiled kernel has not been built here")


def in_a_process(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout.strip()


# -- the choice ---------------------------------------------------------------------------------


def test_the_environment_forces_the_pure_kernel() -> None:
    name = in_a_process("import actorkit.kernel as k; print(k.NAME)", ACTORKIT_PURE="1")
    assert name == "pure"


@BUILT
def test_the_compiled_kernel_is_the_choice_where_it_was_built() -> None:
    name = in_a_process("import actorkit.kernel as k; print(k.NAME)", ACTORKIT_PURE="")
    assert name == "compiled"


@BUILT
@pytest.mark.parametrize(
    ("pure", "absent"), [("1", "actorkit.kernel.compiled.core"), ("", "actorkit.kernel.pure")]
)
def test_only_one_kernel_is_loaded(pure: str, absent: str) -> None:
    program = (
        "import sys, actorkit, actorkit.remote.node;"
        "print([name for name in sys.modules if name.startswith(sys.argv[1])])"
    ).replace("sys.argv[1]", repr(absent))
    assert in_a_process(program, ACTORKIT_PURE=pure) == "[]"


def test_a_node_logs_its_kernel_when_it_is_up() -> None:
    with (
        capture_logs() as logs,
        ActorSystem("alpha", listen="tcp://127.0.0.1:0") as alpha,
        ActorSystem("beta") as beta,
    ):
        beta.connect(alpha.address)
    assert {log["kernel"] for log in logs if log["event"] == "node up"} == {kernel.NAME}


# -- the queue ----------------------------------------------------------------------------------


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers()),
            st.tuples(st.just("popleft"), st.none()),
            st.tuples(st.just("extendleft"), st.lists(st.integers(), max_size=20)),
        ),
        max_size=60,
    )
)
def test_the_queue_does_what_a_deque_does(steps: list[tuple[str, Any]]) -> None:
    queue = twin.Queue([1, 2])
    model = deque([1, 2])
    for word, argument in steps:
        if word == "popleft":
            if model:
                assert queue.popleft() == model.popleft()
            else:
                with pytest.raises(IndexError):
                    queue.popleft()
        else:
            getattr(queue, word)(argument)
            getattr(model, word)(argument)
        assert len(queue) == len(model)
        assert bool(queue) == bool(model)
        assert list(queue) == list(model)
        if model:
            assert queue[0] == model[0]


def test_the_queue_keeps_the_garbage_collector_informed() -> None:
    class Thing:
        pass

    thing = Thing()
    queue: twin.Queue[Any] = twin.Queue()
    thing.queue = queue  # type: ignore[attr-defined]
    queue.append(thing)
    gone = weakref.ref(thing)
    del thing, queue
    gc.collect()
    assert gone() is None


# -- what a user sees ---------------------------------------------------------------------------


def test_a_traceback_shows_the_way_from_receive_to_the_error(system: ActorSystem) -> None:
    def fail(actor: Actor) -> None:
        raise LookupError("here")

    ref = system.spawn(Obedient)
    with pytest.raises(LookupError) as caught:
        ref.ask(fail)
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[0] == "test_a_traceback_shows_the_way_from_receive_to_the_error"
    assert frames[-2:] == ["receive", "fail"]
    assert any("actorkit" in line for line in traceback.format_exception(caught.value))


def test_the_stack_of_a_blocked_actor_is_readable(system: ActorSystem) -> None:
    def dump(actor: Actor) -> str:
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file, all_threads=False)
            file.seek(0)
            return file.read()

    stack = system.spawn(Obedient).ask(dump)
    assert "in dump" in stack
    assert "in receive" in stack


def test_tell_and_ask_have_their_signatures(system: ActorSystem) -> None:
    ref = system.spawn(Echo)
    assert list(inspect.signature(ref.tell).parameters) == ["message"]
    assert inspect.signature(ref.ask).parameters["timeout"].default == 5.0
    ref.tell(message=1)
    assert ref.ask(message=2, timeout=3) == 2
    with pytest.raises(TypeError):
        ref.tell()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ref.ask(1, 2, 3)  # type: ignore[call-arg]


def test_references_are_small_weakly_referable_and_without_a_dict(system: ActorSystem) -> None:
    ref = system.spawn(Echo)
    assert weakref.ref(ref)() is ref
    assert not hasattr(ref, "__dict__")
    assert sys.getsizeof(ref) <= 256
    with pytest.raises(AttributeError):
        ref.anything = 1  # type: ignore[attr-defined]
    assert copy.copy(ref) is ref
    assert copy.deepcopy(ref) is ref
    with pytest.raises(TypeError, match="lookup"):
        pickle.dumps(ref)


def test_become_takes_the_place_of_the_receive_that_is_bound_once(system: ActorSystem) -> None:
    def change(actor: Actor) -> None:
        actor.become(lambda message: ("changed", message))

    ref = system.spawn(Obedient)
    ref.ask(change)
    assert ref.ask(1) == ("changed", 1)


@pytest.mark.parametrize(
    "block",
    [
        lambda actor: gevent.sleep(60),
        lambda actor: actor.spawn(Obedient).ask(lambda _: gevent.sleep(60)),
        lambda actor: actor.inbox.get(),
        lambda actor: actor.offload(time.sleep, 0.5),
    ],
    ids=["sleep", "ask", "get", "offload"],
)
def test_kill_reaches_an_actor_at_each_point_where_it_waits(
    system: ActorSystem, block: Any
) -> None:
    began, ended = gevent.event.Event(), []

    def wait(actor: Actor) -> None:
        began.set()
        try:
            block(actor)
        except BaseException as error:
            ended.append(error)
            raise

    ref = system.spawn(Obedient)
    ref.tell(wait)
    began.wait(timeout=10)
    gevent.sleep(0)
    ref.kill()
    ref.join(timeout=10)
    assert ref.ready()
    assert [type(error) for error in ended] == [ActorExit]


def test_a_context_variable_ends_with_the_message_that_set_it(system: ActorSystem) -> None:
    mark: ContextVar[int] = ContextVar("mark", default=0)

    def look_and_set(actor: Actor) -> int:
        seen = mark.get()
        mark.set(seen + 1)
        return seen

    refs = [system.spawn(Obedient) for _ in range(3)]
    assert [ref.ask(look_and_set) for ref in refs * 3] == [0] * 9


def test_a_deferred_reply_is_dropped_at_once_with_its_ended_actor(system: ActorSystem) -> None:
    class Debtor(Actor):
        def receive(self, message: Any) -> None:
            self.owed = self.defer_reply()
            self.stop()

    question = system.spawn(Debtor).ask_nowait(None, timeout=None)
    with pytest.raises(ActorStopped):
        question.get(timeout=10)


# -- garbage ------------------------------------------------------------------------------------


class Circular(Actor):
    """Refers to itself in each way that there is."""

    def __init__(self, friends: list[ActorRef[Any]]) -> None:
        self.me = self.ref
        self.myself = self
        self.method = self.receive
        self.friends = friends
        friends.append(self.ref)

    def receive(self, message: Any) -> Any:
        self.last = message
        return self.friends


@pytest.mark.parametrize("lives", [300])
def test_actors_in_circles_are_gone_after_their_end(lives: int) -> None:
    def live() -> list[weakref.ref[Any]]:
        gone: list[weakref.ref[Any]] = []
        with ActorSystem("circles") as system:
            for number in range(lives):
                friends: list[ActorRef[Any]] = []
                for _ in range(2):
                    ref = system.spawn(Circular, friends, restart="temporary")
                    ref.tell(ref)
                    gone += [weakref.ref(ref), weakref.ref(instance_of(ref))]
                assert ref.ask(friends) is friends
                if number % 3 == 0:
                    ref.stop()
                elif number % 3 == 1:
                    ref.kill()
        return gone

    gone = live()
    gevent.sleep(0)
    gc.collect()
    assert [ref() for ref in gone if ref() is not None] == []


def test_a_system_that_nobody_shut_down_is_garbage_too() -> None:
    def live() -> weakref.ref[Any]:
        system = ActorSystem("forgotten")
        system.spawn(Echo).ask(1)
        return weakref.ref(system)

    gone = live()
    gevent.sleep(0.01)
    gc.collect()
    assert gone() is None


def test_an_ended_system_is_garbage() -> None:
    def live() -> weakref.ref[Any]:
        with ActorSystem("short") as system:
            ref = system.spawn(Echo)
            system.kept = ref  # type: ignore[attr-defined]
            ref.ask(1)
            return weakref.ref(system)

    gone = live()
    gevent.sleep(0)
    gc.collect()
    assert gone() is None
