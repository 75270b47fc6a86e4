"""Small generated programs of actors, whose outcome is all that each actor has seen.

Used to hold an exhaustive exploration against one that leaves out nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent
from gevent.queue import Full
from hypothesis import strategies as st

from actorkit import (
    Actor,
    ActorFailed,
    ActorNotFound,
    ActorRef,
    ActorStopped,
    AskDeadlock,
    AskTimeout,
    Inbox,
    NameTaken,
    OneForAll,
    Reply,
    ReplyDropped,
    Terminated,
)
from actorkit.testing import Simulation

#: What an actor does on a message: an action, another actor, the message that it sends.
Action = tuple[str, int, int]
#: For each actor and message, its actions; whom the test itself tells or asks what; all inboxes.
Program = tuple[list[list[list[Action]]], list[tuple[str, int, int]], Inbox | None]
Seen = dict[str, list[Any]]

MESSAGES = 3
ACTIONS = [
    "tell",
    "ask",
    "ask_nowait",
    "forward",
    "defer",
    "answer",
    "spawn",
    "watch",
    "unwatch",
    "link",
    "kill",
    "stop",
    "drain",
    "end",
    "fail",
    "after",
    "soon",
    "every",
    "cancel",
    "sleep",
    "ready",
    "stash",
    "unstash",
    "size",
    "own size",
    "join group",
    "publish",
    "subscribe",
    "lookup",
    "idle",
]
#: Those that most programs have: more of them.
OFTEN = ["tell"] * 12 + ["ask"] * 6 + ["watch", "kill", "stop", "after", "spawn"] * 2


#: What an ask may raise.
REFUSALS = (AskTimeout, ActorStopped, ReplyDropped, ZeroDivisionError, Full)
INBOXES = [
    Inbox(maxsize=1),
    Inbox(maxsize=1, overflow="drop_old"),
    Inbox(maxsize=1, overflow="fail"),
    Inbox(priority=lambda message: -message if isinstance(message, int) else 0),
]


class Scripted(Actor):
    """Does on each message what its script says, and writes down what it sees."""

    supervision = OneForAll(backoff=None)

    def __init__(self, world: World, number: int, name: str) -> None:
        self.world = world
        self.number = number
        self.seen = world.seen.setdefault(name, [])
        self.owed: list[Any] = []

    def on_restart(self, error: BaseException | None) -> None:
        self.seen.append("restarted")

    def on_stop(self, reason: Any) -> None:
        self.seen.append(("stopped", reason.value))

    def receive(self, message: Any) -> Any:
        match message:
            case int():
                self.seen.append(message)
                for action, other, sent in self.world.scripts[self.number][message]:
                    self.act(action, other, sent)
            case Reply():
                self.owed.append(message)
            case Terminated():
                self.seen.append(("terminated", message.ref.path, message.reason.value))
            case ActorFailed():
                self.seen.append(("failed", message.ref.path))
            case _:
                self.seen.append(type(message).__name__)
        return len(self.seen)

    def act(self, action: str, other: int, sent: int) -> None:
        refs = self.world.refs
        ref = refs[other % len(refs)]
        match action:
            case "tell":
                try:
                    ref.tell(sent)
                except Full:  # its own inbox
                    self.seen.append("full")
            case "ask":
                try:
                    self.seen.append(("answer", ref.ask(sent, timeout=1)))
                except (
                    AskDeadlock,
                    AskTimeout,
                    ActorStopped,
                    ReplyDropped,
                    ZeroDivisionError,
                    Full,
                ) as e:
                    self.seen.append(type(e).__name__)
            case "ask_nowait":
                try:
                    future = ref.ask_nowait(sent, timeout=1)
                except Full:
                    return
                future.rawlink(lambda done: self.seen.append(("later", done.successful())))
            case "forward":
                self.forward(ref, sent)
            case "defer":
                reply = self.defer_reply()
                self.owed.append(reply)
                try:
                    ref.tell(reply)
                except Full:
                    self.seen.append("full")
            case "answer":
                for reply in self.owed:
                    self.seen.append(("answered", reply.set(self.ref.path)))
            case "spawn":
                name = "xy"[sent % 2]
                try:
                    child = self.system.spawn(Scripted, self.world, self.number, name, name=name)
                    child.tell(MESSAGES - 1)
                except NameTaken:
                    self.seen.append("taken")
            case "watch":
                self.watch(ref)
            case "unwatch":
                self.unwatch(ref)
            case "link":
                self.link(ref)
            case "kill":
                ref.kill()
            case "stop":
                ref.stop()
            case "drain":
                ref.stop(drain=True)
            case "end":
                self.stop()
            case "fail":
                raise ZeroDivisionError
            case "after":
                self.after(1.0, sent, key="timer")
            case "soon":
                self.after(0.0, sent, key="timer")
            case "every":
                self.every(1.0, sent, key="timer")
            case "cancel":
                self.seen.append(self.cancel("timer"))
            case "sleep":
                gevent.sleep(sent % 2)
            case "ready":
                self.seen.append(ref.ready())
            case "stash":
                if not self.seen.count("stash"):
                    self.seen.append("stash")
                    self.stash()
            case "unstash":
                self.unstash_all()
            case "size":
                self.seen.append(ref.inbox.qsize())
            case "own size":
                self.seen.append(self.inbox.qsize())
            case "join group":
                self.system.groups.join("group", ref)
            case "publish":
                self.seen.append(self.system.groups.publish("group", sent))
            case "subscribe":
                self.system.events.subscribe(ActorFailed, self.ref)
            case "lookup":
                try:
                    self.system.lookup("/x").tell(MESSAGES - 1)
                except ActorNotFound:
                    self.seen.append("nobody")
            case "idle":
                self.idle_timeout(1.0)


class World:
    """One run of a program."""

    def __init__(self, program: Program) -> None:
        self.scripts, self.orders, self.inbox = program
        self.seen: Seen = {}
        self.refs: list[ActorRef[Any]] = []

    def run(self, sim: Simulation) -> str:
        """Run it; returns what every actor has seen."""
        system = sim.system("a")
        for number in range(len(self.scripts)):
            name = f"actor-{number}"
            self.refs.append(
                system.spawn(Scripted, self, number, name, name=name, inbox=self.inbox)
            )
        seen = self.seen["main"] = []
        for how, other, message in self.orders:
            ref = self.refs[other % len(self.refs)]
            if how == "tell":
                with suppress(Full):
                    ref.tell(message)
            else:
                try:
                    seen.append(ref.ask(message, timeout=1))
                except REFUSALS as error:
                    seen.append(type(error).__name__)
        gevent.sleep(2.5)
        seen.append([ref.ready() for ref in self.refs])
        return repr(sorted(self.seen.items()))


def programs(most_actors: int = 4) -> st.SearchStrategy[Program]:
    """Programs that end: what an actor sends on a message is a later message."""

    def action(message: int) -> st.SearchStrategy[Action]:
        sent = st.integers(message + 1, MESSAGES - 1) if message + 1 < MESSAGES else st.just(0)
        names = OFTEN + ACTIONS if message + 1 < MESSAGES else ["ready", "cancel", "end", "answer"]
        return st.tuples(st.sampled_from(names), st.integers(0, 3), sent)

    script = st.tuples(*(st.lists(action(message), max_size=2) for message in range(MESSAGES))).map(
        list
    )
    orders = st.tuples(
        st.sampled_from(["tell", "tell", "tell", "ask"]), st.integers(0, 3), st.just(0)
    )
    return st.tuples(
        st.lists(script, min_size=2, max_size=most_actors),
        st.lists(orders, min_size=1, max_size=3),
        st.sampled_from([None] * 5 + INBOXES),
    )
