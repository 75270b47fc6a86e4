"""Small programs of actors, as data, for either kernel.

`python -m tests.programs [metered|traced]` reads a program a line (JSON) and prints what happened
in it, a list of events, in a line. Nothing in a program depends on time, so that both kernels must
do the same in the same order.

A program is a list of steps of the main greenlet. A step and an action of an actor are lists: a
word and its arguments. "tell", "ask" and "forward" carry the script, a list of actions, that the
receiver carries out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any

import gevent
from gevent.queue import Empty
from opentelemetry.sdk.trace import TracerProvider

from actorkit import (
    Actor,
    ActorRef,
    ActorSystem,
    DeadLetter,
    Directive,
    Inbox,
    OneForOne,
    Reason,
    Refused,
    Reply,
    Terminated,
)
from actorkit.kernel import Dispatcher, dispatcher
from actorkit.observe.metrics import Metrics
from actorkit.observe.sampling import Sampler
from actorkit.observe.tracing import Tracing
from tests.benchmarks.measure import quiet

Script = list[Any]

#: The most scripts carried out in one program: a stash can go round for ever.
ENOUGH = 300

MARK: ContextVar[int] = ContextVar("MARK", default=0)


class Scripted(Actor):
    """Does what its messages say, and notes everything."""

    supervision = OneForOne(intensity=3, period=1e6, backoff=None)

    def __init__(self, world: World) -> None:
        self.world = world
        self.deferred: list[Reply] = []
        self.answer: Any = None

    def note(self, *event: Any) -> None:
        self.world.note(self.ref.path, *event)

    def on_start(self) -> None:
        self.note("starts", MARK.get())

    def on_stop(self, reason: Reason) -> None:
        self.note("stops", reason.name)

    def on_restart(self, error: BaseException | None) -> None:
        self.note("restarts", repr(error))

    def on_child_failure(self, child: ActorRef[Any], error: BaseException) -> Directive | None:
        self.note("judges", child.path, repr(error))
        return None

    def receive(self, message: Any) -> Any:
        if isinstance(message, Terminated):
            self.note("learns", message.ref.path, message.reason.name)
            return None
        self.note("gets", json.dumps(message), MARK.get())
        return self.perform(message)

    def otherwise(self, message: Any) -> Any:
        self.note("gets otherwise")
        return self.receive(message)

    def method(self, value: int) -> int:
        self.note("is called", value)
        return value

    def perform(self, script: Script) -> Any:
        self.world.performed += 1
        if self.world.performed > ENOUGH:
            return None
        self.answer = None
        for word, *arguments in script:
            try:
                self.note(word, getattr(self, f"do_{word}")(*arguments))
            except (Failure, Refused):
                raise
            except Exception as error:
                self.note(word, type(error).__name__, str(error))
        return self.answer

    def do_tell(self, target: int, script: Script) -> None:
        self.world.refs[target].tell(script)

    def do_ask(self, target: int, script: Script) -> Any:
        return self.world.refs[target].ask(script, timeout=None)

    def do_call(self, target: int, value: int) -> Any:
        return self.world.refs[target].call("method", value)

    def do_put(self, target: int, script: Script) -> None:
        self.world.refs[target].inbox.put_nowait(script)

    def do_forward(self, target: int, script: Script) -> None:
        self.forward(self.world.refs[target], script)

    def do_answer(self, value: int) -> None:
        self.answer = value

    def do_fail(self) -> None:
        raise Failure("as told")

    def do_refuse(self) -> None:
        raise Refused("as told")

    def do_stop(self) -> None:
        self.stop()

    def do_end(self, target: int, drain: bool) -> None:
        self.world.refs[target].stop(drain=drain)

    def do_kill(self, target: int) -> None:
        self.world.refs[target].kill()

    def do_spawn(self) -> str:
        return self.spawn(Scripted, self.world).path

    def do_watch(self, target: int) -> None:
        self.watch(self.world.refs[target])

    def do_link(self, target: int) -> None:
        self.link(self.world.refs[target])

    def do_defer(self) -> None:
        self.deferred.append(self.defer_reply())

    def do_settle(self, value: int) -> list[bool]:
        deferred, self.deferred = self.deferred, []
        return [reply.set(value) for reply in deferred]

    def do_stash(self) -> None:
        self.stash()

    def do_unstash(self) -> None:
        self.unstash_all()

    def do_become(self) -> None:
        self.become(self.otherwise)

    def do_unbecome(self) -> None:
        self.unbecome()

    def do_yield(self) -> None:
        gevent.sleep(0)

    def do_take(self) -> str:
        try:
            return json.dumps(self.inbox.get_nowait())
        except Empty:
            return "nothing"

    def do_mark(self, value: int) -> None:
        MARK.set(value)

    def do_size(self) -> int:
        return self.inbox.qsize()


class Failure(Exception):
    pass


class Narrow(Scripted):
    inbox = Inbox(maxsize=2, overflow="block")


class Sorted(Scripted):
    inbox = Inbox(priority=len)


class Apart(Scripted):
    dedicated = True


class Process(Scripted):
    def run(self) -> None:
        while True:
            self.note("runs", json.dumps(message := self.inbox.get()))
            self.perform(message)


class Top(Actor):
    """The parent of them all."""

    supervision = OneForOne(intensity=3, period=1e6, backoff=None)

    def __init__(self, world: World) -> None:
        kinds = (Scripted, Scripted, Narrow, Sorted, Apart, Process)
        world.refs = [self.spawn(cls, world, name=f"{i}") for i, cls in enumerate(kinds)]

    def receive(self, message: Any) -> None:
        raise NotImplementedError


class World:
    """What the actors of one program share."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.refs: list[ActorRef[Any]] = []
        self.performed = 0

    def observed(self, system: ActorSystem) -> AbstractContextManager[Any]:
        """With "metered" every message is timed, with "traced" it has a span."""
        if "metered" in sys.argv:
            return Metrics(system)
        return Tracing(system, TracerProvider()) if "traced" in sys.argv else nullcontext()

    def note(self, *event: Any) -> None:
        self.events.append(event)

    def run(self, steps: Script) -> list[Any]:
        """Carry out the steps, wait until nothing moves, end everything, say what happened."""
        with ActorSystem("world") as system, self.observed(system) as observer:
            system.events.subscribe(DeadLetter, self.dead_letter)
            system.spawn(Top, self, name="top")
            for word, *arguments in steps:
                STEPS[word](self, *arguments)
            self.calm_down()
            self.note("calm")
            for info in system.tree():
                self.note(info.path, info.state, info.inbox_size, info.handled, info.restarts)
            for ref in self.refs:
                ref.kill()
            for ref in self.refs:
                ref.join()
            self.calm_down()
            self.note("late", system.late_answers)
            if isinstance(observer, Metrics):
                self.note_counts(observer)
        return self.events

    def note_counts(self, metrics: Metrics) -> None:
        """What is counted, not what is sampled."""
        for metric in metrics.collect():
            if metric.type != "histogram":
                for sample in metric.samples:
                    self.note(sample.name, *sorted(sample.labels.values()), sample.value)

    def dead_letter(self, letter: DeadLetter) -> None:
        self.note("dead letter", letter.ref.path, json.dumps(letter.message), letter.reason)

    def calm_down(self) -> None:
        quiet_rounds = 0
        while quiet_rounds < 5:
            before = len(self.events)
            gevent.sleep(0)
            ready = Dispatcher.current().ready
            quiet_rounds = 0 if ready or len(self.events) != before else quiet_rounds + 1

    def tell(self, target: int, script: Script) -> None:
        gevent.spawn(self.refs[target].tell, script)  # which may have to wait for room

    def ask(self, target: int, script: Script) -> None:
        def ask() -> None:
            try:
                self.note("asker", "gets", self.refs[target].ask(script, timeout=None))
            except Exception as error:
                self.note("asker", "gets", type(error).__name__, str(error))

        gevent.spawn(ask)

    def stop(self, target: int, drain: bool) -> None:
        self.refs[target].stop(drain=drain)

    def kill(self, target: int) -> None:
        self.refs[target].kill()


STEPS: dict[str, Callable[..., None]] = {
    "tell": World.tell,
    "ask": World.ask,
    "stop": World.stop,
    "kill": World.kill,
    "calm": World.calm_down,
}


def main() -> None:
    quiet()
    dispatcher.SLICE = 1e6  # where a slice ends is a matter of time
    Sampler.time = 0.0
    for line in sys.stdin:
        print(json.dumps(World().run(json.loads(line)), default=repr), flush=True)


if __name__ == "__main__":
    main()
