"""Ping-pong: two actors that keep telling each other something, and then end by themselves.

    python examples/ping_pong.py --rounds 10

gevent's tutorial has the same two actors, one greenlet and one queue each; see
`ping_pong_bare.py` beside this file.
"""

from __future__ import annotations

import argparse

import gevent

from actorkit import Actor, ActorRef, ActorSystem


class Ponger(Actor):
    def receive(self, message: tuple[str, ActorRef[Pinger]]) -> None:
        word, sender = message
        self.log.info("got", word=word)
        sender.tell("pong")


class Pinger(Actor):
    def __init__(self, ponger: ActorRef[Ponger], rounds: int) -> None:
        self.ponger = ponger
        self.left = rounds

    def receive(self, message: str) -> None:
        if message == "pong":
            self.log.info("got", word=message)
            self.left -= 1
        if self.left > 0:
            self.ponger.tell(("ping", self.ref))
        else:
            self.ponger.stop()
            self.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="how often ping is answered")
    rounds = parser.parse_args().rounds
    with ActorSystem("demo") as system:
        ponger = system.spawn(Ponger, name="ponger")
        pinger = system.spawn(Pinger, ponger, rounds, name="pinger")
        pinger.tell("start")
        gevent.joinall([pinger, ponger])
    print(f"{rounds} rounds played")


if __name__ == "__main__":
    main()
