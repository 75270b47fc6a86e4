"""`actorkit call`, `ask` and `tell`: what they send, what they show, how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actorkit import generate_keys
from actorkit.cli.failure import Exit

from .programs import Result, actorkit, running

pytestmark = pytest.mark.timeout(180)
Within = Callable[..., Result]


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where a node listens whose actor is a `Shop`."""
    options = ["-k", "stock=10", "--listen", "tcp://127.0.0.1:0"]
    with running("run", "shop:Shop", "Ada", *options, cwd=folder) as (_, address):
        yield address


def assert_says(done: Result, code: Exit, *texts: str) -> None:
    """It failed with this code, one line on stderr that has these texts, and nothing else."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("actorkit: ")
    assert done.stderr.count("\n") == 1
    for text in texts:
        assert text in done.stderr
    assert done.stdout == ""


def test_an_argument_is_json_or_else_the_text_itself(folder: Path, address: str) -> None:
    def add(*arguments: str) -> str:
        done = actorkit("call", f"{address}/shop", "add", "--json", *arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert add("2", "3") == "5\n"
    assert add("pears", " and plums") == '"pears and plums"\n'
    assert add("[1]", "-k", 'second=["NaN"]') == '[1, "NaN"]\n'
    assert add("--", "-5", "-6") == "-11\n"


def test_text_is_shown_as_it_is_and_none_not_at_all(within: Within, address: str) -> None:
    who = within("call", f"{address}/shop", "who")
    assert (who.stdout, who.stderr, who.returncode) == ("Ada\n", "", 0)
    restocked = within("call", f"{address}/shop", "restock", "0")
    assert (restocked.stdout, restocked.returncode) == ("", 0)
    restocked = within("call", f"{address}/shop", "restock", "0", "--json")
    assert json.loads(restocked.stdout) is None


def test_whatever_an_actor_answers_can_be_read_as_json(folder: Path, address: str) -> None:
    done = actorkit("ask", f"{address}/shop", "everything", "--json", cwd=folder)
    me = f"actorkit://shop@{address.removeprefix('tcp://')}/shop#1"
    assert json.loads(done.stdout) == {
        "1": [1, 2.5, None],
        "set": [1, 2, 3],
        "bytes": "YWJj",
        "time": 60.0,
        "nan": None,
        "me": me,
    }
    assert actorkit("ask", me, "hello", cwd=folder).stdout == "hello\n"


def test_message_classes_go_both_ways(folder: Path, address: str) -> None:
    order = '{"@message": "shop.Order", "item": "pears", "amount": 2}'
    known = actorkit("ask", f"{address}/shop", order, "--import", "shop", "--json", cwd=folder)
    assert json.loads(known.stdout) == {"@message": "shop.Order", "item": "PEARS", "amount": 2}
    unknown = actorkit("ask", f"{address}/shop", order, cwd=folder)
    assert_says(unknown, Exit.USAGE, "'shop.Order'", "--import")


def test_what_was_told_arrives(folder: Path) -> None:
    with running("run", "shop:Shop", "--listen", "tcp://127.0.0.1:0", cwd=folder) as (
        process,
        address,
    ):
        done = actorkit("tell", f"{address}/shop", "close", cwd=folder)
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
        assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ask", "/shop", "fail"], Exit.ACTOR_ERROR, "the actor raised OutOfStock: no more apples"),
        (["ask", "/shop", "refuse"], Exit.ACTOR_ERROR, "the actor raised Refused: closed"),
        (["call", "/shop", "add"], Exit.ACTOR_ERROR, "missing 1 required positional argument"),
        (["call", "/shop", "haggle"], Exit.NOT_FOUND, "no public method 'haggle'"),
        (["call", "/shop", "_secret"], Exit.USAGE, "_secret"),
        (["call", "/shop", "who", "-k", "x"], Exit.USAGE, "NAME=VALUE"),
        (["ask", "/stall", "hello"], Exit.NOT_FOUND, "/stall"),
        (["ask", "/shop#99", "hello"], Exit.NOT_FOUND, "/shop#99 has ended"),
        (["ask", "", "hello"], Exit.USAGE, "name an actor"),
        (["tell", "/stall", "hello"], Exit.NOT_FOUND, "/stall"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    within: Within, address: str, arguments: list[str], code: Exit, said: str
) -> None:
    command, path, *rest = arguments
    assert_says(within(command, address + path, *rest), code, said)


def test_no_answer_in_time_and_an_end_before_the_answer_have_codes_of_their_own(
    folder: Path,
) -> None:
    with running("run", "shop:Shop", "--listen", "tcp://127.0.0.1:0", cwd=folder) as (_, address):
        uri = f"{address}/shop"
        vanished = actorkit("ask", uri, "vanish", "--timeout", "30", cwd=folder)
        assert_says(vanished, Exit.ENDED, "/shop")
    with running("run", "shop:Shop", "--listen", "tcp://127.0.0.1:0", cwd=folder) as (_, address):
        slow = actorkit("ask", f"{address}/shop", "sleep", "--timeout", "1", cwd=folder)
        assert_says(slow, Exit.TIMEOUT, "no answer")


@pytest.mark.parametrize(
    "uri",
    [
        "shop",
        "ipc://shop",
        "ipc:///s#shop",
        "http://127.0.0.1:1/shop",
        "tcp://127.0.0.1/shop",
        "actorkit://127.0.0.1:1/shop",
    ],
)
def test_what_is_no_uri_is_told_so(within: Within, uri: str) -> None:
    assert_says(within("ask", uri, "hello"), Exit.USAGE, "tcp://host:port/path", uri)


def test_a_uri_that_names_another_node_is_not_followed(within: Within, address: str) -> None:
    place = address.removeprefix("tcp://")
    right = within("ask", f"actorkit://shop@{place}/shop", "hello")
    assert right.stdout == "hello\n"
    wrong = within("ask", f"actorkit://bank@{place}/shop", "hello")
    assert_says(wrong, Exit.NOT_FOUND, "is 'shop', not 'bank'")


def test_an_actor_of_a_node_on_a_unix_socket(within: Within, folder: Path, tmp_path: Path) -> None:
    listen = f"ipc://{tmp_path}/shop.sock"
    command = [sys.executable, "-m", "actorkit", "run", "shop:Shop", "--listen", listen]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        try:
            uri = process.stdout.readline().split()[-1]
            assert uri == f"{listen}#/shop"
            assert within("ask", uri, "hello").stdout == "hello\n"
            assert "shop" in within("tree", listen).stdout
            assert_says(within("ask", f"{uri}#99", "hello"), Exit.NOT_FOUND, "/shop#99 has ended")
            assert_says(
                within("ask", listen, "hello"), Exit.USAGE, f"name an actor: {listen}#/path"
            )
        finally:
            process.terminate()


def test_nobody_there_is_unreachable(within: Within) -> None:
    done = within("ask", "tcp://127.0.0.1:1/shop", "hello", "--timeout", "0.5")
    assert_says(done, Exit.UNREACHABLE, "tcp://127.0.0.1:1")


def test_a_traceback_is_shown_to_who_asks_for_it(folder: Path, address: str) -> None:
    ask = ["ask", f"{address}/shop", "fail"]
    for done in (
        actorkit("--debug", *ask, cwd=folder),
        actorkit(*ask, cwd=folder, ACTORKIT_DEBUG="1"),
    ):
        assert done.returncode == Exit.ACTOR_ERROR
        assert "Traceback (most recent call last)" in done.stderr
        assert "in receive" in done.stderr  # over there
        assert (
            done.stderr.splitlines()[-1] == "actorkit: the actor raised OutOfStock: no more apples"
        )


def test_keys_are_needed_where_the_node_has_them(folder: Path, within: Within) -> None:
    public = {}
    for name in ("server", "client", "stranger"):
        public[name] = within("keygen", f"{name}.key").stdout.strip()
    again = within("keygen", "server.key")
    assert_says(again, Exit.FAILED, "server.key exists")
    security = ["--keys", "server.key", f"--allow={public['client']}"]
    with running("run", "shop:Shop", "--listen", "tcp://127.0.0.1:0", *security, cwd=folder) as (
        _,
        address,
    ):

        def ask(keys: str, server: str) -> Result:
            options = ["--keys", f"{keys}.key", f"--server-key={server}"]
            return within("ask", f"{address}/shop", "hello", *options)

        assert ask("client", public["server"]).stdout == "hello\n"
        assert_says(ask("stranger", public["server"]), Exit.REFUSED, "refused")
        assert_says(ask("client", generate_keys().public), Exit.REFUSED, "refused")
        assert_says(ask("client", "short"), Exit.USAGE, "40 characters")
        half = within("ask", f"{address}/shop", "x", "--keys", "client.key")
        assert_says(half, Exit.USAGE, "--server-key")
