"""`actorkit call`, `ask` and `tell`: one message to an actor of a running node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..errors import ActorStopped, CodecError, RemoteError, UncallableMethod
from .app import app
from .connection import (
    TIMEOUT,
    ActorUri,
    KeysOption,
    ServerKeyOption,
    TimeoutOption,
    Uri,
    connected,
    lookup,
)
from .failure import Exit, Failure
from .values import (
    ImportOption,
    JsonOption,
    KeywordOption,
    import_module,
    read_keywords,
    read_value,
    show,
)

Message = Annotated[str, typer.Argument(metavar="MESSAGE", help="JSON, or else plain text.")]


@app.command()
def call(
    uri: ActorUri,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A public method.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGUMENT]...", help="Each is JSON, or else plain text."),
    ] = None,
    keyword: KeywordOption = None,
    json: JsonOption = False,
    timeout: TimeoutOption = TIMEOUT,
    imported: ImportOption = None,
    keys: KeysOption = None,
    server_key: ServerKeyOption = None,
) -> None:
    """Call a method of an actor, and print what it returns."""
    target = _target(uri, imported)
    values = [read_value(text) for text in arguments or ()]
    keywords = read_keywords(keyword)
    if method.startswith("_"):
        raise Failure(f"names with _ cannot be called from outside: {method}", Exit.USAGE)
    with connected(target, keys, server_key, timeout) as node:
        proxy = lookup(node, target, timeout).proxy(timeout)
        show(_answer(lambda: getattr(proxy, method)(*values, **keywords)), json)


@app.command()
def ask(
    uri: ActorUri,
    message: Message,
    json: JsonOption = False,
    timeout: TimeoutOption = TIMEOUT,
    imported: ImportOption = None,
    keys: KeysOption = None,
    server_key: ServerKeyOption = None,
) -> None:
    """Send a message to an actor, and print the answer."""
    target = _target(uri, imported)
    value = read_value(message)
    with connected(target, keys, server_key, timeout) as node:
        ref = lookup(node, target, timeout)
        show(_answer(lambda: ref.ask(value, timeout)), json)


@app.command()
def tell(
    uri: ActorUri,
    message: Message,
    timeout: TimeoutOption = TIMEOUT,
    imported: ImportOption = None,
    keys: KeysOption = None,
    server_key: ServerKeyOption = None,
) -> None:
    """Send a message to an actor, and wait for no answer."""
    target = _target(uri, imported)
    value = read_value(message)
    with connected(target, keys, server_key, timeout) as node:
        lookup(node, target, timeout).tell(value)


def _target(uri: str, imported: list[str] | None) -> Uri:
    """Whom to talk to, once the message classes that values may name are known."""
    target = Uri.parse(uri)
    for name in imported or ():
        import_module(name)
    return target


def _answer(question: Callable[[], Any]) -> Any:
    """What `question` returns; an error of the actor is told from one on the way to it."""
    try:
        return question()
    except (ActorStopped, UncallableMethod):
        raise
    except CodecError as error:
        if hasattr(error, "__notes__"):
            raise _raised(error) from error
        raise Failure(f"the answer cannot be read: {error}; try --import MODULE") from error
    except Exception as error:
        # What comes from the other node has its traceback over there as a note.
        if isinstance(error, RemoteError) or hasattr(error, "__notes__"):
            raise _raised(error) from error
        raise


def _raised(error: Exception) -> Failure:
    if not isinstance(error, RemoteError):
        return Failure(f"the actor raised {type(error).__name__}: {error}", Exit.ACTOR_ERROR)
    failure = Failure(f"the actor raised {error}", Exit.ACTOR_ERROR)
    failure.add_note(f"raised on another node:\n{error.remote_traceback}")
    return failure
