"""The association of two nodes: order without gaps or duplicates, batches, backpressure, its end.

`Sequence` and `Window` are the pure logic. An `Association` joins them to a `Wire`; wires come from
a `Transport`, which is zmq's or a simulated one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from ..errors import CodecError
from ..kernel import Dispatcher, Waiter
from ..log import get_logger
from .batch import Outgoing, read
from .wire import Batch, Goodbye, Offer, Refusal

__all__ = ["Association", "ProtocolBroken", "Sequence", "Transport", "Window", "Wire"]

#: Records in a batch that is sent without waiting for the loop to turn ...
MAX_BATCH = 500
#: ... and bytes of its packed values and buffers.
MAX_BATCH_BYTES = 1024 * 1024
#: Records sent and not acknowledged, from which senders wait.
WINDOW_RECORDS = 65_536
#: Bytes sent and not acknowledged, from which senders wait.
WINDOW_BYTES = 64 * 1024 * 1024
#: Bytes sent and not acknowledged, answers included, from which the other side is given up: it
#: asks and does not read the answers.
MAX_UNREAD_BYTES = 512 * 1024 * 1024
#: Batches that come in before one acknowledges at once ...
ACK_EVERY = 32
#: ... and seconds after which the rest are acknowledged at the latest.
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

    @property
    def host(self) -> str:
        """The host of the other node as a part of addresses; empty where that means nothing."""

    def send(self, frames: list[Any]) -> None:
        """Send one message of several frames; raises OSError when the other side is gone."""

    def drain(self) -> None:
        """Hand over what has come in and was not read yet."""

    def close(self) -> None:
        """Free what it holds; nothing is sent any more."""


class Transport(Protocol):
    """Makes wires. What comes in goes to the `on_message(wire, frames)` that it was made with."""

    def listen(self, address: str) -> str:
        """Take connections at `address`; returns it with the port that it got. Raises OSError."""

    def connect(self, address: str, on_lost: Callable[[Any, str, bool], None]) -> Wire:
        """A wire to `address`, which may not stand yet.

        `on_lost(wire, reason, refused)` when it breaks; `refused`: the other side is there and
        does not let us in. Raises OSError when it cannot be tried at all.
        """

    @property
    def counters(self) -> dict[str, int]:
        """How often what was refused at this level, by name."""

    def close(self) -> None:
        """Free every wire and socket."""


class Association:
    """One life of the connection to one other node, which made this `offer` in the handshake.

    `on_records(records, buffers)` gets what comes in; `on_end(association, reason, again)` is
    called once, with the reason in words and whether it makes sense to connect anew.
    `repair(records, buffers)` mends records that msgpack does not take as they are;
    `on_unsent(records, buffers, text)` gets what is known not to have been sent, and why.
    """

    def __init__(
        self,
        wire: Wire,
        offer: Offer,
        dispatcher: Dispatcher,
        on_records: Callable[[list[Any], list[Any]], None],
        on_end: Callable[[Association, str, bool], None],
        repair: Callable[[list[Any], list[Any]], list[Any]] = lambda records, buffers: records,
        on_unsent: Callable[[list[Any], list[Any], str], None] = lambda *unsent: None,
    ) -> None:
        self.alive = True
        self._broken = False
        #: Why it is over, in words.
        self._reason = ""
        #: Whether senders should wait for acknowledgements.
        self.full = False
        #: When the other side was last heard of, on the dispatcher's clock.
        self.heard = dispatcher.clock()
        self.wire = wire
        #: Big buffers of the batch that is being filled; a record packs into it.
        self.buffers: list[Any] = []
        #: Bytes in one frame that the other side takes.
        self.frame = offer.frame
        self._most = offer.records
        self._dispatcher = dispatcher
        self._on_records = on_records
        self._on_end = on_end
        self._repair = repair
        self._on_unsent = on_unsent
        self._sequence = Sequence()
        self._window = Window()
        self._acked = 0
        self._ack_planned = False
        #: The batch that is being filled.
        self.records = Outgoing(MAX_BATCH)
        self._size = 0
        #: Whether the batch is sent when the loop turns.
        self.flush_planned = False
        self._waiting: deque[Waiter] = deque()

    # -- out ------------------------------------------------------------------------------------

    def put(self, head: int, body: Any) -> None:
        """Add a record to the batch; it is sent when the loop turns, or when the batch is full."""
        if self.records.put(head, body):
            self.plan_flush()

    def plan_flush(self) -> None:
        """Have the batch sent when the loop turns, or at once if it is full."""
        if not self.flush_planned:
            self.flush_planned = True
            self._dispatcher.loop.run_callback(self.flush)
        elif len(self.records) >= MAX_BATCH:
            self.flush()

    def put_sized(self, head: int, body: Any, size: int) -> None:
        """Add a record of which `size` bytes are known; many such are no small batch."""
        self.put(head, body)
        self._size += size
        if self._size >= MAX_BATCH_BYTES:
            self.flush()

    def wait_for_room(self, deadline: float | None = None) -> bool:
        """Wait here while too much is unacknowledged, and the association lives.

        False when there is no room by `deadline` on the dispatcher's clock.
        """
        dispatcher = self._dispatcher
        while self.alive and self.full:
            waiter = Waiter()
            self._waiting.append(waiter)
            timer = None
            if deadline is not None:
                timer = dispatcher.timers.at(deadline, partial(dispatcher.schedule, waiter))
            try:
                dispatcher.suspend(waiter)
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                if timer is not None:
                    timer.cancel()
            if deadline is not None and dispatcher.clock() >= deadline:
                return not self.full
        return True

    def flush(self) -> None:
        """Send the batch, with the acknowledgement of what came in."""
        self.flush_planned = False
        if not self.alive:  # what was put after the end, or after a wait that the end cut short
            self._give_back()
            return
        if self._broken or not (self.records or self._acked < self._sequence.received):
            return
        records = self.records.take()
        buffers, self.buffers = self.buffers, []
        self._size = 0
        self._send_batch(records, buffers)

    def ping(self) -> None:
        """Send a sign of life, unless there is more to say anyway."""
        if self.alive and not self.records:
            self._send_batch(_batch([]), [])

    def _send_batch(self, records: Outgoing, buffers: list[Any]) -> None:
        if self._broken:
            self.records.extend(records.flat())
            return
        self._acked = self._sequence.received
        seq = self._sequence.sent + 1
        try:
            data = records.write(seq, self._acked)
        except (OverflowError, ValueError):
            records = _batch(self._repair(records.flat(), buffers))
            data = records.write(seq, self._acked)
        if len(data) > self.frame or len(records) > self._most:
            self._send_in_parts(records.flat(), buffers)
            return
        self._sequence.next()
        window = self._window
        window.sent(seq, len(records), len(data) + sum(len(buffer) for buffer in buffers))
        self.full = window.full
        try:
            self.wire.send([data, *buffers])
        except OSError as error:
            self.records.extend(records.flat())
            self.buffers = buffers
            self._break(f"the connection broke: {error}")
            return
        if window.bytes > MAX_UNREAD_BYTES:
            self.end("the other side does not read what it asked for")

    def _break(self, reason: str) -> None:
        """Nothing can be sent any more; what the other side said before counts still."""
        self._broken = True
        self._dispatcher.loop.run_callback(self._broke, reason)

    def _broke(self, reason: str) -> None:
        if self.alive:
            self.wire.drain()
        self.end(reason, tell=False)

    def _send_in_parts(self, records: list[Any], buffers: list[Any]) -> None:
        """More than the other side takes in one frame: halves of it, down to single records."""
        if len(records) == 2:
            text = (
                f"larger than the {self.frame:,} bytes that the other node takes; send it in parts"
            )
            self._on_unsent(records, buffers, text)
            return
        middle = len(records) // 4 * 2
        for part in (records[:middle], records[middle:]):
            if self.alive:
                # A record may name a buffer by its place, so each part has all of them.
                self._send_batch(_batch(part), buffers)

    # -- in -------------------------------------------------------------------------------------

    def received(self, frames: list[Any]) -> None:
        """Take one message of the other side. What breaks the rules ends the association."""
        self.heard = self._dispatcher.clock()
        try:
            message = read(frames[0])
            if type(message) is Batch:  # nearly all are
                seq, ack, records = message
                self._sequence.accept(seq)
                window = self._window
                window.acknowledged(ack)
                if self.full and not window.full:
                    self.full = False
                    self._let_senders_go()
                if records:
                    self._plan_ack()
                    self._on_records(records, frames[1:])
                return
            match message:
                case Goodbye(reason, again):
                    self.end(f"the other side ended it: {reason}", tell=False, again=again)
                case Refusal(reason):
                    self.end(f"the other side ended it: {reason}", tell=False)
                case _:
                    raise ProtocolBroken("a second handshake within an association")
        except CodecError as error:
            self.end(f"protocol error: {error}")
        except Exception as error:
            # Some of the batch may be delivered: going on would leave a silent gap.
            get_logger().exception("batch not delivered")
            self.end(f"internal error: {error!r}")

    def _let_senders_go(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for waiter in waiting:
            self._dispatcher.schedule(waiter)

    def _plan_ack(self) -> None:
        if self._sequence.received - self._acked >= ACK_EVERY:
            self.flush()
        elif not self._ack_planned:
            # Not cancelled by the next batch that acknowledges: a timer for each would cost more.
            self._ack_planned = True
            self._dispatcher.timers.after(ACK_DELAY, self._ack_late)

    def _ack_late(self) -> None:
        self._ack_planned = False
        self.flush()

    # -- the end --------------------------------------------------------------------------------

    def end(self, reason: str, tell: bool = True, again: bool = True) -> None:
        """The association is over; a goodbye is said if the wire still carries it.

        `again`: whether either side may connect anew by itself.
        """
        if tell:
            self.flush()
        if not self.alive:
            return
        self.alive = False
        self._reason = reason
        if tell:
            with suppress(OSError):
                self.wire.send([Goodbye(reason, again).write()])
        self.wire.close()
        self._let_senders_go()
        self._on_end(self, reason, again)
        self._give_back()

    def _give_back(self) -> None:
        """Hand over what will not be sent any more."""
        records = self.records.take()
        buffers, self.buffers = self.buffers, []
        if records:
            self._on_unsent(records.flat(), buffers, self._reason)


def _batch(flat: list[Any]) -> Outgoing:
    batch = Outgoing(MAX_BATCH)
    batch.extend(flat)
    return batch
