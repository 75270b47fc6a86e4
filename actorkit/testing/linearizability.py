"""Is a recorded history of operations one that a single copy could have had?

`History` records when operations of several clients began and ended; `linearize` looks for an order
of them that respects these times and in which a model gives every recorded answer (Wing and Gong,
with states remembered). Operations without an answer may have happened, or not. Pure, but for
telling an exhaustive exploration that clients share a history.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from .loop import touch

__all__ = ["History", "Operation", "linearize"]

S = TypeVar("S", bound=Hashable)
#: What the model does: from a state and an operation to the next state and the answer.
Step = Callable[[S, Any], tuple[S, Any]]


@dataclass(slots=True)
class Operation:
    """One operation of a client: `began` and `ended` count the steps of the history."""

    client: str
    what: Any
    began: int
    ended: int | None = None  #: None: nobody knows whether it happened
    answer: Any = None


class History:
    """The operations of a run, as clients saw them::

    history = History()
    history.call("ann", ("put", 1), lambda: store.ask(("put", 1)))
    ...
    assert linearize(history, 0, step) is not None
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._steps = 0

    def begin(self, client: str, what: Any) -> Operation:
        """An operation begins; `what` says which, to the model."""
        touch("history", "begin")
        operation = Operation(client, what, self._tick())
        self.operations.append(operation)
        return operation

    def end(self, operation: Operation, answer: Any = None) -> None:
        """It has happened, with this answer."""
        touch("history", "end")
        operation.answer = answer
        operation.ended = self._tick()

    def drop(self, operation: Operation) -> None:
        """It is certain that it has not happened."""
        touch("history", "end")
        self.operations.remove(operation)

    def call(self, client: str, what: Any, function: Callable[[], Any]) -> Any:
        """Record what `function()` does; where it raises, it may have happened or not."""
        operation = self.begin(client, what)
        answer = function()
        self.end(operation, answer)
        return answer

    def _tick(self) -> int:
        self._steps += 1
        return self._steps


def linearize(history: History, state: S, step: Step[S]) -> list[Operation] | None:
    """An order of the operations that explains every answer; None when there is none.

    `state` is the model's first one, hashable. `step(state, what)` returns the next state and the
    answer, without a side effect.
    """
    operations = history.operations
    required = sum(1 << i for i, one in enumerate(operations) if one.ended is not None)
    seen: set[tuple[int, S]] = {(0, state)}
    # Ways on: the operations that have happened, as bits, the state, and the order so far.
    stack: list[tuple[int, S, list[int]]] = [(0, state, [])]
    while stack:
        done, now, order = stack.pop()
        if done & required == required:
            return [operations[i] for i in order]
        limit = min(
            one.ended
            for i, one in enumerate(operations)
            if one.ended is not None and not done >> i & 1
        )
        for i in range(len(operations) - 1, -1, -1):
            one = operations[i]
            if done >> i & 1 or one.began > limit:
                continue
            after, answer = step(now, one.what)
            if one.ended is not None and answer != one.answer:
                continue
            way = (done | 1 << i, after)
            if way not in seen:
                seen.add(way)
                stack.append((*way, [*order, i]))
    return None
