"""One node of a trial, in a process of its own: numbers its messages, and checks those it gets.

`trial.py` starts it and gives orders over a socket, a line of JSON each, answered by another. To
every member that it is connected with it tells and asks numbers without end; what it gets is
entered into `Books`.

python -m tests.faults.member '{"name": ..., "listen": ..., "seed": ..., "connect": {name: address},
    "control": socket, "violations": file, "limits": {"module.CONSTANT": value}}'
"""

from __future__ import annotations

import gc
import json
import os
import random
import socket
import sys
import time
from collections import Counter
from importlib import import_module
from typing import Any

import gevent
from gevent.queue import Full
from gevent.socket import socket as GeventSocket

from actorkit import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    AskTimeout,
    DeadLetter,
    Future,
    Insecure,
    NodeDown,
    NodeLost,
    NodeUp,
    Reason,
    Terminated,
    message,
)

from .books import Books

#: The names of members; other nodes that connect get no stream.
MEMBERS = ("north", "south", "third")
#: Messages of a stream sent in a row, and seconds until the next ones.
BURST, PAUSE = 20, 0.01
#: Bytes of the few messages that are not small; the last travels as a frame of its own.
BIG = (5_000, 30_000, 100_000)
#: One message in so many is logged.
LOGGED = 100
#: Seconds that an ask may end late, beside those that the process itself stood still.
SLACK = 5.0
TICK = 0.05
#: Seconds between two tries to connect.
RETRY = 0.2


@message
class Numbered:
    """One message of a stream, as an alternative to a tuple of the same."""

    sender: str
    stream: str
    number: int
    load: bytes = b""


class Checker(Actor):
    """Enters what other members send into the books."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def receive(self, message: Any) -> Any:
        match message:
            case (str(sender), str(name), int(number), _) | Numbered(sender, name, number):
                self.books.arrived(sender, name, number)
                if number % LOGGED == 0:
                    self.log.info("messages came", sender=sender, number=number)
                return number
            case str(name):
                stream = self.books.streams.get(name)
                return 0 if stream is None else stream.last
        return None


class Watcher(Actor):
    """Watches the checkers of other members: each loss is told once."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.watched: set[ActorRef[Any]] = set()

    def receive(self, message: Any) -> Any:
        match message:
            case ("watch", ActorRef() as ref):
                self.watched.add(ref)
                self.watch(ref)
            case Terminated(ref, reason):
                if ref not in self.watched:
                    self.member.violation(f"the end of {ref} was told twice")
                elif reason is not Reason.NODE_LOST:
                    self.member.violation(f"{ref} ended by {reason}, which nobody told it")
                self.watched.discard(ref)
            case ("lost", ActorRef() as ref) if ref in self.watched:
                # What watchers are told goes ahead of messages, so it should have come.
                self.member.violation(f"{ref} is lost, and its watcher was not told")


class Talker(Actor):
    """Sends to any reference that it is given; nodes that are no members ask it to."""

    def __init__(self) -> None:
        self.asked = ("nothing asked", 0.0)

    def receive(self, message: Any) -> Any:
        match message:
            case ("tell", ActorRef() as ref, int(count), int(size)):
                self.task(self.tell_often, ref, count, b"x" * size)
            case ("ask", ActorRef() as ref, int() | float() as timeout):
                started = time.monotonic()
                try:
                    ref.ask("anything", timeout)
                except (ActorError, Full) as error:
                    self.asked = (type(error).__name__, time.monotonic() - started)
            case "asked":
                return self.asked
            case ("big", int(size)):
                return b"x" * size
        return None

    def tell_often(self, ref: ActorRef[Any], count: int, what: bytes) -> None:
        for _ in range(count):
            ref.tell(what)


class Question:
    """An ask under way: when it must have ended, by the clock of a process that may stand still."""

    def __init__(self, member: Member, stream: Outgoing, number: int, timeout: float) -> None:
        self.member = member
        self.stream = stream
        self.number = number
        self.stood_still = member.stood_still
        self.due = time.monotonic() + timeout
        member.questions[self] = None

    def ended(self, future: Future[Any]) -> None:
        self.member.questions.pop(self, None)
        self.member.ended.append((self, time.monotonic()))
        error = future.exception
        if error is None:
            outcome = "answered"
            if future.value != self.number:
                self.member.violation(f"{self.number} was answered with {future.value!r}")
        elif isinstance(error, AskTimeout | NodeLost):
            outcome = type(error).__name__
        else:
            outcome = "other errors"
            self.member.violation(f"an ask ended with {error!r}")
        self.member.asks[f"{self.stream.peer} {outcome}"] += 1

    def late(self, now: float) -> bool:
        return now > self.due + SLACK + self.member.stood_still - self.stood_still


class Outgoing:
    """The stream to one peer, for one association."""

    def __init__(self, member: Member, peer: str) -> None:
        self.member = member
        self.peer = peer
        self.alive = True
        self.sent = 0
        self.confirmed: int | None = None
        self.checker: ActorRef[Any] | None = None
        self.watched = False
        member.streams_begun += 1
        self.name = f"{member.name} {os.getpid()} {member.streams_begun}"

    def run(self) -> None:
        member = self.member
        while self.alive and self.checker is None:
            for node in member.system.nodes:
                if node.name == self.peer:
                    try:
                        self.checker = node.lookup("/checker", timeout=5)
                        member.watcher.ask(("watch", self.checker))
                        self.watched = self.alive
                    except (AskTimeout, NodeLost):
                        continue
            gevent.sleep(PAUSE)
        while self.alive:
            for _ in range(BURST if member.streaming else 0):
                if self.alive:
                    self.send()
            gevent.sleep(PAUSE)

    def send(self) -> None:
        assert self.checker is not None
        chance = self.member.random
        self.sent += 1
        size = chance.choice(BIG) if chance.random() < 0.004 else chance.randrange(300)
        content = (self.member.name, self.name, self.sent, b"x" * size)
        message = content if chance.random() < 0.5 else Numbered(*content)
        if chance.random() < 0.9:
            self.checker.tell(message)
        else:
            # Third is always well: none of its asks may fail, however slow the machine is.
            spared = "third" in (self.peer, self.member.name)
            timeout = 30.0 if spared else chance.choice([0.3, 3.0, 30.0])
            question = Question(self.member, self, self.sent, timeout)
            self.checker.ask_nowait(message, timeout).rawlink(question.ended)

    def confirm(self) -> None:
        """Ask what arrived; by the order of messages that is all that was sent."""
        if self.alive and self.checker is not None:
            try:
                self.confirmed = self.checker.ask(self.name, timeout=20)
            except (AskTimeout, NodeLost):
                self.confirmed = None


class Member:
    def __init__(
        self,
        name: str,
        listen: str,
        seed: int,
        connect: dict[str, str],
        control: int,
        violations: int,
    ) -> None:
        self.name = name
        self.random = random.Random(seed)
        self.addresses = connect
        self.control = GeventSocket(fileno=control)
        self.violations = violations
        self.books = Books(self.violation)
        self.streaming = True
        self.streams: list[Outgoing] = []
        self.streams_begun = 0
        self.questions: dict[Question, None] = {}
        self.ended: list[tuple[Question, float]] = []
        self.asks: Counter[str] = Counter()
        self.dead_letters = 0
        self.reasons: Counter[str] = Counter()
        self.stood_still = 0.0
        self.system = ActorSystem(name, listen=listen, security=Insecure())
        self.system.events.subscribe(NodeUp | NodeDown | DeadLetter, self.on_event)
        checker = self.system.spawn(Checker, self.books, name="checker")
        self.system.groups.join("checkers", checker)
        self.watcher = self.system.spawn(Watcher, self)
        self.talker = self.system.spawn(Talker, name="talker")

    def violation(self, text: str) -> None:
        """Write it where it stays, whatever becomes of this process."""
        os.write(self.violations, f"{self.name}: {text}\n".encode())

    def on_event(self, event: NodeUp | NodeDown | DeadLetter) -> None:
        match event:
            case NodeUp(name) if name in MEMBERS:
                stream = Outgoing(self, name)
                self.streams.append(stream)
                gevent.spawn(stream.run)
            case NodeDown(name, _, reason):
                self.books.downs[name] += 1
                self.reasons[f"{name}: {reason}"] += 1
                for stream in self.streams:
                    if stream.peer == name and stream.alive:
                        stream.alive = False
                        if stream.watched:
                            self.watcher.tell(("lost", stream.checker))
                for question in self.questions:
                    if question.stream.peer == name:
                        question.due = min(question.due, time.monotonic())
            case DeadLetter():
                self.dead_letters += 1

    def tick(self) -> None:
        """See how long this process stood still, and which asks end late."""
        while True:
            before = time.monotonic()
            gevent.sleep(TICK)
            now = time.monotonic()
            self.stood_still += max(0.0, now - before - TICK)
            ended, self.ended = self.ended, []
            for question, at in ended:
                if question.late(at):
                    self.violation(f"ask {question.number} ended {at - question.due:.1f} s late")
            for question in [each for each in self.questions if each.late(now)]:
                self.violation(f"ask {question.number} hangs")
                del self.questions[question]

    def stay_connected(self) -> None:
        """Connect to the members that this one was told to connect to, and connect again."""
        while True:
            connected = {node.name for node in self.system.nodes}
            for name, address in list(self.addresses.items()):
                if name not in connected:
                    try:
                        self.system.connect(address, timeout=5)
                    except ActorError as error:
                        self.reasons[f"{name}: {type(error).__name__}"] += 1
            gevent.sleep(RETRY)

    # -- orders ---------------------------------------------------------------------------------

    def serve(self) -> None:
        """Follow orders until nobody gives any more."""
        gevent.spawn(self.tick)
        gevent.spawn(self.stay_connected)
        self.answer({"address": self.system.address})
        for line in self.control.makefile():
            order, *arguments = json.loads(line)
            self.answer(getattr(self, f"do_{order}")(*arguments))

    def answer(self, content: Any) -> None:
        self.control.sendall(json.dumps(content).encode() + b"\n")

    def do_connect(self, name: str, address: str) -> None:
        self.addresses[name] = address

    def do_let_go(self, name: str) -> None:
        self.addresses.pop(name, None)

    def do_stream(self, on: bool) -> None:
        self.streaming = on

    def do_confirm(self) -> None:
        gevent.joinall([gevent.spawn(stream.confirm) for stream in self.streams])

    def do_report(self) -> Any:
        return {
            "out": [
                [stream.peer, stream.name, stream.alive, stream.sent, stream.confirmed]
                for stream in self.streams
            ],
            "in": {name: stream.last for name, stream in self.books.streams.items()},
            "received": sum(stream.received for stream in self.books.streams.values()),
            "downs": self.books.downs,
            "reasons": self.reasons,
            "asks": self.asks,
            "asking": len(self.questions),
            "dead letters": self.dead_letters,
            "counters": self.system.counters,
            "group": sorted(ref.address for ref in self.system.groups.members("checkers")),
            "connected": [node.name for node in self.system.nodes],
        }

    def do_collect_garbage(self) -> None:
        gc.collect()

    def do_fork(self, linger: float) -> Any:
        """Fork; the child tries what it must not, tells how that ended, and stays for a while."""
        checker = next(stream.checker for stream in self.streams if stream.alive)
        assert checker is not None
        us, them = socket.socketpair()
        child = os.fork()
        if child == 0:
            outcome = {}
            for name, attempt in (
                ("tell", lambda: checker.tell(1)),
                ("ask", lambda: checker.ask(1, timeout=1)),
                ("watch", lambda: checker.rawlink(print)),
                ("connect", lambda: self.system.connect("tcp://127.0.0.1:1", timeout=1)),
                ("spawn", lambda: self.system.spawn(Talker)),
            ):
                try:
                    attempt()
                    outcome[name] = "nothing"
                except BaseException as error:
                    outcome[name] = type(error).__name__
            them.sendall(json.dumps(outcome).encode())
            time.sleep(linger)
            os._exit(0)
        them.close()
        with GeventSocket(fileno=us.detach()) as ours:
            ours.settimeout(20)
            return {"pid": child, "tried": json.loads(ours.recv(10_000))}

    def do_try_to_connect(self, address: str, timeout: float) -> Any:
        started = time.monotonic()
        try:
            self.system.connect(address, timeout)
        except ActorError as error:
            return [type(error).__name__, str(error), time.monotonic() - started]
        return ["no error", "", time.monotonic() - started]

    def do_flood(self, seconds: float) -> None:
        """Tell numbers as fast as this process can."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for stream in self.streams:
                for _ in range(BURST if stream.checker is not None else 0):
                    if stream.alive:
                        stream.send()
            gevent.sleep(0)

    def do_asked(self) -> Any:
        """How the last ask of the talker ended, and after how long."""
        return self.talker.ask("asked")


def main() -> None:
    options = json.loads(sys.argv[1])
    for name, value in options.pop("limits").items():
        module, _, constant = name.partition(".")
        setattr(import_module(f"actorkit.remote.{module}"), constant, value)
    Member(**options).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
