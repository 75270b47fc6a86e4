"""`Actor`: what users subclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

import gevent

from .errors import (
    ActorError,
    ActorStopped,
    NotInActor,
    ReplyDropped,
    UncallableMethod,
    UnhandledMessage,
)
from .kernel import STOPPED, Cell, Envelope, Inbox, Spec, Task
from .kernel.dispatcher import own_worker
from .kernel.life import ActorTimer
from .log import get_logger
from .messages import Call, Reason
from .ref import ActorRef, LocalRef
from .supervision import Directive, OneForOne, Strategy

if TYPE_CHECKING:
    from .system import ActorSystem

__all__ = ["Actor", "Reply"]

T = TypeVar("T")
A = TypeVar("A", bound="Actor")


class Actor:
    """An object with private state, an inbox and a parent that supervises it.

    Subclass it, write `receive`, and start it with `spawn`::

        class Counter(Actor):
            def __init__(self, start=0):
                self.count = start

            def receive(self, message):
                match message:
                    case ("add", n):
                        self.count += n
                    case "get":
                        return self.count

        with ActorSystem("demo") as system:
            counter = system.spawn(Counter, 10)
            counter.tell(("add", 5))
            print(counter.ask("get"))       # 15

    `receive` gets one message at a time and may block anywhere (a sleep, a socket, another `ask`):
    only this actor waits. Public methods are reached by `ref.proxy()`, `ref.call` and `ref.cast`.
    An exception other than `Refused` is a failure: the asker gets it, and supervision decides,
    by default a restart with a new instance and the same inbox.
    """

    #: How failures of this actor's children are handled.
    supervision: ClassVar[Strategy] = OneForOne()
    #: How the inbox behaves on the class; the inbox itself on an actor.
    inbox: ClassVar[Inbox] = Inbox()
    #: True gives the actor a greenlet of its own for life, for clients that keep greenlet-locals.
    dedicated: ClassVar[bool] = False

    _cell: LocalRef[Any]
    _callable: ClassVar[set[str]] = set()
    #: By class and spawn options; by the class alone for those that most are spawned with.
    _specs: ClassVar[dict[Any, Spec]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._callable = set()
        cls._specs = {}
        for name in _HOOKS:
            hook = inspect.unwrap(getattr(cls, name))
            if inspect.iscoroutinefunction(hook) or inspect.isasyncgenfunction(hook):
                raise TypeError(
                    f"{cls.__name__}.{name} is `async def`; write plain blocking code, an actor"
                    " that waits holds up nobody else"
                )
            if inspect.isgeneratorfunction(hook):
                raise TypeError(
                    f"{cls.__name__}.{name} is a generator: its `yield` would never run; return a"
                    " list, or send the parts as messages"
                )
            if not callable(hook):
                raise TypeError(f"{cls.__name__}.{name} must be a method, not {hook!r}")
        if not isinstance(cls.__dict__.get("inbox", Inbox()), Inbox):
            raise TypeError(f"{cls.__name__}.inbox must be an Inbox(...), not {cls.inbox!r}")
        if not isinstance(cls.supervision, Strategy):
            raise TypeError(
                f"{cls.__name__}.supervision must be OneForOne(...), OneForAll(...) or"
                f" RestForOne(...), not {cls.supervision!r}"
            )

    # -- to override ----------------------------------------------------------------------------

    def receive(self, message: Any) -> Any:
        """Handle one message; what it returns answers an `ask`."""
        cell = self._own_cell()
        envelope = own_worker(cell).envelope
        if envelope is None or envelope.cell is None:
            cell._dead_letter(message, f"{type(self).__name__} has no receive()")
            return
        raise UnhandledMessage(
            f"{type(self).__name__} has no receive() for {message!r}; define it, or call a method"
            " through ref.proxy()"
        )

    def run(self) -> Any:
        """The process style: override it instead of `receive` and read `self.inbox.get()`.

        It owns a greenlet. When it returns the actor ends normally, and `ref.value` has the result.
        """
        raise NotImplementedError

    def on_start(self) -> None:
        """Called as the first turn of each instance; a failure here is the actor's."""

    def on_stop(self, reason: Reason) -> None:
        """Called once for each instance when it ends, after its children have ended."""

    def on_restart(self, error: BaseException | None) -> None:
        """Called on a new instance before `on_start`, with the error of the old one.

        None when a permanent actor had ended normally.
        """

    def on_child_failure(self, child: ActorRef[Any], error: BaseException) -> Directive | None:
        """Decide on a failed child: a `Directive`, or None for the strategy's own decision."""
        return None

    def on_inspect(self) -> Any:
        """What those who look inside (docs/observing.md) are shown as this actor's state.

        A dict, or any one value; the public attributes by default. It is called beside the actor's
        turns, also in the middle of one: it must not block and not change anything.
        """
        shown = dict(vars(self))
        shown.pop("log", None)
        return {name: value for name, value in shown.items() if name[0] != "_"}

    # -- who I am -------------------------------------------------------------------------------

    @property
    def ref(self) -> ActorRef[Any]:
        """This actor's reference: what to hand out, instead of `self`."""
        return self._own_cell()

    @property
    def system(self) -> ActorSystem:
        """The system that this actor lives in."""
        return self._own_cell()._host  # type: ignore[return-value]

    @property
    def parent(self) -> ActorRef[Any] | None:
        """The supervising actor's reference; None for those that the system started itself."""
        parent = self._own_cell()._parent
        return None if parent is None or parent._parent is None else parent._ref

    @property
    def children(self) -> list[ActorRef[Any]]:
        """References of the living children, first started first."""
        life = self._own_cell()._life
        return [] if life is None else [cell._ref for cell in life.children.values()]

    @cached_property
    def log(self) -> Any:
        """A structlog logger bound to system, path and class."""
        cell = self._own_cell()
        return get_logger(system=cell._host.name, path=cell.path, actor=type(self).__name__)

    # -- children, watching, ending -------------------------------------------------------------

    def spawn(
        self,
        cls: type[A],
        *args: Any,
        name: str | None = None,
        restart: str = "transient",
        inbox: Inbox | None = None,
        shutdown: float = 5.0,
        on: Any = None,
        **kwargs: Any,
    ) -> ActorRef[A]:
        """Start a child: as `ActorSystem.spawn`, supervised by this actor and ended with it."""
        cell = self._own_cell()
        system: ActorSystem = cell._host  # type: ignore[assignment]
        return system._spawn(cell, cls, args, kwargs, name, restart, inbox, shutdown, on)

    def stop(self) -> None:
        """End normally after this turn; a `permanent` actor comes back."""
        try:
            cell = self._cell
        except AttributeError:
            cell = self._own_cell()  # says what is wrong
        cell._stop_itself()

    def watch(self, ref: ActorRef[Any]) -> None:
        """Have a `Terminated(ref, reason, error)` sent here when `ref` ends (now, if it has)."""
        life = self._own_cell()._get_life()
        _check_ref("watch", ref)
        if ref not in life.watching:
            life.watching[ref] = None
            ref._add_watcher(life)

    def unwatch(self, ref: ActorRef[Any]) -> None:
        """Take `watch` back; a `Terminated` that waits in the inbox is taken out."""
        life = self._own_cell()._get_life()
        _check_ref("unwatch", ref)
        life.watching.pop(ref, None)
        ref._remove_watcher(life)
        life.front[:] = [m for m in life.front if getattr(m, "ref", None) != ref]

    def link(self, ref: ActorRef[Any]) -> None:
        """Die together: when one ends abnormally, the other fails with `LinkedActorDied`."""
        own = self._own_cell()
        _check_ref("link", ref)
        if ref != own:
            own._get_life().links[ref] = None
            ref._add_link(own)

    def unlink(self, ref: ActorRef[Any]) -> None:
        """Take `link` back, on both sides."""
        own = self._own_cell()
        _check_ref("unlink", ref)
        own._get_life().links.pop(ref, None)
        ref._remove_link(own)

    # -- answers --------------------------------------------------------------------------------

    def defer_reply(self) -> Reply:
        """Answer the current question later, or from elsewhere: see `Reply`.

        After a `tell` there is no asker, and the reply goes nowhere.
        """
        cell = self._own_cell()
        envelope = own_worker(cell).envelope
        reply = Reply(envelope, cell)
        if envelope is not None and envelope.cell is not None:
            envelope.passed = True
            life = cell._get_life()
            if life.deferred is None:
                life.deferred = _new_weak_set()
            life.deferred.add(reply)
        return reply

    def forward(self, ref: ActorRef[Any], message: Any) -> None:
        """Pass on the current question, as `message`, to `ref`, which answers the asker."""
        worker = own_worker(self._own_cell())
        envelope = worker.envelope
        if envelope is None or envelope.cell is None or envelope.done:
            if type(message) is Call:
                ref._cast(message)
            else:
                ref.tell(message)
            return
        envelope.passed = True
        try:
            ref._submit(message, None, _Forwarded(envelope))
        except BaseException:
            envelope.passed = False
            raise

    # -- timers ---------------------------------------------------------------------------------

    def after(self, seconds: float, message: Any, key: Hashable = None) -> Hashable:
        """Send myself `message` once, in `seconds`; returns the timer's key.

        A `key` names the timer: setting it again replaces it. Without one a new key is made.
        """
        return self._set_timer(seconds, message, key, None)

    def every(self, seconds: float, message: Any, key: Hashable = None) -> Hashable:
        """Send myself `message` every `seconds`, first in `seconds`; missed beats are skipped."""
        if not seconds > 0:
            raise ValueError(f"every() needs seconds > 0, not {seconds!r}")
        return self._set_timer(seconds, message, key, seconds)

    def cancel(self, key: Hashable) -> bool:
        """Cancel a timer: it delivers no more, even from the inbox. False if there was none."""
        life = self._own_cell()._life
        timer = None if life is None else life.timers.pop(key, None)
        if timer is None:
            return False
        timer.cancel()
        return True

    def idle_timeout(self, seconds: float | None) -> None:
        """Send myself `IdleTimeout` whenever no message came for `seconds`; None ends it."""
        if seconds is not None and not seconds > 0:
            raise ValueError(f"idle_timeout() needs seconds > 0 or None, not {seconds!r}")
        self._own_cell()._get_life().set_idle_timeout(seconds)

    # -- behaviour ------------------------------------------------------------------------------

    def become(self, handler: Callable[[Any], Any]) -> None:
        """Handle messages by `handler(message)` from the next one on, until `unbecome`."""
        if not callable(handler):
            raise TypeError(f"become() takes a function of one message, not {handler!r}")
        if inspect.iscoroutinefunction(handler) or inspect.isgeneratorfunction(handler):
            raise TypeError(f"become() takes a plain function, not {handler!r}")
        life = self._own_cell()._get_life()
        life.behaviours.append(life.behaviour)
        life.set_behaviour(lambda _, message: handler(message))

    def unbecome(self) -> None:
        """Go back to the behaviour before the last `become`; to `receive` in the end."""
        life = self._own_cell()._get_life()
        if life.behaviours:
            life.set_behaviour(life.behaviours.pop())

    def stash(self) -> None:
        """Put the current message aside until `unstash_all`; it is neither handled nor answered."""
        cell = self._own_cell()
        worker = own_worker(cell)
        worker.stash_to = cell._get_life().stash
        worker.get_guard()
        if worker.envelope is not None:
            worker.envelope.passed = True

    def unstash_all(self) -> None:
        """Put every stashed message in front of the inbox, in the order in which they came."""
        cell = self._own_cell()
        life = cell._get_life()
        if life.stash:
            messages = life.stash[:]
            life.stash.clear()
            life.put_back(messages)
            life.mail()

    # -- other greenlets and threads ------------------------------------------------------------

    def offload(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run blocking or CPU-bound `fn` on gevent's thread pool and wait for its result here."""
        if not callable(fn):
            raise TypeError(f"offload(fn, *args) takes a function, not {fn!r}")
        result: T = gevent.get_hub().threadpool.apply(fn, args, kwargs)
        return result

    def task(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> gevent.Greenlet[..., Any]:
        """Run `fn` in a helper greenlet of this actor: killed with it, its failure is the actor's.

        It runs beside the actor's turns: have it send messages instead of touching the state.
        """
        if not callable(fn):
            raise TypeError(f"task(fn, *args) takes a function, not {fn!r}")
        task = Task(fn, *args, **kwargs)
        task.start()
        self._own_cell()._get_life().add_task(task)
        return task

    # -- inside ---------------------------------------------------------------------------------

    def _own_cell(self) -> LocalRef[Any]:
        try:
            return self._cell
        except AttributeError:
            raise NotInActor(
                f"this {type(self).__name__} is a bare object; start actors with"
                f" spawn({type(self).__name__}, ...)"
            ) from None

    def _set_timer(
        self, seconds: float, message: Any, key: Hashable, interval: float | None
    ) -> Hashable:
        if not seconds >= 0:
            raise ValueError(f"a timer needs seconds >= 0, not {seconds!r}")
        life = self._own_cell()._get_life()
        if key is None:
            key = object()
        old = life.timers.pop(key, None)
        if old is not None:
            old.cancel()
        life.timers[key] = ActorTimer(life, key, message, seconds, interval)
        return key

    def _on_call(self, call: Call) -> Any:
        type(self)._check_method(call.name)
        return getattr(self, call.name)(*call.args, **(call.kwargs or {}))

    @classmethod
    def _check_method(cls, name: str) -> None:
        """Raise UncallableMethod (an AttributeError) unless `name` is a public method."""
        if name in cls._callable:
            return
        if name[:1] != "_" and not hasattr(Actor, name) and callable(getattr(cls, name, None)):
            cls._callable.add(name)
        else:
            raise UncallableMethod(
                f"{cls.__name__} has no public method {name!r}; names with _ and the hooks of Actor"
                " cannot be called from outside"
            )

    @classmethod
    def _method_names(cls) -> list[str]:
        """The public methods, which `ref.proxy()` has."""
        return [
            name
            for name in dir(cls)
            if name[0] != "_" and not hasattr(Actor, name) and callable(getattr(cls, name))
        ]

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an actor cannot be pickled; send {type(self).__name__}'s self.ref")


class Reply:
    """The deferred answer to one question, from `Actor.defer_reply`.

    Keep it, or send it to another actor of this process; the first `set` or `set_exception`
    answers, later ones are dropped and counted. When the last one who could answer lets go of it,
    the ask fails at once with ReplyDropped.
    """

    __slots__ = ("__weakref__", "_cell", "_envelope")

    def __init__(self, envelope: Envelope | None, cell: Cell) -> None:
        self._envelope = envelope
        self._cell = cell

    def set(self, value: Any = None) -> bool:
        """Answer with `value`; False when the question was answered or given up before."""
        return self._envelope is not None and self._envelope.answer(value)

    def set_exception(self, error: BaseException) -> bool:
        """Answer with an error, which `ask` raises at the asker."""
        if not isinstance(error, BaseException):
            raise TypeError(f"set_exception takes an exception, not {error!r}")
        return self._envelope is not None and self._envelope.fail(error)

    def ready(self) -> bool:
        """Whether nobody waits any more: answered, timed out or given up."""
        return self._envelope is None or self._envelope.cell is None or self._envelope.done

    def __del__(self) -> None:
        envelope = self._envelope
        if envelope is None or envelope.done or envelope.cell is None:
            return
        path = self._cell.path
        error: ActorError
        if self._cell._state is STOPPED:
            error = ActorStopped(f"{path} has stopped without answering")
        else:
            error = ReplyDropped(f"{path} deferred its reply and dropped it unanswered")
        self._cell._dispatcher.run_here_or_there(envelope.fail, error)

    def __repr__(self) -> str:
        return f"<Reply of {self._cell.path}: {'settled' if self.ready() else 'owed'}>"


class _Forwarded:
    """Carries the answer to a forwarded question back to its asker."""

    __slots__ = ("_envelope",)

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope

    def settle(self, value: Any, error: BaseException | None) -> None:
        if error is None:
            self._envelope.answer(value)
        else:
            self._envelope.fail(error)


def _check_ref(what: str, ref: Any) -> None:
    if not isinstance(ref, ActorRef):
        hint = "the actor's ref, not the actor" if isinstance(ref, Actor) else "an ActorRef"
        raise TypeError(f"{what} takes {hint}: {ref!r}")


def _new_weak_set() -> Any:
    import weakref

    return weakref.WeakSet()


_HOOKS = ("receive", "run", "on_start", "on_stop", "on_restart", "on_child_failure", "on_inspect")
