"""The simulated network: what carries bytes between the nodes of a simulation, and its faults.

`SimulatedTransport` is what zmq's `Transport` is to a real system: the codec, the handshake and the
association above it are the real ones. A connection keeps its order and loses nothing until it
breaks, as TCP; a cut holds frames up, and one that lasts breaks the connection, as zmq's heartbeats
do. Every delay and every fault is a choice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .loop import TIE, Due, Node

if TYPE_CHECKING:
    from .dispatcher import SimulatedDispatcher
    from .simulation import Simulation

__all__ = ["LATENCY", "Network", "SimulatedTransport", "SimulatedWire"]

#: Seconds that frames travel, unless told otherwise: from the least to the most.
LATENCY = (0.0005, 0.005)
#: How many different delays there are between the least and the most.
DELAYS = 16
#: Seconds of silence after which a connection is lost, as by zmq's heartbeats.
SILENCE = 5.0

OnLost = Callable[[Any, str, bool], None]


class Network:
    """The network of a simulation, `sim.network`: how it delays, cuts and loses.

    Nodes are named, or given as systems. What it does from one moment on stays until it is undone.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        #: Seconds that frames travel: a number, the least and the most, or a function that makes
        #: seconds of a fraction from 0 to 1 (a distribution's quantiles).
        self.latency: float | tuple[float, float] | Callable[[float], float] = LATENCY
        #: The probability with which a message of the wire breaks its connection.
        self.loss = 0.0
        self._slow: dict[str, float] = {}
        self._cuts: set[tuple[str, str]] = set()
        self._partitions: list[list[frozenset[str]]] = []
        self._listeners: dict[str, SimulatedTransport] = {}
        self._connections: list[Connection] = []
        self._ports = 49152

    # -- faults ---------------------------------------------------------------------------------

    def partition(self, *groups: Any) -> None:
        """Cut every connection between nodes of different groups; one group is cut off from all.

        A group is a set of nodes, or one node.
        """
        named = [_group(group) for group in groups]
        if not named or sum(map(len, named)) != len(frozenset().union(*named)):
            raise ValueError("partition takes one or more sets of nodes that have none in common")
        self._partitions.append(named)
        self._note("partition " + " | ".join(",".join(sorted(group)) for group in named))
        self._look_at_cuts()

    def cut(self, source: Any, target: Any) -> None:
        """Cut the way from `source` to `target`, and not the way back."""
        self._cuts.add((name_of(source), name_of(target)))
        self._note(f"cut {name_of(source)} -> {name_of(target)}")
        self._look_at_cuts()

    def heal(self) -> None:
        """Undo every partition and every cut. What has broken meanwhile stays broken."""
        self._partitions.clear()
        self._cuts.clear()
        self._note("heal")
        self._look_at_cuts()

    def disconnect(self, one: Any, other: Any) -> None:
        """Break the connections between two nodes, as if a router between them had restarted."""
        pair = {name_of(one), name_of(other)}
        self._note(f"disconnect {' - '.join(sorted(pair))}")
        for connection in list(self._connections):
            if connection.nodes() == pair:
                connection.broke("the connection was lost")

    def slow(self, node: Any, seconds: float) -> None:
        """Let everything to and from a node take `seconds` more; 0 ends it."""
        if not seconds >= 0:
            raise ValueError(f"seconds must be >= 0, not {seconds!r}")
        self._slow[name_of(node)] = seconds
        self._note(f"slow {name_of(node)} by {seconds} s")

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing gets from one node to another now."""
        if (source, target) in self._cuts:
            return True
        for groups in self._partitions:
            sides = [i for name in (source, target) for i, g in enumerate(groups) if name in g]
            if len(sides) == 2 and sides[0] != sides[1]:
                return True
            if len(groups) == 1 and len(sides) == 1:
                return True
        return False

    # -- what the simulation does ---------------------------------------------------------------

    def transport(
        self, dispatcher: SimulatedDispatcher, on_message: Callable[[Any, list[Any]], None]
    ) -> SimulatedTransport:
        """What carries the bytes of one system."""
        return SimulatedTransport(self, dispatcher, on_message)

    def node_crashed(self, name: str) -> None:
        """The power of a node is gone: its peers get no more signs of life from it."""
        for connection in self._connections:
            if name in connection.nodes():
                connection.watch_silence()

    def node_restarted(self, name: str) -> None:
        """A machine that is up again knows nothing of its old connections, and says so."""
        for connection in list(self._connections):
            if name in connection.nodes() and connection.half_dead:
                after = self.delay() + self.slowness(name, name)
                connection.broke("the connection was lost", after)

    # -- what connections ask -------------------------------------------------------------------

    def slowness(self, source: str, target: str) -> float:
        """Seconds that frames take longer because one end or both are slow."""
        return self._slow.get(source, 0.0) + self._slow.get(target, 0.0)

    def delay(self) -> float:
        """Seconds that the next frames take where nobody is slow; a choice."""
        latency = self.latency
        choices = self._simulation.choices
        if callable(latency):
            seconds = latency(choices.choose(DELAYS, "latency") / DELAYS)
        elif isinstance(latency, tuple):
            least, most = latency
            seconds = least
            if most > least:
                step = choices.choose(DELAYS, "latency") / (DELAYS - 1)
                seconds += (most - least) * step
        else:
            seconds = latency
        return seconds

    def loses(self) -> bool:
        """Whether the next message breaks its connection; a choice."""
        return self._simulation.choices.happens(self.loss, "fate")

    def listen(self, transport: SimulatedTransport, address: str) -> str:
        if address.endswith((":0", ":*")):
            address = f"{address[:-1]}{self._ports}"
            self._ports += 1
        other = self._listeners.get(address)
        if other is not None and other.alive:
            raise OSError(f"cannot listen at {address}: {other.name!r} does")
        self._listeners[address] = transport
        return address

    def listener(self, address: str) -> SimulatedTransport | None:
        return self._listeners.get(address)

    def stop_listening(self, transport: SimulatedTransport) -> None:
        for address, other in list(self._listeners.items()):
            if other is transport:
                del self._listeners[address]

    def _look_at_cuts(self) -> None:
        for connection in list(self._connections):
            connection.look_at_cuts()

    def _note(self, text: str) -> None:
        self._simulation.note("fault", text)


def name_of(node: Any) -> str:
    """The name of a node that is given by its name or as its system."""
    name = getattr(node, "name", node)
    if not isinstance(name, str):
        raise TypeError(f"a node is its name or its system, not {node!r}")
    return name


def _group(nodes: Any) -> frozenset[str]:
    alone = isinstance(nodes, str) or not isinstance(nodes, Iterable)
    return frozenset(map(name_of, (nodes,) if alone else nodes))


class SimulatedTransport:
    """The wires of one system; see `actorkit.remote.link.Transport`."""

    def __init__(
        self,
        network: Network,
        dispatcher: SimulatedDispatcher,
        on_message: Callable[[Any, list[Any]], None],
    ) -> None:
        assert dispatcher.node is not None
        self.network = network
        self.dispatcher = dispatcher
        self.node: Node = dispatcher.node
        self.name = self.node.name
        self.on_message = on_message
        self.closed = False

    @property
    def alive(self) -> bool:
        return not (self.closed or self.node.crashed)

    @property
    def counters(self) -> dict[str, int]:
        """None: here nobody says nothing."""
        return {}

    def listen(self, address: str) -> str:
        return self.network.listen(self, address)

    def connect(self, address: str, on_lost: OnLost) -> SimulatedWire:
        connection = Connection(self.network, self, address, on_lost)
        self.network._connections.append(connection)
        return connection.dialer

    def close(self) -> None:
        self.closed = True
        self.network.stop_listening(self)
        for connection in list(self.network._connections):
            if connection.caller is self:
                connection.dialer.close()
            elif connection.called is self:
                connection.left()


class SimulatedWire:
    """One end of a connection."""

    host = ""

    def __init__(self, connection: Connection, dials: bool) -> None:
        self._connection = connection
        self._dials = dials
        self.closed = False

    def send(self, frames: list[Any]) -> None:
        connection = self._connection
        if connection.has_hung_up and connection.leaves(self._dials):
            return  # as with TCP: the end is behind what is still to arrive
        if self.closed or connection.broken:
            raise OSError("the connection is gone")
        connection.send(self._dials, list(map(bytes, frames)))

    def drain(self) -> None:
        """Nothing: what has come was handed over when it came."""

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self._dials:
                self._connection.hung_up()


class Connection:
    """What two ends share: frames under way in both directions, each in order."""

    def __init__(
        self, network: Network, caller: SimulatedTransport, address: str, on_lost: OnLost
    ) -> None:
        self.network = network
        self.caller = caller
        self.address = address
        self._loop = caller.dispatcher.virtual
        self.broken = False
        self.called = network.listener(address)
        self.dialer = SimulatedWire(self, dials=True)
        self.acceptor = SimulatedWire(self, dials=False)
        self._on_lost = on_lost
        self.has_hung_up = False
        #: For each direction, what is under way, when the last of it arrives, what a cut holds up.
        self._flying: dict[bool, deque[tuple[list[bytes], int]]] = {True: deque(), False: deque()}
        self._arrives = {True: 0.0, False: 0.0}
        self._held: dict[bool, list[tuple[list[bytes], int]]] = {True: [], False: []}
        self._silence: Due | None = None

    def nodes(self) -> set[str]:
        return {self.caller.name} if self.called is None else {self.caller.name, self.called.name}

    @property
    def half_dead(self) -> bool:
        called = self.called
        return self.caller.node.crashed or (called is not None and called.node.crashed)

    def _way(self, dials: bool) -> tuple[str, str]:
        there = self.address if self.called is None else self.called.name
        return (self.caller.name, there) if dials else (there, self.caller.name)

    def leaves(self, dials: bool) -> bool:
        """Whether the other side has hung up, and this one cannot know it yet."""
        return self.has_hung_up and not dials and bool(self._flying[True])

    # -- frames ---------------------------------------------------------------------------------

    def send(self, dials: bool, frames: list[bytes]) -> None:
        cause = self.network._simulation.current_cause()
        if self.called is None:
            self.called = self.network.listener(self.address)
        network = self.network
        if network.loss and network.loses():
            network._note(f"{' -> '.join(self._way(dials))} breaks")
            self.broke("the connection was lost")
        elif (network._cuts or network._partitions) and (
            self._held[dials] or network.is_cut(*self._way(dials))
        ):
            self._held[dials].append((frames, cause))
            self.watch_silence()
        else:
            self._carry(dials, frames, cause)

    def _carry(self, dials: bool, frames: list[bytes], cause: int) -> None:
        network = self.network
        now = self._loop.time
        delay = network.delay()
        if network._slow:
            delay += network.slowness(*self._way(dials))
        arrives = max(self._arrives[dials], now + delay)
        self._arrives[dials] = arrives
        self._flying[dials].append((frames, cause))
        target = self.called if dials else self.caller
        node = None if target is None else target.node
        self._loop.plan(arrives - now, self._arrive, node, 0, dials)

    def _later(
        self, seconds: float, target: SimulatedTransport | None, action: Any, *args: Any
    ) -> Due:
        node = None if target is None else target.node
        return self._loop.plan(seconds, action, node, 0, *args)

    def _arrive(self, dials: bool) -> None:
        """The next frames of one direction are there, whichever timer of a tie came first."""
        frames, cause = self._flying[dials].popleft()
        target = self.called if dials else self.caller
        if target is None:
            if not self.broken:
                self.broke("nobody listens there")
            return
        if target.closed:
            return  # the dialler learns it behind what is still on its way to it: see `left`
        wire = self.acceptor if dials else self.dialer
        if (
            target.node.crashed
            or (self.broken and not (self.has_hung_up and dials))
            or (wire.closed and not dials)
        ):
            return
        if wire.closed:  # as a ROUTER, which knows but who sends: it is a new conversation
            wire = self.acceptor = SimulatedWire(self, dials=False)
        simulation = self.network._simulation
        simulation.cause, simulation.arriving = cause, True
        try:
            target.on_message(wire, frames)
        finally:
            simulation.cause, simulation.arriving = 0, False

    # -- the end --------------------------------------------------------------------------------

    def look_at_cuts(self) -> None:
        """A cut has come or gone."""
        for dials in (True, False):
            if not self.network.is_cut(*self._way(dials)):
                held, self._held[dials] = self._held[dials], []
                for frames, cause in held:
                    self._carry(dials, frames, cause)
        self.watch_silence()

    def watch_silence(self) -> None:
        """Heartbeats that do not come through break the connection in a while."""
        cut = self.half_dead or any(self.network.is_cut(*self._way(d)) for d in (True, False))
        if cut and self._silence is None:
            self._silence = self._later(SILENCE, None, self.broke, "the connection was lost")
        elif not cut and self._silence is not None:
            self._loop.cancel(self._silence)
            self._silence = None

    def hung_up(self) -> None:
        """The side that dialled has closed its socket; what it sent before still arrives."""
        self.has_hung_up = True
        self._end()

    def left(self) -> None:
        """The side that listens closes its socket; what it sent before still arrives."""
        now = self._loop.time
        self.acceptor.closed = True
        reason = "the connection was lost"
        self._later(max(0.0, self._arrives[False] - now) + 2 * TIE, None, self.broke, reason)

    def broke(self, reason: str, after: float = 0.0) -> None:
        """The connection is over; the side that dialled is told, the other learns when it sends."""
        if self.broken:
            return
        self._end()
        self._later(after, self.caller, self._tell_caller, reason)

    def _end(self) -> None:
        self.network._simulation.touch_all()
        self.broken = True
        if self._silence is not None:
            self._loop.cancel(self._silence)
        self._held = {True: [], False: []}
        if self in self.network._connections:
            self.network._connections.remove(self)

    def _tell_caller(self, reason: str) -> None:
        if self.caller.alive and not self.dialer.closed:
            self._on_lost(self.dialer, reason, False)
