"""Values as the command line has them: arguments that are typed, results that are shown.

An argument is JSON, or else the text itself. `@message` classes stand on both ways as an object
whose "@message" is the name that they travel under.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import enum
import importlib
import json
import math
import os
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console

from .. import messages
from ..ref import ActorRef
from .failure import Exit, Failure

__all__ = [
    "ImportOption",
    "JsonOption",
    "KeywordOption",
    "as_json",
    "import_module",
    "read_keywords",
    "read_value",
    "show",
]

#: The key of a JSON object that says which `@message` class it stands for.
MARK = "@message"

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
KeywordOption = Annotated[
    list[str] | None,
    typer.Option("--keyword", "-k", metavar="NAME=VALUE", help="An argument by name; repeatable."),
]
ImportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--import", metavar="MODULE", help="Where @message classes are defined; repeatable."
    ),
]


def read_value(text: str) -> Any:
    """What an argument stands for: JSON if it is that, or else the text. Raises Failure (usage)."""
    try:
        return json.loads(text, object_hook=_read_object, parse_constant=_refuse)
    except ValueError:
        return text


def read_keywords(pairs: Iterable[str] | None) -> dict[str, Any]:
    """The arguments by name of `--keyword`. Raises Failure (usage)."""
    keywords = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise Failure(f"--keyword takes NAME=VALUE, not {pair!r}", Exit.USAGE)
        keywords[name] = read_value(text)
    return keywords


def import_module(name: str) -> ModuleType:
    """The user's module `name`, from the current directory or wherever Python finds it.

    Raises Failure.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise Failure(f"cannot import {name}: {type(error).__name__}: {error}") from error


def show(value: Any, as_script: bool) -> None:
    """Print a result: for people (nothing at all for None), or as one line of JSON."""
    if as_script:
        print(json.dumps(as_json(value)))
    elif isinstance(value, str):
        print(value)
    elif value is not None:
        Console(soft_wrap=True).print(value, markup=False)


def as_json(value: Any) -> Any:
    """`value` in the types of JSON; what has none of them is text."""
    match value:
        case None | bool() | str():
            return value
        case enum.Enum():
            return as_json(value.value)
        case int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_key(key): as_json(item) for key, item in value.items()}
        case list() | tuple():
            return [as_json(item) for item in value]
        case set() | frozenset():
            return sorted((as_json(item) for item in value), key=json.dumps)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return value.total_seconds()
        case ActorRef():
            return value.address
        case BaseException():
            return f"{type(value).__name__}: {value}"
    if type(value) in messages.names:
        content = {
            field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        return {MARK: messages.names[type(value)], **content}
    if hasattr(value, "tolist"):  # numpy's
        return as_json(value.tolist())
    return str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(as_json(key))


def _read_object(content: dict[str, Any]) -> Any:
    name = content.pop(MARK, None)
    if name is None:
        return content
    cls = messages.registry.get(name)
    if cls is None:
        raise Failure(
            f"no class is registered as the message {name!r}; name its module with --import",
            Exit.USAGE,
        )
    try:
        return cls(**content)
    except Exception as error:
        raise Failure(f"no {name}: {error}", Exit.USAGE) from error


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is a word here, as JSON knows no such number")
