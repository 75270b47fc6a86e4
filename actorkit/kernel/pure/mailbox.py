"""What is done with an actor for each message: `tell`, `ask`, its slots and its plain end.

`Cell` is this and what is needed more rarely. Uses envelopes, the words of the kernel, and events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from ...events import ActorStopped
from ...messages import Reason
from ..asking import ASK_TIMEOUT, check_timeout, refuse_cycle
from ..terms import EMPTY, RUNNING, STOPPED, Host, Sink, State
from .envelope import Envelope
from .switch import Queue, get_ident
from .turns import Turns

if TYPE_CHECKING:
    from ...ref import ActorRef
    from ..cell import Cell
    from ..dispatcher import Dispatcher, Worker
    from ..life import Life
    from ..spec import Spec
    from .spawn import Arguments

__all__ = ["Mailbox"]


class Mailbox:
    """The slots of one actor, and the steps that use them for each message.

    `_idle`: alive, nothing in the inbox, in nobody's hands: the next message may go to `_first`
    and the cell to the ready deque. Otherwise messages go to `_inbox` (made when needed, given back
    when drained), or to the life's `box`, where the inbox has limits.
    `_handler` is called as `handler(instance, message)`; it is None whenever the worker's short way
    does not apply, and then `_step` is called instead.
    """

    __slots__ = (
        "__weakref__",
        "_asking",
        "_dispatcher",
        "_first",
        "_given",
        "_handled",
        "_handler",
        "_host",
        "_idle",
        "_inbox",
        "_instance",
        "_life",
        "_name",
        "_parent",
        "_spec",
        "_state",
        "_worker",
        "uid",
    )

    if TYPE_CHECKING:  # Cell has them

        @property
        def path(self) -> str: ...
        @property
        def _key(self) -> str | int: ...
        @property
        def _ref(self) -> ActorRef[Any]: ...
        def _get_life(self) -> Life: ...
        def _flush(self) -> None: ...
        def _dead_letter(self, message: Any, reason: str = ...) -> None: ...

    def __init__(
        self,
        host: Host,
        dispatcher: Dispatcher,
        parent: Cell | None,
        spec: Spec,
        name: str | None,
        uid: int,
        given: tuple[Any, ...] | Arguments,
    ) -> None:
        self._host = host
        self._dispatcher = dispatcher
        self._parent = parent
        self._spec = spec
        self._name = name
        self.uid = uid
        self._given = given
        self._idle = False
        self._first: Any = EMPTY
        self._inbox: Queue[Any] | None = None
        self._handler: Callable[[Any, Any], Any] | None = None
        self._life: Life | None = None
        self._state = State.STARTING
        self._handled = 0
        self._asking: Envelope | None = None
        self._worker: Worker | None = None
        self._instance: Any = None

    def tell(self, message: Any) -> None:
        dispatcher = self._dispatcher
        if get_ident() != dispatcher.thread:
            dispatcher.check_thread()
        if self._idle:
            self._idle = False
            self._first = message
            dispatcher.schedule(self)
        else:
            queue = self._inbox
            if queue is not None:
                queue.append(message)
            else:
                self._put(message)

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        dispatcher = self._dispatcher
        if get_ident() != dispatcher.thread:
            dispatcher.check_thread()
        me = getcurrent()
        asker = me.cell if isinstance(me, Turns) else None
        if asker is not None and (self is asker or self._asking is not None):
            refuse_cycle(asker, self)  # type: ignore[arg-type]
        envelope = Envelope(message, self, dispatcher)  # type: ignore[arg-type]
        if timeout is not None:
            envelope.deadline = dispatcher.clock() + check_timeout(timeout)
            dispatcher.fresh.append(envelope)
        if self._idle:
            self._idle = False
            self._first = envelope
            dispatcher.schedule(self)
        elif self._inbox is not None:
            self._inbox.append(envelope)
        else:
            self._put(envelope, timeout=timeout)
        if not envelope.done:
            if asker is not None:
                asker._asking = envelope
            try:
                dispatcher.suspend(envelope)
            finally:
                if asker is not None:
                    asker._asking = None
                if not envelope.done:
                    envelope.abandon()
        error = envelope.error
        if error is not None:
            envelope.error = None  # `fresh` may still have the envelope: not the traceback too
            try:
                raise error
            finally:
                del error, envelope
        return envelope.value

    def _submit(self, message: Any, timeout: float | None, sink: Sink) -> Envelope:
        """Ask without waiting: the answer goes to `sink`."""
        dispatcher = self._dispatcher
        dispatcher.check_thread()
        envelope = Envelope(message, self, dispatcher)  # type: ignore[arg-type]
        envelope.sink = sink
        if timeout is not None:
            dispatcher.timeouts.add(envelope, dispatcher.clock() + check_timeout(timeout))
        self._put(envelope)
        return envelope

    def _put(self, message: Any, block: bool = True, timeout: float | None = None) -> None:
        """Queue a message wherever it belongs: the long way of `tell`, for every state.

        Raises Full as the inbox's policy says; never because the actor is dead.
        """
        if self._idle:
            self._idle = False
            self._first = message
            self._dispatcher.schedule(self)
        elif self._state is STOPPED:
            self._dead_letter(message)
        elif self._life is not None and self._life.box is not None:
            self._life.box.put(self, message, block, timeout)  # type: ignore[arg-type]
        elif self._inbox is not None:
            self._inbox.append(message)
        else:
            spare = self._dispatcher.spare
            self._inbox = spare.pop() if spare else Queue()
            self._inbox.append(message)

    def _stop_itself(self) -> None:
        """The actor's own normal end: after this turn; a `permanent` one comes back."""
        if self._life is None and self._state is RUNNING and self._spec.plain_end:
            self._stop_plainly()
        elif self._state is not STOPPED:
            self._get_life().end_itself()

    def _stop_plainly(self) -> None:
        """End after the current message, where nobody needs to be asked or called."""
        self._handler = None
        if self._idle:
            self._idle = False
            self._dispatcher.schedule(self)

    def _end(self, reason: Reason = Reason.NORMAL, handled: int = 0) -> None:
        """The end of an actor that has no life but its slots.

        `handled`: the messages of the turn that it ends, which it does not count yet.
        """
        self._state = STOPPED
        self._instance = None
        self._idle = False
        siblings = self._parent._life.children  # type: ignore[union-attr]
        del siblings[self._key]
        if self._first is not EMPTY or self._inbox is not None:
            self._flush()
        host = self._host
        if host.departed is not None:
            host.departed[self._spec] += self._handled + handled
        if host.events.ends:
            host.events.publish(ActorStopped(f"{self.path} ended", ref=self._ref, reason=reason))
        if self._parent._life.when_childless is not None:  # type: ignore[union-attr]
            self._parent._life.child_gone()  # type: ignore[union-attr]
