"""Read, add, write: two clients read the same balance, and one deposit is lost.

Repaired: the account adds, since only its own turn is atomic.
"""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef
from actorkit.testing import Simulation


class Account(Actor):
    def __init__(self) -> None:
        self.balance = 0

    def receive(self, message: Any) -> int:
        match message:
            case ("set", int() as balance):
                self.balance = balance
            case ("add", int() as amount):
                self.balance += amount
        return self.balance


class Client(Actor):
    def __init__(self, account: ActorRef[Account], reads_first: bool) -> None:
        self.account = account
        self.reads_first = reads_first

    def receive(self, amount: int) -> None:
        if self.reads_first:
            balance = self.account.ask("balance")
            self.account.tell(("set", balance + amount))
        else:
            self.account.tell(("add", amount))


def run(sim: Simulation, reads_first: bool) -> None:
    bank = sim.system("bank")
    account = bank.spawn(Account, name="account")
    for number in range(3):
        bank.spawn(Client, account, reads_first, name=f"client-{number}").tell(10)
        if number == 0:
            gevent.sleep(1)
    gevent.sleep(1)
    assert account.ask("balance") == 30


def broken(sim: Simulation) -> None:
    run(sim, reads_first=True)


def repaired(sim: Simulation) -> None:
    run(sim, reads_first=False)
