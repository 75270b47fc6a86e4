"""Counts primes on every host that there is, and does not mind when one dies.

python examples/spawn_across_hosts.py                  # starts two nodes itself

actorkit node --name a --listen tcp://10.0.0.1:7001 --insecure \\
    --spawnable spawn_across_hosts                     # or: this on each host, in this directory
python examples/spawn_across_hosts.py --hosts tcp://10.0.0.1:7001 tcp://10.0.0.2:7001
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter, deque
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from actorkit import Actor, ActorRef, ActorSystem, Terminated
from actorkit.remote.node import Node


def primes_in(numbers: range) -> int:
    return sum(n > 1 and all(n % d for d in range(2, int(n**0.5) + 1)) for n in numbers)


class Worker(Actor):
    """Lives on a host: counts the primes of a piece, as long as its boss lives."""

    def __init__(self, boss: ActorRef[Any]) -> None:
        self.boss = boss
        self.watch(boss)

    def receive(self, message: Any) -> None:
        match message:
            case (start, stop):
                primes = self.offload(primes_in, range(start, stop))  # the node does not wait
                self.boss.tell((self.ref, primes))
            case Terminated():
                self.stop()


class Boss(Actor):
    """Has a worker on each node, gives it a piece at a time, and the pieces of the lost again."""

    def __init__(self, nodes: list[Node], limit: int, piece: int) -> None:
        self.nodes = nodes
        self.todo = deque((start, min(start + piece, limit)) for start in range(0, limit, piece))
        self.doing: dict[ActorRef[Any], tuple[int, int]] = {}
        self.idle: list[ActorRef[Any]] = []

    def run(self) -> tuple[int, Counter[str]]:
        total, pieces = 0, Counter[str]()
        for node in self.nodes:
            worker = node.spawn("spawn_across_hosts.Worker", self.ref)
            self.watch(worker)
            self.idle.append(worker)
        self.give()
        while self.doing:
            match self.inbox.get():
                case (worker, primes) if worker in self.doing:
                    del self.doing[worker]
                    total += primes
                    pieces[worker.address] += 1
                    self.idle.append(worker)
                case Terminated(worker, reason):
                    print(f"lost {worker.address} ({reason.value})", flush=True)
                    if worker in self.doing:
                        self.todo.append(self.doing.pop(worker))
                    else:
                        self.idle.remove(worker)
            self.give()
        if self.todo:
            raise RuntimeError(f"no host is left, and {len(self.todo)} pieces are not counted")
        return total, pieces

    def give(self) -> None:
        while self.idle and self.todo:
            worker = self.idle.pop()
            self.doing[worker] = self.todo.popleft()
            worker.tell(self.doing[worker])


def start_node(name: str, stack: ExitStack) -> str:
    """Start a node on this machine until the stack ends; returns its address."""
    command = [sys.executable, "-m", "actorkit", "node", "--name", name]
    options = ["--listen", "tcp://127.0.0.1:0", "--spawnable", "spawn_across_hosts"]
    here = Path(__file__).parent
    node = stack.enter_context(
        subprocess.Popen([*command, *options], cwd=here, stdout=subprocess.PIPE, text=True)
    )
    stack.callback(node.terminate)
    assert node.stdout is not None
    return node.stdout.readline().split()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", nargs="+", metavar="ADDRESS", help="nodes that run already")
    parser.add_argument("--limit", type=int, default=200_000, help="count the primes below")
    parser.add_argument("--piece", type=int, default=5_000, help="numbers for a worker at a time")
    options = parser.parse_args()
    with ExitStack() as stack:
        hosts = options.hosts or [start_node(name, stack) for name in ("a", "b")]
        system = stack.enter_context(ActorSystem("boss"))
        nodes = [system.connect(host) for host in hosts]
        boss = system.spawn(Boss, nodes, options.limit, options.piece, restart="temporary")
        boss.join()
        if boss.exception is not None:
            sys.exit(f"failed: {boss.exception}")
        primes, pieces = boss.value
        for address, count in sorted(pieces.items()):
            print(f"{address} counted {count} pieces")
        print(f"{primes} primes below {options.limit}")


if __name__ == "__main__":
    main()
