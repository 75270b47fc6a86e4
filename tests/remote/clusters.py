"""Two ways to the same cluster: over zmq with a real network in between, and simulated.

What the conformance suite says of nodes it says of either. `Cluster` is what it needs to know.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

import gevent
import gevent.event
import gevent.server
import gevent.socket

from actorkit import ActorSystem
from actorkit.testing import Simulation

__all__ = ["KINDS", "Claim", "Cluster", "until"]

LOOPBACK = "tcp://127.0.0.1:0"


class Cluster(Protocol):
    """Some nodes and what is between them."""

    def system(self, name: str) -> ActorSystem:
        """A new node that listens."""

    def way(self, source: ActorSystem, target: ActorSystem) -> str:
        """The address by which `source` connects to `target`."""

    def lose(self, source: ActorSystem, target: ActorSystem) -> None:
        """Break the connections that `source` made to `target`."""

    def cut(self, source: ActorSystem, target: ActorSystem) -> None:
        """Let nothing more through between the two, until they notice."""

    def heal(self) -> None:
        """Undo the cuts."""


Claim = Callable[[Cluster], None]


def until(condition: Callable[[], Any], timeout: float = 30.0) -> Any:
    """Wait until the condition holds, and return what it gives."""
    with gevent.Timeout(timeout, AssertionError(f"not within {timeout} s")):
        while not (value := condition()):
            gevent.sleep(0.005)
    return value


class Line:
    """A TCP forwarder: the network between a node and one that connects to it."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._sockets: list[Any] = []
        self._open = gevent.event.Event()
        self._open.set()
        self._server = gevent.server.StreamServer(("127.0.0.1", 0), self._joined)
        self._server.start()
        self.address = f"tcp://127.0.0.1:{self._server.server_port}"

    def lose(self) -> None:
        sockets, self._sockets = self._sockets, []
        for end in sockets:
            with suppress(OSError):
                end.shutdown(gevent.socket.SHUT_RDWR)
            end.close()

    def cut(self) -> None:
        self._open.clear()

    def heal(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._server.stop()
        self.lose()

    def _joined(self, near: Any, _: Any) -> None:
        with suppress(OSError):
            far = gevent.socket.create_connection(self._target)
            self._sockets += [near, far]
            back = gevent.spawn(self._forward, far, near)
            self._forward(near, far)
            back.join()

    def _forward(self, source: Any, target: Any) -> None:
        try:
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(gevent.socket.SHUT_RDWR)


class ZmqCluster:
    """Systems that talk over zmq; each connection goes through a `Line` of its own."""

    def __init__(self) -> None:
        self._systems: list[ActorSystem] = []
        self._lines: dict[tuple[str, str], Line] = {}

    def system(self, name: str) -> ActorSystem:
        system = ActorSystem(name, listen=LOOPBACK)
        self._systems.append(system)
        return system

    def way(self, source: ActorSystem, target: ActorSystem) -> str:
        pair = (source.name, target.address)
        if pair not in self._lines:
            self._lines[pair] = Line(target.address)
        return self._lines[pair].address

    def lose(self, source: ActorSystem, target: ActorSystem) -> None:
        self._lines[source.name, target.address].lose()

    def cut(self, source: ActorSystem, target: ActorSystem) -> None:
        self._lines[source.name, target.address].cut()

    def heal(self) -> None:
        for line in self._lines.values():
            line.heal()

    def close(self) -> None:
        self.heal()
        for system in reversed(self._systems):
            system.shutdown(timeout=5)
        for line in self._lines.values():
            line.close()


class SimulatedCluster:
    """Systems of a simulation."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._made = 0

    def system(self, name: str) -> ActorSystem:
        self._made += 1
        if name in self._sim.systems or name in self._sim._made:
            return self._sim.restart(name)
        return self._sim.system(name)

    def way(self, source: ActorSystem, target: ActorSystem) -> str:
        return target.address

    def lose(self, source: ActorSystem, target: ActorSystem) -> None:
        self._sim.network.disconnect(source, target)

    def cut(self, source: ActorSystem, target: ActorSystem) -> None:
        self._sim.network.partition({source}, {target})

    def heal(self) -> None:
        self._sim.network.heal()


def over_zmq(claim: Claim) -> None:
    cluster = ZmqCluster()
    try:
        claim(cluster)
    finally:
        cluster.close()


def simulated(claim: Claim) -> None:
    for seed in range(10):
        Simulation(seed).run(lambda sim: claim(SimulatedCluster(sim)))


#: How a claim is held against each kind of cluster.
KINDS: dict[str, Callable[[Claim], None]] = {"zmq": over_zmq, "simulated": simulated}
