"""`actorkit observe`: the web page that shows a node and those behind it."""

from __future__ import annotations

import secrets
from typing import Annotated

import gevent
import typer

from ..observe.observer import Observer
from .app import app
from .connection import KeysOption, NodeUri, ServerKeyOption, TimeoutOption, Uri, connected


@app.command()
def observe(
    uri: NodeUri,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0: a free one.")] = 0,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="Between two looks.")
    ] = 1.0,
    allow_control: Annotated[
        bool,
        typer.Option(
            "--allow-control",
            help="Let the page stop, kill and restart actors, where their node allows it too.",
        ),
    ] = False,
    keys: KeysOption = None,
    server_key: ServerKeyOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Serve a web page on loopback: the tree, rates, failures, and each actor's state and messages.

    Prints the page's address; runs until Ctrl-C.
    """
    token = secrets.token_urlsafe(24) if allow_control else None
    with connected(Uri.parse(uri), keys, server_key, timeout) as node:
        observer = Observer(node, interval, token)
        address = observer.start(port)
        print(f"{address}#token={token}" if token else address, flush=True)
        try:
            while True:
                gevent.sleep(3600)
        finally:
            observer.stop()
