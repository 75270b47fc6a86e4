"""A real redis-server on a socket in a directory, for the tests of pages and examples."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis

#: Seconds that a server may take to be there.
START_TIME = 30


class RedisServer:
    """Keeps what it has confirmed over `kill` and `start`."""

    def __init__(self, directory: Path) -> None:
        self.command = ["redis-server", "--port", "0", "--unixsocket", f"{directory}/redis.sock"]
        self.command += ["--dir", str(directory), "--appendonly", "yes", "--appendfsync", "always"]
        self.url = f"unix://{directory}/redis.sock"

    def start(self) -> None:
        """Returns when it answers."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIME
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    assert time.monotonic() < deadline, "redis-server did not start"
                    time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
