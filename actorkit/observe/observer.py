"""`Observer`: a web page on loopback that shows what runs in a node and in those behind it.

It asks as any watcher does, once a second for all pages together, and only while one is open. The
page itself is in `page/`: three small files without a build step, fed by server-sent events. Used
by `actorkit observe`; docs/observing.md says what keeps others out.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from gevent.queue import Empty, Full, Queue

from ..errors import ActorError, ActorNotFound, Refused
from ..remote.node import Node
from ..system import ActorSystem
from .watch import Inspection, Row, Tree

__all__ = ["Observer"]

#: Rows in one event, so that no event keeps the browser for long.
ROWS_AT_ONCE = 1_000
#: Events that wait for a slow browser before its connection is closed; it then begins anew.
MAX_WAITING = 256
#: Seconds between two signs of life on a quiet connection.
HEARTBEAT = 5.0
#: Pages that look at the same time, and bytes of an order.
MAX_PAGES = 32
MAX_BODY = 4_096

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_POLICY = (
    "default-src 'none'",
    "connect-src 'self'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
_HEADERS = [
    ("Content-Security-Policy", "; ".join(_POLICY)),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]
_ORDERS = ("stop", "kill", "restart")

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class Observer:
    """Serves the page::

        with ActorSystem("eye") as eye:
            observer = Observer(eye.connect("tcp://127.0.0.1:7001"))
            print(observer.start())
            eye.wait()

    It looks only while a page is open.
    """

    def __init__(
        self, target: Node | ActorSystem, interval: float = 1.0, token: str | None = None
    ) -> None:
        """Look at `target` every `interval` seconds.

        `token`: who sends it may stop, kill and restart actors, where their node allows it too.
        None: nobody may.
        """
        self._inspection = Inspection(target)
        self._interval = interval
        self._token = token
        #: Begins every path. (A cookie would go to whatever listens on the other ports, too.)
        self._secret = f"/{secrets.token_urlsafe(24)}"
        self._sites: dict[str, _Site] = {}
        self._pages: set[Queue[str]] = set()
        self._looked_at = Event()
        self._lost = False
        self._server: WSGIServer | None = None
        self._poller: Any = None
        self._hosts: set[str] = set()

    def start(self, port: int = 0) -> str:
        """Listen on this port of 127.0.0.1 (0: a free one) and return the page's address.

        Whoever has the address can look: a secret in it keeps other accounts of the machine out.
        """
        self._server = WSGIServer(("127.0.0.1", port), self._serve, log=None)
        self._server.start()
        place = f"127.0.0.1:{self._server.server_port}"
        self._hosts = {place, place.replace("127.0.0.1", "localhost")}
        self._poller = gevent.spawn(self._poll)
        return f"http://{place}{self._secret}/"

    def stop(self) -> None:
        """Close the page's connections and end."""
        if self._poller is not None:
            self._poller.kill()
        if self._server is not None:
            self._server.stop(timeout=1)

    # -- looking --------------------------------------------------------------------------------

    def _poll(self) -> None:
        while True:
            self._looked_at.wait()
            self._look()
            gevent.sleep(self._interval)

    def _look(self) -> None:
        try:
            about = self._inspection.ask("about")
        except ActorError as error:
            self._lost = True
            self._tell("trouble", {"text": f"the node does not answer: {error}"})
            return
        if self._lost:
            self._lost = False
            self._tell("trouble", {"text": ""})
        names = [about["name"], *(name for name, _ in about["nodes"])]
        places = {about["name"]: about["address"], **dict(about["nodes"])}
        here = self._inspection.name_here
        for name in names:
            if name != here and name not in self._sites:
                via = self._inspection if name == about["name"] else self._inspection.of(name)
                self._sites[name] = _Site(name, places[name], via)
                self._tell("node", self._sites[name].as_dict())
        for name in [name for name in self._sites if name not in names]:
            del self._sites[name]
            self._tell("lost", {"node": name})
        gevent.joinall([gevent.spawn(site.refresh, self._tell) for site in self._sites.values()])

    def _tell(self, event: str, content: Any) -> None:
        """Send an event to every page; one that does not keep up is cut off, and begins anew."""
        text = _event(event, content)
        for page in list(self._pages):
            try:
                page.put_nowait(text)
            except Full:
                self._pages.discard(page)

    def _events(self) -> Iterator[bytes]:
        """What one page gets: everything as it is now, and then what changes."""
        page: Queue[str] = Queue(MAX_WAITING)
        known = [text for site in self._sites.values() for text in site.events()]
        self._pages.add(page)  # in the same breath, so that no change is missed
        self._looked_at.set()
        try:
            for text in known:
                yield text.encode()
            while page in self._pages:
                try:
                    yield page.get(timeout=HEARTBEAT).encode()
                except Empty:
                    yield b": still here\n\n"
        finally:
            self._pages.discard(page)
            if not self._pages:
                self._looked_at.clear()
                self._sites.clear()  # the next page begins anew

    # -- serving --------------------------------------------------------------------------------

    def _serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            self._check_origin(environ)
            return self._answer(self._path(environ), environ, start_response)
        except _Stop as stop:
            return _respond(start_response, stop.status, {"error": stop.text})
        except ActorNotFound as error:
            return _respond(start_response, "404 Not Found", {"error": str(error)})
        except Refused as error:
            return _respond(start_response, "403 Forbidden", {"error": str(error)})
        except ActorError as error:
            return _respond(start_response, "502 Bad Gateway", {"error": str(error)})

    def _check_origin(self, environ: dict[str, Any]) -> None:
        """Another site's page must not read this one's data, whatever name it gave our address."""
        origin = environ.get("HTTP_ORIGIN")
        if environ.get("HTTP_HOST") not in self._hosts or (
            origin is not None and origin.removeprefix("http://") not in self._hosts
        ):
            raise _Stop("403 Forbidden", "this page is for this machine only")

    def _path(self, environ: dict[str, Any]) -> str:
        """What is asked for, of one who has the secret."""
        path: str = environ["PATH_INFO"]
        length = len(self._secret)
        if not hmac.compare_digest(path[:length].encode(), self._secret.encode()):
            raise _Stop("403 Forbidden", "open the whole address that was printed, with its secret")
        return path[length:]

    def _answer(
        self, path: str, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if path == "/control":
            return _respond(start_response, "200 OK", self._control(environ, method))
        if method != "GET":
            raise _Stop("405 Method Not Allowed", "this page only shows")
        if path in _FILES:
            name, kind = _FILES[path]
            body = (files(__package__) / "page" / name).read_bytes()
            start_response("200 OK", [("Content-Type", kind), *_HEADERS])
            return [body]
        if path == "/events":
            if len(self._pages) >= MAX_PAGES:
                raise _Stop("503 Service Unavailable", f"{MAX_PAGES} pages look already")
            start_response("200 OK", [("Content-Type", "text/event-stream"), *_HEADERS])
            return self._events()
        asked = {key: values[-1] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
        site = self._sites.get(asked.get("node", ""))
        if path not in ("/actor", "/messages") or site is None:
            raise _Stop("404 Not Found", "there is no such thing here")
        of = asked.get("path", "")
        if path == "/actor":
            answer = site.inspection.ask("actor", of)
        elif "after" not in asked:
            answer = {"after": site.inspection.ask("tap", of)}
        elif asked["after"].isdecimal():
            answer = site.inspection.ask("messages", of, int(asked["after"]))
        else:
            raise _Stop("400 Bad Request", "after is a number")
        return _respond(start_response, "200 OK", answer)

    def _control(self, environ: dict[str, Any], method: str) -> Any:
        token = environ.get("HTTP_X_ACTORKIT_TOKEN", "")
        if method != "POST" or environ.get("HTTP_ORIGIN") is None:
            raise _Stop("405 Method Not Allowed", "an order is a POST of this page")
        if self._token is None or not hmac.compare_digest(token.encode(), self._token.encode()):
            raise _Stop("403 Forbidden", "orders need the token that --allow-control gives")
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY:
            raise _Stop("413 Content Too Large", f"an order has at most {MAX_BODY} bytes")
        try:
            match json.loads(environ["wsgi.input"].read(int(length))):
                case {"node": str(name), "path": str(path), "order": order} if order in _ORDERS:
                    site = self._sites.get(name)
                case _:
                    raise _Stop("400 Bad Request", f"an order is one of {', '.join(_ORDERS)}")
        except ValueError as error:
            raise _Stop("400 Bad Request", str(error)) from error
        if site is None:
            raise _Stop("404 Not Found", f"no node {name!r}")
        return {"done": site.inspection.ask(order, path)}


class _Site:
    """One node that is looked at: its tree and its failures, as far as the pages know them."""

    def __init__(self, name: str, address: str, inspection: Inspection) -> None:
        self.name = name
        self.address = address
        self.inspection = inspection
        self._tree = Tree(inspection)
        self._failures: list[dict[str, Any]] = []
        self._seen = 0
        self._trouble = ""

    def as_dict(self) -> dict[str, Any]:
        return {"node": self.name, "address": self.address}

    def events(self) -> Iterator[str]:
        """Everything that is known, as events for a new page."""
        yield _event("node", self.as_dict())
        for content in self._parts(list(self._tree.rows.values()), []):
            yield _event("rows", content)
        yield _event("failures", {"node": self.name, "failures": self._failures})
        if self._trouble:
            yield _event("trouble", {"node": self.name, "text": self._trouble})

    def refresh(self, tell: Callable[[str, Any], None]) -> None:
        """Look once, and tell what has changed."""
        try:
            changes = self._tree.refresh()
            failures = self.inspection.ask("failures", self._seen)
        except ActorError as error:
            self._tree.forget()
            self._failures, self._seen = [], 0
            self._trouble = str(error)
            tell("node", self.as_dict())  # begins anew, with nothing
            tell("trouble", {"node": self.name, "text": self._trouble})
            return
        if self._trouble:
            self._trouble = ""
            tell("trouble", {"node": self.name, "text": ""})
        for content in self._parts(changes.rows, changes.gone):
            tell("rows", content)
        if failures:
            self._seen = failures[-1]["number"]
            for failure in failures:
                failure["at"] = self._tree.time - failure.pop("ago")
            self._failures = [*self._failures, *failures][-100:]
            tell("failures", {"node": self.name, "failures": failures})

    def _parts(self, rows: list[Row], gone: list[int]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(rows) or 1, ROWS_AT_ONCE):
            yield {
                "node": self.name,
                "time": self._tree.time,
                "more": self._tree.more,
                "rows": [_row(row) for row in rows[start : start + ROWS_AT_ONCE]],
                "gone": gone if start == 0 else [],
            }


class _Stop(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def _row(row: Row) -> list[Any]:
    return [
        row.uid,
        row.parent,
        row.name,
        row.cls,
        row.state,
        row.activity,
        row.inbox,
        row.handled,
        row.restarts,
        round(row.rate, 1),
        row.since,
    ]


def _event(name: str, content: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n"


def _respond(start_response: StartResponse, status: str, content: Any) -> list[bytes]:
    body = json.dumps(content).encode()
    start_response(status, [("Content-Type", "application/json"), *_HEADERS])
    return [body]
