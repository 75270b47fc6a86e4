"""The association of two nodes: order without gaps or duplicates, batches, backpressure, its end.

`Sequence` and `Window` are the pure logic. An `Association` joins them to a wire, which may be a
zmq socket or a simulated one: anything with `send(frames)` and `close()`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from ..errors import CodecError
from ..kernel import Dispatcher, Waiter
from ..timers import Timer
from .wire import Batch, Goodbye, Hello, Refusal, Welcome, read

__all__ = ["Association", "ProtocolBroken", "Sequence", "Window", "Wire"]

#: Records in a batch that is sent without waiting for the loop to turn.
MAX_BATCH = 500
#: Records sent and not acknowledged, from which senders wait.
WINDOW_RECORDS = 65_536
#: Bytes sent and not acknowledged, from which senders wait.
WINDOW_BYTES = 64 * 1024 * 1024
#: Batches that come in before one acknowledges at once ...
ACK_EVERY = 32
#: ... and seconds after which the rest are acknowledged.
ACK_DELAY = 0.02


class ProtocolBroken(CodecError):
    """The other side broke the rules of the association, or messages were lost on the way."""


class Sequence:
    """Which batch comes next: each is taken once and in order, or the association is over."""

    __slots__ = ("received", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0

    def next(self) -> int:
        """The number of the next batch to send."""
        self.sent += 1
        return self.sent

    def accept(self, seq: int) -> None:
        """Take batch `seq`; raises ProtocolBroken unless it is the one after the last."""
        if seq != self.received + 1:
            raise ProtocolBroken(f"batch {seq} came after batch {self.received}")
        self.received = seq


class Window:
    """What is sent and not acknowledged, in records and bytes."""

    __slots__ = ("_batches", "_last", "bytes", "records")

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self._last = 0
        self._batches: deque[tuple[int, int, int]] = deque()

    @property
    def full(self) -> bool:
        return self.records >= WINDOW_RECORDS or self.bytes >= WINDOW_BYTES

    def sent(self, seq: int, records: int, size: int) -> None:
        self._last = seq
        self._batches.append((seq, records, size))
        self.records += records
        self.bytes += size

    def acknowledged(self, seq: int) -> None:
        """The other side has everything up to batch `seq`; raises ProtocolBroken for the future."""
        if not 0 <= seq <= self._last:
            raise ProtocolBroken(f"batch {seq} was acknowledged and {self._last} is the last sent")
        batches = self._batches
        while batches and batches[0][0] <= seq:
            _, records, size = batches.popleft()
            self.records -= records
            self.bytes -= size


class Wire(Protocol):
    """Carries frames to one other node, in order, until it breaks."""

    def send(self, frames: list[Any]) -> None:
        """Send one message of several frames; raises OSError when the other side is gone."""

    def close(self) -> None:
        """Free what it holds; nothing is sent any more."""


class Association:
    """One life of the connection to one other node, `peer`.

    `on_records(association, records, buffers)` gets what comes in; `on_end(association, reason)` is
    called once, with the reason in words; `repair(records, buffers)` mends records that msgpack
    does not take as they are.
    """

    def __init__(
        self,
        wire: Wire,
        peer: Hello | Welcome,
        dispatcher: Dispatcher,
        on_records: Callable[[Association, list[Any], list[Any]], None],
        on_end: Callable[[Association, str], None],
        repair: Callable[[list[Any], list[Any]], list[Any]] = lambda records, buffers: records,
    ) -> None:
        self.peer = peer
        self.key = (peer.name, peer.incarnation)
        self.alive = True
        #: When the other side was last heard of, on the dispatcher's clock.
        self.heard = dispatcher.clock()
        self.wire = wire
        self._dispatcher = dispatcher
        self._on_records = on_records
        self._on_end = on_end
        self._repair = repair
        self._sequence = Sequence()
        self._window = Window()
        self._acked = 0
        self._ack_timer: Timer | None = None
        self._records: list[Any] = []
        #: Big buffers of the batch that is being filled; a record packs into it.
        self.buffers: list[Any] = []
        self._flush_planned = False
        self._waiting: deque[Waiter] = deque()

    # -- out ------------------------------------------------------------------------------------

    def put(self, head: Any, body: Any) -> None:
        """Add a record to the batch; it is sent when the loop turns, or when the batch is full."""
        records = self._records
        records.append(head)
        records.append(body)
        if not self._flush_planned:
            self._flush_planned = True
            self._dispatcher.loop.run_callback(self.flush)
        elif len(records) >= 2 * MAX_BATCH:
            self.flush()

    @property
    def full(self) -> bool:
        """Whether senders should wait for acknowledgements."""
        return self._window.full or len(self._records) >= 2 * WINDOW_RECORDS

    def wait_for_room(self) -> None:
        """Wait here while too much is unacknowledged, and the association lives."""
        while self.alive and self.full:
            waiter = Waiter()
            self._waiting.append(waiter)
            try:
                self._dispatcher.suspend(waiter)
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)

    def flush(self) -> None:
        """Send the batch, with the acknowledgement of what came in."""
        self._flush_planned = False
        if not self.alive or not (self._records or self._acked < self._sequence.received):
            return
        records, self._records = self._records, []
        buffers, self.buffers = self.buffers, []
        self._acked = self._sequence.received
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._ack_timer = None
        seq = self._sequence.next()
        try:
            data = Batch(seq, self._acked, records).write()
        except (OverflowError, ValueError):
            records = self._repair(records, buffers)
            data = Batch(seq, self._acked, records).write()
        size = len(data) + sum(len(buffer) for buffer in buffers)
        self._window.sent(seq, len(records) // 2, size)
        self.send([data, *buffers])

    def ping(self) -> None:
        """Send a sign of life, unless there is more to say anyway."""
        if not self._records and self._acked == self._sequence.received:
            seq = self._sequence.next()
            data = Batch(seq, self._acked, []).write()
            self._window.sent(seq, 0, len(data))
            self.send([data])

    def send(self, frames: list[Any]) -> None:
        try:
            self.wire.send(frames)
        except OSError as error:
            self.end(f"the connection broke: {error}")

    # -- in -------------------------------------------------------------------------------------

    def received(self, frames: list[Any]) -> None:
        """Take one message of the other side. What breaks the rules ends the association."""
        self.heard = self._dispatcher.clock()
        try:
            message = read(frames[0])
            match message:
                case Batch(seq, ack, records):
                    self._sequence.accept(seq)
                    self._window.acknowledged(ack)
                    self._let_senders_go()
                    if records:
                        self._plan_ack()
                        self._on_records(self, records, frames[1:])
                case Goodbye(reason) | Refusal(reason):
                    self.end(f"the other side ended it: {reason}", tell=False)
                case _:
                    raise ProtocolBroken("a second handshake within an association")
        except CodecError as error:
            self.end(f"protocol error: {error}")

    def _let_senders_go(self) -> None:
        if self._waiting and not self.full:
            waiting, self._waiting = self._waiting, deque()
            for waiter in waiting:
                self._dispatcher.schedule(waiter)

    def _plan_ack(self) -> None:
        if self._sequence.received - self._acked >= ACK_EVERY:
            self.flush()
        elif self._ack_timer is None:
            self._ack_timer = self._dispatcher.timers.after(ACK_DELAY, self._ack_late)

    def _ack_late(self) -> None:
        self._ack_timer = None
        self.flush()

    # -- the end --------------------------------------------------------------------------------

    def end(self, reason: str, tell: bool = True) -> None:
        """The association is over; a goodbye is said if the wire still carries it."""
        if not self.alive:
            return
        if tell:
            self.flush()
        if not self.alive:
            return
        self.alive = False
        if tell:
            with suppress(OSError):
                self.wire.send([Goodbye(reason).write()])
        if self._ack_timer is not None:
            self._ack_timer.cancel()
        self.wire.close()
        for waiter in self._waiting:
            self._dispatcher.schedule(waiter)
        self._waiting.clear()
        self._on_end(self, reason)
