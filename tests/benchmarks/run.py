"""One figure, in a process of its own: `python -m tests.benchmarks.run SUITE PEER FUNCTION N`.

After N may come the argument that the case has for the function. Prints the figure alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from . import erlang
from .measure import quiet

HERE = Path(__file__).parent
#: Where the programs of a suite's peers are.
FOLDERS = {"local": "peers", "remote": "remote"}
#: Peers that need no package but actorkit's own.
BUILT_IN = ("actorkit", "pure", "seed", "raw", "raw_blocking")


def environment(peer: str) -> dict[str, str]:
    """What the process of a peer finds in its environment; "pure" is actorkit's pure kernel."""
    return os.environ | {"ACTORKIT_PURE": "1"} if peer == "pure" else dict(os.environ)


def program_of(peer: str) -> str:
    return "actorkit" if peer == "pure" else peer


def available(peer: str) -> bool:
    """Whether the peer is installed."""
    if peer == "erlang":
        return shutil.which("erl") is not None and shutil.which("erlc") is not None
    return peer in BUILT_IN or importlib.util.find_spec(peer) is not None


def offers(suite: str, peer: str, function: str) -> bool:
    """Whether the peer has a program for the case."""
    from . import savina

    peer = program_of(peer)
    if suite == "local" and hasattr(savina, function):
        return peer in savina.APIS
    if suite == "local" and peer == "erlang":
        return f"run({function}, N)" in (HERE / "peers" / "bench.erl").read_text()
    program = HERE / FOLDERS[suite] / f"{peer}_peer.py"
    return program.exists() and f"def {function}(" in program.read_text()


def main() -> None:
    suite, peer, function, size, *argument = sys.argv[1:]
    peer = program_of(peer)
    quiet()
    from . import savina

    if suite == "local" and hasattr(savina, function):
        print(savina.run(peer, function))
    elif suite == "local" and peer == "erlang":
        with erlang.compiled(HERE / "peers" / "bench.erl") as folder:
            print(erlang.output(erlang.command(folder, "bench", function, size)))
    else:
        module = importlib.import_module(f".{FOLDERS[suite]}.{peer}_peer", __package__)
        print(getattr(module, function)(int(size), *argument))


if __name__ == "__main__":
    main()
