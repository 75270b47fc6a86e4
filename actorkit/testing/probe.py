"""`Probe`: the actor that a test holds in its hand, to see what others send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from gevent.event import Event

from ..actor import Actor, Reply
from ..events import ActorFailed
from ..messages import Reason, Terminated
from ..ref import ActorRef
from ..system import ActorSystem
from .eventlog import describe
from .failures import Failures

__all__ = ["EXPECT_TIMEOUT", "QUIET", "Probe"]

T = TypeVar("T")

#: Seconds that a probe waits for what is expected.
EXPECT_TIMEOUT = 3.0
#: Seconds of silence that count as nothing.
QUIET = 0.1


class Probe:
    """An actor whose inbox the test reads::

        def test_it_greets(actor_system, probe):
            greeter = actor_system.spawn(Greeter)
            greeter.tell(("greet", probe.ref))
            assert probe.expect(str) == "hello"
            probe.expect_nothing()

    Hand out `probe.ref`. Within a simulation its waits take virtual time.
    """

    def __init__(self, system: ActorSystem, name: str | None = None) -> None:
        """Start a probe in `system`, as the actor `name`."""
        self.system = system
        self._failures = Failures.of(system)
        self._got: list[Any] = []
        self._replies: list[Reply] = []
        self._news = Event()
        #: What to hand to the actors under test.
        self.ref: ActorRef[Any] = system.spawn(_Ear, self._hear, name=name)

    @property
    def messages(self) -> list[Any]:
        """What has come and was not expected yet, oldest first."""
        return [message for message, _ in self._got]

    @overload
    def expect(self, what: type[T], timeout: float = EXPECT_TIMEOUT) -> T: ...
    @overload
    def expect(self, what: Any = object, timeout: float = EXPECT_TIMEOUT) -> Any: ...
    def expect(self, what: Any = object, timeout: float = EXPECT_TIMEOUT) -> Any:
        """Wait for the next message, and return it.

        It must be equal to `what`, or an instance of it where that is a class, a union or a tuple
        of classes. Raises AssertionError when another one comes, or none within `timeout` seconds.
        The ends of watched actors and all other messages are two rows: only where `what` may be
        either is the next one simply the next.
        """

        def in_row(message: Any) -> bool:
            if what is Terminated or isinstance(what, Terminated):
                return isinstance(message, Terminated)
            return not isinstance(message, Terminated) or _fits(what, message)

        message = self._take(in_row, timeout, f"no message, where {_show(what)} was expected")
        if not _fits(what, message):
            raise AssertionError(f"expected {_show(what)}, and got {describe(message)}")
        return message

    def expect_nothing(self, seconds: float = QUIET) -> None:
        """Raise AssertionError when a message comes within `seconds`, or has come already."""
        if not self._got:
            self._news.clear()
            self._news.wait(seconds)
        if self._got:
            raise AssertionError(f"expected nothing, and got {describe(self._got[0][0])}")

    def expect_terminated(
        self, ref: ActorRef[Any], timeout: float = EXPECT_TIMEOUT, reason: Reason | None = None
    ) -> Terminated:
        """Wait for the end of `ref` and return how it ended; messages that wait meanwhile stay.

        It is watched from here on if it was not. Raises AssertionError when it lives on for
        `timeout` seconds, or ends for another `reason` than the given one.
        """
        self.watch(ref)

        def its_end(message: Any) -> bool:
            return isinstance(message, Terminated) and message.ref == ref

        ended: Terminated = self._take(its_end, timeout, f"{ref.path} has not ended")
        if reason is not None and ended.reason is not reason:
            raise AssertionError(
                f"{ref.path} ended: {ended.reason.value}, and {reason.value} was expected"
            )
        return ended

    def expect_failure(
        self,
        error: type[BaseException] | tuple[type[BaseException], ...] = BaseException,
        ref: ActorRef[Any] | None = None,
        timeout: float = EXPECT_TIMEOUT,
    ) -> ActorFailed:
        """Wait for the failure of an actor of this system, and return it.

        The failure was expected: the pytest plugin does not hold it against the test. It may have
        happened before the call. Raises AssertionError when there is none.
        """
        failure = self._failures.take(error, ref, timeout)
        if failure is None:
            whose = "no actor" if ref is None else f"{ref.path} has not"
            raise AssertionError(f"{whose} failed with {_show(error)} within {timeout} s")
        return failure

    def watch(self, ref: ActorRef[Any]) -> None:
        """Have the `Terminated` of `ref` sent here, as `Actor.watch` does."""
        self.ref.ask(_Watch(ref))

    def reply(self, value: Any = None) -> None:
        """Answer the question that was expected last; raises AssertionError when it was none."""
        if not self._replies:
            raise AssertionError("the last expected message was told, not asked, or is answered")
        self._replies.pop().set(value)

    def reply_error(self, error: BaseException) -> None:
        """Answer that question with an error, which its `ask` raises."""
        if not self._replies:
            raise AssertionError("the last expected message was told, not asked, or is answered")
        self._replies.pop().set_exception(error)

    def stop(self) -> None:
        """End the probe's actor."""
        self.ref.stop()
        self.ref.join()

    def _hear(self, message: Any, reply: Reply) -> None:
        self._got.append((message, reply))
        self._news.set()

    def _take(self, picks: Callable[[Any], bool], timeout: float, trouble: str) -> Any:
        """The first message that `picks` takes, waiting for it."""
        clock = self.system._dispatcher.clock
        deadline = clock() + timeout
        while True:
            for index, (message, reply) in enumerate(self._got):
                if picks(message):
                    del self._got[index]
                    self._replies = [] if reply.ready() else [reply]
                    return message
            left = deadline - clock()
            if left <= 0:
                raise AssertionError(f"{trouble} within {timeout} s")
            self._news.clear()
            self._news.wait(left)

    def __repr__(self) -> str:
        return f"<Probe {self.ref.path}: {len(self._got)} messages>"


class _Watch:
    """The order of a probe to its actor to watch `ref`."""

    def __init__(self, ref: ActorRef[Any]) -> None:
        self.ref = ref


class _Ear(Actor):
    """What a probe is to the other actors."""

    def __init__(self, hear: Callable[[Any, Reply], None]) -> None:
        self.hear = hear

    def receive(self, message: Any) -> Any:
        if isinstance(message, _Watch):
            self.watch(message.ref)
        else:
            self.hear(message, self.defer_reply())


def _fits(what: Any, message: Any) -> bool:
    try:
        if isinstance(message, what):
            return True
    except TypeError:
        pass  # no class
    return bool(message == what)


def _show(what: Any) -> str:
    if what is object:
        return "one"
    return " or ".join(map(describe, what)) if isinstance(what, tuple) else describe(what)
