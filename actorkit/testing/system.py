"""A node of a simulation: an `ActorSystem` like any other, on a dispatcher of its own.

Its references write down what is sent, so that the log can say why something was delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    DeadLetter,
    EventStream,
    InboxOverflow,
    NodeDown,
    NodeUnresponsive,
    NodeUp,
)
from ..kernel import Cell, Dispatcher, Envelope
from ..kernel.asking import ASK_TIMEOUT
from ..messages import Call
from ..observe.failures import Failures
from ..observe.tree import walk
from ..ref import LocalRef
from ..remote.security import Insecure
from ..system import ActorSystem
from .dispatcher import SimulatedDispatcher
from .eventlog import describe

if TYPE_CHECKING:
    from ..remote.link import Transport
    from .simulation import Simulation

__all__ = ["SimulatedRef", "SimulatedSystem"]


class SimulatedRef(LocalRef[Any]):
    """A reference that writes every message sent to it into the event log."""

    __slots__ = ()

    if TYPE_CHECKING:
        _dispatcher: SimulatedDispatcher

    def tell(self, message: Any) -> None:
        self._dispatcher.simulation.note_sent(self, message)
        super().tell(message)

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        self._dispatcher.simulation.note_sent(self, message)
        return super().ask(message, timeout)

    def _submit(self, message: Any, timeout: float | None, sink: Any) -> Envelope:
        self._dispatcher.simulation.note_sent(self, message)
        return super()._submit(message, timeout, sink)

    def _cast(self, call: Call) -> None:
        self._dispatcher.simulation.note_sent(self, call)
        super()._cast(call)

    def _offer(self, message: Any, block: bool, timeout: float | None) -> None:
        self._dispatcher.simulation.note_sent(self, message)
        super()._offer(message, block, timeout)

    def _put(self, message: Any, block: bool = True, timeout: float | None = None) -> None:
        if type(message) is Envelope and message.gate is not None:
            self._dispatcher.simulation.note_sent(self, message.message, "timer")
        super()._put(message, block, timeout)


class SimulatedSystem(ActorSystem):
    """What `Simulation.system` makes."""

    def __init__(
        self,
        simulation: Simulation,
        dispatcher: SimulatedDispatcher,
        name: str,
        listen: str | None,
        spawnable: Iterable[Any],
        config: Mapping[str, Any] | None,
    ) -> None:
        self.simulation = simulation
        self._given = dispatcher
        if simulation.logs and self.cell_type is LocalRef:
            self.cell_type = SimulatedRef  # type: ignore[misc]
        super().__init__(
            name, listen=listen, security=Insecure(), spawnable=spawnable, config=config
        )

    def end_idle(self) -> None:
        """End the workers that wait for work."""
        self._given.end_idle()

    def leave_behind(self) -> None:
        """The simulation is over: cut what would keep the system alive through its actors.

        The compiled kernel's frames under a suspended turn hold its actor for good, out of the
        garbage collector's sight. So no actor keeps more than its name, its state and its error.
        """
        remnant = Remnant(self.name)
        for cell in (self._root, *walk(self._root)):
            cell._host = remnant
            cell._instance = None
            if cell._life is not None:
                cell._life.leave_behind()
        if self._network is not None:
            for peer in self._network.peers.values():
                vars(peer).clear()
            vars(self._network).clear()
            self._network.system = remnant  # type: ignore[assignment]
        self._given.forget()

    def _find_dispatcher(self) -> Dispatcher:
        return self._given

    def _make_transport(self, on_message: Callable[[Any, list[Any]], None]) -> Transport:
        return self.simulation.network.transport(self._given, on_message)


class Remnant:
    """What is left of a system to those who still hold references to its actors."""

    __slots__ = ("departed", "events", "failures", "late_answers", "name", "stopping")

    #: The class of its cells, if it could have any.
    cell_type: ClassVar[type[Cell]] = LocalRef

    def __init__(self, name: str) -> None:
        self.name = name
        self.events = EventStream()
        self.failures = Failures()
        self.departed: None = None
        self.late_answers = 0
        self.stopping = True


#: How the events of a system are written down: the kind, and what is told of them.
LOGGED: dict[type[Any], tuple[str, Any]] = {
    ActorStarted: ("started", lambda event: ""),
    ActorStopped: ("stopped", lambda event: event.reason.value),
    ActorFailed: ("failed", lambda event: describe(event.error)),
    ActorRestarted: ("restarted", lambda event: str(event.restarts)),
    DeadLetter: ("dead letter", lambda event: f"{describe(event.message)}: {event.reason}"),
    InboxOverflow: ("overflow", lambda event: f"{describe(event.message)}: {event.overflow}"),
    NodeUp: ("node up", lambda event: event.name),
    NodeDown: ("node down", lambda event: f"{event.name}: {event.reason}"),
    NodeUnresponsive: ("node silent", lambda event: f"{event.name}: {event.seconds:.6f} s"),
}
