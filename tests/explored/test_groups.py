"""Groups, explored: members that join, leave and end, here and on nodes that lose each other."""

from __future__ import annotations

from collections import Counter
from typing import Any

import gevent

from actorkit import Actor
from actorkit.testing import Simulation, explore

NAMES = ("a", "b", "c")
ROOM = "room"


class Member(Actor):
    """Counts what is published, by its text."""

    def __init__(self, heard: Counter[Any]) -> None:
        self.heard = heard

    def receive(self, message: Any) -> None:
        self.heard[self.system.name, self.ref.path, message] += 1


@explore(seeds=600)
def test_nodes_agree_on_the_members_once_they_hear_of_each_other_again(sim: Simulation) -> None:
    sim.network.latency = (0.01, 0.2)
    heard: Counter[Any] = Counter()
    joined: set[tuple[str, str]] = set()
    stopped: set[tuple[str, str]] = set()
    members = {}
    for name in NAMES:
        system = sim.system(name)
        for number in range(2):
            member = members[name, f"/{name}{number}"] = system.spawn(
                Member, heard, name=f"{name}{number}"
            )
            if sim.random.randrange(2):
                system.groups.join(ROOM, member)
                joined.add((name, member.path))
    for one, other in (("a", "b"), ("c", "b"), ("a", "c")):
        sim.system(one).connect(f"sim://{other}")

    for number in range(10):
        where = sim.random.choice(sorted(members))
        groups = sim.system(where[0]).groups
        match sim.random.choice(["publish", "join", "leave", "stop"]):
            case "publish":
                groups.publish(ROOM, number)
            case "join" if where not in stopped:
                groups.join(ROOM, members[where])
                joined.add(where)
            case "leave":
                groups.leave(ROOM, members[where])
                joined.discard(where)
            case "stop":
                members[where].stop()
                stopped.add(where)
                joined.discard(where)
        gevent.sleep(sim.random.choice([0, 0.1, 2]))
        if sim.fault(0.05):
            sim.network.partition({sim.random.choice(NAMES)})
        if sim.fault(0.05):
            sim.network.disconnect(*sim.random.sample(NAMES, 2))
        if sim.fault(0.1):
            sim.network.heal()
    sim.network.heal()
    gevent.sleep(30)

    for name in NAMES:
        assert sorted(ref.path for ref in sim.system(name).groups.members(ROOM)) == sorted(
            path for _, path in joined
        )
        sim.system(name).groups.publish(ROOM, f"from {name}")
    gevent.sleep(5)
    assert set(heard.values()) <= {1}
    for name in NAMES:
        told = {(node, path) for node, path, what in heard if what == f"from {name}"}
        assert told == joined


@explore(seeds=1000)
def test_of_what_is_published_while_members_come_and_go_nobody_gets_anything_twice(
    sim: Simulation,
) -> None:
    system = sim.system("here")
    heard: Counter[Any] = Counter()
    members = [system.spawn(Member, heard, name=str(number)) for number in range(3)]

    class Guest(Actor):
        def __init__(self, member: Any) -> None:
            self.member = member

        def receive(self, stays: bool) -> None:
            system.groups.join(ROOM, self.member)
            gevent.sleep(0.1)
            if not stays:
                sim.random.choice([system.groups.leave, lambda *_: self.member.stop()])(
                    ROOM, self.member
                )

    stays = [bool(sim.random.randrange(2)) for _ in members]
    for member, stay in zip(members, stays, strict=True):
        system.spawn(Guest, member).tell(stay)
    for number in range(4):
        gevent.sleep(sim.random.choice([0, 0.1]))
        system.groups.publish(ROOM, number)
    gevent.sleep(1)
    counted = system.groups.publish(ROOM, "last")
    gevent.sleep(1)
    assert set(heard.values()) <= {1}
    assert counted == sum(stays)
    assert {path for _, path, what in heard if what == "last"} == {
        member.path for member, stay in zip(members, stays, strict=True) if stay
    }
