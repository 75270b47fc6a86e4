"""Actors that the tests have other processes run."""

from __future__ import annotations

import os
import time
from typing import Any

import gevent

from actorkit import Actor


class Worker(Actor):
    def receive(self, message: Any) -> Any:
        match message:
            case "pid":
                return os.getpid()
            case "owe":
                self.owed = self.defer_reply()
            case "pay":
                self.owed.set("paid")
            case ("sleep", seconds):
                gevent.sleep(seconds)
            case ("hold the hub", seconds):
                time.sleep(seconds)
        return message


class Placed(Actor):
    """Says where it runs, and does there what it is told."""

    def __init__(self, fails: bool = False) -> None:
        if fails:
            raise ValueError("told to fail")

    def receive(self, message: Any) -> Any:
        match message:
            case "hold the hub for ever":
                print("holding", flush=True)
                while True:
                    pass
            case "shut down":
                self.system.shutdown()
            case "exit":
                raise SystemExit(3)
            case "fork":
                child = os.fork()
                if not child:
                    time.sleep(600)
                    os._exit(0)
                return child
            case ("print", text, times):
                for _ in range(times):
                    print(text)
            case ("call", function, *args):
                return getattr(os, function)(*args)
        return (self.system.name, os.getpid())


class Counter(Actor):
    """Checks that numbers come in order and without a gap."""

    def __init__(self) -> None:
        self.last = 0
        self.wrong = 0

    def receive(self, message: Any) -> Any:
        if message == "report":
            return (self.last, self.wrong)
        self.wrong += message != self.last + 1
        self.last = message
        return None
