"""A bank: typed proxies, refusals that are no failures, and a deadlock that does not hang.

python examples/bank.py
"""

from __future__ import annotations

from actorkit import Actor, ActorRef, ActorSystem, AskDeadlock, Refused


class InsufficientFunds(Refused):
    """Told to the asker; the account goes on."""


class Account(Actor):
    def __init__(self, owner: str, balance: int = 0) -> None:
        self.owner = owner
        self._balance = balance

    def balance(self) -> int:
        return self._balance

    def deposit(self, amount: int) -> int:
        if amount <= 0:
            raise Refused(f"cannot deposit {amount}")
        self._balance += amount
        return self._balance

    def withdraw(self, amount: int) -> int:
        if amount > self._balance:
            raise InsufficientFunds(f"{self.owner} has {self._balance}, not {amount}")
        self._balance -= amount
        return self._balance

    def send_all_to(self, other: ActorRef[Account]) -> int:
        """Asks the other account; that one must not ask back, since this one waits."""
        amount, self._balance = self._balance, 0
        try:
            return other.proxy().receive_from(self.ref, amount)
        except Refused:
            self._balance = amount
            raise

    def receive_from(self, sender: ActorRef[Account], amount: int) -> int:
        try:
            print(f"  {self.owner} gets {amount} of {sender.proxy().balance() + amount}")
        except AskDeadlock as deadlock:
            raise Refused(f"deadlock seen at once: {deadlock}") from deadlock
        return self.deposit(amount)


class Bank(Actor):
    """Moves money between accounts; one transfer at a time."""

    def transfer(self, source: ActorRef[Account], target: ActorRef[Account], amount: int) -> None:
        source.proxy().withdraw(amount)
        target.proxy().deposit(amount)


def main() -> None:
    with ActorSystem("bank") as system:
        anna = system.spawn(Account, "Anna", 100, name="anna")
        boris = system.spawn(Account, "Boris", 10, name="boris")
        bank = system.spawn(Bank, name="bank").proxy()

        bank.transfer(anna, boris, 30)
        print("after 30:", anna.proxy().balance(), boris.proxy().balance())

        try:
            bank.transfer(boris, anna, 1000)
        except InsufficientFunds as refusal:
            print("refused:", refusal)

        try:
            anna.proxy().send_all_to(boris)
        except Refused as refusal:
            print(refusal)
        print("nothing lost:", anna.proxy().balance() + boris.proxy().balance())


if __name__ == "__main__":
    main()
