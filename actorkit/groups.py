"""Groups: named sets of actors, to reach all members at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ref import ActorRef
    from .system import ActorSystem

__all__ = ["Groups"]


class Groups:
    """The groups of one system, `system.groups`. A group exists while it has members.

        system.groups.join("room:42", ref)
        system.groups.publish("room:42", ("said", "hello"))

    An actor that ends leaves its groups by itself.
    """

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._members: dict[str, dict[ActorRef[Any], None]] = {}

    def join(self, group: str, ref: ActorRef[Any]) -> None:
        """Make `ref` a member of `group`; joining twice is joining once."""
        if not isinstance(group, str) or not group:
            raise ValueError(f"a group's name is a non-empty str, not {group!r}")
        members = self._members.setdefault(group, {})
        if ref not in members:
            members[ref] = None
            ref.rawlink(self._left)

    def leave(self, group: str, ref: ActorRef[Any]) -> None:
        """End a membership; nothing happens when there is none."""
        members = self._members.get(group)
        if members is not None and ref in members:
            del members[ref]
            if not members:
                del self._members[group]

    def members(self, group: str) -> list[ActorRef[Any]]:
        """The living members, first joined first; empty for a group that nobody joined."""
        return [ref for ref in self._members.get(group, ()) if not ref.ready()]

    def publish(self, group: str, message: Any) -> int:
        """`tell` every member; returns how many there were."""
        members = self.members(group)
        for ref in members:
            ref.tell(message)
        return len(members)

    def names(self) -> list[str]:
        """The groups that have members."""
        return list(self._members)

    def _left(self, ref: ActorRef[Any]) -> None:
        for group in list(self._members):
            self.leave(group, ref)
