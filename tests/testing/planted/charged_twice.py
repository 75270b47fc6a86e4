"""No answer in time, so ask again: but the first order was carried out, and so is the second.

Repaired: an order has an identity, and is carried out once.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef, AskTimeout
from actorkit.testing import Simulation


class Till(Actor):
    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.charged: list[int] = []
        self.known: set[str] = set()

    def receive(self, message: Any) -> Any:
        match message:
            case ("charge", None, int() as amount):
                self.charged.append(amount)
            case ("charge", str() as order, int() as amount):
                if order not in self.known:
                    self.known.add(order)
                    self.charged.append(amount)
        if self.sim.fault(0.05):
            gevent.sleep(5)  # a slow printer
        return self.charged


class Shopper(Actor):
    def __init__(self, till: ActorRef[Till], names_order: bool) -> None:
        self.till = till
        self.names_order = names_order

    def receive(self, amount: int) -> None:
        order = "order-1" if self.names_order else None
        while True:
            try:
                self.till.ask(("charge", order, amount), timeout=2.0)
                return
            except AskTimeout:
                pass


def run(sim: Simulation, names_order: bool) -> None:
    system = sim.system("shop")
    till = system.spawn(Till, sim, name="till")
    system.spawn(Shopper, till, names_order, name="shopper").tell(42)
    gevent.sleep(60)
    assert till.ask("charged", timeout=60) == [42]


def broken(sim: Simulation) -> None:
    run(sim, names_order=False)


def repaired(sim: Simulation) -> None:
    run(sim, names_order=True)
