"""Hosts made of network namespaces, for tests that need more than one, and faults between them.

Every host is a namespace with a veth pair to a namespace with the switch of `switch.py`. Nothing
of it touches the machine's own network. It needs root and iproute2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from itertools import count, permutations
from pathlib import Path
from types import TracebackType
from typing import Any

from .switch import Link, hardware_address

__all__ = ["ROOT", "Host", "Hosts", "end", "has_netem", "ip", "spawn", "why_not"]

ROOT = Path(__file__).parents[2]
#: All namespaces of these tests start with this and with the process that made them.
PREFIX = "actorkit"
#: Kills what follows with the thread that starts it, even if it is stopped.
_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
_numbers = count()


@cache
def why_not() -> str:
    """Why this machine lets us make no hosts; empty if it does."""
    name = f"{PREFIX}-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
    except FileNotFoundError:
        return "no `ip`: install iproute2"
    except OSError as error:
        return f"no right to make network namespaces: {error}"
    try:
        ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two")
        run(["ip", "netns", "exec", name, "true"])
    except OSError as error:
        return f"no veth pairs: {error}"
    finally:
        ip("netns", "delete", name)
    return ""


@cache
def has_netem() -> bool:
    """Whether the kernel knows `tc ... netem`."""
    if why_not():
        return False
    with Hosts(1) as hosts:
        try:
            hosts[0].netem("loss", "5%")
        except OSError:
            return False
    return True


class Host:
    """One host: `run` starts programs on it."""

    def __init__(self, index: int, namespace: str) -> None:
        self.index = index
        self.namespace = namespace
        self.ipv4 = f"10.71.0.{index + 1}"
        self.ipv6 = f"fd71::{index + 1:x}"

    def address(self, port: int, version: int = 4) -> str:
        """Where a node on this host would listen."""
        return f"tcp://[{self.ipv6}]:{port}" if version == 6 else f"tcp://{self.ipv4}:{port}"

    def command(self, *command: str) -> list[str]:
        """The command that runs `command` on this host."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def netem(self, *options: str) -> None:
        """Have what this host sends treated by `tc netem` with these options."""
        run(self.command("tc", "qdisc", "replace", "dev", "eth0", "root", "netem", *options))


class Hosts:
    """`count` hosts that reach each other, until the end of the block::

    with Hosts(3) as hosts:
        process = spawn(hosts[0].command(sys.executable, ...))
        hosts.cut(0, 1)
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        self._count = count
        self._seed = seed
        name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._namespace = f"{name}-switch"
        self.hosts = [Host(index, f"{name}-{index}") for index in range(count)]
        self._switch: subprocess.Popen[str] | None = None

    def __getitem__(self, index: int) -> Host:
        return self.hosts[index]

    def __enter__(self) -> Hosts:
        sweep()
        try:
            self._make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def _make(self) -> None:
        for namespace in (self._namespace, *(host.namespace for host in self.hosts)):
            ip("netns", "add", namespace)
        lines = []
        ports = [f"port{host.index}" for host in self.hosts]
        for host, port in zip(self.hosts, ports, strict=True):
            lines += [
                f"link add {port} type veth peer name eth0 netns {host.namespace}",
                f"link set {port} addrgenmode none",
                f"link set {port} up",
            ]
        ip("-n", self._namespace, "-batch", "-", lines=lines)
        for host in self.hosts:
            hardware = hardware_address(host.index)
            lines = [
                "link set lo up",
                # One segment a packet, as on a real wire: a lost packet is not a lost 64 KiB.
                f"link set eth0 address {hardware} gso_max_segs 1 gso_max_size 1514",
                "link set eth0 up",
                f"address add {host.ipv4}/24 dev eth0",
                f"address add {host.ipv6}/64 dev eth0 nodad",
            ]
            ip("-n", host.namespace, "-batch", "-", lines=lines)
        command = [sys.executable, "-m", "tests.remote.switch", str(self._seed), *ports]
        self._switch = spawn(
            ["ip", "netns", "exec", self._namespace, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")

    def remove(self) -> None:
        """Remove everything, whatever stands of it."""
        if self._switch is not None:
            end(self._switch)
        for namespace in (self._namespace, *(host.namespace for host in self.hosts)):
            remove(namespace)

    # -- faults ---------------------------------------------------------------------------------

    def set_link(self, source: int, target: int, **faults: Any) -> None:
        """Say what happens to packets from one host to another; see `switch.Link`."""
        assert self._switch is not None
        assert self._switch.stdin is not None
        self._switch.stdin.write(Link(source, target, **faults).write())
        self._switch.stdin.flush()
        self._expect("done")

    def cut(self, a: int, b: int) -> None:
        """No packet passes between two hosts."""
        self.cut_one_way(a, b)
        self.cut_one_way(b, a)

    def cut_one_way(self, source: int, target: int) -> None:
        """No packet passes from one host to another; the way back stands."""
        self.set_link(source, target, cut=True)

    def trouble(self, a: int, b: int, delay: float, jitter: float, loss: float) -> None:
        """Packets between two hosts take `delay` to `delay + jitter` seconds, or are lost.

        Jitter reorders: each packet has a time of its own.
        """
        for source, target in ((a, b), (b, a)):
            self.set_link(source, target, delay=delay, jitter=jitter, loss=loss)

    def heal(self) -> None:
        """All links are as new."""
        for source, target in permutations(range(self._count), 2):
            self.set_link(source, target)

    def _expect(self, word: str) -> None:
        assert self._switch is not None
        assert self._switch.stdout is not None
        line = self._switch.stdout.readline()
        if line.strip() != word:
            raise OSError(f"the switch said {line!r} instead of {word!r}")


def spawn(command: list[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process that does not outlive the thread that starts it."""
    return subprocess.Popen([*_WITH_US, *command], **{"cwd": ROOT} | options)


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a process, and close what led to it."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):  # what nobody reads any more cannot be flushed
                stream.close()


def ip(*arguments: str, lines: list[str] | None = None) -> str:
    return run(["ip", *arguments], "" if lines is None else "\n".join(lines) + "\n")


def run(command: list[str], text: str = "") -> str:
    """Run a command to its end; raises OSError with what it said if it failed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def remove(namespace: str) -> None:
    """Remove a namespace, its links with it; it is none of our business if it is not there."""
    with suppress(OSError):
        ip("netns", "delete", namespace)


def sweep() -> None:
    """Remove what runs that were killed have left."""
    for line in ip("netns", "list").splitlines():
        name = line.split()[0] if line.split() else ""
        prefix, _, rest = name.partition("-")
        owner = rest.partition("-")[0]
        if prefix == PREFIX and owner.isdigit() and not Path(f"/proc/{owner}").exists():
            remove(name)
