"""The examples that serve, each run as a user runs it and visited by real clients."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import websocket

EXAMPLES = Path(__file__).parents[2] / "examples"

#: Seconds that a program or an answer may take.
PATIENCE = 60


class Program:
    """An example that serves at `address`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process, self.output = process, process.stdout
        self.address = urlsplit(self.wait_for(r"serving at (\S+)"))

    def wait_for(self, pattern: str) -> str:
        """Read its output up to a line that matches, and return the first group or all."""
        for line in self.output:
            if found := re.search(pattern, line):
                return found[found.re.groups]
        raise AssertionError(f"it ended without printing {pattern}")

    def connect(self) -> HTTPConnection:
        assert self.address.hostname is not None
        return HTTPConnection(self.address.hostname, self.address.port, timeout=PATIENCE)

    def get(self, path: str = "/", **headers: str) -> tuple[int, Any, bytes]:
        with closing(self.connect()) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()


@contextmanager
def serving(name: str, *args: str) -> Iterator[Program]:
    """Run an example; at the end it gets SIGTERM, on which it must end in order."""
    command = [sys.executable, "-u", str(EXAMPLES / name), "--seconds", str(PATIENCE), *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Program(process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_a_visitor_keeps_the_session_and_another_one_has_another() -> None:
    with serving("sessions.py", "--idle", "30") as site:
        _, headers, body = site.get()
        assert body == b"visit 1\n"
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert site.get(Cookie=cookie)[2] == b"visit 2\n"
        assert site.get()[2] == b"visit 1\n"
        assert site.get(Cookie=cookie)[2] == b"visit 3\n"
        assert site.get(Cookie="session=web")[2] == b"visit 1\n"  # no way to other actors


def test_a_session_ends_when_it_is_idle_and_the_visitor_begins_a_new_one() -> None:
    with serving("sessions.py", "--idle", "0.2") as site:
        cookie = site.get()[1]["Set-Cookie"].partition(";")[0]
        site.wait_for("a session ends after 1 visits")
        _, headers, body = site.get(Cookie=cookie)
        assert body == b"visit 1\n"
        assert headers["Set-Cookie"].partition(";")[0] != cookie


class Lines:
    """A client of the stream server."""

    def __init__(self, program: Program) -> None:
        address = program.address.hostname, program.address.port
        self.socket = socket.create_connection(address, PATIENCE)
        self.file = self.socket.makefile("rw")

    def ask(self, line: str) -> str:
        self.file.write(line + "\n")
        self.file.flush()
        return self.file.readline()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_clients_of_the_stream_server_share_its_data_and_not_their_failures() -> None:
    with (
        serving("stream_server.py") as program,
        closing(Lines(program)) as one,
        closing(Lines(program)) as other,
    ):
        assert one.ask("set colour blue green") == "stored\n"
        assert other.ask("get colour") == "blue green\n"
        assert other.ask("nonsense") == "set KEY VALUE, get KEY, fail or quit\n"
        assert one.ask("fail") == ""  # closed
        assert other.ask("get colour") == "blue green\n"
        assert other.ask("quit") == ""


def test_news_go_to_the_stream_and_to_every_poll_and_none_is_lost_between_two() -> None:
    with (
        serving("news.py") as site,
        closing(site.connect()) as stream,
        closing(site.connect()) as poll,
    ):

        def publish(text: str) -> None:
            with closing(site.connect()) as connection:
                connection.request("POST", "/", text.encode())
                assert connection.getresponse().status == 204

        stream.request("GET", "/stream")
        poll.request("GET", "/poll?after=0")
        publish("it rains")
        answer = poll.getresponse()
        assert json.loads(answer.read()) == ["it rains"]
        publish("it pours")
        publish("the sun comes out")
        assert json.loads(site.get("/poll?after=1")[2]) == ["it pours", "the sun comes out"]
        streamed = stream.getresponse()
        assert streamed.headers["Transfer-Encoding"] == "chunked"
        assert [streamed.readline() for _ in range(3)] == [
            b"it rains\n",
            b"it pours\n",
            b"the sun comes out\n",
        ]
        assert site.get("/nowhere")[0] == 404


def test_curl_reads_the_stream_as_it_comes() -> None:
    with serving("news.py") as site:
        url = site.address.geturl()
        reader = ["curl", "-sN", "--max-time", str(PATIENCE), f"{url}stream"]
        with subprocess.Popen(reader, stdout=subprocess.PIPE, text=True) as curl:
            try:
                assert curl.stdout is not None
                subprocess.run(["curl", "-sf", "-d", "it snows", url], check=True)
                assert curl.stdout.readline() == "it snows\n"
            finally:
                curl.kill()


def test_everybody_sees_the_clicks_of_all_and_a_leaver_disturbs_nobody() -> None:
    with serving("clicks.py") as program:
        url = program.address.geturl()
        one = websocket.create_connection(url, timeout=PATIENCE)
        other = websocket.create_connection(url, timeout=PATIENCE)
        assert one.recv() == other.recv() == "0"
        one.send("click")
        assert one.recv() == other.recv() == "1"
        one.shutdown()  # type: ignore[no-untyped-call]  # without a goodbye
        other.ping("still there?")
        other.send("click")
        opcode, data = other.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"still there?")
        assert other.recv() == "2"
        other.close()
        third = websocket.create_connection(url, timeout=PATIENCE)
        assert third.recv() == "2"
        third.close()


def test_what_is_no_websocket_is_told_so() -> None:
    with serving("clicks.py") as program:
        assert program.get()[0] == 400
