"""Watch and link, explored: here, and between nodes that lose each other."""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import (
    Actor,
    ActorRef,
    LinkedActorDied,
    NodeDown,
    Reason,
    Terminated,
)
from actorkit.testing import Simulation, explore

from .faults import trouble


class Crash(Exception):
    """A failure that is part of the test."""


class Mortal(Actor):
    """Ends as it is told."""

    def receive(self, message: Any) -> None:
        match message:
            case "stop":
                self.stop()
            case "fail":
                raise Crash
            case "pause":
                gevent.sleep(0.1)


class Watcher(Actor):
    """Watches whom it is given; remembers every end."""

    def __init__(self, ends: list[Terminated]) -> None:
        self.ends = ends

    def receive(self, message: Any) -> None:
        match message:
            case Terminated():
                self.ends.append(message)
            case ("watch", ActorRef() as ref):
                self.watch(ref)
            case ("link", ActorRef() as ref):
                self.link(ref)


def end_somehow(sim: Simulation, ref: ActorRef[Any]) -> set[Reason]:
    """Have an actor end; returns the reasons that this may have."""
    ref.tell(sim.random.choice(["pause", "nothing"]))
    how = sim.random.randrange(4)
    (lambda: ref.tell("stop"), lambda: ref.tell("fail"), ref.stop, ref.kill)[how]()
    return {(Reason.NORMAL, Reason.FAILED, Reason.NORMAL, Reason.KILLED)[how]}


@explore(seeds=1000, failures=Crash)
def test_an_end_is_told_to_each_watcher_once_whenever_it_began_to_watch(sim: Simulation) -> None:
    system = sim.system("here")
    mortals = [system.spawn(Mortal, restart="temporary") for _ in range(3)]
    ends: list[list[Terminated]] = [[], []]
    watchers = [system.spawn(Watcher, heard) for heard in ends]
    reasons: dict[ActorRef[Any], set[Reason]] = {}
    for mortal in mortals:
        watchers[0].tell(("watch", mortal))
        gevent.sleep(sim.random.randrange(2) / 10)
        reasons[mortal] = end_somehow(sim, mortal)
        gevent.sleep(sim.random.randrange(2) / 10)
        watchers[1].tell(("watch", mortal))
    gevent.sleep(5)
    for heard in ends:
        assert sorted(str(end.ref) for end in heard) == sorted(map(str, mortals))
        for end in heard:
            assert end.reason in reasons[end.ref] | {Reason.NOT_FOUND}


@explore(seeds=1000, failures=(Crash, LinkedActorDied))
def test_of_two_linked_both_end_unless_it_is_a_normal_end(sim: Simulation) -> None:
    system = sim.system("here")
    chain = [system.spawn(Watcher, [], restart="temporary") for _ in range(3)]
    mortal = system.spawn(Mortal, restart="temporary")
    for one, other in zip(chain, [*chain[1:], mortal], strict=True):
        sim.random.choice([one.tell, one.ask])(("link", other))
    reasons = end_somehow(sim, mortal)
    gevent.sleep(5)
    assert mortal.ready()
    if reasons == {Reason.NORMAL}:  # or linked too late, which is the end of a dead actor
        assert len({one.ready() for one in chain}) == 1
    else:
        assert all(one.ready() for one in chain)
        assert all(isinstance(one.exception, LinkedActorDied) for one in chain)


@explore(seeds=600, failures=Crash)
def test_an_end_on_another_node_is_told_once_or_the_loss_of_the_node_is(sim: Simulation) -> None:
    here = sim.system("here")
    sim.network.latency = (0.01, 0.2)
    sim.system("there", boot=lambda system: [system.spawn(Mortal, name=name) for name in "abc"])
    downs: list[Any] = []
    here.events.subscribe(NodeDown, downs.append)
    node = here.connect("sim://there")
    mortals = [node.lookup(f"/{name}") for name in "abc"]
    ends: list[Terminated] = []
    watcher = here.spawn(Watcher, ends)
    reasons: dict[ActorRef[Any], set[Reason]] = {}
    for mortal in mortals:
        watcher.tell(("watch", mortal))
        trouble(sim, "here", "there")
        reasons[mortal] = {Reason.NORMAL, Reason.KILLED, Reason.NOT_FOUND}
        sim.random.choice([mortal.stop, mortal.kill])()
        gevent.sleep(sim.random.randrange(5) / 10)
        if sim.fault(0.1):
            sim.restart("there")
    sim.network.heal()
    gevent.sleep(5)
    sim.restart("there")  # whoever was not stopped is gone now
    gevent.sleep(20)
    assert sorted(str(end.ref) for end in ends) == sorted(map(str, mortals))
    for end in ends:
        assert end.reason in {Reason.NORMAL, Reason.KILLED, Reason.NOT_FOUND, Reason.NODE_LOST}
        assert end.reason is not Reason.NODE_LOST or downs


@explore(seeds=600, failures=(Crash, LinkedActorDied))
def test_a_link_between_nodes_fires_on_both_sides_when_their_connection_breaks(
    sim: Simulation,
) -> None:
    here, there = sim.system("here"), sim.system("there")
    sim.network.latency = (0.01, 0.2)
    far = there.spawn(Mortal, name="far", restart="temporary")
    near = here.spawn(Watcher, [], restart="temporary")
    seen = here.connect("sim://there").lookup("/far")
    near.ask(("link", seen))
    stands = bool(sim.random.randrange(2))
    if stands:
        gevent.sleep(1)
    trouble(sim, "here", "there")
    if sim.fault(0.3):
        sim.random.choice([near, far]).kill()
    gevent.sleep(sim.random.randrange(10))
    sim.network.heal()
    gevent.sleep(20)
    if stands:
        assert near.ready() == far.ready()
    else:  # the other side may have been lost before it knew of the link
        assert near.ready() or not far.ready()
