"""`python -m actorkit node --name a --listen tcp://... --spawnable package.module` runs a node."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from types import ModuleType
from typing import Any

from .remote.security import Curve, Insecure, generate_keys, load_keys
from .system import ActorSystem


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m actorkit", description=__doc__)
    commands = parser.add_subparsers(required=True)
    node = commands.add_parser("node", help="run a node until SIGINT or SIGTERM")
    node.add_argument("--name", required=True, help="unique among the nodes that connect")
    node.add_argument("--listen", required=True, metavar="ADDRESS", help="tcp://host:port")
    node.add_argument("--connect", action="append", default=[], metavar="ADDRESS")
    node.add_argument(
        "--spawnable",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module whose actor classes other nodes may spawn here; may be repeated",
    )
    node.add_argument("--keys", metavar="FILE", help="a file made by keygen: use CURVE")
    node.add_argument("--allow", action="append", default=[], metavar="PUBLIC-KEY")
    node.add_argument("--server-key", metavar="PUBLIC-KEY", help="of the nodes to connect to")
    node.add_argument("--insecure", action="store_true", help="no encryption, on any address")
    node.set_defaults(run=run_node)
    keygen = commands.add_parser("keygen", help="make a pair of CURVE keys in a new file")
    keygen.add_argument("file")
    keygen.set_defaults(run=run_keygen)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, ImportError) as error:
        print(f"actorkit: {error}", file=sys.stderr)
        return 1
    return 0


def run_node(options: argparse.Namespace) -> None:
    sys.path.insert(0, os.getcwd())
    with ActorSystem(
        options.name,
        listen=options.listen,
        security=_security(options),
        spawnable=[_module(name) for name in options.spawnable],
    ) as system:
        for address in options.connect:
            system.connect(address, timeout=30)
        print(f"{system.name} listens at {system.address}", flush=True)
        system.wait()


def run_keygen(options: argparse.Namespace) -> None:
    print(generate_keys(options.file).public)


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _security(options: argparse.Namespace) -> Any:
    if options.keys is not None:
        keys = load_keys(options.keys)
        return Curve(keys, server_key=options.server_key, allow=options.allow)
    return Insecure() if options.insecure else None


if __name__ == "__main__":
    sys.exit(main())
