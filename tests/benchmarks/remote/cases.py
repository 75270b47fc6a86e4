"""The cases between two processes; the budget is that of the pure Python kernel."""

from __future__ import annotations

from ..cases import Case

_ASK_SIZES = {"": 20_000, "zerorpc": 2_000, "xoscar": 5_000, "lapinbeam": 5_000}
_TELL_SIZES = {"": 1_000_000, "xoscar": 20_000, "lapinbeam": 20_000}
_MANY_SIZES = {"": 200_000, "zerorpc": 5_000, "xoscar": 10_000, "lapinbeam": 10_000}


def _ask(at_once: int, title: str, sizes: dict[str, int], budget: str = "") -> Case:
    return Case(
        f"ask_{at_once}",
        title,
        "asks/s",
        sizes,
        budget=budget,
        program="ask",
        argument=str(at_once),
    )


def _tell(kind: str, title: str, budget: str) -> Case:
    return Case(
        f"tell_{kind}",
        f"tell, {title}",
        "messages/s",
        _TELL_SIZES,
        budget=budget,
        program="tell",
        argument=kind,
    )


REMOTE = [
    _ask(1, "ask in turn", _ASK_SIZES, ">= 0.9x raw"),
    _ask(50, "50 asks at once", _MANY_SIZES),
    _ask(1000, "1,000 asks at once", _MANY_SIZES, ">= 100,000, >= 30x zerorpc"),
    _tell("int", "an int", ">= 0.38x raw, >= 3x Erlang"),
    _tell("str", "a short str", ">= 0.38x raw, >= 3x Erlang"),
    _tell("tuple", "a flat tuple", ">= 0.38x raw's int, >= 3x Erlang"),
    _tell("dict", "a small dict", ">= 0.67x raw, >= 3x Erlang"),
    _tell("message", "a @message", ">= 0.38x raw's int, >= 3x Erlang"),
]
