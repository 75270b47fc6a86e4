"""The rules of asking: how long, and never in a circle. Used by both kernels and by references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import AskDeadlock

if TYPE_CHECKING:
    from .cell import Cell

__all__ = ["ASK_TIMEOUT", "check_timeout", "refuse_cycle"]

#: Seconds that an ask waits for its answer unless told otherwise.
ASK_TIMEOUT = 5.0


def check_timeout(timeout: float) -> float:
    """`timeout` if it is a number of seconds >= 0, else ValueError."""
    if not timeout >= 0:
        raise ValueError(f"timeout must be seconds >= 0, or None for ever, not {timeout!r}")
    return timeout


def refuse_cycle(asker: Cell, target: Cell) -> None:
    """Raise AskDeadlock if `asker` waiting for `target` would wait for itself.

    An actor that deferred or passed on a question is not waited for: somebody else may answer.
    """
    circle = [asker, target]
    while target is not asker:
        waits = target._asking
        if waits is None or waits.done or waits.passed or waits.cell is None:
            return
        target = waits.cell
        circle.append(target)
        if target is circle[1]:
            return  # a circle that this asker is no part of; its members were told
    raise AskDeadlock(
        " -> ".join(cell.path for cell in circle) + " would wait for each other for ever;"
        " use tell or ask_nowait for one of the asks, or answer one later with defer_reply()"
    )
