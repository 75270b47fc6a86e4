"""A bounded pool of Redis connections as a supervised pool of actors; the server dies and returns.

    python examples/redis_pool.py --connections 4 --visits 200
    python examples/redis_pool.py --url redis://localhost:6379/0

Each actor owns one connection, so there are never more. Without --url it starts a redis-server of
its own, kills it half-way and starts it again: the commands under way fail, the others wait.
"""

# ruff: noqa: E402
from __future__ import annotations

from gevent import monkey

monkey.patch_all()  # before anything that imports socket, as in any gevent program

import argparse
import subprocess
import tempfile
from typing import Any

import gevent
import redis
import structlog
from gevent.pool import Pool
from redis.backoff import NoBackoff
from redis.retry import Retry

from actorkit import Actor, ActorSystem, AskTimeout, Backoff, LeastLoaded, OneForOne, Reason, pool


class Connection(Actor):
    """One connection. One that breaks is made anew by a restart, and its inbox waits meanwhile."""

    def __init__(self, url: str) -> None:
        # Trying again is supervision's work, and an INCR must not be sent twice.
        self.redis = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0))

    def on_start(self) -> None:
        self.redis.ping()  # without a server it fails, and is tried again

    def receive(self, command: tuple[str | int, ...]) -> Any:
        return self.redis.execute_command(*command)  # type: ignore[no-untyped-call]

    def on_stop(self, reason: Reason) -> None:
        self.redis.close()


class ConnectionPool(LeastLoaded):
    """Never gives a connection up: it tries at most a second apart until there is a server."""

    supervision = OneForOne(intensity=1_000_000, backoff=Backoff(minimum=0.05, maximum=1.0))


class Server:
    """A redis-server of our own, on a socket in `directory`, that keeps what it has confirmed."""

    def __init__(self, directory: str) -> None:
        self.command = ["redis-server", "--port", "0", "--unixsocket", f"{directory}/redis.sock"]
        self.command += ["--dir", directory, "--appendonly", "yes", "--appendfsync", "always"]
        self.url = f"unix://{directory}/redis.sock"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def count_visits(url: str, connections: int, visits: int, server: Server | None) -> None:
    with ActorSystem("redis") as system:
        redis_pool = system.spawn(ConnectionPool, pool(connections, Connection, url), name="pool")
        redis_pool.ask(("DEL", "visits"), timeout=30)

        def visit(number: int) -> bool:
            if server is not None and number == visits // 2:
                server.kill()
                print("the server is dead")
                gevent.spawn_later(0.3, server.start)
            try:
                redis_pool.ask(("INCR", "visits"), timeout=30)
            except (redis.ConnectionError, AskTimeout):
                return False  # perhaps it was counted, perhaps not
            return True

        confirmed = sum(Pool(20).imap_unordered(visit, range(visits)))
        counted = int(redis_pool.ask(("GET", "visits"), timeout=30))
        restarts = sum(actor.restarts for actor in system.tree())
        print(f"{visits} visits: {confirmed} confirmed, {visits - confirmed} lost with the server")
        print(f"{connections} connections, {restarts} restarts")
        print(f"Redis counts as many: {confirmed <= counted <= visits}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--url", help="a server that runs already, and is left alone")
    options = parser.parse_args()
    # The log would tell of every attempt to connect while there is no server.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    if options.url:
        count_visits(options.url, options.connections, options.visits, None)
        return
    with tempfile.TemporaryDirectory() as directory:
        server = Server(directory)
        try:
            count_visits(server.url, options.connections, options.visits, server)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
