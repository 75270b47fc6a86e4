"""Every error of actorkit: one tree under `ActorError`, each text says what to do next.

Imports nothing of the package; everything else may import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gevent import GreenletExit

if TYPE_CHECKING:
    from .messages import Reason
    from .ref import ActorRef

__all__ = [
    "ActorError",
    "ActorExit",
    "ActorNotFound",
    "ActorStopped",
    "AskDeadlock",
    "AskTimeout",
    "CodecError",
    "ForkedSystem",
    "HandshakeRefused",
    "LinkedActorDied",
    "NameTaken",
    "NodeLost",
    "NodeUnreachable",
    "NotInActor",
    "Refused",
    "RemoteError",
    "ReplyDropped",
    "RestartOrdered",
    "SystemStopped",
    "UncallableMethod",
    "UnhandledMessage",
    "WrongThread",
]


class ActorError(Exception):
    """Base of every error that actorkit raises."""


class ActorNotFound(ActorError, LookupError):
    """No living actor has this path."""


class NameTaken(ActorError, ValueError):
    """A living sibling already has this name."""


class ActorStopped(ActorError):
    """An actor has ended for good.

    Raised by `ask` when the asked actor is dead or ends before it answers. Published on the event
    stream, with `ref`, `reason` and `error`, whenever an actor ends.
    """

    __match_args__ = ("ref", "reason", "error")

    def __init__(
        self,
        text: str = "",
        *,
        ref: ActorRef[Any] | None = None,
        reason: Reason | None = None,
        error: BaseException | None = None,
    ) -> None:
        super().__init__(text)
        self.ref = ref
        self.reason = reason
        self.error = error


class SystemStopped(ActorStopped):
    """The system is shutting down or already shut down and starts no more actors."""


class AskTimeout(ActorError, TimeoutError):
    """No answer came within the time that the asker allowed."""


class AskDeadlock(ActorError):
    """This ask would close a circle of actors that wait for each other."""


class ReplyDropped(ActorError):
    """Nobody is left who could answer: the deferred reply was dropped."""


class LinkedActorDied(ActorError):
    """An actor that this one is linked to ended abnormally."""


class RestartOrdered(ActorError):
    """Somebody who may control the system from outside had this actor made anew."""


class WrongThread(ActorError):
    """A reference was used from another OS thread than its system's."""


class ForkedSystem(ActorError):
    """A system was used in a child made by `os.fork()`."""


class NotInActor(ActorError):
    """This works only inside an actor's own turn."""


class Refused(ActorError):
    """Raise it, or a subclass, in `receive` or a method: the asker alone gets it.

    It is an answer and not a failure: no supervision, no restart::

        class Overdrawn(Refused): ...

        def withdraw(self, amount):
            if amount > self.balance:
                raise Overdrawn(f"only {self.balance} left")
    """


class UnhandledMessage(Refused):
    """A message came to an actor that has no `receive` for it."""


class CodecError(ActorError, ValueError):
    """A value cannot travel to another node, or bytes from there are no value."""


class RemoteError(ActorError):
    """An error of an actor on another node whose type is not known here.

    `type_name` is the type's name there, `remote_traceback` the traceback as text.
    """

    def __init__(self, text: str = "", type_name: str = "", remote_traceback: str = "") -> None:
        super().__init__(text)
        self.type_name = type_name
        self.remote_traceback = remote_traceback

    def __str__(self) -> str:
        return f"{self.type_name}: {super().__str__()}" if self.type_name else super().__str__()


class NodeUnreachable(ActorError, ConnectionError):
    """No node answered at this address in time."""


class HandshakeRefused(ActorError, ConnectionError):
    """The other node answered and said no; the text says why."""


class NodeLost(ActorStopped, ConnectionError):
    """The connection to the actor's node broke before it answered."""


class UncallableMethod(UnhandledMessage, AttributeError):
    """`proxy()`, `call` or `cast` named something that is no public method of the actor."""


class ActorExit(GreenletExit):
    """Thrown into an actor that must end now (`kill`, or a stop while its `run` waits).

    Not an `Exception`, so that `except Exception` in user code lets it through.
    """
