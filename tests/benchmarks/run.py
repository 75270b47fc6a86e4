"""One case on one peer, in a process of its own: `python -m tests.benchmarks.run PEER CASE N`.

Prints the figure alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import structlog

PEERS = Path(__file__).parent / "peers"


def erlang(case: str, size: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["erlc", "-o", folder, str(PEERS / "bench.erl")], check=True, capture_output=True
        )
        done = subprocess.run(
            [
                "erl",
                "+S",
                "1:1",
                "+P",
                "2000000",
                "-noshell",
                "-pa",
                folder,
                "-run",
                "bench",
                "main",
                case,
                str(size),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    return done.stdout.strip()


def available(peer: str) -> bool:
    """Whether the peer is installed."""
    if peer == "erlang":
        return shutil.which("erl") is not None and shutil.which("erlc") is not None
    if peer in ("actorkit", "seed"):
        return True
    return importlib.util.find_spec(peer) is not None


def offers(peer: str, case: str) -> bool:
    """Whether the peer has a program for the case."""
    from . import savina

    if hasattr(savina, case):
        return peer in savina.APIS
    if peer == "erlang":
        return f"run({case}, N)" in (PEERS / "bench.erl").read_text()
    return f"def {case}(" in (PEERS / f"{peer}_peer.py").read_text()


def main() -> None:
    peer, case, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if peer == "erlang":
        print(erlang(case, size))
        return
    from . import savina

    if hasattr(savina, case):
        print(savina.run(peer, case))
    else:
        module = importlib.import_module(f".peers.{peer}_peer", __package__)
        print(getattr(module, case)(size))


if __name__ == "__main__":
    main()
