"""The table of log events in the docs is what the source logs: names, levels and keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")
#: What the log of an actor has bound: see `Life.get_log`.
BOUND_TO_ACTORS = {"system", "path", "actor"}
ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| ([^|]+) \|", re.MULTILINE)

Event = tuple[str, str, frozenset[str]]


def documented() -> set[Event]:
    """Name, level and keys of each event in the table."""
    page = (ROOT / "docs/howto/logging.md").read_text()
    return {
        (name, level, frozenset(re.findall(r"`(\w+)`", keys)))
        for name, level, keys in ROW.findall(page)
    }


def logged() -> Iterator[Event]:
    """Those of each call in the source that logs."""
    for module in sorted((ROOT / "actorkit").rglob("*.py")):
        tree = ast.parse(module.read_text())
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and (bound := bound_keys(node.func.value, tree)) is not None
            ):
                event = node.args[0]
                assert isinstance(event, ast.Constant), f"{module}:{node.lineno}: a name is text"
                keys = bound | {keyword.arg or "" for keyword in node.keywords}
                level = node.func.attr
                if level == "exception":
                    level = "error"
                    keys.add("exception")
                if "exc_info" in keys:
                    keys = keys - {"exc_info"} | {"exception"}
                yield str(event.value), level, frozenset(keys)


def bound_keys(logger: ast.expr, tree: ast.AST) -> set[str] | None:
    """What is bound to a logger of ours; None for what is no logger."""
    if isinstance(logger, ast.Name):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == logger.id:
                return bound_keys(node.value, tree)
    if isinstance(logger, ast.Call):
        called = ast.unparse(logger.func).rpartition(".")[2]
        if called == "get_log":
            return set(BOUND_TO_ACTORS)
        if called == "get_logger":
            return {keyword.arg or "" for keyword in logger.keywords}
    return None


def test_every_event_is_in_the_table_and_nothing_else_is() -> None:
    assert set(logged()) == documented()


def test_there_are_events_to_compare() -> None:
    assert len(documented()) > 10
