"""A run for people and programs: as text, as JSON lines, as a sequence diagram; and two compared.

Pure functions of the events of a log; `str(log)` is the text. Used by the exploration and by tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

from .eventlog import Event

__all__ = ["Difference", "first_difference", "to_html", "to_json_lines", "to_text"]

#: Lines before the first difference that are shown with it.
SHOWN_BEFORE = 3

#: Measures of the diagram, in pixels.
ROW, COLUMN, LEFT, TOP = 22, 190, 150, 50

_MAIN = "test"


def to_text(events: Iterable[Event]) -> str:
    """One line for each event: its number, time, kind, where, what, and `<` its cause."""
    return "\n".join(map(str, events))


def to_json_lines(events: Iterable[Event]) -> str:
    """One JSON object a line, with the fields of `Event`."""
    return "".join(json.dumps(event._asdict(), ensure_ascii=False) + "\n" for event in events)


@dataclass(frozen=True)
class Difference:
    """Where two runs part: their first events that are not the same; None for one that is over."""

    one: Event | None
    other: Event | None
    before: tuple[Event, ...]  #: the last events that they share

    def __str__(self) -> str:
        lines = ["the runs part here:", *(f"    {event}" for event in self.before)]
        lines.append(f"  - {self.one or '(the end)'}")
        lines.append(f"  + {self.other or '(the end)'}")
        return "\n".join(lines)


def first_difference(one: Iterable[Event], other: Iterable[Event]) -> Difference | None:
    """Compare the logs of two runs; None when they are the same."""
    before: list[Event] = []
    for left, right in zip_longest(one, other):
        if left != right:
            return Difference(left, right, tuple(before[-SHOWN_BEFORE:]))
        before.append(left)
    return None


def to_html(events: Iterable[Event], title: str = "a run") -> str:
    """A sequence diagram of the run as one HTML file, which needs nothing else.

    Each actor is a line downwards, each message an arrow from its sending to its delivery; answers
    are dashed, and what was never delivered is grey. Whoever points at something reads all of it.
    """
    diagram = _Diagram(list(events))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{diagram.draw()}\n</body></html>\n"
    )


_STYLE = """
body { font: 14px system-ui, sans-serif; margin: 1em; }
svg { font: 12px ui-monospace, monospace; }
svg text { fill: #222; } svg .time { fill: #888; }
.life { stroke: #bbb; } .head { font-weight: bold; }
.arrow { stroke: #1565c0; fill: none; } .answer { stroke-dasharray: 5 3; }
.lost { stroke: #999; stroke-dasharray: 2 3; }
.turn { fill: #1565c0; } .mark { fill: #666; } .bad, svg text.bad { fill: #c62828; }
.fault { stroke: #c62828; stroke-dasharray: 8 4; }
g:hover .arrow { stroke-width: 3; }
"""

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"'
    ' orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#1565c0"/></marker></defs>'
)
_BAD = frozenset({"failed", "dead letter", "overflow", "node down", "node silent"})


class _Diagram:
    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self._rows = {event.number: row for row, event in enumerate(events)}
        self._by_number = {event.number: event for event in events}
        self._columns: dict[str, int] = {}
        for event in events:
            if event.kind != "fault":
                self._columns.setdefault(_who(event), len(self._columns))
                if event.other:
                    self._columns.setdefault(event.other, len(self._columns))
        self._delivered = {event.cause for event in events if event.kind == "delivered"}

    def draw(self) -> str:
        width = LEFT + COLUMN * max(1, len(self._columns))
        height = TOP + ROW * (len(self._events) + 1)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">',
            _TIP,
        ]
        for name, column in self._columns.items():
            x = _x(column)
            parts.append(f'<line class="life" x1="{x}" y1="{TOP - 12}" x2="{x}" y2="{height}"/>')
            parts.append(
                f'<text class="head" x="{x}" y="{TOP - 20}" text-anchor="middle">'
                f"{escape(name)}</text>"
            )
        parts += [self._draw_event(event) for event in self._events]
        return "\n".join([*parts, "</svg>"])

    def _draw_event(self, event: Event) -> str:
        y = self._y(event)
        parts = [
            f"<g><title>{escape(str(event))}</title>",
            f'<text class="time" x="4" y="{y + 4}">{event.number:>4} {event.time:.6f}</text>',
        ]
        if event.kind == "fault":
            right = LEFT + COLUMN * len(self._columns)
            parts.append(f'<line class="fault" x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}"/>')
            parts.append(_text(LEFT + 4, y - 3, event.detail, "bad"))
        else:
            parts.append(self._draw_on_line(event, _x(self._columns[_who(event)]), y))
        return "".join([*parts, "</g>"])

    def _draw_on_line(self, event: Event, x: int, y: int) -> str:
        match event.kind:
            case "sent" if event.number not in self._delivered:
                return self._arrow(x, y, _x(self._columns[event.other]), y, "lost", event.detail)
            case "sent":
                return f'<circle class="turn" cx="{x}" cy="{y}" r="2"/>'
            case "delivered":
                start = self._start_of(event)
                dot = f'<circle class="turn" cx="{x}" cy="{y}" r="4"/>'
                if start is None:
                    return dot + _text(x + 8, y + 4, event.detail)
                return self._arrow(*start, x, y, "", event.detail) + dot
            case "answered":
                cause = self._by_number.get(event.cause)
                at = y if cause is None else self._y(cause)
                return self._arrow(_x(self._columns[event.other]), at, x, y, "answer", event.detail)
        bad = "bad" if event.kind in _BAD else "mark"
        mark = f'<rect class="{bad}" x="{x - 3}" y="{y - 3}" width="6" height="6"/>'
        return mark + _text(x + 8, y + 4, f"{event.kind} {event.detail}".strip(), bad)

    def _start_of(self, event: Event) -> tuple[int, int] | None:
        """Where the arrow of a delivered message begins."""
        cause = self._by_number.get(event.cause)
        if cause is not None and cause.kind == "arrived":
            cause = self._by_number.get(cause.cause, cause)
        if cause is None:
            return None
        return _x(self._columns[_who(cause)]), self._y(cause)

    def _arrow(self, x1: int, y1: int, x2: int, y2: int, kind: str, detail: str) -> str:
        if x1 == x2:
            path = f"M{x1} {y1} C{x1 + 40} {y1} {x2 + 40} {y2} {x2 + 5} {y2}"
            label = _text(x1 + 38, (y1 + y2) // 2 + 4, detail)
        else:
            end = x2 - 5 if x2 > x1 else x2 + 5
            path = f"M{x1} {y1} L{end} {y2}"
            label = _text(min(x1, x2) + 8, (y1 + y2) // 2 - 3, detail)
        return f'<path class="arrow {kind}" d="{path}" marker-end="url(#tip)"/>{label}'

    def _y(self, event: Event) -> int:
        return TOP + ROW * self._rows[event.number]


def _who(event: Event) -> str:
    return f"{event.node}{event.actor}" or _MAIN


def _x(column: int) -> int:
    return LEFT + COLUMN * column + COLUMN // 2


def _text(x: int, y: int, text: str, kind: str = "") -> str:
    short = text if len(text) <= 24 else text[:23] + "…"
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(short)}</text>'
