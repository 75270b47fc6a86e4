"""Each example runs as a user runs it, ends by itself and shows what it promises."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.redis_server import RedisServer

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *args: str, timeout: float = 60) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("rounds", [0, 1, 7])
def test_ping_pong_plays_the_rounds_and_ends(rounds: int) -> None:
    out = run("ping_pong.py", "--rounds", str(rounds))
    assert out.count("word=ping") == out.count("word=pong") == rounds
    assert out.endswith(f"{rounds} rounds played\n")


def test_the_bare_ping_pong_does_the_same_in_plain_gevent() -> None:
    out = run("ping_pong_bare.py", "--rounds", "7")
    assert out.count("got ping") == out.count("got pong") == 7
    assert out.endswith("7 rounds played\n")


def test_the_supervised_tree_recovers_from_each_kind_of_failure() -> None:
    lines = run("supervised_tree.py").splitlines()
    assert "readings: 1 2" in lines
    assert "  next reading is number 3" in lines  # resumed
    assert lines.count("  next reading is number 1") == 2  # restarted, alone and with its parent
    assert "  ActorRestarted /station: BusBroken('short circuit')" in lines
    assert any(line.split() == ["/station", "Station", "restarts=1"] for line in lines)


def test_the_bank_loses_nothing_and_sees_the_deadlock() -> None:
    out = run("bank.py")
    assert "after 30: 70 40\n" in out
    assert "refused: Boris has 40, not 1000\n" in out
    assert "deadlock seen at once: /boris -> /anna -> /boris" in out
    assert out.endswith("nothing lost: 110\n")


@pytest.mark.parametrize("philosophers", [2, 5, 20])
def test_every_philosopher_eats(philosophers: int) -> None:
    out = run("dining_philosophers.py", "--philosophers", str(philosophers), "--meals", "4")
    assert out.endswith(f"{4 * philosophers} meals eaten\n")


def test_the_fetch_pool_fetches_what_is_in_time() -> None:
    out = run("fetch_pool.py", "--pages", "22", "--workers", "11")
    assert "20 pages fetched, 2 timed out" in out


@pytest.mark.parametrize("calculator", [[], ["--command", "bc -q"]], ids=["python", "bc"])
def test_a_port_answers_though_its_program_is_killed(calculator: list[str]) -> None:
    out = run("port.py", *calculator, "6 * 7", "100 - 1", "1 + 1")
    assert re.search(r"6 \* 7 = 42\n100 - 1 = 99\n.*killed, and is.*1 \+ 1 = 2\n$", out, re.DOTALL)


def test_a_killed_multiprocessing_child_fails_its_question_and_is_there_again() -> None:
    out = run("pipe_child.py", "--numbers", "10", "12", "20")
    assert re.search(r"killed the child: (EOFError|ConnectionResetError)\(", out)
    assert out.endswith("fibonacci(20) = 6765\n")


@pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server")
def test_the_redis_pool_survives_the_death_of_its_server() -> None:
    out = run("redis_pool.py", "--visits", "100")
    confirmed, lost = map(int, re.findall(r"(\d+) confirmed, (\d+) lost", out)[0])
    assert confirmed + lost == 100
    assert 0 < lost < 50
    assert int(re.findall(r"4 connections, (\d+) restarts", out)[0]) >= 4
    assert out.endswith("Redis counts as many: True\n")


def test_the_redis_pool_has_so_many_connections_and_no_more(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        before = client.info("stats")["total_connections_received"]
        out = run("redis_pool.py", "--url", redis_server.url, "--connections", "3")
        assert client.get("visits") == "200"
        assert client.info("stats")["total_connections_received"] == before + 3
    assert "200 visits: 200 confirmed, 0 lost with the server\n3 connections, 0 restarts\n" in out


def test_ping_pong_works_between_two_processes() -> None:
    out = run("ping_pong_remote.py", "--rounds", "5")
    assert out.count("word=ping") == out.count("word=pong") == 5
    assert "5 rounds played with <ActorRef actorkit://pong@127.0.0.1:" in out


def test_map_reduce_counts_right_though_a_process_is_killed() -> None:
    out = run(
        "map_reduce.py", "--megabytes", "2", "--processes", "2", "--kill", "--check", timeout=120
    )
    assert "one process killed\n" in out
    assert out.endswith("the counts are the same\n")


def test_map_reduce_counts_the_files_that_it_is_given(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).write_text("To be, or not to be\n" * number)
    files = [str(tmp_path / str(number)) for number in range(3)]
    out = run("map_reduce.py", "--processes", "1", *files)
    assert "18 words, 4 different ones, in 2 chunks\n" in out
    assert "to (6) be (6) or (3) not (3)\n" in out


def test_primes_are_counted_across_nodes() -> None:
    out = run("spawn_across_hosts.py", "--limit", "20000", "--piece", "1000")
    counted = re.findall(r"actorkit://([ab])@127.0.0.1:\S+ counted (\d+) pieces", out)
    assert [name for name, _ in counted] == ["a", "b"]
    assert sum(int(pieces) for _, pieces in counted) == 20
    assert "2262 primes below 20000\n" in out


def test_primes_are_not_counted_where_nobody_listens() -> None:
    with pytest.raises(AssertionError, match="NodeUnreachable"):
        run("spawn_across_hosts.py", "--hosts", "tcp://127.0.0.1:1")
