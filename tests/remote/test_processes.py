"""Nodes in processes of their own: killed, stopped, flooded, and on the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import structlog

from actorkit import (
    ActorSystem,
    NodeDown,
    NodeLost,
    NodeUnreachable,
    Reason,
    generate_keys,
)
from actorkit.remote import node as node_module
from actorkit.remote import transport as transport_module
from tests.actors import Obedient
from tests.remote.workers import Counter, Worker

pytestmark = pytest.mark.timeout(90)
ROOT = Path(__file__).parents[2]


class Process:
    """`python -m actorkit node` in another process."""

    def __init__(self, *options: str, name: str = "other") -> None:
        listen = () if "--listen" in options else ("--listen", "tcp://127.0.0.1:0")
        command = [sys.executable, "-m", "actorkit", "node", "--name", name, *listen]
        self.popen = subprocess.Popen(
            [*command, "--spawnable", "tests.remote.workers", *options],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.popen.stdout is not None
        while " listens at " not in (line := self.popen.stdout.readline()):
            assert line, "the node did not start"
        self.address = line.split()[-1]

    def end(self) -> None:
        self.popen.kill()
        self.popen.wait()
        assert self.popen.stdout is not None
        self.popen.stdout.close()


@pytest.fixture
def other() -> Iterator[Process]:
    process = Process()
    yield process
    process.end()


@pytest.fixture(scope="module")
def lasting() -> Iterator[Process]:
    """For the tests that leave it as it was."""
    process = Process(name="lasting")
    yield process
    process.end()


@pytest.fixture
def system() -> Iterator[ActorSystem]:
    with structlog.testing.capture_logs(), ActorSystem("here") as system:
        yield system


def test_actors_run_in_the_other_process(lasting: Process, system: ActorSystem) -> None:
    node = system.connect(lasting.address)
    worker = system.spawn(Worker, on=node)
    assert worker.ask("pid") == lasting.popen.pid
    assert [worker.ask(n) for n in range(100)] == list(range(100))


def test_a_thousand_questions_at_once(lasting: Process, system: ActorSystem) -> None:
    worker = system.spawn(Worker, on=lasting.address)
    answers = [worker.ask_nowait(number) for number in range(1000)]
    gevent.joinall(answers)
    assert [answer.value for answer in answers] == list(range(1000))


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05, 0.2])
def test_kill_9_is_a_visible_loss_and_no_question_hangs(
    other: Process, system: ActorSystem, delay: float
) -> None:
    downs: list[NodeDown] = []
    heard: list[Any] = []
    system.events.subscribe(NodeDown, downs.append)
    worker = system.spawn(Worker, on=other.address)
    watcher = system.spawn(Obedient)
    watcher.ask(lambda actor: actor.become(heard.append) or actor.watch(worker))
    linked = system.spawn(Obedient, restart="temporary")
    linked.ask(lambda actor: actor.link(worker))
    answers = [worker.ask_nowait(("sleep", 30), timeout=None) for _ in range(10)]
    gevent.sleep(delay)
    os.kill(other.popen.pid, signal.SIGKILL)
    started = time.monotonic()
    gevent.joinall(answers, timeout=20)
    assert time.monotonic() - started < 10
    assert {type(answer.exception) for answer in answers} == {NodeLost}
    linked.join(timeout=5)
    assert linked.ready()
    gevent.sleep(0.05)
    assert [m.reason for m in heard] == [Reason.NODE_LOST]
    assert len(downs) == 1
    with pytest.raises(NodeUnreachable):
        system.connect(other.address, timeout=0.3)


def test_a_shutdown_does_not_wait_for_a_node_that_is_lost(
    other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "LINGER_MS", 600_000)
    with structlog.testing.capture_logs(), ActorSystem("here") as system:
        worker = system.spawn(Worker, on=other.address)
        assert worker.ask("pid") == other.popen.pid
        other.popen.kill()
        worker.join(timeout=20)
        assert worker.ready()


def test_a_restarted_node_is_another_incarnation(system: ActorSystem) -> None:
    first = Process()
    worker = system.spawn(Worker, on=first.address)
    first.end()
    gevent.sleep(0.2)
    second = Process("--listen", first.address)
    try:
        again = system.spawn(Worker, on=second.address)
        assert again.ask("pid") == second.popen.pid
        assert again != worker
        with pytest.raises(NodeLost):
            worker.ask(1)
    finally:
        second.end()


def test_what_is_stopped_for_a_while_loses_and_reorders_nothing(
    lasting: Process, system: ActorSystem
) -> None:
    counter = system.spawn(Counter, on=lasting.address)
    for number in range(1, 501):
        counter.tell(number)
    os.kill(lasting.popen.pid, signal.SIGSTOP)
    for number in range(501, 1001):
        counter.tell(number)
    gevent.sleep(1.0)
    os.kill(lasting.popen.pid, signal.SIGCONT)
    assert counter.ask("report", timeout=10) == (1000, 0)


def test_what_is_stopped_for_too_long_is_lost(
    other: Process, system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "HEARTBEAT_MS", 500)
    monkeypatch.setattr(transport_module, "HEARTBEAT_TIMEOUT_MS", 2_000)
    worker = system.spawn(Worker, on=other.address)
    pending = worker.ask_nowait(("sleep", 60), timeout=None)
    os.kill(other.popen.pid, signal.SIGSTOP)
    with pytest.raises(NodeLost):
        pending.get(timeout=30)
    os.kill(other.popen.pid, signal.SIGCONT)


def test_a_busy_node_is_not_taken_for_dead(
    lasting: Process, system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actorkit import NodeUnresponsive

    monkeypatch.setattr(node_module, "UNRESPONSIVE", 1.0)
    monkeypatch.setattr(node_module, "PING", 0.1)
    monkeypatch.setattr(transport_module, "HEARTBEAT_TIMEOUT_MS", 2_000)
    seen: list[Any] = []
    system.events.subscribe(NodeUnresponsive | NodeDown, seen.append)
    worker = system.spawn(Worker, on=lasting.address)
    assert worker.ask(("hold the hub", 3), timeout=20) == ("hold the hub", 3)
    assert [type(event) for event in seen] == [NodeUnresponsive]


def test_a_flood_arrives_whole_and_in_order(lasting: Process, system: ActorSystem) -> None:
    counter = system.spawn(Counter, on=lasting.address)
    for number in range(1, 200_001):
        counter.tell(number)
    assert counter.ask("report", timeout=30) == (200_000, 0)


def test_a_signal_ends_the_node_in_order(other: Process, system: ActorSystem) -> None:
    downs: list[NodeDown] = []
    system.events.subscribe(NodeDown, downs.append)
    system.connect(other.address)
    other.popen.send_signal(signal.SIGTERM)
    assert other.popen.wait(timeout=10) == 0
    gevent.sleep(0.1)
    assert [down.reason for down in downs] == ["the other side ended it: the system shut down"]


def test_the_command_line_makes_keys_and_uses_them(tmp_path: Path) -> None:
    def keygen(name: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "actorkit", "keygen", str(tmp_path / name)],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    from actorkit import Curve

    server = keygen("server.key")
    client = generate_keys()
    process = Process("--keys", str(tmp_path / "server.key"), f"--allow={client.public}")
    try:
        with (
            structlog.testing.capture_logs(),
            ActorSystem("here", security=Curve(client, server_key=server)) as system,
        ):
            assert system.spawn(Worker, on=process.address).ask("pid") == process.popen.pid
    finally:
        process.end()


@pytest.mark.parametrize(
    ("options", "said", "code"),
    [
        (["--listen", "tcp://0.0.0.0:0"], "pass --keys FILE, or --insecure", 2),
        (["--listen", "tcp://127.0.0.1:0", "--spawnable", "no.such.module"], "no", 1),
        (["--listen", "tcp://127.0.0.1:0", "--keys", "/no/such/file"], "No such file", 1),
    ],
)
def test_the_command_line_says_what_is_wrong_in_one_line(
    options: list[str], said: str, code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "actorkit", "node", "--name", "x", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_was_told_before_an_orderly_end_is_handled_by_a_busy_node(lasting: Process) -> None:
    with structlog.testing.capture_logs(), ActorSystem("watcher") as watcher:
        with ActorSystem("teller") as teller:
            counter = teller.spawn(Counter, on=lasting.address, name="counter")
            teller.spawn(Worker, on=lasting.address).tell(("hold the hub", 1))
            for number in range(1, 20_001):
                counter.tell(number)
        seen = watcher.connect(lasting.address, timeout=20).lookup("/counter", timeout=20)
        with gevent.Timeout(30):
            while seen.ask("report", timeout=20) != (20_000, 0):
                gevent.sleep(0.05)
