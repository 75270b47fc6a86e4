"""Two systems that talk over real sockets; both live in this process, which they do not know."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import gevent
import numpy
import pytest
import structlog
import zmq
from zmq.utils.monitor import recv_monitor_message

from actorkit import (
    Actor,
    ActorNotFound,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskTimeout,
    CodecError,
    Curve,
    DeadLetter,
    HandshakeRefused,
    Insecure,
    LinkedActorDied,
    NameTaken,
    NodeDown,
    NodeLost,
    NodeUnreachable,
    NodeUp,
    Reason,
    Refused,
    RemoteError,
    Terminated,
    WrongThread,
    generate_keys,
    load_keys,
    message,
)
from actorkit.remote import door
from actorkit.remote import node as node_module
from actorkit.remote import transport as transport_module
from actorkit.remote.security import split_address
from tests.actors import Collector, Echo, Obedient

pytestmark = pytest.mark.timeout(60)
LOOPBACK = "tcp://127.0.0.1:0"


@message
class Said:
    who: str
    text: str


class Service(Actor):
    """Answers in the ways that there are."""

    def receive(self, message: Any) -> Any:
        match message:
            case "me":
                return self.ref
            case "fail":
                raise KeyError("failed")
            case "unknown":
                raise type("Strange", (Exception,), {})("strange")
            case "refuse":
                raise Refused("no")
            case "unsendable":
                return object()
            case "stop":
                self.stop()
            case ("sleep", seconds):
                gevent.sleep(seconds)
            case ("big", size):
                return "x" * size
            case ("later", seconds):
                gevent.spawn_later(seconds, self.defer_reply().set, "late")
        return message

    def add(self, a: int, b: int = 1) -> int:
        return a + b


class Giver(Actor):
    """Gives away references that it was made with."""

    def __init__(self, box: Any, echo: Any) -> None:
        self.known = {"box": box, "echo": echo}

    def receive(self, message: str) -> Any:
        return self.known[message]


class Watching(Actor):
    """Answers with the reasons of the ends that it has heard of."""

    def __init__(self, ref: ActorRef[Any]) -> None:
        self.reasons: list[Reason] = []
        self.watch(ref)

    def receive(self, message: Any) -> Any:
        if isinstance(message, Terminated):
            self.reasons.append(message.reason)
            return None
        while not self.reasons:
            self.reasons.append(self.inbox.get(timeout=5, match=Terminated).reason)
        return self.reasons


class Pair:
    """alpha listens, beta connects."""

    def __init__(self) -> None:
        self.alpha = ActorSystem("alpha", listen=LOOPBACK, spawnable=[Service])
        self.beta = ActorSystem("beta")
        self.events: list[Any] = []
        self.beta.events.subscribe(NodeUp | NodeDown | DeadLetter, self.events.append)
        self.node = self.beta.connect(self.alpha.address)
        self.local = self.alpha.spawn(Service, name="service")
        self.ref = self.node.lookup("/service")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with structlog.testing.capture_logs():
        pair = Pair()
        yield pair
        pair.beta.shutdown(timeout=5)
        pair.alpha.shutdown(timeout=5)


def test_ask_comes_back_with_equal_values(pair: Pair) -> None:
    for value in (
        1,
        None,
        "text",
        (1, "a"),
        [1, (2,)],
        {"a": 1},
        {1: (2,)},
        Said("ada", "hi"),
        1.5,
    ):
        answer = pair.ref.ask(value)
        assert answer == value
        assert type(answer) is type(value)


def test_tells_keep_their_order_and_none_is_lost(pair: Pair) -> None:
    collector = pair.alpha.spawn(Collector, name="collector")
    remote = pair.node.lookup("/collector")
    sent: list[Any] = [n if n % 3 else ("n", n, [n]) if n % 2 else ("n", n) for n in range(5000)]
    sent[2500] = (1 << 80, "big")
    for value in sent:
        remote.tell(value)
    assert remote.ask(None) == sent
    assert collector.ask(None) == sent


def test_a_message_is_what_it_was_when_it_was_told(pair: Pair) -> None:
    pair.alpha.spawn(Collector, name="collector")
    remote = pair.node.lookup("/collector")
    value = {"a": 1}
    remote.tell(value)
    value["a"] = 2
    nested = [[1]]
    remote.tell(nested)
    nested[0].append(2)
    assert remote.ask(None) == [{"a": 1}, [[1]]]


def test_errors_come_back(pair: Pair) -> None:
    with pytest.raises(KeyError, match="failed"):
        pair.ref.ask("fail")
    with pytest.raises(RemoteError, match="strange"):
        pair.ref.ask("unknown")
    with pytest.raises(Refused, match="no"):
        pair.ref.ask("refuse")
    with pytest.raises(CodecError, match="object"):
        pair.ref.ask("unsendable")
    with pytest.raises(CodecError, match="@message"):
        pair.ref.tell(object())
    with pytest.raises(AskTimeout):
        pair.ref.ask(("sleep", 0.1), timeout=0.02)
    assert pair.ref.ask(("later", 0.01)) == "late"


def test_proxies_and_calls_work(pair: Pair) -> None:
    assert pair.ref.call("add", 2, b=3) == 5
    assert pair.ref.proxy().add(4) == 5
    pair.ref.cast("add", 1)
    with pytest.raises(AttributeError, match="no public method"):
        pair.ref.call("nothing")
    with pytest.raises(AttributeError, match="_"):
        pair.ref.call("_on_call")


def test_references_travel_both_ways_and_stay_the_same(pair: Pair) -> None:
    assert pair.ref.ask("me") is pair.ref
    here = pair.beta.spawn(Echo)
    assert pair.ref.ask(here) is here
    asked = pair.alpha.spawn(Obedient)
    pair.alpha.spawn(Collector, name="box")
    pair.node.lookup("/box").tell(here)
    gevent.sleep(0.05)
    there = pair.alpha.lookup("/box").ask(None)[0]
    assert there != here
    assert asked.ask(lambda actor: there.ask("back over the connection")) == (
        "back over the connection"
    )


def test_who_spawns_here_cannot_make_us_connect_elsewhere(pair: Pair) -> None:
    name = f"{Service.__module__}.{Service.__qualname__}"
    with ActorSystem("third", listen=LOOPBACK, spawnable=[Service]) as third:
        on_third = {"on": third.address}
        with pytest.raises(TypeError):
            pair.node._call("spawn", 5.0, name, [], on_third, {})
        pair.node._call("spawn", 5.0, name, [], {}, on_third).ask("is here")
        assert [node.name for node in pair.alpha.nodes] == ["beta"]


def test_lookup_and_spawn_over_there(pair: Pair) -> None:
    with pytest.raises(ActorNotFound, match="/nobody"):
        pair.node.lookup("/nobody")
    spawned = pair.node.spawn(Service, name="spawned")
    assert pair.alpha.lookup("/spawned").uid == spawned.uid
    assert pair.beta.spawn(Service, on=pair.node, name="other").ask(1) == 1
    assert pair.beta.spawn(Service, on=pair.alpha.address).ask(2) == 2
    with pytest.raises(NameTaken):
        pair.node.spawn(Service, name="spawned")
    with pytest.raises(TypeError):
        pair.node.spawn(Service, "surplus")
    with pytest.raises(Refused, match="spawnable"):
        pair.node.spawn(Echo)
    with pytest.raises(ValueError, match="on="):
        pair.beta.spawn(Service, on=3)


def test_watch_stop_and_join_over_there(pair: Pair) -> None:
    heard: list[Any] = []
    watcher = pair.beta.spawn(Obedient)
    refs = [pair.node.spawn(Service) for _ in range(4)]
    for ref in refs[:3]:
        watcher.ask(lambda actor, ref=ref: actor.watch(ref))
    watcher.ask(lambda actor: actor.become(heard.append))
    refs[0].tell("stop")
    refs[1].kill()
    refs[2].stop()
    refs[3].stop()
    gevent.joinall(refs, timeout=3)
    assert all(ref.ready() for ref in refs)
    gevent.sleep(0.05)
    assert {(m.ref, m.reason) for m in heard} == {
        (refs[0], Reason.NORMAL),
        (refs[1], Reason.KILLED),
        (refs[2], Reason.NORMAL),
    }
    with pytest.raises(ActorStopped):
        refs[0].ask(1, timeout=None)


def test_watching_what_is_gone_tells_at_once(pair: Pair) -> None:
    ref = pair.node.spawn(Service)
    pair.alpha.lookup(ref.path).kill()
    gevent.sleep(0.02)
    heard: list[Any] = []
    watcher = pair.beta.spawn(Obedient)
    watcher.ask(lambda actor: actor.become(heard.append) or actor.watch(ref))
    gevent.sleep(0.05)
    assert [type(m) for m in heard] == [Terminated]


def test_links_work_both_ways(pair: Pair) -> None:
    here = pair.beta.spawn(Obedient, restart="temporary")
    there = pair.node.spawn(Service)
    here.ask(lambda actor: actor.link(there))
    gevent.sleep(0.05)
    there.kill()
    here.join(timeout=3)
    assert isinstance(here.exception, LinkedActorDied)

    here = pair.beta.spawn(Obedient, restart="temporary")
    there = pair.node.spawn(Service, restart="temporary")
    here.ask(lambda actor: actor.link(there))
    gevent.sleep(0.05)
    here.kill()
    there.join(timeout=3)
    assert there.ready()


def test_a_shutdown_is_a_visible_end(pair: Pair) -> None:
    heard: list[Any] = []
    watcher = pair.beta.spawn(Obedient)
    watcher.ask(lambda actor: actor.become(heard.append) or actor.watch(pair.ref))
    pending = pair.ref.ask_nowait(("later", 30), timeout=None)
    gevent.sleep(0.05)
    pair.alpha.shutdown()
    with pytest.raises(ActorStopped):
        pending.get(timeout=3)
    gevent.sleep(0.05)
    assert [(m.ref, m.reason) for m in heard] == [(pair.ref, Reason.SHUTDOWN)]
    assert [type(event) for event in pair.events] == [NodeUp, NodeDown]
    assert not pair.node.connected
    pair.ref.tell("too late")
    assert isinstance(pair.events[-1], DeadLetter)


def test_a_disconnect_is_node_lost_and_a_new_connection_reaches_the_same_actors(
    pair: Pair,
) -> None:
    heard: list[Any] = []
    watcher = pair.beta.spawn(Obedient)
    watcher.ask(lambda actor: actor.become(heard.append) or actor.watch(pair.ref))
    pending = pair.ref.ask_nowait(("later", 30), timeout=None)
    pair.node.disconnect()
    with pytest.raises(NodeLost):
        pending.get(timeout=3)
    gevent.sleep(0.05)
    assert [m.reason for m in heard] == [Reason.NODE_LOST]
    with pytest.raises(NodeLost, match="connect"):
        pair.ref.ask(1)
    again = pair.beta.connect(pair.alpha.address)
    assert again.lookup("/service") is pair.ref
    assert pair.ref.ask("alive") == "alive"


def test_connecting_twice_gives_the_association_that_stands(pair: Pair) -> None:
    assert pair.beta.connect(pair.alpha.address).name == "alpha"
    other_way = pair.alpha.address.replace("127.0.0.1", "localhost")
    assert pair.beta.connect(other_way).name == "alpha"
    assert len(pair.beta.nodes) == len(pair.alpha.nodes) == 1
    assert pair.ref.ask("alive") == "alive"


def test_both_connect_at_once_and_share_one_association() -> None:
    with ActorSystem("one", listen=LOOPBACK) as one, ActorSystem("two", listen=LOOPBACK) as two:
        one.spawn(Echo, name="echo")
        two.spawn(Echo, name="echo")
        nodes = gevent.joinall(
            [gevent.spawn(one.connect, two.address), gevent.spawn(two.connect, one.address)],
            timeout=5,
            raise_error=True,
        )
        gevent.sleep(0.1)
        assert len(nodes) == 2
        assert len(one.nodes) == len(two.nodes) == 1
        assert one.nodes[0].lookup("/echo").ask(1) == 1
        assert two.nodes[0].lookup("/echo").ask(2) == 2


def test_two_nodes_of_one_name_are_refused_and_a_restarted_one_is_not(pair: Pair) -> None:
    with ActorSystem("beta") as twin, pytest.raises(HandshakeRefused, match="unique"):
        twin.connect(pair.alpha.address)
    with ActorSystem("alpha") as self_named, pytest.raises(HandshakeRefused, match="mine"):
        self_named.connect(pair.alpha.address)
    pair.beta.shutdown()
    gevent.sleep(0.05)
    with ActorSystem("beta") as restarted:
        assert restarted.connect(pair.alpha.address).lookup("/service").ask(1) == 1


def test_a_node_that_is_not_there_is_unreachable() -> None:
    with ActorSystem("lonely") as system:
        with pytest.raises(NodeUnreachable, match="no node answered"):
            system.connect("tcp://127.0.0.1:1", timeout=0.2)
        with pytest.raises(ValueError, match="timeout"):
            system.connect("tcp://127.0.0.1:1", timeout=-1)


@pytest.mark.parametrize("address", ["nonsense", "tcp://[::1:7001", "tcp://host:port"])
def test_an_address_that_is_none_says_what_one_is_and_leaves_the_loop_whole(address: str) -> None:
    with ActorSystem("lonely") as system, ActorSystem("other", listen=LOOPBACK) as other:
        with pytest.raises(NodeUnreachable, match="an address is tcp://host:port"):
            system.connect(address, timeout=0.1)
        with pytest.raises(TypeError, match="connect takes an address"):
            system.connect(7001)  # type: ignore[arg-type]
        assert system.connect(other.address).name == "other"


def test_a_shutdown_does_not_wait_for_a_node_that_never_spoke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_module, "LINGER_MS", 600_000)
    with ActorSystem("lonely") as system, pytest.raises(NodeUnreachable):
        system.connect("tcp://127.0.0.1:1", timeout=0.1)


def test_a_node_that_starts_late_is_waited_for() -> None:
    with ActorSystem("early") as early, ActorSystem("probe", listen=LOOPBACK) as probe:
        address = probe.address
        probe.shutdown()
        waiting = gevent.spawn(early.connect, address, 5)
        gevent.sleep(0.1)
        with ActorSystem("late", listen=address) as late:
            assert waiting.get(timeout=5).name == "late"
            assert late.nodes[0].name == "early"


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:0", "tcp://192.0.2.1:0", "tcp://*:0", "tcp://somewhere:1"]
)
def test_listening_beyond_loopback_needs_security_said_aloud(address: str) -> None:
    with pytest.raises(ValueError, match="security="):
        ActorSystem("open", listen=address)


def test_insecure_is_said_aloud() -> None:
    with ActorSystem("open", listen="tcp://0.0.0.0:0", security=Insecure()) as system:
        port = system.address.rpartition(":")[2]
        with ActorSystem("guest") as guest:
            assert guest.connect(f"tcp://127.0.0.1:{port}").name == "open"


@pytest.mark.parametrize("listen", ["nonsense", "http://x:1", 3])
def test_wrong_addresses_and_securities_are_refused(listen: Any) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        ActorSystem("x", listen=listen)
    with pytest.raises(TypeError, match="security"):
        ActorSystem("x", listen=LOOPBACK, security="curve")  # type: ignore[arg-type]


def test_ipc_connects_within_the_machine(tmp_path: Any) -> None:
    with ActorSystem("a", listen=f"ipc://{tmp_path}/socket") as a, ActorSystem("b") as b:
        a.spawn(Echo, name="echo")
        assert b.connect(a.address).lookup("/echo").ask("hi") == "hi"


def test_curve_admits_who_is_allowed_and_nobody_else(tmp_path: Any) -> None:
    server, friend, stranger = (generate_keys(tmp_path / name) for name in ("s", "f", "x"))
    assert load_keys(tmp_path / "s") == server
    assert server.secret not in repr(server)
    security = Curve(server, allow=[friend.public])
    with ActorSystem("vault", listen="tcp://0.0.0.0:0", security=security) as vault:
        vault.spawn(Echo, name="echo")
        address = f"tcp://127.0.0.1:{vault.address.rpartition(':')[2]}"
        with ActorSystem("friend", security=Curve(friend, server_key=server.public)) as system:
            assert system.connect(address).lookup("/echo").ask("secret") == "secret"
        with ActorSystem("stranger", security=Curve(stranger, server_key=server.public)) as system:
            with pytest.raises(HandshakeRefused, match="refused"):
                system.connect(address, timeout=2)
            security.permit(stranger.public)
            assert system.connect(address, timeout=2).name == "vault"
        security.revoke(stranger.public)
        with (
            ActorSystem("again", security=Curve(stranger, server_key=server.public)) as system,
            pytest.raises(HandshakeRefused, match="refused"),
        ):
            system.connect(address, timeout=2)
        with ActorSystem("plain") as system, pytest.raises((NodeUnreachable, HandshakeRefused)):
            system.connect(address, timeout=1)
        with (
            ActorSystem("nokey", security=Curve(friend)) as system,
            pytest.raises(ValueError, match="server_key"),
        ):
            system.connect(address)


def test_a_reference_that_no_key_leads_to_is_a_dead_letter(tmp_path: Any) -> None:
    listeners, visitor = (generate_keys(tmp_path / name) for name in ("listeners", "visitor"))
    security = Curve(listeners, allow=[visitor.public])
    with (
        ActorSystem("two", listen=LOOPBACK, security=security) as two,
        ActorSystem("three", listen=LOOPBACK, security=security) as three,
        ActorSystem("one", security=Curve(visitor, server_key=listeners.public)) as one,
    ):
        two.spawn(Collector, name="box")
        box = three.spawn(Collector, name="box")
        one.connect(three.address).lookup("/box").ask(one.connect(two.address).lookup("/box"))
        (given,) = box.ask(None)
        letters: list[DeadLetter] = []
        three.events.subscribe(DeadLetter, letters.append)
        given.tell("lost")
        assert [letter.message for letter in letters] == ["lost"]
        assert "server_key" in letters[0].reason
        with pytest.raises(NodeLost, match="server_key"):
            given.ask("lost too")
        with pytest.raises(ValueError, match="server_key"):
            three.connect(two.address)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("tcp://a-host.example:7001", "a-host.example", "7001"),
        ("tcp://[fe80::1%lo]:0", "fe80::1%lo", "0"),
        ("tcp://*:*", "*", "*"),
        ("ipc:///run/a:b/socket", "", ""),
    ],
)
def test_the_parts_of_an_address(address: str, host: str, port: str) -> None:
    assert split_address(address) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ipc://",
        "tcp://",
        "tcp://:1",
        "tcp://h",
        "tcp://h:",
        "tcp://h:x",
        "tcp://[::1:1",
        "tcp://h:1/p",
    ],
)
def test_what_is_no_address_is_neither_listened_at_nor_connected_to(text: str) -> None:
    with pytest.raises(ValueError, match="an address is"):
        ActorSystem("x", listen=text)
    with ActorSystem("x") as system, pytest.raises(NodeUnreachable, match="an address is"):
        system.connect(text, timeout=0.01)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "node.key"
    generate_keys(path)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        generate_keys(path)
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod"):
        load_keys(path)


def test_garbage_ends_nothing_but_itself(pair: Pair) -> None:
    context = zmq.Context()
    raw = context.socket(zmq.DEALER)
    raw.setsockopt(zmq.LINGER, 0)
    raw.connect(pair.alpha.address)
    for data in (
        b"",
        b"garbage",
        b"\xc1",
        b"\x94\x03\x01\x00\x90",
        b"\x96\x00\x63\xa1a\xa1b\xa0\xa0",
    ):
        raw.send(data)
    gevent.sleep(0.1)
    assert pair.ref.ask("alive") == "alive"
    assert raw.poll(1000)
    context.destroy(0)


def test_a_zmq_of_its_first_protocol_hurts_nobody(pair: Pair, capfd: Any) -> None:
    place = urlsplit(pair.alpha.address)
    with socket.create_connection((place.hostname or "", place.port or 0)) as old:
        old.sendall(b"\x01\x00" + b"\x06\x00hello" * 20)  # no greeting, no handshake: messages
        gevent.sleep(0.1)
        for number in range(100):
            assert pair.ref.ask(number) == number
    assert "Traceback" not in capfd.readouterr().err


def test_an_unknown_message_type_is_a_dead_letter_over_there_and_an_error_for_a_question(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actorkit.messages import registry

    dead: list[Any] = []
    pair.alpha.events.subscribe(DeadLetter, dead.append)
    monkeypatch.delitem(registry, "Said")
    pair.ref.tell(Said("ada", "hi"))
    with pytest.raises(CodecError, match="Said"):
        pair.ref.ask(Said("ada", "hi"))
    assert len(dead) == 1
    assert pair.ref.ask("alive") == "alive"


def test_a_full_window_makes_senders_wait_and_loses_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actorkit.remote import link

    monkeypatch.setattr(link, "WINDOW_RECORDS", 100)
    monkeypatch.setattr(link, "MAX_BATCH", 20)
    pair.alpha.spawn(Collector, name="collector")
    remote = pair.node.lookup("/collector")
    for number in range(2000):
        remote.tell(number)
    assert remote.ask(None) == list(range(2000))


def test_a_silent_peer_is_unresponsive_and_then_lost(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actorkit import NodeUnresponsive

    seen: list[NodeUnresponsive] = []
    pair.beta.events.subscribe(NodeUnresponsive, seen.append)
    monkeypatch.setattr(node_module, "PING", 0.02)
    monkeypatch.setattr(node_module, "UNRESPONSIVE", 0.05)
    monkeypatch.setattr(node_module, "SILENCE_LIMIT", 1.5)
    network: Any = pair.alpha._network
    monkeypatch.setattr(network.transport, "send_to", lambda identity, frames: None)
    gevent.sleep(2.5)
    assert len(seen) == 1
    assert seen[0].name == "alpha"
    assert isinstance(pair.events[-1], NodeDown)
    assert "silent" in pair.events[-1].reason


def test_the_inbox_of_a_remote_actor_can_be_put_into(pair: Pair) -> None:
    from actorkit import NotInActor

    pair.alpha.spawn(Collector, name="collector")
    remote: ActorRef[Any] = pair.node.lookup("/collector")
    remote.inbox.put("a")
    remote.inbox.put_nowait("b")
    assert remote.ask(None) == ["a", "b"]
    with pytest.raises(NotInActor):
        remote.inbox.get()
    assert remote.name == "collector"
    assert "alpha@" in repr(remote)
    assert "alpha" in repr(pair.node)


def test_a_peer_that_does_not_read_its_answers_is_given_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actorkit.remote import link

    monkeypatch.setattr(link, "MAX_UNREAD_BYTES", 100_000)
    downs: list[NodeDown] = []
    pair.alpha.events.subscribe(NodeDown, downs.append)
    network: Any = pair.beta._network
    peer = next(iter(network.peers.values()))
    monkeypatch.setattr(peer.association, "received", lambda frames: None)
    answers = [pair.ref.ask_nowait(("big", 1000), timeout=None) for _ in range(200)]
    with gevent.Timeout(5):
        while not downs:
            gevent.sleep(0.01)
    assert "does not read" in downs[0].reason
    assert len(answers) == 200


def test_a_reference_that_names_a_third_node_connects_by_itself() -> None:
    with (
        ActorSystem("one", listen=LOOPBACK) as one,
        ActorSystem("two", listen=LOOPBACK) as two,
        ActorSystem("three") as three,
    ):
        echo = one.spawn(Echo, name="echo")
        box = two.spawn(Collector, name="box")
        two.connect(one.address)
        remote_box = one.nodes[0].lookup("/box")
        assert remote_box.ask(None) == []
        broker = one.spawn(Obedient, name="broker")
        one.spawn(Giver, remote_box, echo, name="giver")
        assert broker
        given = three.connect(one.address).lookup("/giver").ask("box")
        assert [node.name for node in three.nodes] == ["one"]
        for number in range(100):
            given.tell(number)
        given.tell([1 << 70, (1, 2)])
        assert given.ask(None) == [*range(100), [1 << 70, (1, 2)]]
        assert sorted(node.name for node in three.nodes) == ["one", "two"]
        assert box.ask(None) == given.ask(None)


def test_a_third_node_that_is_gone_is_a_dead_letter_and_fails_questions_soon() -> None:
    with (
        ActorSystem("one", listen=LOOPBACK) as one,
        ActorSystem("two", listen=LOOPBACK) as two,
        ActorSystem("three") as three,
    ):
        two.spawn(Collector, name="box")
        one.spawn(Giver, one.connect(two.address).lookup("/box"), None, name="giver")
        letters: list[DeadLetter] = []
        three.events.subscribe(DeadLetter, letters.append)
        given = three.connect(one.address).lookup("/giver").ask("box")
        two.shutdown()
        given.tell("lost")
        with pytest.raises(NodeLost):
            given.ask("lost too", timeout=5)
        assert [letter.message for letter in letters] == ["lost"]
        watcher = three.spawn(Watching, given)
        assert watcher.ask("reasons") == [Reason.NODE_LOST]


def test_what_is_held_for_a_connection_is_checked_and_copied_at_the_tell() -> None:
    with (
        ActorSystem("one", listen=LOOPBACK) as one,
        ActorSystem("two", listen=LOOPBACK) as two,
        ActorSystem("three") as three,
    ):
        box = two.spawn(Collector, name="box")
        one.spawn(Giver, one.connect(two.address).lookup("/box"), None, name="giver")
        given = three.connect(one.address).lookup("/giver").ask("box")
        with pytest.raises(CodecError, match="@message"):
            given.tell(object())
        value = [1]
        given.tell(value)
        value.append(2)
        assert given.ask(None) == [[1]] == box.ask(None)


def test_a_connection_that_breaks_is_made_anew_until_someone_disconnects(pair: Pair) -> None:
    network: Any = pair.beta._network
    (peer,) = network.peers.values()
    peer.association.end("a test", tell=False)
    with gevent.Timeout(10):
        while not pair.beta.nodes:
            gevent.sleep(0.01)
    assert pair.ref.ask("again") == "again"
    kinds = [type(event) for event in pair.events]
    assert kinds == [NodeUp, NodeDown, NodeUp]
    pair.beta.nodes[0].disconnect()
    gevent.sleep(0.5)
    assert not pair.beta.nodes


def test_a_disconnect_by_the_other_side_is_respected(pair: Pair) -> None:
    pair.alpha.nodes[0].disconnect()
    gevent.sleep(0.5)
    assert not pair.beta.nodes
    assert pair.beta.connect(pair.alpha.address).name == "alpha"


def test_names_are_looked_up_and_one_that_leads_nowhere_is_said() -> None:
    with ActorSystem("named", listen=LOOPBACK) as named, ActorSystem("guest") as guest:
        port = named.address.rpartition(":")[2]
        assert guest.connect(f"tcp://localhost:{port}").name == "named"
        with pytest.raises(NodeUnreachable, match=r"no-such-host"):
            guest.connect("tcp://no-such-host.invalid:1", timeout=1)
        with pytest.raises(NodeUnreachable, match="an address is"):
            guest.connect("http://localhost:1", timeout=0.1)


def test_ipv6_works_where_the_machine_has_it() -> None:
    try:
        named = ActorSystem("six", listen="tcp://[::1]:0")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with named, ActorSystem("guest") as guest:
        named.spawn(Echo, name="echo")
        assert guest.connect(named.address).lookup("/echo").ask(6) == 6


def test_a_node_that_listens_anywhere_is_reached_at_the_host_it_came_from() -> None:
    with (
        ActorSystem("hub", listen=LOOPBACK) as hub,
        ActorSystem("any", listen="tcp://0.0.0.0:0", security=Insecure()) as anywhere,
    ):
        anywhere.connect(hub.address)
        with gevent.Timeout(5):
            while not hub.nodes:
                gevent.sleep(0.01)
        port = anywhere.address.rpartition(":")[2]
        assert hub.nodes[0].address == f"tcp://127.0.0.1:{port}"


def test_messages_of_a_class_differ_by_version(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from actorkit.messages import names, registry

    @message(name="Versioned")
    class New:
        item: str
        amount: int = 1
        note: str = "none"

    @message(name="Other")
    class Old:
        item: str
        colour: str = "red"

    names[Old] = "Versioned"
    assert pair.ref.ask(Old("apple")) == New("apple")
    assert pair.ref.ask(Old("x" * 10_000)) == New("x" * 10_000)
    monkeypatch.delitem(registry, "Versioned")


def test_groups_are_shared_by_connected_nodes(pair: Pair) -> None:
    here, there = pair.beta.groups, pair.alpha.groups
    box = pair.beta.spawn(Collector)
    far = pair.alpha.spawn(Collector)
    here.join("room", box)
    there.join("room", far)
    with gevent.Timeout(5):
        while len(here.members("room")) < 2 or len(there.members("room")) < 2:
            gevent.sleep(0.01)
    assert there.publish("room", "hello") == 2
    with gevent.Timeout(5):
        while box.ask(None) != ["hello"]:
            gevent.sleep(0.01)
    far.stop()
    with gevent.Timeout(5):
        while len(here.members("room")) != 1:
            gevent.sleep(0.01)
    pair.node.disconnect()
    assert here.members("room") == [box]
    with gevent.Timeout(5):
        while there.members("room"):
            gevent.sleep(0.01)
    pair.beta.connect(pair.alpha.address)
    with gevent.Timeout(5):
        while len(there.members("room")) != 1:
            gevent.sleep(0.01)
    here.leave("room", box)
    with gevent.Timeout(5):
        while there.names():
            gevent.sleep(0.01)


def test_a_reference_knows_its_thread(pair: Pair) -> None:
    failures: list[type] = []

    def wrong() -> None:
        for call in (
            lambda: pair.ref.tell(1),
            lambda: pair.ref.ask_nowait(1),
            lambda: pair.ref.rawlink(print),
            pair.ref.stop,
        ):
            try:
                call()
            except WrongThread as error:
                failures.append(type(error))

    gevent.get_hub().threadpool.apply(wrong)
    assert failures == [WrongThread] * 4


def test_what_is_larger_than_the_other_side_takes_is_refused_at_the_tell(
    pair: Pair,
) -> None:
    (peer,) = pair.beta._network.peers.values()  # type: ignore[union-attr]
    peer.association.frame = 100_000
    with pytest.raises(CodecError, match="parts"):
        pair.ref.tell("x" * 200_000)
    with pytest.raises(CodecError, match="parts"):
        pair.ref.ask(("x", "y" * 200_000))
    with pytest.raises(CodecError, match="larger"):
        pair.ref.ask(tuple("z" * 4000 for _ in range(50)))
    many = [pair.ref.ask_nowait("a" * 4000) for _ in range(200)]  # a batch too large is halved
    assert [future.get(timeout=5) for future in many] == ["a" * 4000] * 200


class Raw:
    """A zmq socket that says what it likes, and sees whether its connection stands."""

    def __init__(self, address: str) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.IPV6, 1)
        self.monitor = self.socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self.socket.connect(address)

    def wait_for(self, event: int) -> None:
        with gevent.Timeout(10):
            while not (
                self.monitor.poll(0) and recv_monitor_message(self.monitor)["event"] == event
            ):
                gevent.sleep(0.01)

    def close(self) -> None:
        self.socket.disable_monitor()
        self.context.destroy(0)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "tcp://[::1]:0"])
def test_a_connection_that_says_nothing_is_shut(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(door, "HELLO_TIME", 0.2)
    with ActorSystem("hub", listen=address) as hub, ActorSystem("guest") as guest:
        node = guest.connect(hub.address)
        raw = Raw(hub.address)
        raw.wait_for(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        raw.wait_for(zmq.EVENT_DISCONNECTED)
        assert node.connected
        assert hub.nodes
        raw.close()


def test_a_peer_that_was_refused_is_cut_off_after_it_was_told(pair: Pair) -> None:
    raw = Raw(pair.alpha.address)
    raw.socket.send(b"garbage")
    with gevent.Timeout(10):
        while not raw.socket.poll(0):
            gevent.sleep(0.01)
    assert b"not a message" in raw.socket.recv()
    raw.socket.send(b"more garbage")
    raw.wait_for(zmq.EVENT_DISCONNECTED)
    assert not raw.socket.poll(0)
    assert pair.ref.ask("alive") == "alive"
    assert pair.alpha.counters["handshakes_refused"] == 1
    raw.close()


def test_what_had_not_left_when_the_connection_broke_is_a_dead_letter(pair: Pair) -> None:
    (peer,) = pair.beta._network.peers.values()  # type: ignore[union-attr]
    told = [1, ("a", 2), Said("ada", "hi"), [[3]], "x" * 10_000, numpy.arange(20_000).tobytes()]
    for value in told:
        pair.ref.tell(value)
    asked = pair.ref.ask_nowait("question")
    peer.association.end("a test", tell=False)
    with pytest.raises(NodeLost, match="a test"):
        asked.get(timeout=1)
    letters = [event for event in pair.events if isinstance(event, DeadLetter)]
    assert [letter.message for letter in letters] == told
    assert {letter.ref for letter in letters} == {pair.ref}


def test_a_tell_that_waited_for_room_until_the_end_is_a_dead_letter(pair: Pair) -> None:
    (peer,) = pair.beta._network.peers.values()  # type: ignore[union-attr]
    peer.association.full = True
    teller = gevent.spawn(pair.ref.tell, "waited")
    asker = pair.beta.spawn(Obedient)
    asked = asker.ask_nowait(lambda actor: pair.ref.ask("waited too", timeout=None), timeout=None)
    gevent.sleep(0.05)
    peer.association.end("a test", tell=False)
    teller.join(timeout=5)
    with pytest.raises(NodeLost, match="a test"):
        asked.get(timeout=5)
    letters = [event.message for event in pair.events if isinstance(event, DeadLetter)]
    assert letters == ["waited"]
