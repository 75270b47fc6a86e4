"""`Dial`: the way to one address, tried again and again for as long as anyone wants it.

Who waits in `connect`, messages held for a node that is not connected yet, and the wish to keep a
connection that was made once: they share the attempts. Used by node.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from gevent.event import AsyncResult
from gevent.queue import Full

from ..errors import ActorError, HandshakeRefused, NodeLost
from ..log import get_logger
from ..supervision import Backoff
from ..timers import Timer
from .link import Wire
from .security import check_server_key
from .wire import Hello

if TYPE_CHECKING:
    from .node import Network
    from .peer import Peer
    from .refs import Incarnation

__all__ = ["ATTEMPT", "MAX_HELD", "RECONNECT", "Dial"]

#: Seconds that one attempt to connect has, handshake included.
ATTEMPT = 5.0
#: Waits between two attempts.
RECONNECT = Backoff(first=0.05, minimum=0.1, maximum=2.0, factor=2.0, jitter=0.2)
#: Messages held for an address until the connection stands.
MAX_HELD = 10_000

Then = Callable[["Peer"], None]
Otherwise = Callable[[ActorError], object]


class Dial:
    """Connects to `address`. At rest, trying, pausing before the next try, or through."""

    def __init__(self, network: Network, address: str) -> None:
        self.network = network
        self.address = address
        #: Whether a connection that breaks is made anew.
        self.kept = False
        #: The association that this led to, while it stands.
        self.peer: Peer | None = None
        self.session = ""
        #: When this series of attempts began, on the dispatcher's clock.
        self.since = 0.0
        #: What went wrong in the last attempt, in words.
        self.trouble = "not tried yet"
        self._wire: Wire | None = None
        self._waiting: list[AsyncResult[Peer]] = []
        self._held: list[tuple[Incarnation, Then, Otherwise]] = []
        self._failures = 0
        self._timer: Timer | None = None

    @property
    def trying(self) -> bool:
        """Whether an attempt is under way."""
        return self._wire is not None

    # -- who wants it ---------------------------------------------------------------------------

    def wait(self, timeout: float | None) -> Peer | None:
        """Wait for the association; None when it does not stand in `timeout` seconds.

        Raises HandshakeRefused, and ValueError where `security=` says nothing of whom to trust.
        """
        result: AsyncResult[Peer] = AsyncResult()
        self._waiting.append(result)
        try:
            if not self.trying:
                check_server_key(self.network.system._security)
                self._try()
            result.wait(timeout)
            return result.get() if result.ready() else None
        finally:
            self._waiting.remove(result)
            self._rest_if_unwanted()

    def hold(self, node: Incarnation, then: Then, otherwise: Otherwise) -> None:
        """Do `then` when the association with `node` stands, `otherwise` if that fails."""
        if not self.trying and self._timer is None and self.peer is None:
            self._try()
        if self.peer is not None:
            otherwise(NodeLost(f"{node.name!r} is gone; another node is at {self.address}"))
        elif not self.trying:
            otherwise(NodeLost(f"{node.name!r} cannot be reached: {self.trouble}"))
        elif len(self._held) >= MAX_HELD:
            otherwise(NodeLost(f"too much waits for the connection to {node.name!r}"))
        else:
            self._held.append((node, then, otherwise))

    def close(self, reason: str) -> None:
        """Give up, whoever waits."""
        self.kept = False
        self._stop_trying()
        self._fail_held(reason)
        for result in self._waiting:
            result.set_exception(HandshakeRefused(reason))

    # -- attempts -------------------------------------------------------------------------------

    def _try(self) -> None:
        self._stop_trying()
        network = self.network
        self.session = network.token()
        if not self._failures:
            self.since = network.dispatcher.clock()
        try:
            wire = self._wire = network.transport.connect(self.address, network.on_lost)
            network.dials_by_wire[wire] = self
            wire.send([self._hello().write()])
        except OSError as error:
            self.failed(str(error))
        else:
            self._timer = network.dispatcher.timers.after(ATTEMPT, self._too_slow)

    def _hello(self, replaces: str = "") -> Hello:
        network = self.network
        return Hello(*network.key, network.address, self.session, replaces, network.offer)

    def insist(self, session: str) -> None:
        """The other side knows an association that is over here: say so."""
        with suppress(OSError):
            if self._wire is not None:
                self._wire.send([self._hello(replaces=session).write()])

    def release(self) -> Wire:
        """Take the wire out of here: it has become an association's."""
        wire = self._wire
        assert wire is not None
        self._wire = None
        self.network.dials_by_wire.pop(wire, None)
        self._stop_trying()
        return wire

    def stood(self, peer: Peer) -> None:
        """The association stands, over this wire or another."""
        self._stop_trying()
        self.peer = peer
        peer.dials.append(self)
        self._failures = 0
        for result in self._waiting:
            result.set(peer)
        held, self._held = self._held, []
        for node, then, otherwise in held:
            if node.peer is not peer:
                otherwise(NodeLost(f"{node.name!r} is gone; another node is at {self.address}"))
                continue
            try:
                then(peer)
            except Full as error:
                otherwise(NodeLost(str(error)))

    def failed(self, trouble: str, refused: bool = False) -> None:
        """The attempt came to nothing; `refused` by the other node itself."""
        self._stop_trying()
        self.trouble = trouble
        self._failures += 1
        self._fail_held(f"no connection to {self.address}: {trouble}")
        if refused:
            for result in self._waiting:
                result.set_exception(HandshakeRefused(trouble))
            if self.kept:
                get_logger(system=self.network.system.name).warning(
                    "reconnect refused", address=self.address, reason=trouble
                )
        self._pause()

    def lost(self, again: bool) -> None:
        """The association that this led to is over; `again`: it may be made anew."""
        self.peer = None
        self.kept = self.kept and again
        if self.kept and not self.trying:
            self._pause()

    def _pause(self) -> None:
        """Until the end of the pause nothing is tried, lest an address be hammered."""
        network = self.network
        delay = RECONNECT.delay(self._failures, network.dispatcher.random())
        self._timer = network.dispatcher.timers.after(delay, self._paused)

    def _paused(self) -> None:
        self._timer = None
        if self.kept or any(not result.ready() for result in self._waiting):
            self._try()
        else:
            self._rest_if_unwanted()

    def _too_slow(self) -> None:
        self._timer = None
        self.failed("no answer to the handshake in time")

    def _stop_trying(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wire, self._wire = self._wire, None
        if wire is not None:
            self.network.dials_by_wire.pop(wire, None)
            wire.close()

    def _fail_held(self, text: str) -> None:
        held, self._held = self._held, []
        for _, _, otherwise in held:
            otherwise(NodeLost(text))

    def _rest_if_unwanted(self) -> None:
        pausing = self._timer is not None and not self.trying
        if self._waiting or self._held or self.kept or self.peer is not None or pausing:
            return
        self._stop_trying()
        self.network.dials.pop(self.address, None)
