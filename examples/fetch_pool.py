"""A pool of workers that fetch web pages, with timeouts; one after the other and all at once.

    python examples/fetch_pool.py --pages 40 --workers 10

It starts the web server itself, whose every eleventh page is too slow for the timeout.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import gevent
from gevent import monkey
from gevent.pywsgi import WSGIServer

from actorkit import Actor, ActorSystem, LeastLoaded, Refused, pool


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    number = int(environ["PATH_INFO"].strip("/"))
    gevent.sleep(1.0 if number % 11 == 0 else 0.03)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"page {number}".encode()]


class Fetcher(Actor):
    """Blocking code as one would write it anywhere; only this actor waits."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout

    def receive(self, url: str) -> str:
        try:
            with gevent.Timeout(self.timeout), urlopen(url) as response:
                return str(response.read().decode())
        except (gevent.Timeout, URLError) as error:
            raise Refused(f"{url}: {type(error).__name__}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=0.2, help="seconds for a page")
    options = parser.parse_args()
    server = WSGIServer(("127.0.0.1", 0), page, log=None)
    server.start()
    urls = [f"http://127.0.0.1:{server.server_port}/{n}" for n in range(options.pages)]

    with ActorSystem("fetch") as system:
        single = system.spawn(Fetcher, options.timeout, name="single")
        started = time.perf_counter()
        one_by_one = []
        for url in urls:
            try:
                one_by_one.append(single.ask(url))
            except Refused as refusal:
                one_by_one.append(f"refused {refusal}")
        sequential = time.perf_counter() - started

        workers = pool(options.workers, Fetcher, options.timeout)
        fetchers = system.spawn(LeastLoaded, workers, name="fetchers")
        started = time.perf_counter()
        answers = [fetchers.ask_nowait(url, timeout=30) for url in urls]
        gevent.joinall(answers)
        concurrent = time.perf_counter() - started

    fetched = [answer.value for answer in answers if answer.successful()]
    print(f"one by one  {sequential:6.2f} s")
    print(f"{options.workers:3} at once {concurrent:6.2f} s  ({sequential / concurrent:.1f} x)")
    print(f"{len(fetched)} pages fetched, {options.pages - len(fetched)} timed out")
    assert fetched == [text for text in one_by_one if text.startswith("page")]
    server.stop()


if __name__ == "__main__":
    monkey.patch_all()
    main()
