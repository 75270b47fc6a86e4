"""A node in JavaScript, written from docs/wire-protocol.md alone, and one of ours.

Each test says in JavaScript what the other side does; `client.mjs` is what it is written with.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import gevent
import numpy
import pytest
import structlog
from gevent.fileobject import FileObject

from actorkit import (
    Actor,
    ActorNotFound,
    ActorRef,
    ActorStopped,
    ActorSystem,
    Curve,
    LinkedActorDied,
    NodeDown,
    NodeLost,
    NodeUnresponsive,
    NodeUp,
    Reason,
    Refused,
    RemoteError,
    Terminated,
    generate_keys,
    message,
)
from tests.actors import Collector, Echo, Obedient
from tests.remote.test_processes import Process

HERE = Path(__file__).parent
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(NODE is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "zeromq").is_dir(),
        reason="the npm packages are not installed: npm ci --ignore-scripts in tests/interop",
    ),
]

#: What each script begins with. It ends with the test, however that ends: its input does.
PRELUDE = """
import assert from "node:assert/strict";
import { Call, FrozenSet, Message, NdArray, Node, Reason, RemoteError, Tuple } from "./client.mjs";

process.stdin.on("end", () => process.exit(1)).resume().unref();
const [address, ...given] = process.argv.slice(1);
const node = new Node("js");
const say = (value) => console.log(JSON.stringify(value));
"""

CONNECT = "const peer = await node.connect(address);"


@message(name="interop.Said")
class Said:
    who: str
    text: str = "nothing"


@message(name="interop.Letter")
class Letter:
    to: Any
    lines: list[Any]


class Failing(Actor):
    """Fails in the ways that there are."""

    def receive(self, message: Any) -> Any:
        match message:
            case "refuse":
                raise Refused("not today")
            case "strange":
                raise type("Strange", (Exception,), {})("never seen")
            case "end":
                self.stop()
            case _:
                raise KeyError(message, 7)


class Account(Actor):
    def __init__(self, balance: int = 0) -> None:
        self.balance = balance

    def deposit(self, amount: int, times: int = 1) -> int:
        self.balance += amount * times
        return self.balance


class Silent(Actor):
    """Keeps those who ask waiting."""

    def __init__(self) -> None:
        self.replies: list[Any] = []

    def receive(self, message: Any) -> None:
        self.replies.append(self.defer_reply())

    def questions(self) -> int:
        return len(self.replies)


class Script:
    """A program in JavaScript that runs beside the test."""

    def __init__(self, code: str, *arguments: str) -> None:
        assert NODE is not None
        self.popen = subprocess.Popen(
            [NODE, "--input-type=module", "--eval", PRELUDE + code, "--", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=HERE,
        )
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.input, self.output = self.popen.stdin, self.popen.stdout
        self._lines = FileObject(self.output.fileno(), "r", closefd=False)

    def heard(self) -> Any:
        """What the script says next."""
        with gevent.Timeout(30):
            line = self._lines.readline()
        assert line, f"the script ended with {self.popen.wait()}"
        return json.loads(line)

    def done(self) -> None:
        """The script has ended well."""
        until(lambda: self.popen.poll() is not None)
        assert self.popen.returncode == 0

    def end(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self._lines.close()
        self.output.close()
        self.input.close()


Run = Callable[..., Script]


@pytest.fixture
def system() -> Iterator[ActorSystem]:
    with (
        structlog.testing.capture_logs(),
        ActorSystem("py", listen="tcp://127.0.0.1:0", spawnable=[Account]) as system,
    ):
        yield system


@pytest.fixture
def run(system: ActorSystem) -> Iterator[Run]:
    """Starts scripts that know the system's address, and ends them with the test."""
    scripts: list[Script] = []

    def run(code: str, *arguments: str) -> Script:
        scripts.append(Script(code, system.address, *arguments))
        return scripts[-1]

    yield run
    for script in scripts:
        script.end()


def until(condition: Callable[[], Any]) -> None:
    with gevent.Timeout(30):
        while not condition():
            gevent.sleep(0.01)


def introduced(system: ActorSystem, run: Run, actor: str) -> tuple[Script, ActorRef[Any]]:
    """A script that lives on, and the reference of its actor: an object of JavaScript."""
    door = system.spawn(Collector, name="door")
    script = run(f"{CONNECT} await (await peer.lookup('/door')).tell(node.spawn({actor}, 'it'));")
    until(lambda: door.ask(None))
    return script, door.ask(None)[0]


# -- the handshake ------------------------------------------------------------------------------


def test_two_nodes_know_each_other_by_name(system: ActorSystem, run: Run) -> None:
    ups: list[NodeUp] = []
    system.events.subscribe(NodeUp, ups.append)
    script = run(CONNECT + "say(peer.name);")
    assert script.heard() == "py"
    assert [up.name for up in ups] == ["js"]


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [("js", "2", "version"), ("py", "1", "name"), ("", "1", "name")],
)
def test_another_version_and_a_name_that_is_mine_are_refused_in_words(
    run: Run, name: str, version: str, said: str
) -> None:
    script = run(
        """
        const [name, version] = given;
        say(await new Node(name).connect(address, { version: +version }).catch((e) => e.message));
        """,
        name,
        version,
    )
    refusal = script.heard()
    assert "refused" in refusal
    assert said in refusal
    script.done()


def test_the_name_of_a_living_node_is_refused_and_that_of_a_dead_one_is_not(run: Run) -> None:
    join = "say(await node.connect(address).then((peer) => peer.name, (error) => error.message));"
    first = run(join)
    assert first.heard() == "py"
    assert "another node named 'js' lives" in run(join).heard()
    first.end()
    assert run(join).heard() == "py"


def test_who_connects_twice_gets_the_association_that_there_is(run: Run) -> None:
    run(CONNECT + "say((await node.connect(address)) === peer); await node.close();").done()


def test_an_association_that_is_over_for_one_side_is_replaced(
    system: ActorSystem, run: Run
) -> None:
    system.spawn(Echo, name="echo")
    script = run(
        CONNECT
        + """
        const forgetful = Object.assign(new Node("js"), { incarnation: node.incarnation });
        const again = await forgetful.connect(address);
        say(await peer.ended);
        say(await (await again.lookup("/echo")).ask("still there"));
        await forgetful.close();
        """
    )
    assert script.heard() == "the other side lost it"
    assert script.heard() == "still there"
    script.done()


# -- messages -----------------------------------------------------------------------------------

VALUES = [
    *[None, True, False, 0, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, -(2**63), 2**64 - 1],
    *[2**64, -(2**63) - 1, 2**100, -(2**100), 1.5, float("inf"), "text", "ü€😀", "long " * 2000],
    *[b"", b"\0\xff", bytes(range(256)) * 4096, [], [1, [2, "three"]], {}, {"a": {"b": [1]}}],
    *[(), (1, "a", None), (1, (2, [3])), {1, 2}, frozenset({"a"}), {frozenset({(1,)})}],
    *[Decimal("1.10"), UUID(int=7), dt.date(2026, 2, 28), dt.time(1, 2, 3, 4)],
    dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, dt.timezone(dt.timedelta(hours=2))),
    dt.timedelta(days=-1, microseconds=1),
    Said("ada", "hi"),
    Letter((1, 2), [Said("bob"), b"x" * 100_000]),
    Reason.KILLED,
    Terminated.__name__,
]


def test_every_kind_of_value_comes_back_as_it_went(system: ActorSystem, run: Run) -> None:
    _, echo = introduced(system, run, "{ receive: (message) => message }")
    for value in VALUES:
        for sent in (value, [value], (value, 1)):
            got = echo.ask(sent)
            assert got == sent
            assert repr(got) == repr(sent) or isinstance(value, dt.datetime)
    assert echo.ask([echo, system.spawn(Echo, name="e")]) == [echo, system.lookup("/e")]
    error = echo.ask([KeyError("x")])[0]
    assert (type(error), error.args) == (KeyError, ("x",))
    for array in (numpy.arange(6.0).reshape(2, 3), numpy.arange(100_000)):
        assert numpy.array_equal(echo.ask(array), array)


def test_values_are_what_javascript_has_for_them(system: ActorSystem, run: Run) -> None:
    system.spawn(Echo, name="echo")
    run(
        CONNECT
        + """
        const echo = await peer.lookup("/echo");
        for (const value of [
            null, true, 1, 1.5, -(2n ** 63n), 2n ** 70n, "text", [1], { a: [] }, Tuple.of(1, "a"),
            new Set([1]), new FrozenSet([2]), new Date(1767323045678), echo, new Reason("normal"),
            new Message("interop.Said", { who: "ada", text: "hi" }), Buffer.alloc(100_000, 7),
        ]) assert.deepEqual(await echo.ask(value), value);
        const error = await echo.ask(new RemoteError("KeyError", ["x"]));
        assert.deepEqual([error.type, error.args, error.message], ["KeyError", ["x"], "'x'"]);
        await node.close();
        """
    ).done()


def test_fields_that_a_message_lacks_take_their_default(system: ActorSystem, run: Run) -> None:
    system.spawn(Echo, name="echo")
    script = run(
        CONNECT
        + """
        const sent = new Message("interop.Said", { who: "ada", mood: "fine" });
        say(await (await peer.lookup("/echo")).ask(sent));
        """
    )
    assert script.heard() == {"name": "interop.Said", "fields": {"who": "ada", "text": "nothing"}}


def test_what_cannot_be_read_is_an_error_of_its_asker_alone(system: ActorSystem, run: Run) -> None:
    system.spawn(Echo, name="echo")
    script = run(
        CONNECT
        + """
        const echo = await peer.lookup("/echo");
        const unknown = new Message("interop.Nobody", {});
        echo.tell(unknown);
        say((await echo.ask(unknown).catch((error) => error)).type);
        say(await echo.ask("alive"));
        """
    )
    assert script.heard() == "CodecError"
    assert script.heard() == "alive"


COUNTER = """{
    last: 0, wrong: 0,
    receive(number) {
        if (number === null) return [this.last, this.wrong];
        this.wrong += number !== this.last + 1;
        this.last = number;
    },
}"""
MANY = 70_000  # more than may be on its way at once


def test_tells_to_us_keep_their_order_and_none_is_lost(system: ActorSystem, run: Run) -> None:
    got = system.spawn(Collector, name="got")
    run(
        CONNECT
        + """
        const got = await peer.lookup("/got");
        for (let number = 1; number <= +given[0]; number++) got.tell(number);
        await node.close();
        """,
        str(MANY),
    ).done()
    until(lambda: len(got.ask(None)) == MANY)
    assert got.ask(None) == list(range(1, MANY + 1))


def test_tells_to_javascript_keep_their_order_and_none_is_lost(
    system: ActorSystem, run: Run
) -> None:
    _, counter = introduced(system, run, COUNTER)
    for number in range(1, MANY + 1):
        counter.tell(number)
    assert counter.ask(None, timeout=30) == [MANY, 0]


def test_methods_are_called_both_ways(system: ActorSystem, run: Run) -> None:
    system.spawn(Account, name="account")
    script, adder = introduced(
        system, run, "{ add: (a, b, named) => a + b + (named?.c ?? 0), _hidden: () => 1 }"
    )
    assert adder.call("add", 1, 2) == 3
    assert adder.call("add", 1, 2, c=4) == 7
    with pytest.raises(AttributeError, match="missing"):
        adder.call("missing")
    with pytest.raises(AttributeError, match="constructor"):
        adder.call("constructor")
    script.end()
    script = run(
        CONNECT
        + """
        const account = await peer.lookup("/account");
        say(await account.call("deposit", 5));
        say(await account.ask(new Call("deposit", [1], { times: 3 })));
        say((await account.call("receive", 1).catch((error) => error)).type);
        """
    )
    assert script.heard() == 5
    assert script.heard() == 8
    assert script.heard() == "UncallableMethod"


# -- errors -------------------------------------------------------------------------------------


def test_errors_of_ours_arrive_with_type_arguments_and_traceback(
    system: ActorSystem, run: Run
) -> None:
    system.spawn(Failing, name="failing")
    script = run(
        CONNECT
        + """
        const failing = await peer.lookup("/failing");
        for (const message of ["a key", "strange", "refuse"])
            await failing.ask(message).catch(({ type, args, message, traceback }) =>
                say([type, args, message, traceback.includes("in receive")]));
        const failure = await peer.lookup("/nobody").catch((error) => error);
        say(failure.type);
        """
    )
    assert script.heard() == ["KeyError", ["a key", 7], "('a key', 7)", True]
    name, args, text, traced = script.heard()
    assert name.endswith("Strange")
    assert (args, text, traced) == (["never seen"], "never seen", True)
    assert script.heard()[:3] == ["Refused", ["not today"], "not today"]
    assert script.heard() == "ActorNotFound"


def test_errors_of_javascript_are_remote_errors_unless_they_name_one_of_ours(
    system: ActorSystem, run: Run
) -> None:
    _, failing = introduced(
        system,
        run,
        """{
        receive(message) {
            if (message === "key") throw new RemoteError("KeyError", ["x"]);
            return message.no.such;
        },
        }""",
    )
    with pytest.raises(RemoteError, match="undefined") as caught:
        failing.ask("x")
    assert caught.value.type_name == "TypeError"
    assert "receive" in caught.value.remote_traceback
    with pytest.raises(KeyError, match="x"):
        failing.ask("key")


# -- actors that ask, watch and end -------------------------------------------------------------


def test_actors_of_both_sides_ask_each_other(system: ActorSystem, run: Run) -> None:
    asker = system.spawn(Obedient, name="asker")
    _, doubler = introduced(
        system, run, "{ receive: async (ref) => (await ref.ask('how much?')) * 2 }"
    )

    class Answer(Actor):
        def receive(self, message: Any) -> Any:
            return 21 if message == "how much?" else doubler.ask(self.ref)

    answer = system.spawn(Answer)
    assert asker.ask(lambda actor: doubler.ask(answer)) == 42


def watching(system: ActorSystem, ref: ActorRef[Any]) -> list[Any]:
    """What an actor that watches `ref` is told."""
    heard: list[Any] = []
    watcher = system.spawn(Obedient)
    watcher.ask(lambda actor: actor.become(heard.append) or actor.watch(ref))
    return heard


def test_a_process_that_is_killed_is_a_lost_node(system: ActorSystem, run: Run) -> None:
    script, ref = introduced(system, run, "{ receive: () => new Promise(() => {}) }")
    heard = watching(system, ref)
    question = ref.ask_nowait("anyone?", timeout=None)
    gevent.sleep(0.05)
    script.popen.send_signal(signal.SIGKILL)
    with pytest.raises(NodeLost):
        question.get(timeout=30)
    until(lambda: heard)
    assert [(end.ref, end.reason) for end in heard] == [(ref, Reason.NODE_LOST)]


def test_the_end_of_a_javascript_actor_is_told_with_its_reason(
    system: ActorSystem, run: Run
) -> None:
    actor = "{ receive(message) { throw new RangeError(message); } }"
    _, ref = introduced(system, run, actor)
    heard = watching(system, ref)
    ref.tell("too far")  # nobody asked, so it fails for good
    until(lambda: heard)
    assert heard[0].reason is Reason.FAILED
    assert heard[0].error.type_name == "RangeError"
    with pytest.raises(ActorStopped):
        ref.ask("anyone?")


def test_a_javascript_actor_stops_when_we_order_it(system: ActorSystem, run: Run) -> None:
    _, ref = introduced(system, run, "{ receive: (message) => message }")
    heard = watching(system, ref)
    ref.stop()
    ref.join(timeout=30)
    until(lambda: heard)
    assert heard == [Terminated(ref, Reason.NORMAL)]


def test_the_end_of_our_actor_is_told_with_its_reason(system: ActorSystem, run: Run) -> None:
    ending = system.spawn(Failing, name="ending")
    system.spawn(Failing, name="failing", restart="temporary")
    script = run(
        CONNECT
        + """
        const told = (name) => (reason, error) => say([name, reason, error?.type ?? null]);
        const [ending, failing] = [await peer.lookup("/ending"), await peer.lookup("/failing")];
        ending.watch(told("ending"));
        ending.tell("end");
        failing.watch(told("failing"));
        failing.tell("a key");
        await new Promise((resolve) => process.stdin.once("data", resolve));
        ending.watch(told("ending again"));
        say((await ending.ask("anyone?").catch((error) => error)).type);
        """
    )
    assert {tuple(script.heard()), tuple(script.heard())} == {
        ("ending", "normal", None),
        ("failing", "failed", "KeyError"),
    }
    assert ending.ready()
    script.input.write(b"go on\n")
    script.input.flush()
    assert script.heard() == ["ending again", "normal", None]
    assert script.heard() == "ActorStopped"


def test_a_failure_over_there_fires_the_link(system: ActorSystem, run: Run) -> None:
    linked = system.spawn(Obedient, name="linked", restart="temporary")
    run(
        CONNECT
        + """
        const linked = await peer.lookup("/linked");
        const me = node.spawn({}, "me");
        peer.root.cast("link", linked.uid, me);
        const error = new RemoteError("KeyError", ["lost it"]);
        peer.root.cast("linked_ended", linked.uid, me, new Reason("failed"), error);
        await node.close();
        """
    )
    linked.join(timeout=30)
    assert isinstance(linked.exception, LinkedActorDied)
    assert isinstance(linked.exception.__cause__, KeyError)


def test_actors_are_started_looked_up_and_grouped_across(system: ActorSystem, run: Run) -> None:
    script = run(
        CONNECT
        + """
        const name = "tests.interop.test_interop.Account";
        const account = await peer.spawn(name, [100], {}, { name: "savings" });
        say([account.path, await account.call("deposit", 1)]);
        say((await peer.spawn("os.system", ["true"]).catch((error) => error)).type);
        const listener = node.spawn({ receive: (message) => say(message) }, "listener");
        await peer.root.cast("joined", "room", listener);
        """
    )
    assert script.heard() == ["/savings", 101]
    assert system.lookup("/savings").call("deposit", 1) == 102
    assert script.heard() == "Refused"
    [listener] = [node.lookup("/listener") for node in system.nodes]
    until(lambda: system.groups.members("room"))
    assert system.groups.members("room") == [listener]
    system.groups.publish("room", "hello")
    assert script.heard() == "hello"
    with pytest.raises(ActorNotFound, match="nobody"):
        system.nodes[0].lookup("/nobody")


# -- the end of an association ------------------------------------------------------------------


def test_goodbye_from_javascript_comes_after_all_that_it_told(
    system: ActorSystem, run: Run
) -> None:
    downs: list[NodeDown] = []
    system.events.subscribe(NodeDown, downs.append)
    got = system.spawn(Collector, name="got")
    run(
        CONNECT
        + """
        const got = await peer.lookup("/got");
        for (let number = 0; number < 1000; number++) got.tell(number);
        await node.close("my work is done");
        await got.ask("more").catch((error) => assert.equal(error.type, "NodeLost"));
        """
    ).done()
    until(lambda: downs)
    assert "my work is done" in downs[0].reason
    assert got.ask(None) == list(range(1000))


def test_our_goodbye_ends_questions_and_watches_there(system: ActorSystem, run: Run) -> None:
    silent = system.spawn(Silent, name="silent")
    script = run(
        CONNECT
        + """
        const silent = await peer.lookup("/silent");
        silent.watch((reason) => say(reason));
        silent.ask("anyone?", 60_000).catch((error) => say(error.type));
        peer.ended.then(say);
        """
    )
    until(lambda: silent.call("questions"))
    system.nodes[0].disconnect("enough")
    assert {script.heard() for _ in range(3)} == {"NodeLost", "node_lost", "enough"}
    script.done()


def test_our_death_is_a_lost_node_over_there(run: Run) -> None:
    other = Process(name="doomed")
    try:
        script = run(
            """
            const peer = await node.connect(given[0]);
            const worker = await peer.spawn("tests.remote.workers.Worker");
            say(await worker.ask("pid"));
            worker.watch((reason) => say(reason));
            worker.ask(Tuple.of("sleep", 60), 60_000).catch((error) => say(error.type));
            peer.ended.then(say);
            """,
            other.address,
        )
        assert script.heard() == other.popen.pid
        other.popen.kill()
        assert {script.heard() for _ in range(3)} == {
            "NodeLost",
            "node_lost",
            "the connection was lost",
        }
        script.done()
    finally:
        other.end()


def test_signs_of_life_go_both_ways_while_nobody_speaks(system: ActorSystem, run: Run) -> None:
    seen: list[Any] = []
    run(CONNECT + "say('here');").heard()
    system.events.subscribe(NodeUnresponsive | NodeDown, seen.append)
    association = system.nodes[0]._peer.association
    for _ in range(2):
        before = association.heard
        until(lambda: association.heard > before)  # noqa: B023
    assert seen == []


# -- security -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("our_key", "their_key", "said"),
    [
        ("allowed", "vault", "a secret"),
        ("stranger", "vault", "our key is not allowed"),
        ("allowed", "stranger", "does our security fit?"),
        (None, None, "does our security fit?"),
    ],
)
def test_curve_lets_in_who_knows_the_key_and_is_allowed(
    run: Run, our_key: str, their_key: str, said: str
) -> None:
    keys = {name: generate_keys() for name in ("vault", "allowed", "stranger")}
    security = Curve(keys["vault"], allow=[keys["allowed"].public])
    with (
        structlog.testing.capture_logs(),
        ActorSystem("vault", listen="tcp://127.0.0.1:0", security=security) as vault,
    ):
        vault.spawn(Echo, name="echo")
        script = run(
            """
            const [where, publicKey, secretKey, serverKey] = given;
            const curve = publicKey && { publicKey, secretKey, serverKey };
            try {
                const peer = await node.connect(where, { curve });
                say(await (await peer.lookup("/echo")).ask("a secret"));
            } catch (error) {
                say(error.message);
            }
            await node.close();
            """,
            vault.address,
            *([*keys[our_key], keys[their_key].public] if our_key else []),
        )
        assert said in script.heard()
        script.done()
