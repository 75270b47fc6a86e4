"""The chat's actors and protocols, without a browser: what it promises, and what it withstands."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.pywsgi import WSGIServer
from gevent.server import StreamServer

from actorkit import ActorRef, ActorSystem, AskTimeout, Refused
from examples.chat import history, protocol, rooms, telnet, users, web, websocket
from examples.chat.clients import Client, Entrance
from examples.chat.history import History
from examples.chat.messages import RoomLost, RoomOpened, Said, group
from examples.chat.rooms import Rooms
from examples.chat.users import NextEvents, User, Users

from .chat_clients import ROOT, Closed, WebSocket, chat_server

#: Seconds that a client of these tests waits for anything.
PATIENCE = 30


class Chat:
    """The whole chat in this process, with clients on gevent's sockets."""

    def __init__(self, system: ActorSystem, path: str, stack: ExitStack) -> None:
        self.stack = stack
        self.history = system.spawn(History, path, name="history")
        rooms = system.spawn(Rooms, self.history, name="rooms")
        self.entrance = Entrance(system.spawn(Users, rooms, name="users"), rooms)
        self.page: WSGIServer = web.serve(self.entrance, "127.0.0.1", 0)
        stack.callback(self.page.stop, 0)
        self.terminals: StreamServer = telnet.serve(self.entrance, "127.0.0.1", 0)
        stack.callback(self.terminals.stop, 0)

    def connect(self, port: int | None) -> Any:
        assert port is not None
        sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        return self.stack.enter_context(closing(sock))

    def websocket(self, name: str = "", room: str = "lobby") -> WebSocket:
        client = WebSocket(self.connect(self.page.server_port))
        if name:
            assert client.ask(op="hello", name=name)["ok"]
            assert client.ask(op="enter", room=room)["ok"]
        return client

    def terminal(self) -> Any:
        stream = self.connect(self.terminals.server_port).makefile("rwb", buffering=0)
        return self.stack.enter_context(stream)

    def sign_in(self, name: str) -> Client:
        return self.entrance.hello({"op": "hello", "name": name})

    def http(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Status and whole text of the answer to one request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: chat", "Connection: close"]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        sock = self.connect(self.page.server_port)
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = b""
        while part := sock.recv(65_536):
            answer += part
        return int(answer.split()[1]), answer.decode()


@pytest.fixture
def chat(system: ActorSystem, tmp_path: Path) -> Iterator[Chat]:
    with ExitStack() as stack:
        yield Chat(system, str(tmp_path / "chat.sqlite"), stack)


def read_until(stream: Any, word: str) -> str:
    """What a terminal shows up to the line with `word`."""
    shown = ""
    while word not in shown:
        line = stream.readline()
        assert line, f"{word!r} never came: {shown}"
        shown += line.decode()
    return shown


# -- talking --------------------------------------------------------------------------------------


def test_what_is_said_by_one_kind_of_client_reaches_every_other(chat: Chat) -> None:
    anna = chat.websocket("anna")
    terminal = chat.terminal()
    terminal.write(b"tom\r\n")
    read_until(terminal, "lobby is open")
    paula = chat.sign_in("paula")
    paula.answer({"op": "enter", "room": "lobby"})
    assert anna.event("entered")["name"] == "tom"

    terminal.write(b"from a terminal\r\n")
    assert anna.event("said")["text"] == "from a terminal"
    anna.send({"op": "say", "text": "from a websocket"})
    read_until(terminal, "<anna> from a websocket")
    assert paula.answer({"op": "say", "text": "from a poll"})["ok"]
    read_until(terminal, "<paula> from a poll")
    assert anna.event("said")["text"] == "from a websocket"
    assert anna.event("said")["text"] == "from a poll"


def test_who_comes_in_sees_what_was_said_and_who_is_there(chat: Chat) -> None:
    anna = chat.websocket("anna")
    for number in range(3):
        assert anna.ask(op="say", text=f"line {number}")["ok"]
    boris = chat.websocket()
    assert boris.ask(op="hello", name="boris")["ok"]
    boris.send({"op": "enter", "room": "lobby"})
    opened = boris.event("room")
    assert [said["text"] for said in opened["recent"]] == ["line 0", "line 1", "line 2"]
    assert sorted(opened["people"]) == ["anna", "boris"]


def test_rooms_do_not_hear_each_other(chat: Chat) -> None:
    anna, boris = chat.websocket("anna", "red"), chat.websocket("boris", "blue")
    assert anna.ask(op="say", text="only red")["ok"]
    assert boris.ask(op="say", text="only blue")["ok"]
    assert boris.event("said")["text"] == "only blue"
    assert boris.ask(op="enter", room="red")["ok"]
    assert anna.event("entered")["name"] == "boris"
    assert chat.entrance.rooms.proxy().names() == ["blue", "red"]


def test_long_polling_over_http(chat: Chat) -> None:
    def call(method: str, path: str, token: str = "", **content: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
        body = json.dumps(content).encode() if content else b""
        return json.loads(chat.http(method, path, body, **headers)[1].partition("\r\n\r\n")[2])

    hello = call("POST", "/api/hello", op="hello", name="paula")
    token, events = hello["token"], f"/api/events?reader={hello['reader']}&last="
    assert call("POST", "/api/op", token, op="enter", room="lobby")["ok"]
    batch = call("GET", f"{events}{hello['last']}", token)
    assert batch["events"][0]["type"] == "room"
    waiting = gevent.spawn(call, "GET", f"{events}{batch['last']}", token)
    anna = chat.websocket("anna")
    assert [each["type"] for each in waiting.get()["events"]] == ["entered"]
    assert anna.ask(op="say", text="hello")["ok"]
    again = [call("GET", f"{events}{batch['last'] + 1}", token) for _ in range(2)]
    assert again[0] == again[1]  # not taken until the client asks for what comes after
    assert [each["text"] for each in again[0]["events"]] == ["hello"]


# -- sessions -------------------------------------------------------------------------------------


def test_a_name_belongs_to_one_user_until_that_one_goes(chat: Chat) -> None:
    anna = chat.websocket("anna")
    other = chat.websocket()
    assert "anna is here already" in other.ask(op="hello", name="anna")["error"]
    assert anna.ask(op="bye")["ok"]
    with pytest.raises(Closed):
        anna.event("never")
    assert other.ask(op="hello", name="anna")["ok"]


def test_a_client_that_comes_back_with_its_token_is_the_same_user(chat: Chat) -> None:
    anna = chat.websocket()
    token = anna.ask(op="hello", name="anna")["token"]
    assert anna.ask(op="enter", room="lobby")["ok"]
    anna.sock.close()
    again = chat.websocket()
    assert again.ask(op="hello", token=token)["name"] == "anna"
    assert again.ask(op="say", text="still in the room")["ok"]


def test_a_second_window_of_a_user_takes_over_from_the_first(chat: Chat) -> None:
    first, second = chat.websocket(), chat.websocket()
    token = first.ask(op="hello", name="anna")["token"]
    assert second.ask(op="hello", token=token)["ok"]
    with pytest.raises(Closed) as closed:
        first.event("never")
    assert closed.value.code == websocket.POLICY
    assert second.ask(op="enter", room="lobby")["ok"]


def test_a_user_without_a_client_ends_and_the_room_hears_of_it(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "USER_IDLE", 1.0)
    monkeypatch.setattr(users, "POLL_TIME", 0.1)  # a connected one is heard of more often
    anna = chat.websocket("anna")
    gone = chat.sign_in("gone")
    assert gone.answer({"op": "enter", "room": "lobby"})["ok"]
    gone.user.join(PATIENCE)
    assert gone.user.successful()
    assert anna.event("left")["name"] == "gone"
    with pytest.raises(Refused, match="sign in again"):
        chat.entrance.hello({"op": "hello", "token": gone.token})


def test_an_empty_room_closes_and_opens_again_with_its_history(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "ROOM_IDLE", 0.05)
    anna = chat.websocket("anna")
    assert anna.ask(op="say", text="remember this")["ok"]
    first = chat.entrance.rooms.proxy().find("lobby")
    assert anna.ask(op="bye")["ok"]
    first.join(PATIENCE)
    assert first.successful()
    boris = chat.sign_in("boris")
    assert boris.answer({"op": "enter", "room": "lobby"})["ok"]
    opened = boris.next_batch().events[0]
    assert isinstance(opened, RoomOpened)
    assert [said.text for said in opened.recent] == ["remember this"]


# -- faults ---------------------------------------------------------------------------------------


def test_a_killed_room_comes_back_with_its_people_and_its_history(chat: Chat) -> None:
    anna = chat.websocket("anna")
    assert anna.ask(op="say", text="before")["ok"]
    chat.entrance.rooms.proxy().find("lobby").kill()
    assert anna.event("lost")["why"] == "it was killed"
    opened = anna.event("room")
    assert [said["text"] for said in opened["recent"]] == ["before"]
    assert opened["people"] == ["anna"]
    assert anna.ask(op="say", text="after")["ok"]


def test_a_failed_history_and_its_room_are_restarted_and_the_speaker_is_told(
    chat: Chat, tmp_path: Path
) -> None:
    anna = chat.websocket("anna")
    assert anna.ask(op="say", text="before")["ok"]
    with closing(sqlite3.connect(tmp_path / "chat.sqlite")) as database:
        database.execute("ALTER TABLE said RENAME TO taken_away")
    room = chat.entrance.rooms.proxy().find("lobby")
    assert "not confirmed" in anna.ask(op="say", text="into the void")["error"]
    assert anna.event("lost")["why"] == "it failed"
    assert anna.event("room")["people"] == ["anna"]
    assert anna.ask(op="say", text="after")["ok"]
    assert chat.entrance.rooms.proxy().find("lobby") == room  # restarted, not another one


def test_the_rooms_come_back_when_their_supervisor_is_restarted(chat: Chat) -> None:
    anna = chat.websocket("anna")
    assert anna.ask(op="say", text="before")["ok"]
    chat.entrance.rooms.tell(("reopen", ["no name"]))  # a failure: a list is no key
    opened = anna.event("room")
    while not opened["recent"]:
        opened = anna.event("room")
    assert opened["people"] == ["anna"]
    assert anna.ask(op="say", text="after")["ok"]


# -- limits ---------------------------------------------------------------------------------------


def test_what_a_slow_client_leaves_too_long_is_dropped_with_notice(system: ActorSystem) -> None:
    keeper = system.spawn(Rooms, system.spawn(History, ":memory:"))
    user = system.spawn(User, "slow", keeper)
    reader, last = user.proxy().attach()
    user.proxy().enter("lobby")
    for number in range(users.OUTBOX + 5):
        user.tell(Said(number, "lobby", "fast", "words", 0.0))
    batch = user.ask(NextEvents(reader, last))
    assert len(batch.events) == users.OUTBOX
    assert batch.missed >= 5  # and the room's own
    assert batch.last == batch.missed + users.OUTBOX
    user.tell(Said(1000, "lobby", "fast", "the next", 0.0))
    after = user.ask(NextEvents(reader, batch.last))
    assert (after.missed, len(after.events)) == (0, 1)


def test_a_websocket_that_does_not_read_is_disconnected(
    chat: Chat, system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "SEND_TIME", 0.1)
    deaf = chat.websocket("deaf")
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    hearing = chat.websocket("hearing")
    handlers = chat.page.pool
    assert handlers is not None
    connected = len(handlers)
    number = 0
    with gevent.Timeout(PATIENCE):
        while len(handlers) == connected:
            number += 1
            system.groups.publish(group("lobby"), Said(number, "lobby", "x", "long " * 400, 0.0))
            assert hearing.event("said")["id"] == number
    with suppress(ConnectionError):
        while deaf.sock.recv(1 << 20):
            pass
    assert hearing.ask(op="say", text="still here")["ok"]


def test_who_talks_too_fast_is_told_so(chat: Chat) -> None:
    anna = chat.websocket("anna")
    answers = [anna.ask(op="say", text="spam") for _ in range(users.SAY_BURST + 5)]
    assert all("ok" in answer for answer in answers[: users.SAY_BURST])
    assert "too fast" in answers[-1]["error"]


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ("{", "not JSON"),
        ("[" * 5_000, "not JSON"),
        ("[1]", "JSON object"),
        ('{"op": 5}', "JSON object"),
        ('{"op": "dance"}', '"op" must be'),
        ('{"op": "say"}', '"text" must be a text'),
        ('{"op": "say", "text": " \\n "}', "nothing to say"),
        (json.dumps({"op": "say", "text": "x" * 2_001}), "2000 may go"),
        ('{"op": "enter", "room": "../etc"}', "a room's name"),
        ('{"op": "enter", "room": ""}', "a room's name"),
    ],
)
def test_nonsense_is_answered_and_the_connection_goes_on(chat: Chat, sent: str, error: str) -> None:
    anna = chat.websocket("anna")
    anna.send(sent)
    while "error" not in (said := anna.read()):
        assert "events" in said
    assert error in said["error"]
    assert anna.ask(op="say", text="still here")["ok"]


def test_who_says_hello_to_a_chat_that_ends_is_hung_up_on_quietly(
    chat: Chat, capfd: pytest.CaptureFixture[str]
) -> None:
    late = chat.websocket()
    chat.entrance.users.stop()
    chat.entrance.users.join(PATIENCE)
    with pytest.raises(Closed):
        late.ask(op="hello", name="anna")
    assert "Traceback" not in capfd.readouterr().err


def test_a_message_beyond_the_limit_ends_its_websocket_alone(chat: Chat) -> None:
    anna, big = chat.websocket("anna"), chat.websocket("big")
    big.send("x" * (protocol.MAX_OPERATION + 1))
    with pytest.raises(Closed) as closed:
        big.event("never")
    assert closed.value.code == websocket.TOO_BIG
    assert anna.ask(op="say", text="still here")["ok"]


def test_bytes_that_are_no_websocket_end_it(chat: Chat) -> None:
    anna = chat.websocket("anna")
    anna.sock.sendall(b"\xff" * 100)
    with pytest.raises(Closed):
        anna.event("never")
    assert chat.http("GET", "/ws")[0] == 400
    assert chat.http("POST", "/ws", b"x", Upgrade="websocket", Connection="upgrade")[0] == 400


@pytest.mark.parametrize("name", ["a", "Ænna 2", "<b>x</b".replace("/", ""), "名前", "x" * 24])
def test_names_of_all_scripts_are_welcome(name: str) -> None:
    assert protocol.name({"name": f" {name} "}) == name


@pytest.mark.parametrize("name", ["", " ", "a/b", "#", "$1", "x" * 25, "\u202e\u200b", None, 5])
def test_a_name_that_could_mislead_is_refused(name: object) -> None:
    with pytest.raises(Refused):
        protocol.name({"name": name})


def test_what_is_said_cannot_steer_a_terminal(chat: Chat) -> None:
    terminal = chat.terminal()
    terminal.write(b"\xff\xfd\x03tom\r\n")
    assert "here: tom" in read_until(terminal, "lobby is open")
    anna = chat.websocket("anna")
    assert anna.ask(op="say", text="red \x1b[31m\x07 and \ud800 half\nsecond line")["ok"]
    shown = read_until(terminal, "second line")
    assert "red [31m and  half\r\n" in shown
    assert "\x1b" not in shown


def test_a_terminal_hears_what_it_did_wrong(chat: Chat, system: ActorSystem) -> None:
    terminal = chat.terminal()
    terminal.write(b"a/b\r\n")
    read_until(terminal, "a name has")
    terminal.write(b"tom\r\n/room no way\r\n/dance\r\n")
    read_until(terminal, "a room's name has")
    read_until(terminal, "/room NAME goes to a room")
    tom = system.lookup("/users/tom")
    terminal.write(b"x" * (telnet.MAX_LINE + 1))
    with suppress(ConnectionError):
        while terminal.readline():
            pass
    tom.join(PATIENCE)
    assert tom.successful()  # signed out


def test_the_web_server_refuses_what_it_does_not_know(chat: Chat) -> None:
    known = {"Content_Type": "application/json"}
    assert chat.http("GET", "/")[0] == 200
    assert chat.http("GET", "/../rooms.py")[0] == 404
    assert chat.http("GET", "/%2e%2e/rooms.py")[0] == 404
    assert chat.http("DELETE", "/")[0] == 404
    assert chat.http("POST", "/api/hello", b'{"op": "hello", "name": "x"}')[0] == 400
    assert chat.http("POST", "/api/hello", b"{}", **known)[0] == 400
    assert chat.http("POST", "/api/hello", b" " * (protocol.MAX_OPERATION + 9), **known)[0] == 400
    assert chat.http("POST", "/api/op", b'{"op": "bye"}', **known)[0] == 401
    assert chat.http("GET", "/api/events?reader=1&last=0")[0] == 401
    token = chat.sign_in("paula").token
    bearer = f"Bearer {token}"
    assert chat.http("GET", "/api/events?reader=x&last=0", Authorization=bearer)[0] == 400
    assert chat.http("GET", "/api/events?reader=7&last=0", Authorization=bearer)[0] == 409


def test_the_page_admits_no_script_but_its_own(chat: Chat) -> None:
    head = chat.http("GET", "/")[1].partition("\r\n\r\n")[0]
    assert "Content-Security-Policy: default-src 'none'; script-src 'self';" in head


def test_the_history_keeps_so_much_of_a_room_and_no_more(
    system: ActorSystem, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    monkeypatch.setattr(history, "PRUNE_EVERY", 5)
    keeper: ActorRef[History] = system.spawn(History, str(tmp_path / "history"))
    assert keeper.proxy().add("quiet", "anna", "the first").id == 1
    for number in range(2, 11):
        keeper.proxy().add("loud", "anna", f"line {number}")
    assert [said.text for said in keeper.proxy().recent("quiet")] == ["the first"]
    assert [said.id for said in keeper.proxy().recent("loud")] == [8, 9, 10]


def test_a_user_whose_room_is_moving_is_told_and_asked_to_wait(system: ActorSystem) -> None:
    keeper = system.spawn(Rooms, system.spawn(History, ":memory:"))
    user = system.spawn(User, "anna", keeper)
    user.proxy().attach()
    user.proxy().enter("lobby")
    user.tell(RoomLost("lobby", "its node was lost"))
    with pytest.raises(Refused, match="the room is moving"):
        user.proxy().say("hello?")
    with pytest.raises(AskTimeout):
        user.ask(NextEvents(1, 2**40), timeout=0.01)


def test_a_chat_that_has_logged_much_still_serves_and_ends_in_order(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/node"
    with chat_server("--history", ":memory:", "--listen", address) as server:
        for number in range(100):  # each is two lines in the log, of all its name
            with ActorSystem(f"visitor-{number}-{'x' * 400}") as visitor:
                visitor.connect(address, timeout=PATIENCE)
        client = WebSocket(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
        assert client.ask(op="hello", name="anna")["ok"]
        client.sock.close()
    assert server.process.returncode == 0


def test_the_chat_says_how_it_is_started() -> None:
    command = [sys.executable, "-m", "examples.chat", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--nodes" in done.stdout
