"""`ActorRef`: how anyone reaches an actor, here or on another node; and its typed proxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

from .futures import Future
from .kernel import RUNNING, STOPPED, Cell, Dispatcher, Envelope, InboxQueue, Life, Waiter
from .kernel.asking import ASK_TIMEOUT, check_timeout
from .messages import Call, Reason, Terminated

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["ActorRef", "LocalRef"]

A = TypeVar("A", bound="Actor", covariant=True)


class ActorRef(Generic[A]):
    """Reaches one actor for as long as there is one: over its restarts, never over its end.

    Small, hashable, sent freely in messages. Equal references reach the same incarnation of the
    same actor, on this node or another. Besides `tell` and `ask` it has the words of
    `gevent.Greenlet`, so that `gevent.joinall([a, b])` and `gevent.wait` take references.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        _dispatcher: Dispatcher
        uid: int  #: Which incarnation of the path this is.

    # -- messages -------------------------------------------------------------------------------

    def tell(self, message: Any) -> None:
        """Send `message` and go on; it is delivered exactly once while the actor lives.

        Blocks only where the target's inbox is bounded with `overflow="block"` and full. Raises
        `gevent.queue.Full` where the policy is "fail", and WrongThread on another OS thread. A
        message to a dead actor becomes a `DeadLetter`.
        """
        raise NotImplementedError

    def ask(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Any:
        """Send `message`, wait for the answer and return it.

        Only the calling actor or greenlet waits. `timeout` is in seconds, None for ever.
        Raises what the actor raised, AskTimeout, ActorStopped at once when the actor is dead or
        ends before it answers, and AskDeadlock when the wait could never end.
        """
        raise NotImplementedError

    def ask_nowait(self, message: Any, timeout: float | None = ASK_TIMEOUT) -> Future[Any]:
        """Send `message` and return a `Future` of the answer at once.

        `timeout` is in seconds from now, None for ever; the future then fails with AskTimeout.
        """
        future: Future[Any] = Future()
        self._submit(message, timeout, future)
        return future

    def tell_threadsafe(self, message: Any) -> None:
        """`tell` from any OS thread; the message joins the inbox when the loop turns."""
        dispatcher = self._dispatcher
        if dispatcher.forked:
            dispatcher.check_thread()
        dispatcher.loop.run_callback_threadsafe(self._tell_unblocked, message)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call the actor's public method `name` and return what it returns, as `ask` does."""
        self._check_callable(name)
        return self.ask(Call(name, args, kwargs or None))

    def cast(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Have the actor's public method `name` called, and go on, as `tell` does."""
        self._check_callable(name)
        self._cast(Call(name, args, kwargs or None))

    def proxy(self, timeout: float | None = ASK_TIMEOUT) -> A:
        """The actor's public methods as blocking calls, typed as the actor's own class::

            account = system.spawn(Account).proxy()
            balance = account.deposit(10)

        Each call waits up to `timeout` seconds and raises what `ask` raises.
        """
        if timeout is not None:
            check_timeout(timeout)
        return cast(A, _Proxy(self, timeout))

    @property
    def inbox(self) -> InboxQueue:
        """The actor's inbox; `ref.inbox.put(message)` is `tell`."""
        raise NotImplementedError

    # -- life -----------------------------------------------------------------------------------

    def stop(self, drain: bool = False) -> None:
        """Order the actor to end for good after its current message, whatever its `restart` says.

        One with a `run` ends in its next `inbox.get`, or is killed after its shutdown time.
        `drain=True`: after the messages that are in the inbox now. Does not wait: `join` does.
        """
        raise NotImplementedError

    def kill(self) -> None:
        """Order the actor to end for good at once, interrupting whatever it is blocked in.

        An actor that kills itself ends here and now.
        """
        raise NotImplementedError

    def join(self, timeout: float | None = None) -> None:
        """Wait until the actor has ended for good, or `timeout` seconds; see `ready()`."""
        dispatcher = self._dispatcher
        dispatcher.check_thread()
        if self.ready():
            return
        waiter = Waiter()

        def wake(_: Any = None) -> None:
            if waiter.greenlet is not None:
                dispatcher.schedule(waiter)

        timer = None
        if timeout is not None:
            timer = dispatcher.timers.after(check_timeout(timeout), wake)
        self.rawlink(wake)
        try:
            dispatcher.suspend(waiter)
        finally:
            self.unlink(wake)
            if timer is not None:
                timer.cancel()

    def ready(self) -> bool:
        """Whether the actor has ended for good."""
        raise NotImplementedError

    @property
    def dead(self) -> bool:
        """The same as `ready()`."""
        return self.ready()

    def successful(self) -> bool:
        """Whether it has ended, and not by an error."""
        return self.ready() and self.exception is None

    @property
    def exception(self) -> BaseException | None:
        """The error that ended the actor; None while it lives and after a normal end."""
        raise NotImplementedError

    @property
    def value(self) -> Any:
        """What `run` returned, once the actor has ended; None otherwise."""
        raise NotImplementedError

    @property
    def exc_info(self) -> tuple[Any, Any, Any]:
        """The error that ended the actor as `sys.exc_info()` has it."""
        error = self.exception
        return (None, None, None) if error is None else (type(error), error, error.__traceback__)

    def rawlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        """Call `callback(ref)` in the hub when the actor has ended (soon, if it has already)."""
        raise NotImplementedError

    def unlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        """Take a `rawlink` back."""
        raise NotImplementedError

    # -- address --------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The names from the system down: "/parent/child"."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The last part of the path."""
        raise NotImplementedError

    @property
    def address(self) -> str:
        """The whole address: actorkit://system/path#uid."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<ActorRef {self.address}>"

    def __copy__(self) -> ActorRef[A]:
        return self

    def __deepcopy__(self, memo: Any) -> ActorRef[A]:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} cannot be pickled: a reference means something only within connected nodes;"
            " send it in a message, or pass its path and use lookup()"
        )

    # -- what actors on either side need of each other ------------------------------------------

    def _submit(self, message: Any, timeout: float | None, sink: Any) -> Any:
        """Ask without waiting: the answer goes to `sink`."""
        raise NotImplementedError

    def _cast(self, call: Call) -> None:
        raise NotImplementedError

    def _tell_unblocked(self, message: Any) -> None:
        """`tell` from the hub, which cannot wait for room: what finds none is a dead letter."""
        raise NotImplementedError

    def _check_callable(self, name: str) -> None:
        """Raise AttributeError at the caller for a method that the actor cannot have."""
        raise NotImplementedError

    def _callable_names(self) -> list[str]:
        """The names of the actor's public methods, as far as they are known here."""
        return []

    def _add_watcher(self, life: Life) -> None:
        raise NotImplementedError

    def _remove_watcher(self, life: Life) -> None:
        raise NotImplementedError

    def _add_link(self, other: ActorRef[Any]) -> None:
        raise NotImplementedError

    def _remove_link(self, other: ActorRef[Any]) -> None:
        raise NotImplementedError

    def _linked_ended(
        self, other: ActorRef[Any], reason: Reason, error: BaseException | None
    ) -> None:
        raise NotImplementedError


class LocalRef(Cell, ActorRef[A]):
    """The reference of an actor in this process: its cell."""

    __slots__ = ()

    @property
    def inbox(self) -> InboxQueue:
        return InboxQueue(self)

    def stop(self, drain: bool = False) -> None:
        self._dispatcher.check_thread()
        if self._state is STOPPED:
            return
        if drain:
            self._get_life().order_stop_when_drained()
        elif self._life is None and self._state is RUNNING and self._spec.ordered_plainly:
            self._stop_plainly()
        else:
            # `run` may be blocked where no stop reaches it, and has no current message to end.
            within = self._spec.shutdown if self._spec.process else None
            self._get_life().order_stop(Reason.NORMAL, within=within)

    def kill(self) -> None:
        self._dispatcher.check_thread()
        if self._state is not STOPPED:
            self._get_life().kill()

    def ready(self) -> bool:
        return self._state is STOPPED

    @property
    def exception(self) -> BaseException | None:
        life = self._life
        return life.error if self.ready() and life is not None else None

    @property
    def value(self) -> Any:
        life = self._life
        return life.value if self.ready() and life is not None else None

    def rawlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        if not callable(callback):
            raise TypeError(f"rawlink takes a callable, not {callback!r}")
        self._dispatcher.check_thread()
        if self._state is STOPPED:
            self._dispatcher.loop.run_callback(callback, self)
        else:
            self._get_life().observers.append(callback)

    def unlink(self, callback: Callable[[ActorRef[Any]], Any]) -> None:
        life = self._life
        if life is not None and callback in life.observers:
            life.observers.remove(callback)

    @property
    def address(self) -> str:
        return f"actorkit://{self._host.name}{self.path}#{self.uid}"

    def _cast(self, call: Call) -> None:
        self._dispatcher.check_thread()
        self._put(Envelope(call, None))

    def _tell_unblocked(self, message: Any) -> None:
        """`tell` from the hub, which cannot wait for room: what finds none is a dead letter."""
        from gevent.queue import Full

        try:
            self.tell(message)
        except Full:
            self._dead_letter(message, "its bounded inbox was full")

    def _check_callable(self, name: str) -> None:
        self._spec.cls._check_method(name)

    def _callable_names(self) -> list[str]:
        names: list[str] = self._spec.cls._method_names()
        return names

    def _add_watcher(self, life: Life) -> None:
        if self._state is STOPPED:
            reason, error = Reason.NORMAL, None
            if self._life is not None:
                reason, error = self._life.reason or reason, self._life.error
            life.terminated(Terminated(self, reason, error))
        else:
            self._get_life().watchers[life] = None

    def _remove_watcher(self, life: Life) -> None:
        if self._life is not None:
            self._life.watchers.pop(life, None)

    def _add_link(self, other: ActorRef[Any]) -> None:
        if self._state is STOPPED:
            life = self._life
            reason = Reason.NORMAL if life is None else (life.reason or Reason.NORMAL)
            other._linked_ended(self, reason, None if life is None else life.error)
        else:
            self._get_life().links[other] = None

    def _remove_link(self, other: ActorRef[Any]) -> None:
        if self._life is not None:
            self._life.links.pop(other, None)

    def _linked_ended(
        self, other: ActorRef[Any], reason: Reason, error: BaseException | None
    ) -> None:
        if self._state is not STOPPED:
            self._get_life().linked_ended(other, reason, error)


class _Proxy:
    """Turns attribute access into `ask(Call(...))`; see `ActorRef.proxy`."""

    __slots__ = ("_ref", "_timeout")

    def __init__(self, ref: ActorRef[Any], timeout: float | None) -> None:
        self._ref = ref
        self._timeout = timeout

    def __getattr__(self, name: str) -> Callable[..., Any]:
        ref, timeout = self._ref, self._timeout
        ref._check_callable(name)

        def method(*args: Any, **kwargs: Any) -> Any:
            return ref.ask(Call(name, args, kwargs or None), timeout)

        method.__name__ = method.__qualname__ = name
        return method

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._ref._callable_names()]

    def __repr__(self) -> str:
        return f"<proxy of {self._ref!r}>"
