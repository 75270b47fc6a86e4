"""What mypy says of a user's code: `proxy()` has the actor's own types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from actorkit import Actor, ActorRef, ActorSystem

class Account(Actor):
    def __init__(self, balance: int) -> None:
        self.balance = balance

    def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

with ActorSystem() as system:
    account = system.spawn(Account, 10)
    reveal_type(account)
    reveal_type(account.proxy().deposit(5))
    reveal_type(account.proxy().deposit)
    account.proxy().deposit("five")
    account.proxy().withdraw(5)
    wrong: ActorRef[Account] = system.spawn(Actor)
"""


def test_a_proxys_method_has_its_own_type_and_wrong_arguments_are_type_errors(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("mypy")  # what it knows of the package it need not learn twice
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-error-summary",
            "--cache-dir",
            str(cache),
            str(program),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    lines = [line.split(": ", 1)[1] for line in done.stdout.splitlines()]
    assert lines == [
        'note: Revealed type is "actorkit.ref.ActorRef[program.Account]"',
        'note: Revealed type is "int"',
        'note: Revealed type is "def (amount: int) -> int"',
        (
            'error: Argument 1 to "deposit" of "Account" has incompatible type "str";'
            ' expected "int"  [arg-type]'
        ),
        'error: "Account" has no attribute "withdraw"  [attr-defined]',
        (
            'error: Argument 1 to "spawn" of "ActorSystem" has incompatible type "type[Actor]";'
            ' expected "type[Account]"  [arg-type]'
        ),
    ], done.stdout + done.stderr
