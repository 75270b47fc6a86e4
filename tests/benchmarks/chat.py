"""How soon a chat full of people hears what is said: `python -m tests.benchmarks.chat --help`.

Starts the chat of examples/chat as its users do, and processes with the clients apart from it.
Each message carries the time at which it was sent, by the clock that all processes of a machine
share; every member of its room, the speaker too, notes how long it took. Nothing may be missing at
the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gevent
import psutil
from gevent import socket
from gevent.pool import Pool

from ..web.chat_clients import ROOT, WebSocket, chat_server
from .__main__ import machine
from .measure import Latenesses

#: Connections that one client process makes at a time.
CONNECTING = 50
#: Seconds after the last has come in, for everyone to hear of everyone.
SETTLE = 3.0
#: Seconds that the last messages have to arrive.
DRAIN = 5.0


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the load; returns what was measured."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        history = ["--history", f"{folder}/chat.sqlite"]
        server = stack.enter_context(chat_server("--nodes", str(options.nodes), *history))
        process = psutil.Process(server.process.pid)
        # A few first, so that what every server needs once is not counted as a user's.
        with clients(
            server.port, options, users=2 * options.clients, rate=10.0, seconds=1.0
        ) as few:
            list(few)
        before, cpu_before = process.memory_info().rss, cpu(process)
        with clients(server.port, options, options.users, options.rate, options.seconds) as told:
            next(told)
            everyone_in = process.memory_info().rss
            cpu_in, began = cpu(process), time.monotonic()
            results = next(told)
            busy = (cpu(process) - cpu_in) / (time.monotonic() - began)
    sent = sum(each["sent"] for each in results)
    late = sum((Latenesses(each["late"]) for each in results), Latenesses())
    per_room = options.users / options.rooms
    return {
        "users": options.users,
        "rooms": options.rooms,
        "nodes": options.nodes,
        "messages a second": round(sent / options.seconds, 1),
        "deliveries": len(late),
        "missing": round(sent * per_room) - len(late),
        "refused": sum(each["refused"] for each in results),
        "p50 ms": round(late.percentile(50) * 1000, 1),
        "p99 ms": round(late.percentile(99) * 1000, 1),
        "max ms": round(late.percentile(100) * 1000, 1),
        "server's KB for each user": round((everyone_in - before) / options.users / 1000, 1),
        "server's CPU while they talk": f"{busy:.0%} of a core",
        "server's CPU to let one in, ms": round((cpu_in - cpu_before) / options.users * 1000, 1),
    }


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU that the server and its nodes have used."""
    times = [each.cpu_times() for each in (process, *process.children())]
    return float(sum(each.user + each.system for each in times))


@contextmanager
def clients(
    port: int, options: argparse.Namespace, users: int, rate: float, seconds: float
) -> Iterator[Iterator[Any]]:
    """Processes with clients; yields "in" when all are in, and then the list of their results."""
    share = users // options.clients
    plan = {"port": port, "users": share, "rooms": options.rooms, "seconds": seconds}
    with ExitStack() as stack:
        running = []
        for number in range(options.clients):
            own = {**plan, "first": number * share, "rate": rate / options.clients}
            command = [sys.executable, "-m", "tests.benchmarks.chat", "--client", json.dumps(own)]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            running.append(
                stack.enter_context(subprocess.Popen(command, cwd=ROOT, text=True, **pipes))
            )
            stack.callback(running[-1].kill)

        def steps() -> Iterator[Any]:
            for each in running:
                assert each.stdout is not None
                if each.stdout.readline() != "in\n":
                    raise RuntimeError("a client process did not get in; it says why above")
            yield "in"
            for each in running:
                assert each.stdin is not None
                each.stdin.write("talk\n")
                each.stdin.flush()
            yield [json.loads(each.stdout.readline()) for each in running if each.stdout]

        yield steps()


# -- a client process -----------------------------------------------------------------------------


class Crowd:
    """The users of one process: all listen, and one after the other speaks."""

    def __init__(self, port: int, users: int, rooms: int, first: int) -> None:
        self.late: list[float] = []
        self.refused = 0
        self.port = port
        numbers = range(first, first + users)
        self.members = list(Pool(CONNECTING).imap(lambda n: self.come_in(n, n % rooms), numbers))

    def come_in(self, number: int, room: int) -> WebSocket:
        client = WebSocket(socket.create_connection(("127.0.0.1", self.port)))
        name = f"user-{number}-{os.getpid()}"
        for operation in ({"op": "hello", "name": name}, {"op": "enter", "room": f"room-{room}"}):
            answer = client.ask(**operation)
            if "error" in answer:
                raise RuntimeError(answer["error"])
        gevent.spawn(self.listen, client)
        return client

    def listen(self, member: WebSocket) -> None:
        while True:
            said = member.read()
            now = time.monotonic()
            self.refused += "error" in said
            for event in said.get("events", ()):
                if event["type"] == "said":
                    self.late.append(now - float(event["text"]))

    def talk(self, rate: float, seconds: float) -> int:
        """Say `rate` things a second, evenly; returns how many."""
        began = time.monotonic()
        for number in range(int(rate * seconds)):
            gevent.sleep(max(0.0, began + number / rate - time.monotonic()))
            speaker = self.members[number % len(self.members)]
            speaker.send({"op": "say", "text": str(time.monotonic())})
        return int(rate * seconds)


def client(plan: dict[str, Any]) -> None:
    rate, seconds = plan.pop("rate"), plan.pop("seconds")
    crowd = Crowd(**plan)
    print("in", flush=True)
    # A blocking read: everyone is idle until all processes are ready.
    gevent.get_hub().threadpool.apply(sys.stdin.readline)
    gevent.sleep(SETTLE)
    sent = crowd.talk(rate, seconds)
    gevent.sleep(DRAIN)
    print(json.dumps({"sent": sent, "refused": crowd.refused, "late": crowd.late}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--rooms", type=int, default=50)
    parser.add_argument("--nodes", type=int, default=0, help="processes for the rooms")
    parser.add_argument("--rate", type=float, default=50.0, help="messages a second, of all")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=2, help="client processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--client", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.client:
        return client(json.loads(options.client))
    figures = measure(options)
    print(machine())
    for name, figure in figures.items():
        print(f"{name:>32}  {figure}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))
    return None


if __name__ == "__main__":
    main()
