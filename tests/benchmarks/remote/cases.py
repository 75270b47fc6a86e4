"""The cases between two processes; the budget is that of the pure Python kernel.

Where 1,000 are asked at once, the sizes are multiples of that, quick or not.
"""

from __future__ import annotations

from dataclasses import replace

from ..cases import Case

_ASKS = Case(
    "ask",
    "asks",
    "asks/s",
    {"": 100_000, "raw": 20_000, "zerorpc": 5_000, "xoscar": 10_000, "lapinbeam": 10_000},
    quick=5,
)
_ASKS_IN_TURN = replace(_ASKS, sizes={"": 10_000, "zerorpc": 2_000, "xoscar": 5_000}, quick=10)
_TELLS = Case("tell", "tells", "messages/s", {"": 1_000_000, "erlang": 500_000, "xoscar": 10_000})
_LATENCY = Case(
    "latency",
    "latency",
    "ms",
    {"": 60_000, "raw": 12_000, "zerorpc": 3_000, "xoscar": 6_000, "lapinbeam": 6_000},
    more_is_better=False,
    quick=3,
)


def _row(case: Case, argument: str, title: str, budget: str = "") -> Case:
    """`case` with the argument, as a row of its own."""
    return replace(
        case,
        name=f"{case.name}_{argument}",
        title=title,
        budget=budget,
        program=case.name,
        argument=argument,
    )


_POOL = Case("pool", "pool", "pieces/s", {"": 4_000}, quick=10)

REMOTE = [
    _row(_ASKS_IN_TURN, "1", "ask in turn", ">= 0.9x raw"),
    _row(_ASKS, "50", "50 asks at once"),
    _row(_ASKS, "1000", "1,000 asks at once", ">= 100,000, >= 30x zerorpc"),
    _row(_TELLS, "int", "tell, an int", ">= 0.38x raw, >= 3x Erlang"),
    _row(_TELLS, "str", "tell, a short str", ">= 0.38x raw, >= 3x Erlang"),
    _row(_TELLS, "tuple", "tell, a flat tuple", ">= 0.38x raw's int, >= 3x Erlang"),
    _row(_TELLS, "dict", "tell, a small dict", ">= 0.67x raw, >= 3x Erlang"),
    _row(_TELLS, "message", "tell, a @message", ">= 0.38x raw's int, >= 3x Erlang"),
    _row(replace(_TELLS, sizes={"": 200_000, "xoscar": 10_000}), "kib", "tell, 1 KiB of bytes"),
    _row(replace(_TELLS, unit="MiB/s", sizes={"": 1_000}), "mib", "tell, numpy arrays of 1 MiB"),
    _row(_LATENCY, "50", "ask latency under half load, p50"),
    _row(_LATENCY, "99", "ask latency under half load, p99"),
    _row(_LATENCY, "99.9", "ask latency under half load, p99.9"),
    _row(replace(_ASKS_IN_TURN, name="ask_curve"), "1", "ask in turn, CURVE"),
    _row(replace(_ASKS, name="ask_curve"), "1000", "1,000 asks at once, CURVE"),
    _row(replace(_TELLS, name="tell_curve"), "int", "tell, an int, CURVE"),
    _row(replace(_TELLS, name="tell_curve", sizes={"": 200_000}), "kib", "tell, 1 KiB, CURVE"),
    _row(_POOL, "1", "work on a NodePool of 1 process"),
    _row(_POOL, "2", "work on a NodePool of 2 processes"),
    Case(
        "memory",
        "one of 1,000 associations, where they are accepted",
        "bytes",
        {"": 1_000},
        more_is_better=False,
    ),
]
