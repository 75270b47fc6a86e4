"""The command line as its users run it: processes of their own, in a directory with actors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ACTORS", "Result", "actorkit", "running"]

Result = subprocess.CompletedProcess[str]

#: What stands in `shop.py` beside the tests' commands.
ACTORS = """
from datetime import timedelta

import gevent

from actorkit import Actor, Refused, message


@message(name="shop.Order")
class Order:
    item: str
    amount: int = 1


class OutOfStock(Exception):
    pass


class Shop(Actor):
    def __init__(self, owner="nobody", *, stock=0):
        self.owner = owner
        self.stock = stock

    def receive(self, message):
        match message:
            case Order(item, amount):
                self.stock -= amount
                return Order(item.upper(), amount)
            case "fail":
                raise OutOfStock("no more\\napples")
            case "refuse":
                raise Refused("closed")
            case "sleep":
                gevent.sleep(60)
            case "vanish":
                self.ref.kill()
                gevent.sleep(60)
            case "close":
                self.stop()
            case "everything":
                return {
                    1: (1, 2.5, None),
                    "set": {3, 1, 2},
                    "bytes": b"abc",
                    "time": timedelta(minutes=1),
                    "nan": float("nan"),
                    "me": self.ref,
                }
            case _:
                return message

    def who(self):
        return self.owner

    def add(self, first, second=0):
        return first + second

    def restock(self, amount):
        self.stock += amount

    def left(self):
        return self.stock


class Closing(Actor):
    def run(self):
        self.log.info("closing")


class Failing(Actor):
    def on_start(self):
        raise OutOfStock("nothing")

    def receive(self, message):
        pass
"""


def actorkit(
    *arguments: str, cwd: Path, timeout: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What `actorkit` with these arguments says, and how it ends."""
    return subprocess.run(
        [sys.executable, "-m", "actorkit", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )


@contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A node that listens while the block runs, and where it does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "actorkit", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=cwd,
    )
    try:
        assert process.stdout is not None
        while " listens at " not in (line := process.stdout.readline()):
            assert line, "the node did not start"
        yield process, line.split()[-1]
    finally:
        process.kill()
        process.communicate()
