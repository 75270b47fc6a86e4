"""`actorkit tree`, `top` and `trace` as programs, which look at another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.observe.conftest import Town

pytestmark = pytest.mark.timeout(120)


def actorkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actorkit", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={"COLUMNS": "160", "NO_COLOR": "1", "PATH": ""},
    )


def parsed(*arguments: str) -> Any:
    done = actorkit(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tree_draws_what_runs(town: Town) -> None:
    address = town()
    done = actorkit("tree", address)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == address
    [branch] = [number for number, line in enumerate(lines) if "branch-0" in line]
    assert "quiet-0  Quiet" in lines[branch + 1]
    assert any("sleeper  Sleeper  blocked" in line for line in lines)


def test_tree_gives_scripts_json_of_what_is_below_a_path(town: Town) -> None:
    address = town("--size", "2")
    everything = {row["path"]: row for row in parsed("tree", address, "--json")}
    assert everything["/branch-1/quiet-1"]["class"] == "Quiet"
    assert everything["/sleeper"]["activity"] == "blocked"
    below = parsed("tree", f"{address}/branch-1", "--json")
    assert [row["path"] for row in below] == [
        "/branch-1",
        "/branch-1/quiet-0",
        "/branch-1/quiet-1",
    ]


def test_a_path_where_nobody_is_has_an_exit_code(town: Town) -> None:
    address = town()
    for command in ("tree", "trace"):
        done = actorkit(command, f"{address}/nobody")
        assert done.returncode == 5
        assert done.stderr.startswith("actorkit: no actor at '/nobody'")


def test_top_has_who_does_most_first(town: Town) -> None:
    address = town()
    first, *rest = parsed("top", address, "--once", "--json")
    assert first["path"] in ("/worker", "/$inspector")
    assert first["rate"] > 0
    assert len(rest) == 11
    busiest = parsed("top", address, "--once", "--json", "--sort", "busy", "-n", "1")[0]
    assert busiest["path"] == "/sleeper"
    assert busiest["busy"] > 0
    table = actorkit("top", address, "--once").stdout
    assert "messages/s" in table
    assert "/worker" in table


def test_trace_tells_messages_and_ends_after_their_number(town: Town) -> None:
    address = town()
    done = actorkit("trace", address, "/worker", "-n", "3", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry["message"] for entry in told] == ["('work', 'on a <b>message</b>')"] * 3
    assert {entry["how"] for entry in told} == {"timer"}
    assert actorkit("trace", address, "worker", "-n", "1").stdout.count("\n") == 1
    lines = actorkit("trace", f"{address}/worker", "-n", "2").stdout.splitlines()
    assert len(lines) == 2
    assert "('work', 'on a <b>message</b>')  -> ok" in lines[0]


def test_trace_ends_after_its_time_though_nothing_comes(town: Town) -> None:
    done = actorkit("trace", town(), "/fragile", "--seconds", "0.3")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_node_that_shows_no_messages_says_how_it_would(town: Town) -> None:
    done = actorkit("trace", town("--inspect", "tree"), "/worker")
    assert done.returncode == 4
    assert 'config={"inspect": "all"}' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_behind_the_node_is_seen_through_it(town: Town) -> None:
    address = town("--name", "front")
    town("--name", "behind", "--connect", address, "--branches", "1", "--size", "1")
    paths = {row["path"] for row in parsed("tree", address, "--via", "behind", "--json")}
    assert "/branch-0/quiet-0" in paths
    assert "/branch-1" not in paths
    done = actorkit("trace", address, "/worker", "--via", "behind", "-n", "1")
    assert "('work'" in done.stdout


@pytest.mark.parametrize("command", [("tree", "--live"), ("top",)])
def test_a_live_picture_stays_until_interrupted(town: Town, command: tuple[str, ...]) -> None:
    screen, end = os.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "actorkit", command[0], town(), *command[1:], "--interval", "0.1"],
        stdin=end,
        stdout=end,
        stderr=end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
    )
    os.close(end)
    try:
        seen = b""
        while seen.count(b"sleeper") < 3:  # drawn again and again
            seen += os.read(screen, 65536)
        program.send_signal(signal.SIGINT)
        while _read(screen):
            pass
        assert program.wait(30) == 130
    finally:
        program.kill()
        program.wait()
        os.close(screen)


INTERRUPTED = """
import os, signal, sys
from actorkit.cli.main import main
from actorkit.kernel.dispatcher import Dispatcher

def begin_slice(self, original=Dispatcher._begin_slice, slices=[]):
    slices.append(1)
    if len(slices) == 20:
        os.kill(os.getpid(), signal.SIGINT)
    original(self)

Dispatcher._begin_slice = begin_slice
sys.exit(main(["top", sys.argv[1], "--interval", "0.1"]))
"""


def test_an_interrupt_amid_the_dispatchers_own_work_ends_a_command_in_order(town: Town) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, town()],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "ACTORKIT_PURE": "1"},
    )
    assert (done.returncode, done.stderr) == (130, "")


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:  # the other end is closed
        return b""


def test_a_node_of_the_command_line_takes_what_it_may_show() -> None:
    refused = actorkit("node", "--name", "x", "--listen", "tcp://127.0.0.1:0", "--inspect", "much")
    assert refused.returncode == 2
    assert "off, tree, all, control" in refused.stderr
