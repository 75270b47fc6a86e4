"""OpenTelemetry spans of a system, one for each ask and each receive, with their causes.

A traced system's references are of a class of their own. What they send goes as an `Envelope` that
carries a `_Trace`: the context of the sender, which the receiver's span has as its parent; or only
that context, where its trace is not recorded (`_Unrecorded`). To other nodes the context goes as
text. Uses opentelemetry-api, which nothing else here imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from greenlet import getcurrent
from opentelemetry import propagate
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    get_current_span,
    get_tracer,
    set_span_in_context,
)

from ..errors import Refused
from ..futures import Future
from ..kernel import Cell, Envelope, Worker
from ..kernel.asking import ASK_TIMEOUT, check_timeout, refuse_cycle
from ..kernel.dispatcher import await_answer
from ..messages import Call
from ..ref import ActorRef, LocalRef
from ..remote.refs import RemoteRef
from .tree import walk

if TYPE_CHECKING:
    from ..system import ActorSystem

__all__ = ["Tracing"]


class Tracing:
    """Records spans of `system` until `close()`; `tracer_provider` is the global one by default::

        Tracing(system, tracer_provider=provider)

    Actors that live already are traced too. Raises ValueError for a system that is traced.
    """

    def __init__(self, system: ActorSystem, tracer_provider: TracerProvider | None = None) -> None:
        if system.tracing is not None:
            raise ValueError(f"{system.name!r} is traced already; close() that Tracing first")
        self.system = system
        self.tracer: Tracer = get_tracer("actorkit", tracer_provider=tracer_provider)
        #: The classes of references, whose messages are traced.
        self.local_type = _traced(system.cell_type, TracedLocal, self)
        self.remote_type = _traced(RemoteRef, TracedRemote, self)
        self._plain_type: type[Cell] = system.cell_type
        self._switch(self._plain_type, self.local_type, self.remote_type)
        system.tracing = self

    def __enter__(self) -> Tracing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Record no more; what is on its way already still has its spans."""
        if self.system.tracing is self:
            self.system.tracing = None
            self._switch(self.local_type, self._plain_type, RemoteRef)

    def _switch(self, old: type[Any], new: type[Any], remote: type[RemoteRef]) -> None:
        system = self.system
        system.cell_type = new  # type: ignore[misc]
        for cell in walk(system._root):
            if type(cell) is old:
                cell.__class__ = new
        network = system._network
        if network is not None:
            network.ref_type = remote
            for ref in list(network._refs.values()):
                ref.__class__ = remote

    def ask_span(self, ref: ActorRef[Any], message: Any, parent: Context) -> Span:
        """The span of a question, begun."""
        if isinstance(ref, Cell):
            return self._begin("ask", ref, message, SpanKind.CLIENT, parent)
        assert isinstance(ref, RemoteRef)
        kind = _kind_of(message)
        attributes = {
            "actorkit.system": ref.node.name,
            "actorkit.path": ref.path,
            "actorkit.message": kind,
        }
        return self.tracer.start_span(f"ask {kind}", parent, SpanKind.CLIENT, attributes)

    def receive_span(self, cell: Cell, message: Any, parent: Context, asked: bool) -> Span:
        """The span of one message's turn, begun."""
        kind = SpanKind.SERVER if asked else SpanKind.CONSUMER
        return self._begin("receive", cell, message, kind, parent)

    def _begin(self, word: str, cell: Cell, message: Any, kind: SpanKind, parent: Context) -> Span:
        cls = cell._spec.cls.__name__
        attributes = {
            "actorkit.system": self.system.name,
            "actorkit.path": cell.path,
            "actorkit.message": _kind_of(message),
            "actorkit.class": cls,
        }
        return self.tracer.start_span(f"{word} {cls}", parent, kind, attributes)

    @contextmanager
    def within(self, carrier: dict[str, str]) -> Iterator[None]:
        """What is sent here belongs to the trace that another node has told of."""
        token = attach(propagate.extract(carrier))
        try:
            yield
        finally:
            detach(token)


def _kind_of(message: Any) -> str:
    return f"{message.name}()" if isinstance(message, Call) else type(message).__name__


def _failed(span: Span, error: BaseException) -> None:
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))


def _carrier() -> dict[str, str]:
    """The current context as text, for another node."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def _traced(base: type[Any], words: type[Any], tracing: Tracing) -> type[Any]:
    """The class of references that are like those of `base`, and traced."""
    bases = (words,) if issubclass(words, base) else (base, words)
    return type(f"Traced{base.__name__}", bases, {"__slots__": (), "_tracing": tracing})


class _Unrecorded(Context):
    """The context of a trace that is not recorded; it travels with the trace's messages as it is.

    That a trace is not recorded was decided where it began, so nobody is asked again, and nothing
    is made for its messages.
    """

    @staticmethod
    def of(context: Context) -> _Unrecorded | None:
        """`context`, if it belongs to such a trace."""
        if type(context) is _Unrecorded:
            return context
        span = get_current_span(context)
        if span.is_recording():
            return None
        its = span.get_span_context()
        return _Unrecorded(context) if its.is_valid and not its.trace_flags.sampled else None

    def run(self, handler: Callable[[Any, Any], Any], instance: Any, message: Any) -> Any:
        token = attach(self)
        try:
            if type(message) is Call:
                return instance._on_call(message)
            return handler(instance, message)
        finally:
            detach(token)


def _within(span: Span, parent: Context) -> Context:
    """`parent` with `span` as the current one."""
    context = set_span_in_context(span, parent)
    return context if span.is_recording() else _Unrecorded(context)


class _Trace:
    """Travels with a message, and makes the span of its turn."""

    __slots__ = ("_asked", "_parent", "_span", "_token", "_tracing")

    def __init__(self, tracing: Tracing, parent: Context, asked: bool) -> None:
        self._tracing = tracing
        self._parent = parent
        self._asked = asked
        self._span: Span | None = None
        self._token: Any = None

    def run(self, handler: Callable[[Any, Any], Any], instance: Any, message: Any) -> Any:
        span = self._begin(instance._cell, message)
        token = attach(_within(span, self._parent))
        try:
            if type(message) is Call:
                return instance._on_call(message)
            return handler(instance, message)
        except Refused:
            raise  # an answer like any other
        except Exception as error:
            _failed(span, error)
            raise
        finally:
            detach(token)
            span.end()

    def open(self, cell: Cell, message: Any) -> None:
        context: Context | None = _Unrecorded.of(self._parent)
        if context is None:
            self._span = self._begin(cell, message)
            context = _within(self._span, self._parent)
        self._token = attach(context)

    def close(self, error: BaseException | None) -> None:
        span, token = self._span, self._token
        self._span = self._token = None
        if token is not None:
            detach(token)
        if span is not None:
            if isinstance(error, Exception) and not isinstance(error, Refused):
                _failed(span, error)
            span.end()

    def _begin(self, cell: Cell, message: Any) -> Span:
        return self._tracing.receive_span(cell, message, self._parent, self._asked)


class _Asked:
    """Ends the span of a question when its future has the answer."""

    __slots__ = ("_future", "_span")

    def __init__(self, span: Span, future: Future[Any]) -> None:
        self._span = span
        self._future = future

    def settle(self, value: Any, error: BaseException | None) -> None:
        if error is not None:
            _failed(self._span, error)
        self._span.end()
        self._future.settle(value, error)


class _Asking(ActorRef[Any]):
    """The words of a reference that ask, in spans."""

    __slots__ = ()

    _tracing: ClassVar[Tracing]

    def _ask(self, message: Any, timeout: float | None) -> Any:
        raise NotImplementedError

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        context = get_current()
        if _Unrecorded.of(context) is not None:
            return self._ask(message, timeout)
        span = self._tracing.ask_span(self, message, context)
        token = attach(_within(span, context))
        try:
            return self._ask(message, timeout)
        except Exception as error:
            _failed(span, error)
            raise
        finally:
            detach(token)
            span.end()

    def ask_nowait(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Future[Any]:
        future: Future[Any] = Future()
        context = get_current()
        if _Unrecorded.of(context) is not None:
            self._submit(message, timeout, future)
            return future
        span = self._tracing.ask_span(self, message, context)
        token = attach(_within(span, context))
        try:
            self._submit(message, timeout, _Asked(span, future))
        except BaseException as error:
            _failed(span, error)
            span.end()
            raise
        finally:
            detach(token)
        return future


class TracedLocal(_Asking, LocalRef[Any]):
    """A reference of an actor here: each message goes in an envelope with its trace."""

    __slots__ = ()

    def tell(self, message: Any) -> None:
        super().tell(self._traced(message))

    def _ask(self, message: Any, timeout: float | None) -> Any:
        dispatcher = self._dispatcher
        dispatcher.check_thread()
        me = getcurrent()
        asker = me.cell if isinstance(me, Worker) else None
        if asker is not None and (self is asker or self._asking is not None):
            refuse_cycle(asker, self)
        envelope = Envelope(message, self, dispatcher)
        if timeout is not None:
            envelope.deadline = dispatcher.clock() + check_timeout(timeout)
            dispatcher.fresh.append(envelope)
        self._put(envelope, timeout=timeout)
        return await_answer(envelope, dispatcher)

    def _submit(self, message: Any, timeout: float | None, sink: Any) -> Envelope:
        dispatcher = self._dispatcher
        dispatcher.check_thread()
        envelope = Envelope(message, self, dispatcher)
        envelope.sink = sink
        if timeout is not None:
            dispatcher.timeouts.add(envelope, dispatcher.clock() + check_timeout(timeout))
        self._put(envelope)
        return envelope

    def _put(self, message: Any, block: bool = True, timeout: float | None = None) -> None:
        super()._put(self._traced(message), block, timeout)

    def _traced(self, message: Any) -> Envelope:
        envelope = message if type(message) is Envelope else Envelope(message, None)
        context = get_current()
        envelope.trace = None if self._spec.process else _Unrecorded.of(context)
        if envelope.trace is None:
            envelope.trace = _Trace(self._tracing, context, envelope.cell is not None)
        return envelope


class TracedRemote(_Asking, RemoteRef):
    """A reference of an actor on another node: the trace goes along as text."""

    __slots__ = ()

    def tell(self, message: Any) -> None:
        peer = self.node.peer
        self._dispatcher.check_thread()
        if peer is not None:
            peer.tell_traced(self.uid, message, _carrier())
        elif self._end is not None:
            self._undelivered(message)
        else:
            self._tell_later(message, _carrier())

    def _ask(self, message: Any, timeout: float | None) -> Any:
        return RemoteRef.ask(self, message, timeout)

    def _send_question(self, envelope: Envelope, message: Any, timeout: float | None) -> None:
        envelope.trace = _carrier()
        super()._send_question(envelope, message, timeout)
