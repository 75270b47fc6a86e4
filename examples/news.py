"""WSGI, chunked streaming and long polling: news from one actor to everybody who waits for it.

    python examples/news.py --port 8000
    curl -N http://127.0.0.1:8000/stream            # all news, as they come
    curl 'http://127.0.0.1:8000/poll?after=0'       # the first news, when there is one
    curl -d 'it rains' http://127.0.0.1:8000/       # publishes

It serves for --seconds, or until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

import gevent
from gevent.pywsgi import WSGIServer

from actorkit import Actor, ActorRef, ActorStopped, ActorSystem, Reason, Reply

#: Seconds after which whoever waits is told that there is nothing new.
PATIENCE = 20.0

#: Bytes of a news that are read.
MAX_NEWS = 10_000


class News(Actor):
    """Whoever asks for what follows the n-th news waits until it comes."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.waiting: list[Reply] = []
        self.every(PATIENCE, "nothing new")

    def receive(self, message: tuple[str, Any] | str) -> list[str] | None:
        match message:
            case ("after", number) if number < len(self.items):
                return self.items[number:]
            case ("after", number):
                self.waiting.append(self.defer_reply())
            case ("publish", text):
                self.items.append(text)
                self.answer([text])
            case "nothing new":
                self.answer([])
        return None

    def answer(self, items: list[str]) -> None:
        for reply in self.waiting:
            reply.set(items)
        self.waiting.clear()


class Site:
    """The WSGI application. Each request is a greenlet of gevent's, which may wait in `ask`."""

    def __init__(self, news: ActorRef[News]) -> None:
        self.news = news

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        text = [("Content-Type", "text/plain; charset=utf-8")]
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "POST", "/":
                body = environ["wsgi.input"].read(MAX_NEWS)
                self.news.tell(("publish", body.decode(errors="replace")))
                start_response("204 No Content", [])
                return []
            case "GET", "/stream":
                start_response("200 OK", text)  # no Content-Length: pywsgi sends chunks
                return self.stream()
            case "GET", "/poll":
                query = parse_qs(environ["QUERY_STRING"])
                items = self.news.ask(("after", int(query["after"][0])), timeout=None)
                start_response("200 OK", [("Content-Type", "application/json")])
                return [json.dumps(items).encode()]
        start_response("404 Not Found", text)
        return [b"/stream, /poll?after=N, or POST to /\n"]

    def stream(self) -> Iterator[bytes]:
        number = 0
        while True:
            try:
                items = self.news.ask(("after", number), timeout=None)
            except ActorStopped:
                return
            for item in items:
                yield f"{item}\n".encode()
            number += len(items)


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
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to serve")
    options = parser.parse_args()
    with ActorSystem("news") as system:
        site = Site(system.spawn(News, name="news"))
        web = system.spawn(Web, options.port, site, name="web").proxy()
        print(f"serving at {web.url()}", flush=True)
        gevent.spawn_later(options.seconds, system.shutdown)
        system.wait()


if __name__ == "__main__":
    main()
