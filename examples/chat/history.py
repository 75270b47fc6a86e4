"""`History`: everything that was said, in SQLite. The one actor that touches the database.

SQLite blocks for real, so each call goes through `offload`: this actor waits, the others do not.
Rooms ask it, from whichever node they are on.
"""

from __future__ import annotations

import sqlite3
import time

from actorkit import Actor, Reason

from .messages import Said

#: Messages that somebody who comes in gets to see.
RECENT = 50
#: Messages of a room that are kept; older ones are deleted from time to time.
KEPT = 10_000
#: How often: at every so many messages.
PRUNE_EVERY = 1_000

_SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS said (
        id INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT, name TEXT, text TEXT, at REAL
    );
    CREATE INDEX IF NOT EXISTS said_in_room ON said (room, id);
"""


class History(Actor):
    def __init__(self, path: str) -> None:
        """`path`: the database file, or ":memory:"."""
        self.path = path
        self.database: sqlite3.Connection | None = None

    def on_start(self) -> None:
        self.database = self.offload(_open, self.path)

    def on_stop(self, reason: Reason) -> None:
        if self.database is not None:
            self.database.close()

    def add(self, room: str, name: str, text: str) -> Said:
        """Keep what `name` said; it has its number from here."""
        assert self.database is not None
        return self.offload(_add, self.database, room, name, text, time.time())

    def recent(self, room: str) -> list[Said]:
        """The last RECENT things that were said in a room, oldest first."""
        assert self.database is not None
        return self.offload(_recent, self.database, room)


# -- on gevent's thread pool, one at a time -------------------------------------------------------


def _open(path: str) -> sqlite3.Connection:
    # Any thread of the pool may use it, for never two do at once: the actor waits for each.
    database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    database.executescript(_SCHEMA)
    return database


def _add(database: sqlite3.Connection, room: str, name: str, text: str, at: float) -> Said:
    insert = "INSERT INTO said (room, name, text, at) VALUES (?, ?, ?, ?)"
    number = database.execute(insert, (room, name, text, at)).lastrowid
    assert number is not None
    if number % PRUNE_EVERY == 0:
        _prune(database)
    return Said(number, room, name, text, at)


def _recent(database: sqlite3.Connection, room: str) -> list[Said]:
    select = "SELECT id, room, name, text, at FROM said WHERE room = ? ORDER BY id DESC LIMIT ?"
    return [Said(*row) for row in database.execute(select, (room, RECENT))][::-1]


def _prune(database: sqlite3.Connection) -> None:
    for (room,) in database.execute("SELECT DISTINCT room FROM said").fetchall():
        oldest = "SELECT id FROM said WHERE room = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
        database.execute(
            f"DELETE FROM said WHERE room = ? AND id <= ({oldest})", (room, room, KEPT)
        )
