"""Raft's double vote: the vote is written but not synced, and a power cut takes it back.

The server votes again in the same term, for another, and there are two leaders. Repaired: the disk
is synced before the answer. `server` is the program, `witness` knows what it promises.
"""

from __future__ import annotations

from functools import partial

import gevent

from actorkit import Actor, ActorError, ActorSystem
from actorkit.testing import Simulation

from .server import Server, find
from .witness import Witness

#: What Raft promises, and the paper proves.
PROMISES = (
    "election safety",  # at most one leader in a term
    "log matching",  # logs with the same entry are the same up to it
    "leader completeness",  # a leader has all that was committed in earlier terms
    "state machine safety",  # nobody applies another command at the same index
)
#: Seconds of trouble, and the seconds after it within which the cluster must work again.
TROUBLE, RECOVERY = 10, 20
#: Seconds between two faults that may be.
STEP = 0.5


class Client(Actor):
    """Proposes numbers one after the other, to whoever takes them; `committed` are done."""

    def __init__(self, servers: list[str], committed: list[int]) -> None:
        self.servers = servers
        self.committed = committed

    def run(self) -> None:
        number = 0
        while True:
            for name in self.servers:
                try:
                    server = find(self.system, name)
                    while True:
                        server.ask(("propose", number), timeout=3.0)
                        self.committed.append(number)
                        number += 1
                        gevent.sleep(2.0)
                except ActorError:
                    gevent.sleep(0.2)


def run(sim: Simulation, forgets: bool) -> None:
    names = ["a", "b", "c", "d", "e"][: sim.random.choice([3, 5])]
    witness = Witness()
    committed: list[int] = []

    def boot(system: ActorSystem) -> None:
        others = [name for name in names if name != system.name]
        disk = sim.disk(system.name)
        system.spawn(Server, others, disk, sim.random, witness, forgets, name="raft")

    for promise in PROMISES:
        sim.always(promise, partial(witness.keeps, promise))
    sim.network.latency = (0.01, 0.4)
    for name in names:
        sim.system(name, boot=boot)
    sim.system("client").spawn(Client, names, committed, name="client")

    for _ in range(int(TROUBLE / STEP)):
        gevent.sleep(STEP)
        for name in names:
            if sim.fault(0.05):
                sim.restart(name)
            if sim.fault(0.03):
                sim.network.partition({name})
        if sim.fault(0.2):
            sim.network.heal()
    sim.network.heal()

    done = len(committed)
    sim.eventually("commands are committed again", lambda: len(committed) > done, within=RECOVERY)
    for number in committed:
        assert any(entry.command == number for entry, _ in witness.applied.values())


def broken(sim: Simulation) -> None:
    run(sim, forgets=True)


def repaired(sim: Simulation) -> None:
    run(sim, forgets=False)
