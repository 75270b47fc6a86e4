"""Groups: named sets of actors, to reach all members at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ref import ActorRef
    from .system import ActorSystem

__all__ = ["Groups"]


class Groups:
    """The groups of one system, `system.groups`. A group exists while it has members::

        system.groups.join("room:42", ref)
        system.groups.publish("room:42", ("said", "hello"))

    An actor that ends leaves its groups by itself. The nodes that are connected share their
    groups: each tells the others of the members that joined at it, and they leave with its
    connection. The idea is that of Erlang's `pg`.
    """

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._members: dict[str, dict[ActorRef[Any], None]] = {}
        self._joined: dict[ActorRef[Any], dict[str, None]] = {}
        #: What other nodes have told: for each group, who joined at which node.
        self._elsewhere: dict[str, dict[tuple[Any, ActorRef[Any]], None]] = {}
        #: Tells the other nodes that `ref` has "joined" or "left"; set while there are any.
        self.announce: Callable[[str, str, ActorRef[Any]], None] = lambda what, group, ref: None

    def join(self, group: str, ref: ActorRef[Any]) -> None:
        """Make `ref` a member of `group`; joining twice is joining once."""
        self._system._dispatcher.check_thread()
        if not isinstance(group, str) or not group:
            raise ValueError(f"a group's name is a non-empty str, not {group!r}")
        joined = self._joined.get(ref)
        if joined is None:
            ref.rawlink(self._ended)
            joined = self._joined[ref] = {}
        if group not in joined:
            joined[group] = None
            self._members.setdefault(group, {})[ref] = None
            self.announce("joined", group, ref)

    def leave(self, group: str, ref: ActorRef[Any]) -> None:
        """End a membership that began at this node; nothing happens when there is none."""
        self._system._dispatcher.check_thread()
        joined = self._joined.get(ref)
        if joined is None or group not in joined:
            return
        del joined[group]
        if not joined:
            del self._joined[ref]
            ref.unlink(self._ended)
        members = self._members[group]
        del members[ref]
        if not members:
            del self._members[group]
        self.announce("left", group, ref)

    def members(self, group: str) -> list[ActorRef[Any]]:
        """The living members, first joined first, those of other nodes last; each once."""
        self._system._dispatcher.check_thread()
        members = dict.fromkeys(self._members.get(group, ()))
        members.update(dict.fromkeys(ref for _, ref in self._elsewhere.get(group, ())))
        return [ref for ref in members if not ref.ready()]

    def publish(self, group: str, message: Any) -> int:
        """`tell` every member; returns how many there were."""
        members = self.members(group)
        for ref in members:
            ref.tell(message)
        return len(members)

    def names(self) -> list[str]:
        """The groups that have members."""
        return list(dict.fromkeys((*self._members, *self._elsewhere)))

    def _ended(self, ref: ActorRef[Any]) -> None:
        for group in list(self._joined.get(ref, ())):
            self.leave(group, ref)

    # -- what the nodes tell each other ---------------------------------------------------------

    def joined_here(self) -> list[tuple[str, ActorRef[Any]]]:
        """Every membership that began at this node."""
        return [(group, ref) for group, members in self._members.items() for ref in members]

    def joined_elsewhere(self, node: Any, group: str, ref: ActorRef[Any]) -> None:
        """`ref` joined at another node."""
        self._elsewhere.setdefault(group, {})[node, ref] = None

    def left_elsewhere(self, node: Any, group: str, ref: ActorRef[Any]) -> None:
        """A membership of another node is over."""
        members = self._elsewhere.get(group, {})
        members.pop((node, ref), None)
        if not members:
            self._elsewhere.pop(group, None)

    def node_lost(self, node: Any) -> None:
        """Every membership that began at this other node is over."""
        for group in list(self._elsewhere):
            for where, ref in list(self._elsewhere[group]):
                if where is node:
                    self.left_elsewhere(node, group, ref)
