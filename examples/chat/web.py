"""The page and long polling, by gevent's own web server; websocket.py takes the websockets over.

    GET  /              the page
    POST /api/hello     {"op": "hello", "name": "anna"}  ->  {"token", "reader", "last"}
    POST /api/op        {"op": "say", "text": "hello"}, as in protocol.py
    GET  /api/events?reader=1&last=0     waits for what happens next
    GET  /api/rooms     the names of the open rooms
    GET  /ws            a websocket

All under /api but hello and rooms wants the header "Authorization: Bearer TOKEN".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from actorkit import ActorError, ActorStopped, Refused

from . import protocol, websocket
from .clients import Entrance
from .users import Displaced, SessionOver

#: Connections at once, of all kinds.
MAX_CONNECTIONS = 20_000
#: Seconds that a connection may say nothing.
READ_TIME = 60.0

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
#: Nothing but what is served here runs or loads in the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = [
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
]


def serve(entrance: Entrance, host: str, port: int) -> WSGIServer:
    """Start to listen."""

    class Handler(WSGIHandler):
        def handle(self) -> None:
            self.socket.settimeout(READ_TIME)
            super().handle()

        def handle_one_response(self) -> None:
            environ = self.environ or {}
            if environ["PATH_INFO"] == "/ws":
                self.close_connection = True
                websocket.serve(self.socket, self.rfile, environ, entrance)
            else:
                super().handle_one_response()

    server = WSGIServer(
        (host, port), Site(entrance), handler_class=Handler, spawn=Pool(MAX_CONNECTIONS), log=None
    )
    server.start()
    return server


class Site:
    """The WSGI application."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        folder = Path(__file__).parent / "page"
        self._files = {f"/{each.name}": each for each in folder.iterdir()}
        self._files["/"] = folder / "index.html"

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        kind = "application/json"
        status = "200 OK"
        try:
            if method == "GET" and path in self._files:
                kind = _TYPES[self._files[path].suffix]
                body = self._files[path].read_bytes()
            else:
                body = protocol.encode(self._api(method, path, environ)).encode()
        except ActorError as error:
            status = _status(error)
            body = protocol.encode({"error": str(error)}).encode()
        length = ("Content-Length", str(len(body)))
        start(status, [("Content-Type", f"{kind}; charset=utf-8"), length, *_SAFE])
        return [body]

    def _api(self, method: str, path: str, environ: dict[str, Any]) -> dict[str, Any]:
        entrance = self._entrance
        match method, path:
            case "POST", "/api/hello":
                return entrance.hello(_body(environ)).greeting()
            case "POST", "/api/op":
                operation = _body(environ)
                return entrance.resume(_token(environ), 0, 0).answer(operation)
            case "GET", "/api/events":
                query = parse_qs(environ["QUERY_STRING"])
                reader = protocol.number(query.get("reader", [""])[0])
                last = protocol.number(query.get("last", [""])[0])
                client = entrance.resume(_token(environ), reader, last)
                return protocol.batch_as_json(client.next_batch())
            case "GET", "/api/rooms":
                return {"rooms": entrance.rooms.proxy().names()}
        raise NotFound("there is nothing here")


class NotFound(Refused):
    pass


def _status(error: ActorError) -> str:
    match error:
        case NotFound():
            return "404 Not Found"
        case SessionOver() | ActorStopped():
            return "401 Unauthorized"
        case Displaced():
            return "409 Conflict"
        case Refused():
            return "400 Bad Request"
        case _:
            return "503 Service Unavailable"


def _token(environ: dict[str, Any]) -> str:
    return str(environ.get("HTTP_AUTHORIZATION", "")).removeprefix("Bearer ")


def _body(environ: dict[str, Any]) -> protocol.Operation:
    """The operation in the body. As JSON only: other sites' pages cannot send that unasked."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0] != "application/json":
        raise Refused("the body must be application/json")
    return protocol.parse(environ["wsgi.input"].read(protocol.MAX_OPERATION + 1))
