"""How a command ends: its exit code, and the one line that says why. Imports no extra.

The codes are documented in docs/cli.md; scripts rely on them.
"""

from __future__ import annotations

import enum

from ..errors import (
    ActorNotFound,
    ActorStopped,
    AskTimeout,
    HandshakeRefused,
    NodeUnreachable,
    UncallableMethod,
)

__all__ = ["Exit", "Failure", "code_of"]


class Exit(enum.IntEnum):
    """What the program's exit status says."""

    OK = 0
    FAILED = 1  #: it could not be done, for a reason that has no code of its own
    USAGE = 2  #: what was typed makes no sense
    UNREACHABLE = 3  #: no node answered
    REFUSED = 4  #: a node answered, and said no
    NOT_FOUND = 5  #: no actor is there, or it has no such method
    ACTOR_ERROR = 6  #: the actor raised an error, or refused
    TIMEOUT = 7  #: no answer in time
    ENDED = 8  #: the actor or its node ended before the answer
    NO_EXTRA = 9  #: typer and rich are not installed
    INTERRUPTED = 130  #: by SIGINT


class Failure(Exception):
    """Ends a command: `text` on stderr in one line, and `code` as the exit status."""

    def __init__(self, text: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.code = code


def code_of(error: BaseException) -> Exit:
    """The exit code for an error that this side raised; an actor's own is `Exit.ACTOR_ERROR`."""
    match error:
        case Failure():
            return error.code
        case HandshakeRefused():
            return Exit.REFUSED
        case NodeUnreachable():
            return Exit.UNREACHABLE
        case ActorNotFound() | UncallableMethod():
            return Exit.NOT_FOUND
        case AskTimeout():
            return Exit.TIMEOUT
        case ActorStopped():
            return Exit.ENDED
    return Exit.FAILED
