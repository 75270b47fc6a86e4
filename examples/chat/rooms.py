"""`Room`, a place to talk, and `Rooms`, which opens rooms, here or on other nodes, and again.

Who is in a room is a group of actorkit: it outlives the room's actor, and every node knows it. So a
room that failed, was killed or died with its node is simply opened again: the new one finds its
people in the group and what they said in the history.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from actorkit import (
    Actor,
    ActorError,
    ActorRef,
    IdleTimeout,
    NodePool,
    OneForOne,
    Reason,
    Refused,
    Terminated,
)

from .history import RECENT, History
from .messages import Enter, Entered, Event, Leave, Left, RoomLost, RoomOpened, Said, Say, group

#: Rooms that are open at once.
MAX_ROOMS = 1_000
#: Seconds of silence after which an empty room closes.
ROOM_IDLE = 60.0
#: Seconds between attempts to open a room for which there is no node.
REOPEN = 1.0

_WHY = {Reason.NODE_LOST: "its node was lost", Reason.KILLED: "it was killed"}


class Room(Actor):
    """Passes on what is said in it, once it is in the history."""

    def __init__(self, name: str, history: ActorRef[History]) -> None:
        self.name = name
        self.history = history.proxy()
        self.recent: deque[Said] = deque(maxlen=RECENT)
        self.present: dict[ActorRef[Any], None] = {}

    def on_start(self) -> None:
        self.recent.extend(self.history.recent(self.name))
        for user in self.system.groups.members(group(self.name)):
            self.present[user] = None
            self.watch(user)
        self.idle_timeout(ROOM_IDLE)
        self.publish(self.view())

    def on_stop(self, reason: Reason) -> None:
        if reason is Reason.FAILED:
            self.publish(RoomLost(self.name, "it failed"))

    def receive(self, message: Any) -> Any:
        match message:
            case Say(user, text):
                said = self.history.add(self.name, user.name, text)  # seen means kept
                self.recent.append(said)
                self.publish(said)
            case Enter(user):
                if user not in self.present:
                    self.present[user] = None
                    self.watch(user)
                    self.publish(Entered(self.name, user.name))
                return self.view()
            case Leave(user):
                self.unwatch(user)
                self.gone(user)
            case Terminated(user, reason) if reason is not Reason.SHUTDOWN:  # of everyone
                self.gone(user)
            case IdleTimeout() if not self.present:
                self.stop()
        return None

    def gone(self, user: ActorRef[Any]) -> None:
        if user in self.present:
            del self.present[user]
            self.publish(Left(self.name, user.name))

    def view(self) -> RoomOpened:
        people = [user.name for user in self.present]
        return RoomOpened(self.name, self.ref, self.system.name, people, list(self.recent))

    def publish(self, event: Event) -> None:
        self.system.groups.publish(group(self.name), event)


class Rooms(Actor):
    """Knows which rooms are open; opens those that are asked for, and again those that are lost.

    In one process rooms are its children, and it supervises them. With `nodes` they are spread over
    worker processes and supervised there; it hears of the end of either by `watch`.
    """

    #: A room that cannot start, as without its history, is tried for ever, at last every 10 s.
    supervision = OneForOne(intensity=30, period=60.0)

    def __init__(self, history: ActorRef[History], nodes: NodePool | None = None) -> None:
        self.history = history
        self.nodes = nodes
        self.rooms: dict[str, ActorRef[Room]] = {}

    def on_start(self) -> None:
        for name in self.system.groups.names():  # after a restart: where somebody is
            if name.startswith(group("")):
                self.reopen(name.removeprefix(group("")))

    def on_stop(self, reason: Reason) -> None:
        for room in self.rooms.values():  # those on other nodes are nobody's children
            room.stop()

    def find(self, name: str) -> ActorRef[Room]:
        """The room of this name, opened if need be; raises Refused when it cannot be."""
        if name not in self.rooms:
            if len(self.rooms) >= MAX_ROOMS:
                raise Refused(f"there are {MAX_ROOMS} rooms, no more can be opened; join one")
            try:
                self.open(name)
            except ActorError as error:
                raise Refused("no node can take this room now; try again") from error
        return self.rooms[name]

    def names(self) -> list[str]:
        """The rooms that are open."""
        return sorted(self.rooms)

    def receive(self, message: Any) -> None:
        match message:
            case Terminated(room, reason) if self.rooms.get(room.name) == room:
                del self.rooms[room.name]
                if self.wanted(room.name):
                    why = _WHY.get(reason, "it failed")
                    self.log.warning("room lost", room=room.name, reason=reason.value)
                    self.system.groups.publish(group(room.name), RoomLost(room.name, why))
                    self.reopen(room.name)
            case ("reopen", name) if name not in self.rooms and self.wanted(name):
                self.reopen(name)

    def wanted(self, name: str) -> bool:
        """Whether anyone is in it, or thinks so."""
        return bool(self.system.groups.members(group(name)))

    def reopen(self, name: str) -> None:
        try:
            self.open(name)
        except ActorError as error:
            self.log.warning("room not opened", room=name, error=str(error), again_in=REOPEN)
            self.after(REOPEN, ("reopen", name), key=name)

    def open(self, name: str) -> None:
        room = self.spawn(Room, name, self.history, name=name, on=self.nodes)
        self.rooms[name] = room
        self.watch(room)
