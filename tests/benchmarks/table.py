"""The figures of all peers as Markdown, printed and written into the documentation.

A ratio says how many times better actorkit is than a peer of the same run: one for each of its
kernels, with a slash between.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from .cases import Case

__all__ = ["KERNELS", "Row", "Runs", "figure", "table", "write"]

#: The peers that are actorkit itself.
KERNELS = ("pure", "compiled")
#: What each peer measured, once for each repeat; nothing where it has no such program or failed.
Runs = dict[str, list[float]]
Row = tuple[Case, Runs]

_TITLES = {"seed": "gevent's tutorial", "pykka": "Pykka", "erlang": "Erlang/OTP"}
_ROOT = Path(__file__).parents[2]


def table(rows: Sequence[Row], peers: Sequence[str], budget: bool = True) -> str:
    """One line for each case: its figures, the ratios, and the budget if one has any."""
    budget = budget and any(case.budget for case, _ in rows)
    ours = [peer for peer in KERNELS if peer in peers]
    others = [peer for peer in peers if peer not in KERNELS]
    header = ["case", "unit", *map(_title, peers), *(f"vs {_title(peer)}" for peer in others)]
    cells = [header + ["budget"] * budget]
    for case, runs in rows:
        figures = {peer: _median(runs.get(peer, [])) for peer in peers}
        cells.append([case.title, case.unit])
        cells[-1] += [figure(figures[peer]) for peer in peers]
        for other in others:
            ratios = [_ratio(case, figures[kernel], figures[other]) for kernel in ours]
            cells[-1].append(" / ".join(ratios) if set(ratios) != {"-"} else "-")
        cells[-1] += [case.budget] * budget
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write(page: str, name: str, text: str) -> None:
    """Put `text` between the marks `<!-- NAME table -->` and `<!-- /NAME table -->` of a page."""
    path = _ROOT / page
    begin, end = f"<!-- {name} table -->", f"<!-- /{name} table -->"
    before = path.read_text()
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    after, count = re.subn(pattern, lambda _: f"{begin}\n{text}\n{end}", before, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page} needs one pair of marks: {begin} and {end}")
    path.write_text(after)


def _title(peer: str) -> str:
    return _TITLES.get(peer, peer)


def _median(runs: list[float]) -> float | None:
    return statistics.median(runs) if runs else None


def _ratio(case: Case, ours: float | None, theirs: float | None) -> str:
    if not ours or not theirs:
        return "-"
    factor = ours / theirs if case.more_is_better else theirs / ours
    return f"{factor:.2g}x" if factor < 10 else f"{factor:,.0f}x"
