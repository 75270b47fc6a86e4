"""References: equality, ends, joining with gevent's own functions, proxies."""

from __future__ import annotations

import copy
from typing import Any

import gevent
import pytest

from actorkit import (
    Actor,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskTimeout,
    DeadLetter,
    Reason,
    Terminated,
)
from tests.actors import Collector, Echo, Obedient, settle


class Account(Actor):
    limit = 100

    def __init__(self, balance: int = 0) -> None:
        self.balance = balance

    def deposit(self, amount: int, *, twice: bool = False) -> int:
        """Add to the balance."""
        self.balance += amount * (2 if twice else 1)
        return self.balance

    def slow(self) -> str:
        gevent.sleep(0.5)
        return "slow"

    def _secret(self) -> None: ...


def test_references_are_equal_by_incarnation(system: ActorSystem) -> None:
    seen: list[ActorRef[Any]] = []
    ref = system.spawn(Obedient, name="one")
    ref.ask(lambda actor: seen.append(actor.ref))
    assert seen == [ref]
    assert hash(seen[0]) == hash(ref)
    assert {ref: 1}[system.lookup("/one")] == 1
    assert ref != system.spawn(Obedient)
    assert copy.deepcopy([ref]) == [ref]
    assert copy.copy(ref) == ref
    assert repr(ref) == f"<ActorRef actorkit://test/one#{ref.uid}>"


def test_stop_ends_after_the_current_message_and_the_rest_are_dead_letters(
    system: ActorSystem,
) -> None:
    dead: list[DeadLetter] = []
    system.events.subscribe(DeadLetter, dead.append)
    collector = system.spawn(Collector)
    collector.tell(1)
    collector.stop()
    collector.tell(2)
    collector.join(timeout=2)
    collector.tell(3)
    assert [letter.message for letter in dead] == [1, 2, 3] or [
        letter.message for letter in dead
    ] == [2, 3]
    assert {letter.ref for letter in dead} == {collector}


def test_stop_with_drain_handles_what_is_in_the_inbox_first(system: ActorSystem) -> None:
    got: list[Any] = []

    class Keeper(Actor):
        def receive(self, message: Any) -> None:
            gevent.sleep(0.001)
            got.append(message)

    ref = system.spawn(Keeper)
    for number in range(10):
        ref.tell(number)
    ref.stop(drain=True)
    ref.tell("after")
    ref.join(timeout=2)
    assert got == list(range(10))


def test_kill_interrupts_a_blocked_actor(system: ActorSystem) -> None:
    ref = system.spawn(Obedient, restart="permanent")
    ref.tell(lambda actor: gevent.sleep(60))
    gevent.sleep(0.01)
    ref.kill()
    ref.join(timeout=2)
    assert ref.ready()


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("order", ["stop", "kill"])
def test_orders_are_final_whatever_restart_says(
    system: ActorSystem, restart: str, order: str
) -> None:
    ref = system.spawn(Echo, restart=restart)
    getattr(ref, order)()
    ref.join(timeout=2)
    assert ref.ready()
    assert ref.dead
    getattr(ref, order)()


def test_references_are_joined_by_gevents_own_functions(system: ActorSystem) -> None:
    refs = [system.spawn(Obedient) for _ in range(3)]
    greenlet = gevent.spawn(gevent.sleep, 0.01)
    assert gevent.wait([*refs], timeout=0.01) == []
    for ref in refs:
        ref.stop()
    assert set(gevent.joinall([*refs, greenlet], timeout=2)) == {*refs, greenlet}
    assert set(gevent.wait(refs)) == set(refs)
    assert set(gevent.iwait(refs)) == set(refs)
    assert all(ref.successful() for ref in refs)


def test_joinall_raises_the_error_of_a_failed_actor_when_asked_to(system: ActorSystem) -> None:
    ref = system.spawn(Obedient, restart="temporary")
    ref.tell(lambda actor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gevent.joinall([ref], timeout=2, raise_error=True)
    assert not ref.successful()
    assert isinstance(ref.exception, ZeroDivisionError)
    assert ref.exc_info[0] is ZeroDivisionError


def test_join_with_a_timeout_returns_without_the_end(system: ActorSystem) -> None:
    ref = system.spawn(Echo)
    ref.join(timeout=0.01)
    assert not ref.ready()
    assert not ref.successful()
    assert ref.exception is None
    assert ref.exc_info == (None, None, None)
    with pytest.raises(ValueError, match="timeout"):
        ref.join(timeout=-1)


def test_rawlink_calls_back_in_the_hub_and_unlink_takes_it_back(system: ActorSystem) -> None:
    called: list[Any] = []
    other: list[Any] = []
    ref = system.spawn(Echo)
    ref.rawlink(called.append)
    ref.rawlink(other.append)
    ref.unlink(other.append)
    ref.unlink(other.append)
    ref.stop()
    ref.join()
    ref.rawlink(called.append)
    settle()
    assert called == [ref, ref]
    assert other == []
    with pytest.raises(TypeError, match="callable"):
        ref.rawlink(None)  # type: ignore[arg-type]


def test_inbox_put_is_tell(system: ActorSystem) -> None:
    collector = system.spawn(Collector)
    collector.inbox.put("a")
    collector.inbox.put_nowait("b")
    assert collector.inbox.qsize() == 2
    assert collector.ask(None) == ["a", "b"]
    assert collector.inbox.empty()
    assert not collector.inbox.full()


def test_a_proxy_calls_public_methods(system: ActorSystem) -> None:
    account = system.spawn(Account, 10)
    proxy = account.proxy()
    assert proxy.deposit(5) == 15
    assert proxy.deposit(5, twice=True) == 25
    assert account.call("deposit", 5) == 30
    account.cast("deposit", amount=1)
    assert account.call("deposit", 0) == 31


def test_a_proxy_shows_its_methods_to_who_explores_it(system: ActorSystem) -> None:
    proxy = system.spawn(Account).proxy()
    assert {"deposit", "slow"} <= set(dir(proxy))
    assert not {"receive", "stop", "_secret", "limit"} & set(dir(proxy))


@pytest.mark.parametrize("name", ["_secret", "receive", "on_stop", "limit", "nothing", "stop"])
def test_hooks_and_private_names_are_not_callable(system: ActorSystem, name: str) -> None:
    account = system.spawn(Account)
    for use in (
        lambda: getattr(account.proxy(), name),
        lambda: account.call(name),
        lambda: account.cast(name),
    ):
        with pytest.raises(AttributeError, match="no public method"):
            use()
    assert account.call("deposit", 1) == 1


def test_a_wrong_call_through_a_proxy_raises_at_the_caller(system: ActorSystem) -> None:
    account = system.spawn(Account)
    with pytest.raises(TypeError):
        account.call("deposit")


def test_a_proxy_has_a_timeout(system: ActorSystem) -> None:
    account = system.spawn(Account)
    with pytest.raises(AskTimeout):
        account.proxy(timeout=0.01).slow()
    account.kill()


def test_a_proxy_of_a_dead_actor_fails_at_once(system: ActorSystem) -> None:
    account = system.spawn(Account)
    account.stop()
    account.join()
    with pytest.raises(ActorStopped):
        account.proxy(timeout=None).deposit(1)


def test_value_is_the_result_of_run(system: ActorSystem) -> None:
    class Sum(Actor):
        def run(self) -> int:
            return sum(self.inbox.get() for _ in range(3))

    ref = system.spawn(Sum)
    for number in (1, 2, 3):
        ref.tell(number)
    assert ref.value is None
    gevent.joinall([ref], timeout=2)
    assert ref.value == 6


def test_terminated_of_a_killed_actor_says_killed(system: ActorSystem) -> None:
    got: list[Any] = []
    echo = system.spawn(Echo)
    watcher = system.spawn(Obedient)
    watcher.ask(lambda actor: actor.become(got.append) or actor.watch(echo))
    echo.kill()
    settle()
    assert got == [Terminated(echo, Reason.KILLED, None)]
