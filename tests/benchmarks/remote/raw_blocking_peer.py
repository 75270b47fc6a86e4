"""The echo of the raw peer where both ends block in `recv`, without gevent."""

from __future__ import annotations

import zmq

from . import raw_peer


def ask(n: int, at_once: str) -> float:
    return raw_peer.ask(n, at_once, zmq)


if __name__ == "__main__":
    raw_peer.main(zmq)
