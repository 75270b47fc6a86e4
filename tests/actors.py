"""Actors that many tests use."""

from __future__ import annotations

from typing import Any, cast

import gevent

from actorkit import Actor, ActorRef


class Echo(Actor):
    """Answers every message with itself."""

    def receive(self, message: Any) -> Any:
        return message


class Collector(Actor):
    """Remembers what it gets; `ask(None)` tells."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def receive(self, message: Any) -> Any:
        if message is None:
            return list(self.got)
        self.got.append(message)
        return None


class Obedient(Actor):
    """Runs the functions that it is sent, with itself as the argument."""

    def receive(self, message: Any) -> Any:
        return message(self)


def settle(*refs: ActorRef[Any]) -> None:
    """Let everything that is ready run, and what that makes ready."""
    for _ in range(5):
        gevent.sleep(0.001)
    for ref in refs:
        if not ref.ready():
            ref.ask(None)


def instance_of(ref: ActorRef[Any]) -> Any:
    """The actor's own object, which only tests look at."""
    return cast(Any, ref)._instance
