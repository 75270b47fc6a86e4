"""The hosts of the tests are as real ones, and nothing is left of them; nodes talk across them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from tests.faults.trial import until
from tests.remote.hosts import ROOT, Hosts, end, ip, spawn, why_not

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "it works here"),
    pytest.mark.timeout(120),
]

EXAMPLES = ROOT / "examples"

#: Takes numbers in datagrams and prints those that came, in their order; 0 ends it.
LISTENER = """
import socket, sys
listening = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
listening.bind(("::", 7777))
print("ready", flush=True)
while number := int(listening.recv(100)):
    print(number, flush=True)
"""

SENDER = """
import socket, sys
for number in map(int, sys.argv[2:]):
    family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"%d" % number, (sys.argv[1], 7777))
"""


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with Hosts(3, seed=1) as hosts:
        yield hosts


class Listener:
    def __init__(self, hosts: Hosts, place: int) -> None:
        self.hosts = hosts
        self.place = place
        self.process = spawn(
            hosts[place].command(sys.executable, "-c", LISTENER), stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def send(self, source: int, *numbers: int, version: int = 4) -> None:
        host = self.hosts[self.place]
        address = host.ipv4 if version == 4 else host.ipv6
        command = self.hosts[source].command(sys.executable, "-c", SENDER, address)
        subprocess.run([*command, *map(str, numbers)], check=True)

    def heard(self) -> list[int]:
        """What came until a 0 from the third host, whose links are well."""
        self.send(2, 0)
        out, _ = self.process.communicate(timeout=20)
        return [int(line) for line in out.splitlines()]


def test_hosts_reach_each_other(hosts: Hosts) -> None:
    listener = Listener(hosts, 1)
    listener.send(0, 1)
    listener.send(2, 2, version=6)
    assert listener.heard() == [1, 2]


def test_a_cut_is_a_cut_until_it_heals(hosts: Hosts) -> None:
    listener = Listener(hosts, 1)
    listener.send(0, 1)
    hosts.cut(0, 1)
    listener.send(0, 2)
    listener.send(2, 3)
    hosts.heal()
    listener.send(0, 4)
    assert listener.heard() == [1, 3, 4]


def test_a_cut_in_one_direction_leaves_the_other(hosts: Hosts) -> None:
    here, there = Listener(hosts, 0), Listener(hosts, 1)
    here.send(1, 1)
    there.send(0, 1)
    hosts.cut_one_way(0, 1)
    here.send(1, 2)
    there.send(0, 2)
    assert here.heard() == [1, 2]
    assert there.heard() == [1]


def test_trouble_loses_some_and_reorders_some(hosts: Hosts) -> None:
    listener = Listener(hosts, 1)
    listener.send(0, 1000)
    hosts.trouble(0, 1, delay=0.0, jitter=0.05, loss=0.05)
    listener.send(0, *range(1, 501))
    hosts.heal()
    time.sleep(0.2)  # what is under way arrives
    heard = listener.heard()[1:]
    assert 400 < len(heard) < 500
    assert len(set(heard)) == len(heard)
    assert heard != sorted(heard)


@pytest.mark.parametrize(("fault", "version"), [("killed", 4), ("cut off", 6)])
def test_a_job_over_three_hosts_outlives_one_of_them(
    hosts: Hosts, fault: str, version: int
) -> None:
    addresses = [host.address(7001, version) for host in hosts.hosts]
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(node(host.command(), name, address))
            for host, name, address in zip(hosts.hosts, "abc", addresses, strict=True)
        ]
        job = ["--limit", "400000", "--piece", "4000", "--hosts", *addresses]
        example = [sys.executable, str(EXAMPLES / "spawn_across_hosts.py"), *job]
        boss = spawn(hosts[0].command(*example), stdout=subprocess.PIPE, text=True)
        stack.callback(end, boss)
        before = working_time(nodes[2])
        assert until(lambda: working_time(nodes[2]) > before + 0.1)
        if fault == "killed":
            nodes[2].kill()
        else:
            hosts.cut(0, 2)
        out, _ = boss.communicate(timeout=100)
    assert boss.returncode == 0
    lost = re.search(r"lost actorkit://(\w)@\S+ \((\w+)\)", out)
    assert lost is not None
    assert lost.groups() == ("c", "node_lost")
    pieces = dict(re.findall(r"actorkit://(\w)@\S+ counted (\d+) pieces", out))
    assert sum(map(int, pieces.values())) == 100
    assert "33860 primes below 400000\n" in out


@contextmanager
def node(prefix: list[str], name: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """A node that runs the example's workers."""
    options = ["--name", name, "--listen", address, "--insecure"]
    command = [sys.executable, "-m", "actorkit", "node", *options]
    process = spawn(
        [*prefix, *command, "--spawnable", "spawn_across_hosts"],
        cwd=EXAMPLES,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert " listens at " in process.stdout.readline()
        yield process
    finally:
        end(process)


def working_time(process: subprocess.Popen[str]) -> float:
    return float(psutil.Process(process.pid).cpu_times().user)


def test_nothing_is_left_at_the_end() -> None:
    with Hosts(2) as hosts:
        names = [host.namespace for host in hosts.hosts]
        assert set(names) <= set(namespaces())
    assert not set(names) & set(namespaces())


def test_what_a_killed_run_leaves_ends_and_is_swept_away() -> None:
    code = (
        "import sys; from tests.remote.hosts import *; hosts = Hosts(2); hosts.__enter__()\n"
        "child = spawn(hosts[0].command('sleep', '60'))\n"
        "print(child.pid, hosts[0].namespace, flush=True)\n"
        "sys.stdin.read()"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with run:
        assert run.stdout is not None
        child, namespace = run.stdout.readline().split()
        # Only what it executes in the end is sure to have asked for the signal.
        assert until(lambda: psutil.Process(int(child)).name() == "sleep")
        run.send_signal(signal.SIGKILL)
    assert until(lambda: ended(int(child)))
    with Hosts(1):
        assert namespace not in namespaces()


def ended(pid: int) -> bool:
    """Whether a process that is not our child has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def namespaces() -> list[str]:
    return [line.split()[0] for line in ip("netns", "list").splitlines()]
