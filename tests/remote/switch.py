"""An Ethernet switch in user space, whose links cut, delay, lose and reorder packets as told.

Run by `hosts.py` in a network namespace of its own, with its ports as arguments. Each line of its
stdin is a `Link` in JSON, answered by a line. It needs no `tc netem`, which many kernels lack,
works in one direction as well as in both, and its chances come from a seed.

python -m tests.remote.switch SEED PORT [PORT ...]
"""

from __future__ import annotations

import heapq
import json
import random
import selectors
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

ETH_P_ALL = 3
SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING = 263, 15, 4
#: Bytes of the header about checksums and segments before each frame.
HEADER = 10
#: Bytes of a frame at most, and frames taken from one port before the next has its turn.
FRAME, DRAIN = 70_000, 64


@dataclass(frozen=True)
class Link:
    """What happens to packets from one port to another: times in seconds, chances from 0 to 1."""

    source: int
    target: int
    cut: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0

    def write(self) -> str:
        return json.dumps(asdict(self)) + "\n"


def hardware_address(port: int) -> str:
    """The address by which the switch knows who sits at a port, counted from 0."""
    return f"02:00:00:00:00:{port:02x}"


class Switch:
    def __init__(self, ports: list[str], seed: int) -> None:
        self.random = random.Random(seed)
        self.ports = [self._open(port) for port in ports]
        self.links: dict[tuple[int, int], Link] = {}
        self.under_way: list[tuple[float, int, int, bytes]] = []
        self.count = 0

    def _open(self, port: str) -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        # Checksums that the sender left to hardware are passed on with the frame.
        opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        opened.bind((port, ETH_P_ALL))
        opened.setblocking(False)
        return opened

    def take(self, source: int) -> None:
        for _ in range(DRAIN):
            try:
                frame, address = self.ports[source].recvfrom(FRAME)
            except OSError:
                return
            if address[2] == PACKET_OUTGOING:
                continue
            to = frame[HEADER : HEADER + 6]
            if to[0] & 1:  # to everyone
                for target in range(len(self.ports)):
                    self.carry(source, target, frame)
            elif to[5] < len(self.ports):
                self.carry(source, to[5], frame)

    def carry(self, source: int, target: int, frame: bytes) -> None:
        if source == target:
            return
        link = self.links.get((source, target))
        if link is None:
            self.send(target, frame)
        elif not link.cut and self.random.random() >= link.loss:
            at = time.monotonic() + link.delay + link.jitter * self.random.random()
            self.count += 1
            heapq.heappush(self.under_way, (at, self.count, target, frame))

    def send(self, target: int, frame: bytes) -> None:
        with suppress(OSError):  # a full queue or a host that is gone loses it, as wires do
            self.ports[target].send(frame)

    def deliver(self) -> float | None:
        """Send what is due; returns the seconds until more is."""
        while self.under_way:
            left = self.under_way[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, target, frame = heapq.heappop(self.under_way)
            self.send(target, frame)
        return None

    def run(self) -> None:
        selector = selectors.DefaultSelector()
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        for index, port in enumerate(self.ports):
            selector.register(port, selectors.EVENT_READ, index)
        print("ready", flush=True)
        while True:
            for key, _ in selector.select(self.deliver()):
                if key.data is not None:
                    self.take(key.data)
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                link = Link(**json.loads(line))
                self.links[link.source, link.target] = link
                print("done", flush=True)


if __name__ == "__main__":
    Switch(sys.argv[2:], int(sys.argv[1])).run()
