"""What clients send and get: JSON of a few known shapes, and the limits of what they send.

A client sends operations: {"op": "say", "text": "hello"}. Each is answered, in order, by
{"op": "say", "ok": true} or {"op": "say", "error": "why not"}. What happens comes in batches:
{"last": 7, "missed": 0, "events": [{"type": "said", ...}]}. Pure; raises Refused, whose text is for
the client.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Any

from actorkit import Refused

from .messages import Entered, Event, Left, RoomLost, RoomOpened, Said
from .users import Batch

#: Bytes of one operation.
MAX_OPERATION = 16_384
#: Characters of what is said, of a user's and of a room's name.
MAX_TEXT, MAX_NAME, MAX_ROOM = 2_000, 24, 24

Operation = dict[str, Any]


def parse(data: str | bytes) -> Operation:
    """The operation in a client's JSON."""
    if len(data) > MAX_OPERATION:
        raise Refused(f"that is larger than {MAX_OPERATION} bytes")
    try:
        operation = json.loads(data)
    except (ValueError, RecursionError):
        raise Refused("that is not JSON") from None
    if not isinstance(operation, dict) or not isinstance(operation.get("op"), str):
        raise Refused('an operation is a JSON object with an "op"')
    return operation


def encode(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def batch_as_json(batch: Batch) -> dict[str, Any]:
    events = [event_as_json(event) for event in batch.events]
    return {"last": batch.last, "missed": batch.missed, "events": events}


def event_as_json(event: Event) -> dict[str, Any]:
    match event:
        case Said(id, room, name, text, at):
            return {"type": "said", "id": id, "room": room, "name": name, "text": text, "at": at}
        case Entered(room, name):
            return {"type": "entered", "room": room, "name": name}
        case Left(room, name):
            return {"type": "left", "room": room, "name": name}
        case RoomLost(room, why):
            return {"type": "lost", "room": room, "why": why}
        case RoomOpened(room, _, node, people, recent):
            said = [event_as_json(each) for each in recent]
            return {"type": "room", "room": room, "node": node, "people": people, "recent": said}


# -- what people write ----------------------------------------------------------------------------


def text(operation: Operation) -> str:
    """What is said: several lines at most, nothing that steers a terminal."""
    said = _string(operation, "text", MAX_TEXT, lambda char: char == "\n" or not _steers(char))
    if not said:
        raise Refused("there is nothing to say")
    return said


def name(operation: Operation) -> str:
    """A user's name, which is also an actor's."""
    chosen = " ".join(_string(operation, "name", MAX_NAME, str.isprintable).split())
    if not chosen or set(chosen) & set("/#") or chosen[0] == "$":
        raise Refused(f"a name has 1 to {MAX_NAME} characters, none of / and #, and no $ in front")
    return chosen


def room(operation: Operation) -> str:
    """A room's name."""
    chosen = _string(operation, "room", MAX_ROOM, str.isprintable).lower()
    if not chosen or not set(chosen) <= set("abcdefghijklmnopqrstuvwxyz0123456789-"):
        raise Refused(f"a room's name has 1 to {MAX_ROOM} of the characters a-z, 0-9 and -")
    return chosen


def number(value: object) -> int:
    """A count that a client gives, of which nothing depends on being true."""
    try:
        return min(max(int(str(value)[:16]), 0), 2**53)
    except ValueError:
        raise Refused("that is not a number") from None


def _string(operation: Operation, key: str, maximum: int, admitted: Callable[[str], bool]) -> str:
    value = operation.get(key)
    if not isinstance(value, str):
        raise Refused(f'"{key}" must be a text')
    value = value.strip()
    if len(value) > maximum:
        raise Refused(f'"{key}" has {len(value)} characters; {maximum} may go')
    return unicodedata.normalize("NFC", "".join(filter(admitted, value))).strip()


def _steers(char: str) -> bool:
    """Whether it is a control character (a terminal obeys it) or half of one (no UTF-8 has it)."""
    return unicodedata.category(char) in ("Cc", "Cs")
