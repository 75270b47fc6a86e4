"""From what is typed to a connected node: URIs of nodes and actors, keys, timeouts.

Used by every command that talks to a node; the options are written once, as types of parameters.
"""

from __future__ import annotations

import logging
import re
import secrets
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import gevent
import typer

from ..ref import ActorRef
from ..remote.node import Node
from ..remote.security import Curve, Insecure, load_keys
from ..system import ActorSystem
from .failure import Exit, Failure
from .logs import log_to_stderr

__all__ = [
    "TIMEOUT",
    "ActorUri",
    "KeysOption",
    "NodeUri",
    "ServerKeyOption",
    "TimeoutOption",
    "Uri",
    "actor_uri",
    "connected",
    "lookup",
    "make_system",
    "read_security",
]

#: Seconds to connect, and for each answer after that.
TIMEOUT = 5.0

_SHAPE = re.compile(
    r"(?:(?:actorkit://(?P<node>[^@/#]+)@|tcp://)(?P<place>(?:\[[^\]/]+\]|[^\[\]:/#@]+):\d+)"
    r"|(?P<socket>ipc:///[^#]+)#?)"
    r"(?P<path>/[^#]*)?(?:#(?P<uid>\d+))?"
)


class Uri(NamedTuple):
    """A node, or an actor of it, as the command line names them.

    `node`: the name that the node must have, or empty. `address`: where it listens. `path`: of the
    actor, or empty. `uid`: which incarnation of it, if that matters.
    """

    node: str
    address: str
    path: str
    uid: int | None

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Read `actorkit://name@host:port/path#uid`, `tcp://host:port/path` or `ipc:///socket#/path`.

        Raises Failure (usage).
        """
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise Failure(
                "a URI is tcp://host:port/path, actorkit://name@host:port/path or"
                f" ipc:///socket#/path, not {text!r}",
                Exit.USAGE,
            )
        node, place, path, uid = found["node"], found["place"], found["path"], found["uid"]
        path = (path or "").rstrip("/")
        address = found["socket"] or f"tcp://{place}"
        return cls(node or "", address, path, None if uid is None else int(uid))


def actor_uri(address: str, path: str) -> str:
    """How the actor at `path` of the node at `address` is named here."""
    return f"{address}{'#' if address.startswith('ipc:') else ''}{path}"


NodeUri = Annotated[
    str,
    typer.Argument(
        metavar="URI", help="tcp://host:port, actorkit://name@host:port or ipc:///socket"
    ),
]
ActorUri = Annotated[
    str,
    typer.Argument(
        metavar="URI",
        help="tcp://host:port/path, actorkit://name@host:port/path or ipc:///socket#/path",
    ),
]
KeysOption = Annotated[
    Path | None,
    typer.Option("--keys", metavar="FILE", help="A file made by keygen: use CURVE."),
]
ServerKeyOption = Annotated[
    str | None,
    typer.Option(
        "--server-key", metavar="PUBLIC-KEY", help="Of the node to connect to; needs --keys."
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0, help="To connect, and for each answer after that."
    ),
]


def read_security(
    keys: Path | None,
    server_key: str | None,
    allow: Iterable[str] = (),
    insecure: bool = False,
) -> Curve | Insecure | None:
    """What `security=` the options mean. Raises Failure (usage), and OSError of the file."""
    if keys is None:
        if server_key is not None or allow:
            raise Failure("--server-key and --allow need --keys FILE", Exit.USAGE)
        return Insecure() if insecure else None
    if insecure:
        raise Failure("--keys and --insecure exclude each other", Exit.USAGE)
    try:
        return Curve(load_keys(keys), server_key=server_key, allow=allow)
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from error


def make_system(name: str, **settings: Any) -> ActorSystem:
    """An `ActorSystem` of what the user typed. Raises Failure (usage), and OSError."""
    try:
        return ActorSystem(name, **settings)
    except ValueError as error:
        text = str(error)
        for word, option in _OPTIONS.items():
            text = text.replace(word, option)
        raise Failure(text, Exit.USAGE) from error


#: What errors advise to write in a program, and what that is here.
_OPTIONS = {"security=Curve(...)": "--keys FILE", "security=Insecure()": "--insecure"}


@contextmanager
def connected(
    uri: Uri,
    keys: Path | None = None,
    server_key: str | None = None,
    timeout: float = TIMEOUT,
) -> Iterator[Node]:
    """The node of `uri`, connected by a system of its own that lives as long as the block.

    Raises Failure, NodeUnreachable and HandshakeRefused; leave them to `main`.
    """
    if keys is not None and server_key is None:
        raise Failure("to connect with --keys, --server-key is needed too", Exit.USAGE)
    log_to_stderr(logging.WARNING)
    security = read_security(keys, server_key)
    with _interruptible(), make_system(f"cli-{secrets.token_hex(4)}", security=security) as system:
        node = system.connect(uri.address, timeout)
        if uri.node not in ("", node.name):
            raise Failure(
                f"the node at {uri.address} is {node.name!r}, not {uri.node!r}", Exit.NOT_FOUND
            )
        yield node


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt where this greenlet waits.

    Python's own handler raises it in whatever runs, and in the middle of the dispatcher or of a
    socket's callback that leaves a system which cannot shut down.
    """
    here = gevent.getcurrent()
    handler = gevent.signal_handler(signal.SIGINT, gevent.kill, here, KeyboardInterrupt)
    try:
        yield
    finally:
        handler.cancel()


def lookup(node: Node, uri: Uri, timeout: float = TIMEOUT) -> ActorRef[Any]:
    """The actor that `uri` names. Raises Failure and ActorNotFound."""
    if not uri.path:
        raise Failure(f"name an actor: {actor_uri(uri.address, '/path')}", Exit.USAGE)
    ref = node.lookup(uri.path, timeout)
    if uri.uid not in (None, ref.uid):
        raise Failure(
            f"{uri.path}#{uri.uid} has ended; the actor there now is #{ref.uid}", Exit.NOT_FOUND
        )
    return ref
