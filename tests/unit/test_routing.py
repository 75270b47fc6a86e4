"""Routers and pools."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gevent
import pytest

from actorkit import (
    Actor,
    ActorStopped,
    ActorSystem,
    Broadcast,
    ConsistentHash,
    DeadLetter,
    LeastLoaded,
    OneForOne,
    Refused,
    RoundRobin,
    pool,
)
from tests.actors import Collector, Echo, settle


class Worker(Actor):
    """Answers with its name; sleeps for a float; fails on "fail"; ends on "end"."""

    def receive(self, message: Any) -> str:
        if isinstance(message, float):
            gevent.sleep(message)
        if message == "fail":
            raise RuntimeError
        if message == "end":
            self.stop()
        return self.ref.name

    def whoami(self) -> str:
        return self.ref.name


def test_round_robin_takes_the_members_in_turn(system: ActorSystem) -> None:
    router = system.spawn(RoundRobin, pool(3, Worker), name="workers")
    assert [router.ask(n) for n in range(6)] == ["1", "2", "3", "1", "2", "3"]
    assert [ref.path for ref in router.proxy().members()] == [
        "/workers/1",
        "/workers/2",
        "/workers/3",
    ]


def test_least_loaded_avoids_the_busy(system: ActorSystem) -> None:
    router = system.spawn(LeastLoaded, pool(3, Worker))
    busy = [router.ask_nowait(0.2), router.ask_nowait(0.2)]
    gevent.sleep(0.01)
    assert {router.ask(n) for n in range(6)} == {"3"}
    assert sorted(answer.get() for answer in busy) == ["1", "2"]
    assert Counter(router.ask(n) for n in range(6)) == {"1": 2, "2": 2, "3": 2}


def test_broadcast_reaches_all_and_answers_with_all_answers(system: ActorSystem) -> None:
    router = system.spawn(Broadcast, pool(3, Worker))
    assert router.ask("who") == ["1", "2", "3"]
    collectors = [system.spawn(Collector) for _ in range(2)]
    system.spawn(Broadcast, collectors).tell("all")
    settle()
    assert [ref.ask(None) for ref in collectors] == [["all"], ["all"]]


def test_the_first_error_of_a_broadcast_is_the_askers(system: ActorSystem) -> None:
    router = system.spawn(Broadcast, pool(3, Worker))
    with pytest.raises(RuntimeError):
        router.ask("fail")
    settle()
    assert router.ask("who") == ["1", "2", "3"]


def test_consistent_hash_gives_a_key_always_to_the_same_member(system: ActorSystem) -> None:
    router = system.spawn(ConsistentHash, pool(4, Worker), key=lambda message: message[0])
    owners = {key: router.ask((key, 0)) for key in range(200)}
    assert set(owners.values()) == {"1", "2", "3", "4"}
    assert all(router.ask((key, 1)) == owner for key, owner in owners.items())

    router.proxy().members()[0].stop()
    settle()
    moved = {key: router.ask((key, 2)) for key in owners}
    assert all(moved[key] == owner for key, owner in owners.items() if owner != "1")
    assert "1" not in moved.values()


def test_a_message_without_a_usable_key_is_refused(system: ActorSystem) -> None:
    router = system.spawn(ConsistentHash, pool(2, Worker))
    with pytest.raises(Refused, match="key"):
        router.ask(object())
    assert router.ask(("tuple", 1, b"bytes", 1.5)) in ("1", "2")
    with pytest.raises(TypeError, match="key"):
        system.spawn(ConsistentHash, pool(2, Worker), key=3)


def test_method_calls_are_routed_too(system: ActorSystem) -> None:
    router = system.spawn(RoundRobin, pool(2, Worker))
    assert [router.call("whoami") for _ in range(3)] == ["1", "2", "1"]
    with pytest.raises(AttributeError, match="Worker has no public method"):
        router.call("nothing")
    with pytest.raises(AttributeError, match="no public method"):
        router.call("_on_call")
    broadcast = system.spawn(Broadcast, pool(2, Worker))
    assert broadcast.call("whoami") == ["1", "2"]
    broadcast.cast("whoami")
    router.cast("whoami")
    settle()
    assert [info.handled for info in system.tree() if info.cls is Worker] == [3, 2, 2, 2]


def test_the_members_of_a_pool_are_supervised(system: ActorSystem) -> None:
    router = system.spawn(RoundRobin, pool(2, Worker))
    router.tell("fail")
    router.tell("end")
    assert [router.ask(n) for n in range(2)] == ["1", "2"]
    assert [info.restarts for info in system.tree()] == [0, 1, 1]


def test_a_pool_past_its_intensity_fails_its_router_which_makes_it_anew(
    system: ActorSystem,
) -> None:
    class Strict(RoundRobin):
        supervision = OneForOne(intensity=0)

    router = system.spawn(Strict, pool(2, Worker))
    router.tell("fail")
    settle()
    assert [router.ask(n) for n in range(2)] == ["1", "2"]
    assert [info.restarts for info in system.tree()] == [1, 0, 0]


def test_a_dead_member_is_passed_over_and_without_any_nothing_is_silent(
    system: ActorSystem,
) -> None:
    dead: list[DeadLetter] = []
    system.events.subscribe(DeadLetter, dead.append)
    members = [system.spawn(Echo), system.spawn(Echo)]
    router = system.spawn(RoundRobin, members)
    members[0].kill()
    members[0].join()
    assert [router.ask(n) for n in range(3)] == [0, 1, 2]
    members[1].stop()
    members[1].join()
    router.tell("nobody")
    with pytest.raises(ActorStopped, match="every member"):
        router.ask("nobody", timeout=None)
    assert [letter.message for letter in dead] == ["nobody"]
    assert router.proxy().members() == []


def test_a_router_of_ones_own_overrides_choose(system: ActorSystem) -> None:
    from actorkit import ActorRef, Router

    class Last(Router):
        def choose(self, message: Any) -> ActorRef[Any]:
            return self.members()[-1]

    assert system.spawn(Last, pool(3, Worker)).ask("who") == "3"


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "3"])
def test_a_pool_needs_a_size(size: Any) -> None:
    with pytest.raises(ValueError, match="size"):
        pool(size, Worker)


def test_wrong_members_are_refused_at_spawn(system: ActorSystem) -> None:
    with pytest.raises(TypeError, match="subclass of Actor"):
        pool(2, dict)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ActorRefs"):
        system.spawn(RoundRobin, [1, 2])
    with pytest.raises(TypeError, match="argument"):
        system.spawn(RoundRobin, pool(2, Worker, "surplus"))
    settle()
    assert system.tree() == []
