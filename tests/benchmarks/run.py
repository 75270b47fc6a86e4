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

from actorkit import kernel

from . import erlang, savina
from .measure import quiet
from .table import KERNELS

HERE = Path(__file__).parent
#: Where the programs of a suite's peers are.
FOLDERS = {"local": "peers", "savina": "peers", "remote": "remote"}
#: Erlang's programs of a suite, beside them.
ERLANG = {"local": "bench", "savina": "savina"}
#: Peers that need no package but actorkit's own.
BUILT_IN = ("pure", "seed", "raw", "raw_blocking")


def environment(peer: str) -> dict[str, str]:
    """What the process of a peer finds in its environment, which chooses actorkit's kernel."""
    choice = {"pure": {"ACTORKIT_PURE": "1"}, "compiled": {"ACTORKIT_PURE": "0"}}
    return os.environ | choice.get(peer, {})


def program_of(peer: str) -> str:
    return "actorkit" if peer in KERNELS else peer


def available(peer: str) -> bool:
    """Whether the peer is installed."""
    if peer == "compiled":
        return kernel.BUILT
    if peer == "erlang":
        return shutil.which("erl") is not None and shutil.which("erlc") is not None
    return peer in BUILT_IN or importlib.util.find_spec(peer) is not None


def offers(suite: str, peer: str, function: str) -> bool:
    """Whether the peer has a program for the case."""
    peer = program_of(peer)
    if peer == "erlang" and suite in ERLANG:
        return f"run({function}, " in _erlang_source(suite).read_text()
    if suite == "savina":
        return peer in savina.APIS
    program = HERE / FOLDERS[suite] / f"{peer}_peer.py"
    return program.exists() and f"def {function}(" in program.read_text()


def main() -> None:
    suite, peer, function, size, *argument = sys.argv[1:]
    if peer in KERNELS and peer != kernel.NAME:
        raise SystemExit(f"this process has the {kernel.NAME} kernel, not the {peer} one")
    peer = program_of(peer)
    quiet()
    if peer == "erlang" and suite in ERLANG:
        with erlang.compiled(_erlang_source(suite)) as folder:
            print(erlang.output(erlang.command(folder, ERLANG[suite], function, size)))
    elif suite == "savina":
        print(savina.run(peer, function, int(size)))
    else:
        module = importlib.import_module(f".{FOLDERS[suite]}.{peer}_peer", __package__)
        print(getattr(module, function)(int(size), *argument))


def _erlang_source(suite: str) -> Path:
    return HERE / FOLDERS[suite] / f"{ERLANG[suite]}.erl"


if __name__ == "__main__":
    main()
