"""The remote cases on Erlang's distribution: two nodes of one scheduler each.

The second node is told the port of the first, so that no epmd has to run.
"""

from __future__ import annotations

from pathlib import Path

from ..erlang import command, compiled, output
from .process import free_port, started

SOURCE = Path(__file__).with_name("remote_bench.erl")


def _run(*arguments: str) -> float:
    port = str(free_port())
    flags = ("-start_epmd", "false", "-erl_epmd_port", port, "-setcookie", "bench")
    with compiled(SOURCE) as folder:
        listen = command(folder, SOURCE.stem, flags=("-name", "station@127.0.0.1", *flags))
        connect = command(
            folder,
            SOURCE.stem,
            *arguments,
            flags=("-name", "visitor@127.0.0.1", "-dist_listen", "false", *flags),
        )
        with started(listen):
            return output(connect)


def ask(n: int, at_once: str) -> float:
    return _run("ask", str(n), at_once)


def tell(n: int, kind: str) -> float:
    return _run("tell", str(n), kind)


def latency(n: int, per_cent: str) -> float:
    return _run("latency", str(n), per_cent)
