"""What the pytest plugin (`pytest_actorkit`) does once it is used."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

import gevent

from .failures import Failures
from .simulation import Simulation

__all__ = ["unexpected"]


def unexpected(
    watched: Iterable[Failures | Simulation],
    expected: type[BaseException] | tuple[type[BaseException], ...],
    let_run: bool,
) -> str:
    """The failures of actors that were not expected, told for people, each once; "" for none.

    `let_run`: let actors handle first what they have been told.
    """
    if let_run:
        gevent.sleep(0.001)
    told = []
    for source in watched:
        for failures in source.failures_by_system if isinstance(source, Simulation) else [source]:
            failures.expect(expected)
            for failure in failures.unexpected:
                trace = "".join(traceback.format_exception(failure.error))
                told.append(f"actor {failure.ref.path} failed:\n{trace}")
            failures.expect(BaseException)
    if not told:
        return ""
    return "\n".join(told) + (
        "if that is as it should be, expect it: probe.expect_failure(...), or"
        " @pytest.mark.actor_failures(raises=...)"
    )
