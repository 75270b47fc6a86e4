"""What the actors of the chat say to each other, on one node or between nodes.

Imports nothing of the chat. `@message` makes each a frozen dataclass that may travel; the prefix of
the names keeps them apart from those of other programs on the same nodes.
"""

from __future__ import annotations

from typing import Any

from actorkit import ActorRef, message

# -- to a room ------------------------------------------------------------------------------------


@message(name="chat.Enter")
class Enter:
    """`user` comes in; the answer is a `RoomOpened`."""

    user: ActorRef[Any]


@message(name="chat.Leave")
class Leave:
    """`user` goes."""

    user: ActorRef[Any]


@message(name="chat.Say")
class Say:
    """`user` says `text`; answered when it is in the history."""

    user: ActorRef[Any]
    text: str


# -- from a room, to everyone in it ---------------------------------------------------------------


@message(name="chat.Said")
class Said:
    """Somebody said something. `id` grows within a room, `at` is in seconds since 1970."""

    id: int
    room: str
    name: str
    text: str
    at: float


@message(name="chat.Entered")
class Entered:
    room: str
    name: str


@message(name="chat.Left")
class Left:
    room: str
    name: str


@message(name="chat.RoomOpened")
class RoomOpened:
    """The room is there, perhaps again and perhaps elsewhere: who is in it, what was said last."""

    room: str
    ref: ActorRef[Any]
    node: str
    people: list[str]
    recent: list[Said]


@message(name="chat.RoomLost")
class RoomLost:
    """The room is not there now; a `RoomOpened` follows when it is back."""

    room: str
    why: str


Event = Said | Entered | Left | RoomOpened | RoomLost


def group(room: str) -> str:
    """The group of everyone in a room: it outlives the room's actor, and all nodes know it."""
    return f"room:{room}"
