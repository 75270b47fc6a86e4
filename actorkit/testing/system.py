"""A node of a simulation: an `ActorSystem` like any other, on a dispatcher of its own.

Its references write down what is sent, so that the log can say why something was delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..events import (
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    DeadLetter,
    InboxOverflow,
    NodeDown,
    NodeUnresponsive,
    NodeUp,
)
from ..kernel import Dispatcher, Envelope
from ..kernel.asking import ASK_TIMEOUT
from ..messages import Call
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
        LocalRef.tell(self, message)

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        self._dispatcher.simulation.note_sent(self, message)
        return LocalRef.ask(self, message, timeout)

    def _submit(self, message: Any, timeout: float | None, sink: Any) -> Envelope:
        self._dispatcher.simulation.note_sent(self, message)
        return LocalRef._submit(self, message, timeout, sink)

    def _cast(self, call: Call) -> None:
        self._dispatcher.simulation.note_sent(self, call)
        LocalRef._cast(self, call)

    def _put(self, message: Any, block: bool = True, timeout: float | None = None) -> None:
        if type(message) is Envelope and message.gate is not None:
            self._dispatcher.simulation.note_sent(self, message.message, "timer")
        LocalRef._put(self, message, block, timeout)


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
        if simulation.logs:
            self.cell_type = SimulatedRef  # type: ignore[misc]
        super().__init__(
            name, listen=listen, security=Insecure(), spawnable=spawnable, config=config
        )

    def _find_dispatcher(self) -> Dispatcher:
        return self._given

    def _make_transport(self, on_message: Callable[[Any, list[Any]], None]) -> Transport:
        return self.simulation.network.transport(self._given, on_message)


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
