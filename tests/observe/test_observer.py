"""What the observer's page gets from its server, and what others do not get."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from tests.observe.conftest import Town

pytestmark = pytest.mark.timeout(120)


class Page:
    """Speaks HTTP as the page does."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.place = parts.netloc
        self.secret = parts.path.strip("/")
        self.token = parse_qs(parts.fragment).get("token", [""])[0]

    def request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask for `path` below the secret."""
        return self.plain_request(method, f"/{self.secret}{path}", body, **headers)

    def plain_request(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.place, timeout=30)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {name.replace("_", "-"): value for name, value in headers.items()},
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def get(self, path: str, /, **asked: Any) -> tuple[int, Any]:
        status, _, body = self.request("GET", f"{path}?{urlencode(asked)}")
        return status, json.loads(body)

    def order(self, body: Any, **headers: str) -> tuple[int, Any]:
        given = {"Origin": f"http://{self.place}", "X_Actorkit_Token": self.token, **headers}
        status, _, content = self.request("POST", "/control", body, **given)
        return status, json.loads(content)

    @contextmanager
    def events(self) -> Iterator[Iterator[tuple[str, Any]]]:
        connection = http.client.HTTPConnection(self.place, timeout=30)
        try:
            connection.request("GET", f"/{self.secret}/events")
            answer = connection.getresponse()
            assert answer.headers["Content-Type"] == "text/event-stream"
            yield _parsed(answer)
        finally:
            connection.close()


def _parsed(answer: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in iter(answer.readline, b""):
        kind, _, text = line.decode().rstrip("\n").partition(": ")
        if kind == "event":
            name = text
        elif kind == "data":
            yield name, json.loads(text)


def test_the_page_gets_everything_and_then_what_changes(town: Town, observer: Town) -> None:
    page = Page(observer(town("--branches", "1", "--size", "2")))
    with page.events() as events:
        handled: list[int] = []
        uids: dict[str, int] = {}
        rate = 0.0
        for name, content in events:
            assert name in ("node", "rows", "failures")
            assert content["node"] == "town"
            for row in content.get("rows", ()):
                uids[row[2]] = row[0]
                if row[2] == "worker":
                    handled.append(row[7])
                    rate = row[9]
            if len(handled) >= 4:
                break
    assert {"worker", "sleeper", "fragile", "branch-0", "quiet-0", "quiet-1"} <= set(uids)
    assert handled == sorted(set(handled))
    assert rate > 0


def test_a_second_page_gets_the_whole_at_once(town: Town, observer: Town) -> None:
    page = Page(observer(town()))
    with page.events() as first:
        next(first)
        until_rows = next(content for name, content in first if name == "rows")
        with page.events() as second:
            assert next(second)[0] == "node"
            name, content = next(second)
            assert name == "rows"
            assert len(content["rows"]) >= len(until_rows["rows"])


def test_details_and_messages_of_one_actor(town: Town, observer: Town) -> None:
    page = Page(observer(town()))
    with page.events() as events:
        next(content for name, content in events if name == "rows")
        status, details = page.get("/actor", node="town", path="/worker")
        assert status == 200
        assert list(details["summary"]) == ["done"]
        status, answer = page.get("/messages", node="town", path="/worker")
        assert status == 200
        after = answer["after"]
        while not answer.get("messages"):
            _, answer = page.get("/messages", node="town", path="/worker", after=after)
        assert answer["messages"][0][3] == "('work', 'on a <b>message</b>')"
        assert page.get("/actor", node="town", path="/nobody")[0] == 404
        assert page.get("/actor", node="nowhere", path="/worker")[0] == 404
        assert page.get("/messages", node="town", path="/worker", after="x")[0] == 400


def test_other_names_and_other_sites_get_nothing(town: Town, observer: Town) -> None:
    page = Page(observer(town()))
    assert page.request("GET", "/")[0] == 200
    port = page.place.rpartition(":")[2]
    assert page.request("GET", "/", Host=f"localhost:{port}")[0] == 200
    for path in ("/", "/events", "/actor?node=town&path=/worker"):
        assert page.request("GET", path, Host="evil.example")[0] == 403
        assert page.request("GET", path, Host=f"evil.example:{port}")[0] == 403
        assert page.request("GET", path, Origin="http://evil.example")[0] == 403


def test_who_does_not_know_the_secret_gets_nothing(town: Town, observer: Town) -> None:
    page = Page(observer(town("--inspect", "control"), "--allow-control"))
    other = Page(observer(town()))
    assert len(page.secret) >= 32
    assert page.secret not in (other.secret, page.token)
    wrong = (
        "",
        other.secret,
        page.secret[:-1],
        page.secret.lower(),
        f"x{page.secret}",
        "\u00ff" * 32,
    )
    order = {"node": "town", "path": "/fragile", "order": "stop"}
    with page.events() as events:
        next(content for name, content in events if name == "rows")
        for secret in wrong:
            for path in ("/", "/page.js", "/events", "/actor?node=town&path=/worker"):
                status, _, body = page.plain_request("GET", quote(f"/{secret}{path}", safe="/?&="))
                assert status == 403
                assert page.secret.encode() not in body
            known = {"Origin": f"http://{page.place}", "X_Actorkit_Token": page.token}
            place = quote(f"/{secret}/control")
            assert page.plain_request("POST", place, order, **known)[0] == 403
        assert page.plain_request("GET", f"/{page.secret}")[0] == 404
        assert page.get("/actor", node="town", path="/fragile")[0] == 200


def test_its_policy_lets_nothing_in_from_elsewhere(town: Town, observer: Town) -> None:
    page = Page(observer(town()))
    for path in ("/", "/page.js", "/page.css"):
        status, headers, body = page.request("GET", path)
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"https://" not in body
    assert page.request("GET", "/../observer.py")[0] == 404


def test_without_allow_control_nothing_can_be_ordered(town: Town, observer: Town) -> None:
    page = Page(observer(town("--inspect", "control")))
    with page.events() as events:
        next(content for name, content in events if name == "rows")
        order = {"node": "town", "path": "/fragile", "order": "stop"}
        assert page.order(order)[0] == 403
        assert page.order(order, X_Actorkit_Token="guess")[0] == 403
        assert page.request("POST", "/actor", order)[0] == 405
        assert page.get("/actor", node="town", path="/fragile")[0] == 200


def test_with_it_an_order_needs_the_token_the_page_and_the_nodes_consent(
    town: Town, observer: Town
) -> None:
    order = {"node": "town", "path": "/fragile", "order": "stop"}
    page = Page(observer(town("--inspect", "control"), "--allow-control"))
    assert page.token
    with page.events() as events:
        next(content for name, content in events if name == "rows")
        assert page.order(order, X_Actorkit_Token="guess")[0] == 403
        assert page.order(order, X_Actorkit_Token="")[0] == 403
        assert page.order(order, Origin="http://evil.example")[0] == 403
        status, _, _ = page.request("POST", "/control", order, X_Actorkit_Token=page.token)
        assert status == 405  # no page of ours has sent this: there is no Origin
        assert page.order({**order, "order": "dance"})[0] == 400
        assert page.order({**order, "path": "/nobody"})[0] == 404
        assert page.order({**order, "path": "x" * 5000})[0] == 413
        assert page.get("/actor", node="town", path="/fragile")[0] == 200
        assert page.order(order) == (200, {"done": True})
        while page.get("/actor", node="town", path="/fragile")[0] != 404:
            next(events)


def test_a_node_that_does_not_consent_refuses_orders(town: Town, observer: Town) -> None:
    page = Page(observer(town(), "--allow-control"))
    with page.events() as events:
        next(content for name, content in events if name == "rows")
        status, answer = page.order({"node": "town", "path": "/fragile", "order": "kill"})
        assert status == 403
        assert 'config={"inspect": "control"}' in answer["error"]
