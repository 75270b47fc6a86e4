"""Groups of actors."""

from __future__ import annotations

from typing import Any, cast

import pytest

from actorkit import ActorSystem
from tests.actors import Collector, settle


def test_publish_reaches_every_member_in_order_of_joining(system: ActorSystem) -> None:
    refs = [system.spawn(Collector) for _ in range(3)]
    for ref in refs:
        system.groups.join("room:42", ref)
        system.groups.join("room:42", ref)
    assert system.groups.members("room:42") == refs
    assert system.groups.publish("room:42", "hello") == 3
    assert [ref.ask(None) for ref in refs] == [["hello"]] * 3
    assert system.groups.names() == ["room:42"]


def test_leaving_ends_the_membership_and_an_empty_group_is_none(system: ActorSystem) -> None:
    ref = system.spawn(Collector)
    system.groups.join("a", ref)
    system.groups.leave("a", ref)
    system.groups.leave("a", ref)
    system.groups.leave("never", ref)
    assert system.groups.members("a") == []
    assert system.groups.publish("a", 1) == 0
    assert system.groups.names() == []


def test_a_dead_member_leaves_all_its_groups_by_itself(system: ActorSystem) -> None:
    living, dying = system.spawn(Collector), system.spawn(Collector)
    for group in ("a", "b"):
        system.groups.join(group, living)
        system.groups.join(group, dying)
    dying.kill()
    dying.join()
    assert system.groups.members("a") == [living]
    settle()
    assert system.groups.publish("b", 1) == 1


def test_joining_again_and_again_leaves_no_trace(system: ActorSystem) -> None:
    ref = system.spawn(Collector)
    for _ in range(100):
        system.groups.join("a", ref)
        system.groups.leave("a", ref)
    life = cast(Any, ref)._life
    assert life is not None
    assert len(life.observers) <= 1


def test_the_dead_do_not_join(system: ActorSystem) -> None:
    ref = system.spawn(Collector)
    ref.stop()
    ref.join()
    system.groups.join("a", ref)
    settle()
    assert system.groups.members("a") == []
    assert system.groups.names() == []


@pytest.mark.parametrize("group", ["", None, 3])
def test_a_group_needs_a_name(system: ActorSystem, group: Any) -> None:
    with pytest.raises(ValueError, match="group"):
        system.groups.join(group, system.spawn(Collector))
