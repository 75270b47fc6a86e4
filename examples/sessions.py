"""Web sessions: an actor for each visitor, which ends when the visitor has been away for a while.

    python examples/sessions.py --port 8000 --idle 10
    curl -b jar -c jar http://127.0.0.1:8000/      # as often as you like

It serves for --seconds, or until Ctrl-C.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer

from actorkit import Actor, ActorRef, ActorStopped, ActorSystem, IdleTimeout, Reason


class Session(Actor):
    """What the site knows of one visitor. No lock: two requests at once take turns."""

    def __init__(self, token: str, idle: float) -> None:
        self.visits = 0
        self.idle_timeout(idle)
        self.system.groups.join(f"session:{token}", self.ref)  # leaves it by ending

    def visit(self) -> int:
        self.visits += 1
        return self.visits

    def receive(self, message: IdleTimeout) -> None:
        self.stop()

    def on_stop(self, reason: Reason) -> None:
        print(f"a session ends after {self.visits} visits", flush=True)


class Site:
    """The WSGI application. A request is a greenlet of gevent's, and asks the session's actor."""

    def __init__(self, system: ActorSystem, idle: float) -> None:
        self.system, self.idle = system, idle

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("session")
        token = cookie.value if cookie else ""
        try:
            visits = self.find(token).visit()
        except (LookupError, ActorStopped):  # it may end between the two
            token = secrets.token_urlsafe()
            visits = self.system.spawn(Session, token, self.idle).proxy().visit()
        headers = [("Set-Cookie", f"session={token}; HttpOnly; SameSite=Lax")]
        start_response("200 OK", [("Content-Type", "text/plain"), *headers])
        return [f"visit {visits}\n".encode()]

    def find(self, token: str) -> Session:
        sessions: list[ActorRef[Session]] = self.system.groups.members(f"session:{token}")
        return sessions[0].proxy()


class Web(Actor):
    """The server as an actor: spawned last, it is the first to stop."""

    def __init__(self, port: int, application: Site) -> None:
        self.server = WSGIServer(("127.0.0.1", port), application, log=None)
        self.server.start()

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"

    def on_stop(self, reason: Reason) -> None:
        self.server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="any free one by default")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds until a session ends")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to serve")
    options = parser.parse_args()
    with ActorSystem("site") as system:
        site = Site(system, options.idle)
        web = system.spawn(Web, options.port, site, name="web").proxy()
        print(f"serving at {web.url()}", flush=True)
        gevent.spawn_later(options.seconds, system.shutdown)
        system.wait()


if __name__ == "__main__":
    main()
