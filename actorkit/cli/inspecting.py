"""`actorkit tree`, `top` and `trace`: seeing inside a running node.

Everything they show comes from the node's inspector; docs/observing.md says what a node lets whom
see. With `--json` a script reads the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Annotated, Any, Literal

import gevent
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from rich.tree import Tree as RichTree

from ..errors import Refused
from ..observe.watch import Inspection, Messages, Row, Tree
from .app import app
from .connection import (
    KeysOption,
    NodeUri,
    ServerKeyOption,
    TimeoutOption,
    Uri,
    actor_uri,
    connected,
)
from .failure import Exit, Failure

ViaOption = Annotated[
    str,
    typer.Option("--via", metavar="NODE", help="Look at this node, to which URI leads."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
IntervalOption = Annotated[
    float, typer.Option("--interval", metavar="SECONDS", min=0.1, help="Between two looks.")
]
Order = Literal["rate", "inbox", "handled", "restarts", "busy", "path"]

#: Actors of one parent that `tree` draws; the others are counted.
MAX_SIBLINGS = 100
#: Seconds between two looks at traced messages.
POLL = 0.2

_STYLES = {"running": "", "starting": "yellow", "stopping": "dim"}


@app.command()
def tree(
    uri: NodeUri,
    live: Annotated[bool, typer.Option("--live", help="Keep it up to date until Ctrl-C.")] = False,
    interval: IntervalOption = 1.0,
    via: ViaOption = "",
    as_json: JsonOption = False,
    keys: KeysOption = None,
    server_key: ServerKeyOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Show the supervision tree of a node, or what is below the actor that URI names."""
    if live and as_json:
        raise Failure("--live and --json exclude each other", Exit.USAGE)
    where = Uri.parse(uri)
    with _tree(where, via, keys, server_key, timeout) as actors:
        if where.path and not any(True for _ in actors.walk(where.path)):
            raise Failure(f"no actor at {where.path!r}", Exit.NOT_FOUND)
        if as_json:
            _print_json([_as_dict(actors, row) for _, row in actors.walk(where.path)])
        elif not live:
            Console().print(_draw(actors, where))
        else:
            _keep_drawing(actors, interval, lambda: _draw(actors, where))


@app.command()
def top(
    uri: NodeUri,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
    sort: Annotated[Order, typer.Option(help="What the first row has most of.")] = "rate",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Rows.")] = 20,
    interval: IntervalOption = 1.0,
    via: ViaOption = "",
    as_json: JsonOption = False,
    keys: KeysOption = None,
    server_key: ServerKeyOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Show which actors do most: messages a second, inbox sizes, restarts, who is busy for long."""
    if as_json and not once:
        raise Failure("--json needs --once", Exit.USAGE)
    where = Uri.parse(uri)
    with _tree(where, via, keys, server_key, timeout) as actors:
        if once:
            gevent.sleep(interval)
            actors.refresh()
        if as_json:
            _print_json([_as_dict(actors, row) for row in _first(actors, where, sort, count)])
        elif once:
            Console().print(_table(actors, where, sort, count))
        else:
            _keep_drawing(actors, interval, lambda: _table(actors, where, sort, count))


@app.command()
def trace(
    uri: NodeUri,
    path: Annotated[str, typer.Argument(help="Of the actor, if URI does not name it.")] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="End after as many.")] = 100,
    seconds: Annotated[float, typer.Option(min=0, help="End after that time.")] = 60.0,
    via: ViaOption = "",
    as_json: JsonOption = False,
    keys: KeysOption = None,
    server_key: ServerKeyOption = None,
    timeout: TimeoutOption = 5.0,
) -> None:
    """Show the messages of one actor as they come, and what becomes of each.

    Safe on a busy node: what is told is bounded in length, number, rate and time, and the node
    stops by itself when this program has gone.
    """
    where = Uri.parse(uri)
    path = path or where.path
    if not path:
        raise Failure(f"name an actor: {actor_uri(where.address, '/path')}", Exit.USAGE)
    show = _print_json_line if as_json else _print_entry(Console(highlight=False))
    with _inspection(where, via, keys, server_key, timeout) as inspection:
        messages = Messages(inspection, path)
        left = count
        ends = monotonic() + seconds
        while left and not messages.ended and monotonic() < ends:
            for entry in messages.poll()[:left]:
                show(entry)
                left -= 1
            if left and not messages.ended:
                gevent.sleep(POLL)
    if messages.skipped:
        typer.echo(f"{messages.skipped:,} more came too fast to be shown", err=True)
    if messages.ended:
        typer.echo(f"ended: {messages.ended}", err=True)


@contextmanager
def _inspection(
    uri: Uri, via: str, keys: Any, server_key: str | None, timeout: float
) -> Iterator[Inspection]:
    with connected(uri, keys, server_key, timeout) as node:
        try:
            yield Inspection(node, via, timeout)
        except Refused as error:
            raise Failure(str(error), Exit.REFUSED) from error


@contextmanager
def _tree(uri: Uri, via: str, keys: Any, server_key: str | None, timeout: float) -> Iterator[Tree]:
    with _inspection(uri, via, keys, server_key, timeout) as inspection:
        actors = Tree(inspection)
        actors.refresh()
        yield actors
        actors.close()


def _keep_drawing(actors: Tree, interval: float, draw: Callable[[], RenderableType]) -> None:
    with Live(draw(), auto_refresh=False, screen=True) as screen:
        while True:
            gevent.sleep(interval)
            actors.refresh()
            screen.update(draw(), refresh=True)


# -- the tree --------------------------------------------------------------------------------------


def _draw(actors: Tree, uri: Uri) -> RenderableType:
    drawing = RichTree(f"[bold]{uri.address}[/]{uri.path}", guide_style="dim")
    branches = [drawing]
    shown = [0]
    for depth, row in actors.walk(uri.path):
        del branches[depth + 1 :], shown[depth + 1 :]
        shown[depth] += 1
        if shown[depth] > MAX_SIBLINGS:
            branches.append(RichTree(""))  # not drawn, and nor is what is below it
        else:
            branches.append(branches[depth].add(_label(actors, row)))
        shown.append(0)
    return drawing


def _label(actors: Tree, row: Row) -> Text:
    parts = [(row.name, "bold"), (f"  {row.cls}", "cyan")]
    if row.state != "running":
        parts.append((f"  {row.state}", _STYLES.get(row.state, "bold red")))
    if row.activity:
        parts.append((f"  {_doing(actors, row)}", "yellow"))
    if row.inbox:
        parts.append((f"  inbox {row.inbox:,}", "magenta"))
    parts.append((f"  handled {row.handled:,}", "dim"))
    if row.restarts:
        parts.append((f"  restarts {row.restarts:,}", "red"))
    return Text.assemble(*parts)


def _doing(actors: Tree, row: Row) -> str:
    busy = actors.busy(row)
    return row.activity if not busy else f"{row.activity} for {busy:.1f} s"


# -- top -------------------------------------------------------------------------------------------


def _first(actors: Tree, uri: Uri, sort: Order, count: int) -> list[Row]:
    keys: dict[Order, Callable[[Row], Any]] = {
        "rate": lambda row: -row.rate,
        "inbox": lambda row: -row.inbox,
        "handled": lambda row: -row.handled,
        "restarts": lambda row: -row.restarts,
        "busy": lambda row: -(actors.busy(row) or 0),
        "path": lambda row: actors.path(row),
    }
    return sorted((row for _, row in actors.walk(uri.path)), key=keys[sort])[:count]


def _table(actors: Tree, uri: Uri, sort: Order, count: int) -> RenderableType:
    rows = actors.rows.values()
    head = Text.assemble(
        (uri.address, "bold"),
        f"  {len(rows):,}{' and more' if actors.more else ''} actors",
        f"  {sum(row.rate for row in rows):,.0f} messages/s",
        f"  {sum(row.inbox for row in rows):,} waiting",
        f"  {sum(row.restarts for row in rows):,} restarts",
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("path", overflow="ellipsis", no_wrap=True, ratio=2)
    table.add_column("class", overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("state", no_wrap=True)
    for name in ("messages/s", "inbox", "handled", "restarts"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("doing", no_wrap=True, min_width=8)
    for row in _first(actors, uri, sort, count):
        table.add_row(
            Text(actors.path(row)),
            Text(row.cls, "cyan"),
            Text(row.state, _STYLES.get(row.state, "bold red")),
            f"{row.rate:,.0f}",
            f"{row.inbox:,}",
            f"{row.handled:,}",
            f"{row.restarts:,}",
            Text(_doing(actors, row), "yellow"),
        )
    return Group(head, table)


# -- output ----------------------------------------------------------------------------------------


def _as_dict(actors: Tree, row: Row) -> dict[str, Any]:
    busy = actors.busy(row)
    return {
        "path": actors.path(row),
        "class": row.cls,
        "state": row.state,
        "activity": row.activity,
        "inbox": row.inbox,
        "handled": row.handled,
        "restarts": row.restarts,
        "rate": round(row.rate, 3),
        "busy": None if busy is None else round(busy, 3),
    }


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    print(json.dumps(list(rows), indent=1))


_FIELDS = ("number", "time", "how", "message", "seconds", "outcome")


def _print_json_line(entry: list[Any]) -> None:
    print(json.dumps(dict(zip(_FIELDS, entry, strict=True))), flush=True)


def _print_entry(console: Console) -> Callable[[list[Any]], None]:
    began: list[float] = []

    def show(entry: list[Any]) -> None:
        _, time, how, message, seconds, outcome = entry
        began.append(time)
        took = "" if seconds is None else f"{1000 * seconds:.2f} ms"
        failed = str(outcome).startswith("failed")
        line = Text.assemble(
            (f"{time - began[0]:9.3f} s ", "dim"),
            (f"{how:<5} ", "cyan"),
            message,
            ("  -> ", "dim"),
            (outcome or "still runs", "red" if failed else "green" if outcome else "yellow"),
            (f"  {took}", "dim"),
        )
        console.print(line, soft_wrap=True)

    return show
