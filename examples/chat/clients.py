"""What all clients have in common: they say hello, ask for things, and read what happens.

Used by web.py, websocket.py and telnet.py. These run in plain greenlets, one or two for each
connection; references work there as they do in actors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actorkit import ActorError, ActorRef, ActorStopped, Refused

from . import protocol
from .protocol import Operation
from .rooms import Rooms
from .users import POLL_TIME, Batch, NextEvents, SessionOver, User, Users

#: Seconds that a user has to answer: entering a room may take a new node.
ANSWER_TIME = 20.0


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where clients come in."""

    users: ActorRef[Users]
    rooms: ActorRef[Rooms]

    def hello(self, operation: Operation) -> Client:
        """Sign in with a "name", or resume with the "token" that an earlier hello gave."""
        users = self.users.proxy()
        token = operation.get("token")
        if isinstance(token, str):
            user = users.resume(token)
        else:
            token, user = users.sign_in(protocol.name(operation))
        try:
            reader, last = user.proxy().attach()
        except ActorStopped:
            raise SessionOver from None
        return Client(user, token, reader, last)

    def resume(self, token: str, reader: int, last: int) -> Client:
        """One that said hello before and asks again."""
        return Client(self.users.proxy().resume(token), token, reader, last)


@dataclass(slots=True)
class Client:
    """One that said hello: a user, and how far it has read."""

    user: ActorRef[User]
    token: str
    reader: int
    last: int

    def answer(self, operation: Operation) -> dict[str, Any]:
        """Do what a client asks for; never raises but for faults of our own."""
        op = operation["op"][:16]
        user = self.user.proxy(ANSWER_TIME)
        try:
            match op:
                case "say":
                    user.say(protocol.text(operation))
                case "enter":
                    user.enter(protocol.room(operation))
                case "bye":
                    self.user.stop()
                case _:
                    raise Refused('"op" must be "say", "enter" or "bye"')
        except Refused as refusal:
            return {"op": op, "error": str(refusal)}
        except ActorError:
            return {"op": op, "error": "that took too long, or you are signed out"}
        return {"op": op, "ok": True}

    def greeting(self) -> dict[str, Any]:
        return {
            "op": "hello",
            "ok": True,
            "name": self.user.name,
            "token": self.token,
            "reader": self.reader,
            "last": self.last,
        }

    def next_batch(self) -> Batch:
        """Wait for what happens next; an empty batch when nothing did for POLL_TIME.

        Raises Displaced when another client took over, ActorStopped when the user has ended.
        """
        question = NextEvents(self.reader, self.last)
        batch: Batch = self.user.ask(question, timeout=POLL_TIME + ANSWER_TIME)
        self.last = batch.last
        return batch
