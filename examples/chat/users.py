"""`User`, somebody who is signed in, and `Users`, which signs them in.

A user is no connection: those come and go, by websocket, long polling or telnet, and pull what
happened out of the user's outbox at their own pace. What a slow one leaves there too long is
dropped and counted, and the next batch says so. A user whom no client asks for anything ends by
itself.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from actorkit import Actor, ActorRef, NameTaken, Refused, Reply, Terminated

from .messages import Enter, Event, Leave, RoomLost, RoomOpened, Say, group
from .rooms import Room, Rooms

#: Users who are signed in at once.
MAX_USERS = 10_000
#: Events that wait for a slow client; then the oldest are dropped, with notice.
OUTBOX = 200
#: Seconds that a client waits for the next event until it gets an empty batch.
POLL_TIME = 20.0
#: Seconds without a word of a client after which a user ends.
USER_IDLE = 45.0
#: What a user may say: so many messages at once, and then so many a second.
SAY_BURST, SAY_RATE = 10, 2.0


@dataclass(frozen=True, slots=True)
class NextEvents:
    """Asks a user for what happened after event number `after`; answered by a `Batch`.

    The answer waits until there is something. `reader` is what `User.attach` gave.
    """

    reader: int
    after: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Events in order; `last` is the number of the last one, `missed` how many were dropped."""

    last: int
    events: list[Event]
    missed: int = 0


class Displaced(Refused):
    """Another client reads this user's events now."""

    def __init__(self) -> None:
        super().__init__("you are connected from another window; this one is done")


class SessionOver(Refused):
    """The user has ended, or there never was one."""

    def __init__(self) -> None:
        super().__init__("you were away too long; sign in again")


class User(Actor):
    def __init__(self, name: str, rooms: ActorRef[Rooms]) -> None:
        self.name = name
        self.rooms = rooms.proxy(timeout=10.0)
        self.room: ActorRef[Room] | None = None
        self.room_name = ""
        self.outbox: deque[Event] = deque(maxlen=OUTBOX)
        self.last = 0
        self.reader = 0
        self.waiting: Reply | None = None
        self.waiting_after = 0
        self.allowance, self.counted_at = float(SAY_BURST), time.monotonic()

    def on_start(self) -> None:
        self.seen()

    # -- what clients ask for ---------------------------------------------------------------------

    def attach(self) -> tuple[int, int]:
        """A client begins to read: its number, and that of the last event. The one before ends."""
        self.seen()
        self.reader += 1
        if self.waiting is not None:
            self.waiting.set_exception(Displaced())
            self.waiting = None
        self.outbox.clear()
        return self.reader, self.last

    def enter(self, room: str) -> None:
        """Go to a room; what is there comes as an event."""
        self.seen()
        groups = self.system.groups
        if self.room_name and self.room_name != room:
            groups.leave(group(self.room_name), self.ref)
            if self.room is not None:
                self.room.tell(Leave(self.ref))
        # First the group: from now on the room is wanted, and opened again when it is lost.
        groups.join(group(room), self.ref)
        self.room_name, self.room = room, None
        try:
            found = self.rooms.find(room)
            opened = found.ask(Enter(self.ref))
        except Refused:
            groups.leave(group(room), self.ref)
            self.room_name = ""
            raise
        except Exception as error:
            self.log.warning("room not entered", room=room, error=str(error))
            self.put(RoomLost(room, "it does not answer"))
        else:
            self.room = found
            self.put(opened)

    def say(self, text: str) -> None:
        """Say something in the room; raises Refused when it did not get there for certain."""
        self.seen()
        self.count_message()
        if not self.room_name:
            raise Refused("enter a room first")
        if self.room is None:
            raise Refused("not sent: the room is moving; try again when it is back")
        try:
            self.room.ask(Say(self.ref, text))
        except Exception as error:  # whatever befell the room, its node or the history
            self.log.warning("not said", room=self.room_name, error=str(error))
            raise Refused("not confirmed: the room was lost on the way; see if it shows") from error

    # -- what happens -----------------------------------------------------------------------------

    def receive(self, message: Any) -> Any:
        match message:
            case NextEvents(reader, after):
                return self.next_events(reader, after)
            case "poll over":
                self.answer()
            case "idle":
                self.stop()
            case _ if message.room == self.room_name:
                match message:
                    case RoomOpened():
                        self.room = message.ref
                    case RoomLost():
                        self.room = None
                self.put(message)
        return None

    def put(self, event: Event) -> None:
        self.last += 1
        self.outbox.append(event)
        self.answer()

    def next_events(self, reader: int, after: int) -> Batch | None:
        self.seen()
        if reader != self.reader:
            raise Displaced
        self.answer()  # a poll whose connection broke, perhaps
        while self.outbox and self.last - len(self.outbox) < after:
            self.outbox.popleft()  # the client has it
        if self.outbox:
            return self.batch(after)
        self.waiting, self.waiting_after = self.defer_reply(), after
        self.after(POLL_TIME, "poll over", key="poll")
        return None

    def answer(self) -> None:
        if self.waiting is not None:
            self.cancel("poll")
            self.waiting.set(self.batch(self.waiting_after))
            self.waiting = None

    def batch(self, after: int) -> Batch:
        missed = max(0, self.last - len(self.outbox) - after)
        return Batch(self.last, list(self.outbox), missed)

    def seen(self) -> None:
        """A client is there. (`idle_timeout` would count what the others in the room say.)"""
        self.after(USER_IDLE, "idle", key="idle")

    def count_message(self) -> None:
        now = time.monotonic()
        earned = (now - self.counted_at) * SAY_RATE
        self.allowance, self.counted_at = min(SAY_BURST, self.allowance + earned), now
        if self.allowance < 1:
            raise Refused(f"not sent: that is too fast; {SAY_RATE:g} messages a second may go")
        self.allowance -= 1


class Users(Actor):
    """Signs users in. A user's name is the name of the actor, so no two have the same."""

    def __init__(self, rooms: ActorRef[Rooms]) -> None:
        self.rooms = rooms
        self.sessions: dict[str, ActorRef[User]] = {}
        self.tokens: dict[ActorRef[User], str] = {}

    def sign_in(self, name: str) -> tuple[str, ActorRef[User]]:
        """Make a user; returns the secret by which a client resumes, and the reference."""
        if len(self.sessions) >= MAX_USERS:
            raise Refused(f"{MAX_USERS} users are here already; come back later")
        try:
            user = self.spawn(User, name, self.rooms, name=name, restart="temporary")
        except NameTaken:
            raise Refused(f"{name} is here already; choose another name") from None
        token = secrets.token_urlsafe(16)
        self.sessions[token] = user
        self.tokens[user] = token
        self.watch(user)
        return token, user

    def resume(self, token: str) -> ActorRef[User]:
        """The user with this secret; raises SessionOver when it has ended."""
        user = self.sessions.get(token)
        if user is None:
            raise SessionOver
        return user

    def receive(self, message: Any) -> None:
        match message:
            case Terminated(user):
                del self.sessions[self.tokens.pop(user)]
