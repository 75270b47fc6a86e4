"""`Door`: the connections that others made to our listening socket, as far as zmq shows them.

A ROUTER cannot close one connection of many. So those that say nothing, and those that we are done
with, are shut down at the level of TCP. Used by transport.py.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import zmq

__all__ = ["EVENTS", "HELLO_TIME", "LAST_WORDS", "Connection", "Door", "connection"]

#: Seconds that a connection has for its first message.
HELLO_TIME = 5.0
#: Seconds in which what was sent last still leaves, before the connection is shut down.
LAST_WORDS = 0.5
#: What the door needs to hear of the socket.
EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED


class Connection(NamedTuple):
    """A TCP connection by its descriptor, and by its far end: descriptors are used again."""

    descriptor: int
    far_end: Any

    def shut(self) -> None:
        """End it, if it is there still."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.descriptor)) as copy:
            if copy.getpeername() == self.far_end:
                copy.shutdown(socket.SHUT_RDWR)


def connection(descriptor: int) -> Connection | None:
    """The TCP connection at `descriptor`; None for any other."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        if copy.family in (socket.AF_INET, socket.AF_INET6):
            return Connection(descriptor, copy.getpeername())
    return None


class Door:
    """Waits for the first words of each connection. `later(seconds, action)` plans a call."""

    def __init__(self, later: Callable[[float, Callable[[], object]], None]) -> None:
        self._later = later
        self._silent: dict[int, Connection] = {}
        #: Connections shut down because they said nothing.
        self.shut = 0

    def happened(self, event: int, descriptor: int) -> None:
        """Take what zmq's monitor says."""
        self._silent.pop(descriptor, None)
        if event == zmq.EVENT_ACCEPTED:
            found = connection(descriptor)
            if found is not None:
                self._silent[descriptor] = found
                self._later(HELLO_TIME, lambda: self._time_is_over(found))

    def spoke(self, descriptor: int) -> None:
        """The first message of a connection has come."""
        self._silent.pop(descriptor, None)

    def see_out(self, leaving: Connection) -> None:
        """Shut a connection down once its last words have left."""
        self._later(LAST_WORDS, leaving.shut)

    def _time_is_over(self, found: Connection) -> None:
        if self._silent.get(found.descriptor) is found:
            del self._silent[found.descriptor]
            self.shut += 1
            found.shut()
