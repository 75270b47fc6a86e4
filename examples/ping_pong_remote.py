"""Ping-pong between two processes, with the same references as within one.

python examples/ping_pong_remote.py                                     # starts both itself

python examples/ping_pong_remote.py --listen tcp://127.0.0.1:7001       # or in one terminal
python examples/ping_pong_remote.py --connect tcp://127.0.0.1:7001      # and in another
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from actorkit import Actor, ActorRef, ActorSystem


class Ponger(Actor):
    def receive(self, message: str) -> str:
        self.log.info("got", word=message)
        return "pong"


class Pinger(Actor):
    def __init__(self, ponger: ActorRef[Ponger], rounds: int) -> None:
        self.ponger = ponger
        self.rounds = rounds

    def run(self) -> int:
        for _ in range(self.rounds):
            self.log.info("got", word=self.ponger.ask("ping"))
        return self.rounds


def listen(address: str) -> None:
    with ActorSystem("pong", listen=address) as system:
        system.spawn(Ponger, name="ponger")
        print(system.address, flush=True)
        system.wait()


def connect(address: str, rounds: int) -> None:
    with ActorSystem("ping") as system:
        ponger = system.connect(address).lookup("/ponger")
        pinger = system.spawn(Pinger, ponger, rounds, name="pinger")
        pinger.join()
        print(f"{pinger.value} rounds played with {ponger}")


def both(rounds: int) -> None:
    command = [sys.executable, __file__, "--listen", "tcp://127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        try:
            connect(other.stdout.readline().strip(), rounds)
        finally:
            other.terminate()
            print(other.stdout.read(), end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--listen", metavar="ADDRESS")
    parser.add_argument("--connect", metavar="ADDRESS")
    options = parser.parse_args()
    if options.listen:
        listen(options.listen)
    elif options.connect:
        connect(options.connect, options.rounds)
    else:
        both(options.rounds)


if __name__ == "__main__":
    main()
