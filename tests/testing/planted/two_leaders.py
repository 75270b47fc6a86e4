"""The node of the lowest name that one hears of leads: in a partition both sides have such a node.

Repaired: whoever leads hears a majority, and nobody takes over before the last leader has noticed.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef, ActorSystem
from actorkit.testing import Simulation

NAMES = ("a", "b", "c")
#: Seconds after which a silent node is not counted on, and after which it is taken for gone.
DOUBT, GONE = 3.0, 8.0


class Member(Actor):
    def __init__(self, sim: Simulation, leading: dict[str, bool], majority: bool) -> None:
        self.sim = sim
        self.leading = leading
        self.majority = majority
        self.heard: dict[str, float] = {}
        self.peers: dict[str, ActorRef[Any]] = {}

    def on_start(self) -> None:
        self.every(1.0, "tick")

    def receive(self, message: Any) -> None:
        match message:
            case ("peer", str() as name, ActorRef() as ref):
                self.peers[name] = ref
                self.heard[name] = self.sim.time()
            case ("alive", str() as name):
                self.heard[name] = self.sim.time()
            case "tick":
                for peer in self.peers.values():
                    peer.tell(("alive", self.system.name))
        self.decide()

    def decide(self) -> None:
        me = self.system.name
        first = all(name > me for name in self.within(GONE if self.majority else DOUBT))
        enough = not self.majority or len(self.within(DOUBT)) + 1 > len(NAMES) / 2
        self.leading[me] = len(self.peers) == len(NAMES) - 1 and first and enough

    def within(self, seconds: float) -> list[str]:
        """Who was heard of in the last seconds."""
        return [name for name, at in self.heard.items() if self.sim.time() - at < seconds]


def run(sim: Simulation, majority: bool) -> None:
    leading: dict[str, bool] = {}

    def boot(system: ActorSystem) -> None:
        system.spawn(Member, sim, leading, majority, name="member")

    for name in NAMES:
        sim.system(name, boot=boot)
    sim.always("at most one node leads", lambda: sum(leading.values()) <= 1)
    for name in NAMES:
        for other in NAMES:
            if other != name:
                node = sim.system(name).connect(f"sim://{other}")
                member = sim.system(name).lookup("/member")
                member.tell(("peer", other, node.lookup("/member")))
    gevent.sleep(5)
    if sim.fault(0.1):
        sim.network.partition({sim.random.choice(NAMES)})
    gevent.sleep(20)


def broken(sim: Simulation) -> None:
    run(sim, majority=False)


def repaired(sim: Simulation) -> None:
    run(sim, majority=True)
