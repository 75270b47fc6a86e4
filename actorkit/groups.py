"""Groups: named sets of actors, to reach all members at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ref import ActorRef
    from .system import ActorSystem

__all__ = ["Groups"]


class Groups:
    """The groups of one system, `system.groups`. A group exists while it has members::

        system.groups.join("room:42", ref)
        system.groups.publish("room:42", ("said", "hello"))

    An actor that ends leaves its groups by itself.
    """

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._members: dict[str, dict[ActorRef[Any], None]] = {}
        self._joined: dict[ActorRef[Any], set[str]] = {}

    def join(self, group: str, ref: ActorRef[Any]) -> None:
        """Make `ref` a member of `group`; joining twice is joining once."""
        if not isinstance(group, str) or not group:
            raise ValueError(f"a group's name is a non-empty str, not {group!r}")
        members = self._members.setdefault(group, {})
        members[ref] = None
        if ref not in self._joined:
            self._joined[ref] = set()
            ref.rawlink(self._ended)
        self._joined[ref].add(group)

    def leave(self, group: str, ref: ActorRef[Any]) -> None:
        """End a membership; nothing happens when there is none."""
        joined = self._joined.get(ref)
        if joined is None or group not in joined:
            return
        joined.remove(group)
        if not joined:
            del self._joined[ref]
            ref.unlink(self._ended)
        members = self._members[group]
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

    def _ended(self, ref: ActorRef[Any]) -> None:
        for group in list(self._joined.get(ref, ())):
            self.leave(group, ref)
