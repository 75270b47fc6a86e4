"""What actorkit itself says to actors: reasons, system messages, method calls.

Plain values without behaviour, and `message`, which registers such values of users. Imports nothing
of the package but types.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from .ref import ActorRef

__all__ = ["Call", "IdleTimeout", "Reason", "Terminated", "message"]

T = TypeVar("T")

#: The classes that may travel between nodes, by the names under which they do.
registry: dict[str, type[Any]] = {}


class Reason(enum.Enum):
    """Why an actor ended."""

    NORMAL = "normal"  #: it stopped itself, its `run` returned, or `ref.stop()` asked for it
    SHUTDOWN = "shutdown"  #: its parent or its system stopped
    KILLED = "killed"  #: `ref.kill()`, or it did not stop within its shutdown time
    FAILED = "failed"  #: an error that supervision did not mend
    NODE_LOST = "node_lost"  #: the connection to its node broke
    NOT_FOUND = "not_found"  #: there never was such an actor, or it was gone already


@dataclass(frozen=True, slots=True)
class Terminated:
    """Sent to everyone who watches `ref` when it has ended for good."""

    ref: ActorRef[Any]
    reason: Reason
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """No message came for the `seconds` that `Actor.idle_timeout` named."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """A method call as a message: what `proxy()`, `call` and `cast` send."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None


@overload
def message(cls: type[T], /) -> type[T]: ...
@overload
def message(*, name: str) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True)
def message(cls: type[Any] | None = None, /, *, name: str | None = None) -> Any:
    """Make a class a frozen, slotted dataclass that may be sent to other nodes::

        @message
        class Said:
            who: str
            text: str = ""

    It travels under `name` (its own by default) with its fields by name: a receiver ignores fields
    that it does not know, and fills missing ones with their defaults. An exception class stays as
    it is and is only registered, so that it comes back as itself. Raises ValueError when another
    class has the name.
    """

    def register(cls: type[Any]) -> type[Any]:
        known_as = name or cls.__qualname__
        # Before dataclass() gives it an __init__.
        is_plain = not any(_MAKING & vars(base).keys() for base in cls.__mro__[:-1])
        made = cls if issubclass(cls, BaseException) else dataclass(frozen=True, slots=True)(cls)
        other = registry.get(known_as)
        if other is not None and (other.__module__, other.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise ValueError(
                f"{other.__module__}.{other.__qualname__} travels as {known_as!r} already; give"
                ' this class a name of its own: @message(name="...")'
            )
        registry[known_as] = made
        names[made] = known_as
        if is_plain:
            plain.add(made)
        return made

    return register if cls is None else register(cls)


#: The registry by class.
names: dict[type[Any], str] = {}
#: Message classes whose making is nothing but setting the fields.
plain: set[type[Any]] = set()
_MAKING = frozenset({"__new__", "__init__", "__post_init__"})

for _class in (Terminated, IdleTimeout):
    registry[f"actorkit.{_class.__name__}"] = _class
    names[_class] = f"actorkit.{_class.__name__}"
