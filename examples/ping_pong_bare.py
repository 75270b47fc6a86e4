"""Ping-pong in plain gevent: the actor of gevent's tutorial, a greenlet with a queue.

    python examples/ping_pong_bare.py --rounds 10

Compare it with `ping_pong.py`: the words are the same, and all that is missing here (supervision,
questions, a million actors, an end in order) is what actorkit adds.
"""

from __future__ import annotations

import argparse

import gevent
from gevent.queue import Queue


class Actor(gevent.Greenlet):  # type: ignore[type-arg]
    def __init__(self) -> None:
        super().__init__()
        self.inbox: Queue[str] = Queue()
        self.running = False

    def receive(self, message: str) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        self.running = True
        while self.running:
            self.receive(self.inbox.get())


class Pinger(Actor):
    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.left = rounds
        self.ponger: Ponger

    def receive(self, message: str) -> None:
        if message == "pong":
            print("pinger got pong")
            self.left -= 1
        if self.left > 0:
            self.ponger.inbox.put("ping")
        else:
            self.ponger.inbox.put("stop")
            self.running = False


class Ponger(Actor):
    def __init__(self, pinger: Pinger) -> None:
        super().__init__()
        self.pinger = pinger

    def receive(self, message: str) -> None:
        if message == "stop":
            self.running = False
        else:
            print("ponger got ping")
            self.pinger.inbox.put("pong")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="how often ping is answered")
    rounds = parser.parse_args().rounds
    ping = Pinger(rounds)
    pong = ping.ponger = Ponger(ping)
    ping.start()
    pong.start()
    ping.inbox.put("start")
    gevent.joinall([ping, pong])
    print(f"{rounds} rounds played")


if __name__ == "__main__":
    main()
