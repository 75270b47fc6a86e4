"""`Peer`: one other node for the life of one association, and what goes over it in records.

Tells, questions and answers are all that travels. Orders such as lookup, spawn and watch are calls
to the node itself, the uid 0; service.py carries them out. Used by node.py and refs.py.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import gevent
from gevent.queue import Full

from ..errors import ActorStopped, CodecError, NodeLost
from ..events import DeadLetter
from ..kernel import Envelope
from ..messages import Call, Reason, Terminated
from ..ref import ActorRef, LocalRef
from .batch import deliver
from .forms import ShortForms
from .link import Association
from .record import (
    ASK,
    ERROR,
    KIND,
    MESSAGE,
    PACKED,
    PLAIN,
    TRACED,
    TUPLE,
    answer_head,
    as_tuple,
    read_traced,
)
from .refs import Incarnation, RemoteRef

if TYPE_CHECKING:
    from .dial import Dial
    from .node import Network

__all__ = ["Answer", "Peer", "Watched", "Watcher"]


#: Unanswered questions to a node from which those of askers who gave up are swept out.
SWEEP_QUESTIONS = 1000


class Watched:
    """Who here wants to know of the end of one actor over there."""

    __slots__ = ("lives", "observers", "ref")

    def __init__(self, ref: RemoteRef) -> None:
        self.ref = ref
        self.lives: dict[Any, None] = {}
        self.observers: list[Callable[[Any], Any]] = []


class Watcher:
    """Stands among the watchers of one of our actors for a node that watches it."""

    __slots__ = ("peer",)

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def terminated(self, message: Terminated) -> None:
        uid = message.ref.uid
        self.peer.watchers.pop(uid, None)
        self.peer.tell(0, Call("down", (uid, message.reason, message.error)))


class Answer:
    """Where the answer to a question of another node goes."""

    __slots__ = ("_number", "_peer")

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer = peer
        self._number = number

    def settle(self, value: Any, error: BaseException | None) -> None:
        self._peer.reply(self._number, value, error)


class Peer:
    """One other node, for the life of one association."""

    def __init__(
        self, network: Network, node: Incarnation, features: frozenset[str], session: str
    ) -> None:
        self.network = network
        self.node = node
        self.features = features
        self.session = session
        self.association: Association
        self.questions: dict[int, tuple[Envelope, ActorRef[Any]]] = {}
        self.watched: dict[int, Watched] = {}
        self.watchers: dict[int, tuple[LocalRef[Any], Watcher]] = {}
        self.links: dict[tuple[Any, Any], None] = {}
        #: Those of our connections to addresses that led here.
        self.dials: list[Dial] = []
        self.forms = ShortForms(lambda *schema: self.tell(0, Call("schema", schema)))
        self.unresponsive = False
        self._sweep_at = SWEEP_QUESTIONS
        self._serve = network.serve
        self._numbers = count(1)

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def address(self) -> str:
        return self.node.address

    # -- out ------------------------------------------------------------------------------------

    def tell(self, uid: int, message: Any) -> None:
        """Send a message to the actor `uid` over there (0: the node itself).

        Raises CodecError, and Full where there is no waiting for room.
        """
        association = self.association
        if association.full and uid:
            self._wait_for_room()
        due = association.records.tell(uid, message, self.forms)
        if due:
            association.plan_flush()
        elif due is None:
            body, size = self._pack(message)
            association.put_sized(uid << 4 | PACKED, body, size)

    def tell_traced(self, uid: int, message: Any, carrier: dict[str, str]) -> None:
        """`tell` with the trace that the message is part of, where the other side takes it."""
        if self.association.full:
            self._wait_for_room()
        kind, body = self.forms.of(message)
        size = 0
        if kind == PACKED:
            body, size = self._pack(message)
        kind, body = self._with_trace(carrier, kind, body)
        self.association.put_sized(uid << 4 | kind, body, size)

    def ask(
        self, ref: ActorRef[Any], message: Any, envelope: Envelope, deadline: float | None
    ) -> None:
        """Send a question to `ref` over there; its answer settles `envelope`.

        `deadline`, on the dispatcher's clock, bounds the wait for room.
        """
        association = self.association
        if association.full and not self._wait_for_room(deadline):
            envelope.expire()
            return
        kind, body = self.forms.of(message)
        size = 0
        if kind == PACKED:
            body, size = self._pack(message)
        self._put_question(ref, kind, body, size, envelope)

    def tell_packed(self, uid: int, data: bytes, carrier: dict[str, str] | None = None) -> None:
        """Send what the codec has packed before; raises Full when there is no room."""
        if self.association.full:
            self._wait_for_room()
        kind, body = self._with_trace(carrier, PACKED, data)
        self.association.put_sized(uid << 4 | kind, body, len(data))

    def ask_packed(self, ref: ActorRef[Any], data: bytes, envelope: Envelope) -> None:
        """`ask` with what the codec has packed before."""
        if self.association.full:
            self._wait_for_room()
        self._put_question(ref, PACKED, data, len(data), envelope)

    def _put_question(
        self, ref: ActorRef[Any], kind: int, body: Any, size: int, envelope: Envelope
    ) -> None:
        kind, body = self._with_trace(envelope.trace, kind, body)
        number = next(self._numbers)
        self.questions[number] = (envelope, ref)
        self.association.put_sized(ref.uid << 4 | ASK | kind, (number, body), size)

    def _with_trace(self, carrier: dict[str, str] | None, kind: int, body: Any) -> tuple[int, Any]:
        if carrier and "trace" in self.features:
            return TRACED, (carrier, kind, body)
        return kind, body

    def reply(self, number: int, value: Any, error: BaseException | None) -> None:
        """Answer question `number` of the other side."""
        if error is None:
            kind, body = self.forms.of(value)
            if kind != PACKED:
                self.association.put(answer_head(number, kind), body)
                return
            try:
                body, size = self._pack(value)
            except CodecError as unsendable:
                error = unsendable
        if error is not None:
            kind, body = ERROR, self.network.codec.pack(error)
            size = len(body)
        self.association.put_sized(answer_head(number, kind), body, size)

    def _pack(self, value: Any) -> tuple[bytes, int]:
        """The bytes of a value, and their size with that of the buffers that go beside them."""
        association = self.association
        buffers = association.buffers
        before = len(buffers)
        try:
            data = self.network.codec.pack(value, buffers)
            size = len(data) + sum(map(len, buffers[before:]))
            if size > association.frame:
                raise CodecError(
                    f"the message has {size:,} bytes and {self.name} takes {association.frame:,};"
                    " send it in parts"
                )
        except CodecError:
            del buffers[before:]
            raise
        return data, size

    def repair(self, records: list[Any], buffers: list[Any]) -> list[Any]:
        """Pack what looked plain and is not: integers of more than 64 bits."""
        mended: list[Any] = []
        for head, body in zip(records[::2], records[1::2], strict=True):
            code = head if head >= 0 else -head - 1
            if code & KIND == TRACED:
                carrier, kind, inner = body[1] if head & ASK else body
                if kind != PACKED:
                    inner = self.network.codec.pack(self._value(kind, inner, buffers), buffers)
                inner = (carrier, PACKED, inner)
                body = (body[0], inner) if head & ASK else inner
            elif code & KIND in (PLAIN, TUPLE, MESSAGE):
                content = self.network.codec.pack(self._content(head, body, buffers), buffers)
                code = code & ~KIND | PACKED
                head = code if head >= 0 else -code - 1
                body = (body[0], content) if head >= 0 and head & ASK else content
            mended += [head, body]
        return mended

    def _content(self, head: int, body: Any, buffers: list[Any]) -> Any:
        """The value in a record that was made here."""
        if head >= 0 and head & ASK:
            body = body[1]
        kind = (head if head >= 0 else -head - 1) & KIND
        if kind == TRACED:
            _, kind, body = body
        return self._value(kind, body, buffers)

    def _value(self, kind: int, body: Any, buffers: list[Any]) -> Any:
        if kind == MESSAGE:
            return self.forms.restore(body)
        if kind == TUPLE:
            return as_tuple(body)
        return self.network.codec.unpack(body, buffers) if kind in (PACKED, ERROR) else body

    def unsent(self, records: list[Any], buffers: list[Any], text: str) -> None:
        """These records have not left: tell whoever must know."""
        events = self.network.system.events
        self.network.counters["unsent"] += len(records) // 2
        for head, body in zip(records[::2], records[1::2], strict=True):
            if head < 0:
                if self.association.alive:
                    self.reply((-head - 1) >> 3, None, CodecError(f"the answer is {text}"))
            elif head & ASK:
                if self.association.alive:
                    self._settle(body[0], None, CodecError(f"the question is {text}"))
                elif body[0] in self.questions:  # asked after `lost` had told the others
                    self._settle(body[0], None, NodeLost(f"{self.name} is lost: {text}"))
            elif head >> 4 and events.wants(DeadLetter):
                ref = self.network.ref_of(self.node, head >> 4, "")
                events.publish(DeadLetter(self._content(head, body, buffers), ref, text))

    def _wait_for_room(self, deadline: float | None = None) -> bool:
        network = self.network
        if network.outbound == "fail" or gevent.getcurrent() is network.dispatcher.hub:
            raise Full(f"too much is on its way to {self.name}")
        return self.association.wait_for_room(deadline)

    def sweep(self) -> None:
        """Forget the questions whose askers wait no more."""
        if len(self.questions) > self._sweep_at:
            for number in [n for n, (envelope, _) in self.questions.items() if envelope.done]:
                del self.questions[number]
            self._sweep_at = max(SWEEP_QUESTIONS, 2 * len(self.questions))

    def watch(self, ref: RemoteRef) -> Watched:
        """Have the other side tell of the end of `ref`."""
        watched = self.watched.get(ref.uid)
        if watched is None:
            watched = self.watched[ref.uid] = Watched(ref)
            self.tell(0, Call("watch", (ref.uid,)))
        return watched

    # -- in -------------------------------------------------------------------------------------

    def take(self, records: list[Any], buffers: list[Any]) -> None:
        """Deliver what came in, in order. Raises CodecError when it breaks the rules."""
        deliver(self, records, buffers)

    def take_other(self, head: int, body: Any, buffers: list[Any]) -> None:
        """Deliver a question, or a tell that is more than a plain value."""
        number = 0
        if head & ASK:
            match body:
                case [int(number), body] if number > 0:
                    pass
                case _:
                    raise CodecError("a question without a number")
        uid = head >> 4
        ref = self.network.exports.get(uid)
        kind = head & KIND
        carrier = None
        if kind == TRACED:
            carrier, kind, body = read_traced(body)
        try:
            message = self._decode(kind, body, buffers)
        except CodecError as error:
            self.unreadable(ref, body, number, error)
            return
        tracing = self.network.system.tracing
        if carrier and tracing is not None:
            with tracing.within(carrier):
                self._deliver(uid, ref, message, number)
        else:
            self._deliver(uid, ref, message, number)

    def _deliver(self, uid: int, ref: LocalRef[Any] | None, message: Any, number: int) -> None:
        if uid == 0:
            self._serve(self, message, number)
        elif number:
            self._question(ref, message, number)
        elif ref is None:
            self.network.counters["tells_to_the_gone"] += 1
        else:
            try:
                if type(message) is Call:
                    ref._cast(message)
                else:
                    ref.tell(message)
            except Exception as error:
                self.refused(ref, message, error)

    def refused(self, ref: LocalRef[Any], message: Any, error: Exception) -> None:
        """An actor's inbox did not take the message."""
        full = isinstance(error, Full)
        ref._dead_letter(message, "its bounded inbox was full" if full else repr(error))

    def _decode(self, kind: int, body: Any, buffers: list[Any]) -> Any:
        if kind == PLAIN:
            return body
        if kind == MESSAGE:
            return self.forms.read(body)
        if kind == PACKED and type(body) is bytes:
            return self.network.codec.unpack(body, buffers)
        if kind == TUPLE:
            return as_tuple(body)
        raise CodecError("a body that is not of its kind")

    def _question(self, ref: LocalRef[Any] | None, message: Any, number: int) -> None:
        if ref is None or ref.ready():
            self.reply(number, None, ActorStopped("the actor has stopped"))
            return
        try:
            ref._submit(message, None, Answer(self, number))
        except Exception as error:
            self.reply(number, None, error)

    def unreadable(
        self, ref: LocalRef[Any] | None, body: Any, number: int, error: CodecError
    ) -> None:
        """The envelope is sound, its content is not: the sender's fault, and nobody else's."""
        self.network.counters["unreadable"] += 1
        if number:
            self.reply(number, None, error)
        elif ref is not None:
            self.network.system.events.publish(DeadLetter(body, ref, str(error)))

    def answered(self, code: int, body: Any, buffers: list[Any]) -> None:
        value, error = None, None
        try:
            if code & KIND == ERROR:
                error = self.network.codec.unpack(body)
                if not isinstance(error, BaseException):
                    raise CodecError("an error that is none")
            else:
                value = self._decode(code & KIND, body, buffers)
        except CodecError as unreadable:
            error = unreadable
        self._settle(code >> 3, value, error)

    def _settle(self, number: int, value: Any, error: BaseException | None) -> None:
        envelope, _ = self.questions.pop(number, (None, None))
        if envelope is None or envelope.done:
            self.network.system.late_answers += 1
        elif error is not None:
            envelope.fail(error)
        else:
            envelope.answer(value)

    # -- the end --------------------------------------------------------------------------------

    def lost(self, reason: str) -> None:
        """The association is over: everyone who waits for the other node learns it now."""
        text = f"the connection to {self.name} ended: {reason}"
        for envelope, ref in self.questions.values():
            envelope.fail(NodeLost(text, ref=ref))
        self.questions.clear()
        error = NodeLost(text)
        for ref, watcher in self.watchers.values():
            ref._remove_watcher(watcher)  # type: ignore[arg-type]
        for watched in self.watched.values():
            self.network.report_end(watched, Reason.NODE_LOST, error, known=False)
        for here, there in self.links:
            here._linked_ended(there, Reason.NODE_LOST, error)
