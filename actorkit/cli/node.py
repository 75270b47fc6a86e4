"""`actorkit node` and `actorkit run`: a node in the foreground, until a signal or its actor's end.

What both print on stdout is where they listen; the log goes to stderr.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import gevent
import typer

from ..actor import Actor
from ..observe.levels import INSPECT_LEVELS
from .app import app
from .connection import KeysOption, ServerKeyOption, actor_uri, make_system, read_security
from .failure import Exit, Failure
from .logs import log_to_stderr
from .values import KeywordOption, import_module, read_keywords, read_value

#: Seconds that a node has to connect to another one at its start.
CONNECT_TIME = 30.0

AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="PUBLIC-KEY", help="May connect; may be repeated."),
]
InspectOption = Annotated[
    str | None,
    typer.Option(
        "--inspect",
        metavar="LEVEL",
        help="What others may see: off, tree, all or control; see docs/observing.md.",
    ),
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
    inspect_level: InspectOption = None,
) -> None:
    """Run a node until SIGINT or SIGTERM."""
    log_to_stderr()
    security = read_security(keys, server_key, allow or (), insecure)
    modules = [import_module(name) for name in spawnable or ()]
    config = _config(inspect_level)
    with make_system(
        name, listen=listen, security=security, spawnable=modules, config=config
    ) as system:
        for address in connect or ():
            system.connect(address, CONNECT_TIME)
        _announce(f"{system.name} listens at {system.address}")
        system.wait()


@app.command()
def run(
    actor: Annotated[str, typer.Argument(metavar="MODULE:CLASS", help="The actor's class.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ARGUMENT]...", help="For its constructor; each is JSON, or else plain text."
        ),
    ] = None,
    keyword: KeywordOption = None,
    name: Annotated[
        str | None, typer.Option(help="Of the node; the class in lower case by default.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="tcp://host:port; else nobody connects.")
    ] = None,
    keys: KeysOption = None,
    allow: AllowOption = None,
    server_key: ServerKeyOption = None,
    insecure: InsecureOption = False,
    inspect_level: InspectOption = None,
) -> None:
    """Run one actor, as /class in lower case, until it ends or SIGINT or SIGTERM comes."""
    log_to_stderr()
    security = read_security(keys, server_key, allow or (), insecure)
    cls = _find(actor)
    values, keywords = [read_value(text) for text in arguments or ()], read_keywords(keyword)
    own_name = cls.__name__.lower()
    try:
        inspect.signature(cls).bind(*values, **keywords)
    except TypeError as error:
        raise Failure(f"{actor}: {error}", Exit.USAGE) from error
    config = _config(inspect_level)
    with make_system(name or own_name, listen=listen, security=security, config=config) as system:
        try:
            ref = system.spawn(cls, *values, name=own_name, **keywords)
        except Exception as error:
            raise _failed(actor, error) from error
        ref.rawlink(lambda _: gevent.spawn(system.shutdown))
        if listen is not None:
            _announce(
                f"{ref.path} is at {actor_uri(system.address, ref.path)}",
                f"{system.name} listens at {system.address}",
            )
        system.wait()
    if ref.exception is not None:
        raise _failed(ref.path, ref.exception) from ref.exception


def _config(inspect_level: str | None) -> dict[str, Any]:
    if inspect_level not in (None, *INSPECT_LEVELS):
        raise Failure(f"--inspect takes {', '.join(INSPECT_LEVELS)}", Exit.USAGE)
    return {} if inspect_level is None else {"inspect": inspect_level}


def _announce(*lines: str) -> None:
    """Say so once the program waits: whoever reads it may send a signal at once."""
    gevent.spawn(print, *lines, sep="\n", flush=True)


def _find(actor: str) -> type[Actor]:
    module, colon, qualified = actor.partition(":")
    if not colon or not module or not qualified:
        raise Failure(f"name the actor as MODULE:CLASS, not {actor!r}", Exit.USAGE)
    found: Any = import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, Actor)):
        raise Failure(f"{module} has no actor class {qualified}", Exit.USAGE)
    return found


def _failed(what: str, error: BaseException) -> Failure:
    return Failure(f"{what} failed: {type(error).__name__}: {error}", Exit.ACTOR_ERROR)
