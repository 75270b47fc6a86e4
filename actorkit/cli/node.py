"""`actorkit node` and `actorkit run`: a node in the foreground, until a signal or its actor's end.

What both print on stdout is where they listen; the log goes to stderr.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Annotated

import typer

from .app import app
from .connection import KeysOption, ServerKeyOption, make_system, read_security
from .failure import Failure
from .logs import log_to_stderr

AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="PUBLIC-KEY", help="May connect; may be repeated."),
]
InsecureOption = Annotated[bool, typer.Option("--insecure", help="No encryption, on any address.")]


@app.command()
def node(
    name: Annotated[str, typer.Option(help="Unique among the nodes that connect.")],
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="tcp://host:port")],
    connect: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="A node to connect to.")
    ] = None,
    spawnable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE",
            help="A module whose actor classes other nodes may spawn here; may be repeated.",
        ),
    ] = None,
    keys: KeysOption = None,
    allow: AllowOption = None,
    server_key: ServerKeyOption = None,
    insecure: InsecureOption = False,
) -> None:
    """Run a node until SIGINT or SIGTERM."""
    log_to_stderr()
    security = read_security(keys, server_key, allow or (), insecure)
    modules = [import_module(name) for name in spawnable or ()]
    with make_system(name, listen=listen, security=security, spawnable=modules) as system:
        for address in connect or ():
            system.connect(address, timeout=30)
        print(f"{system.name} listens at {system.address}", flush=True)
        system.wait()


def import_module(name: str) -> ModuleType:
    """The user's module `name`, from the current directory or wherever Python finds it."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Failure(f"cannot import {name}: {error}") from error
