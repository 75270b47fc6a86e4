"""The table of planted mistakes: seeds that each took, how small it got, what its twin stood."""

from __future__ import annotations

import argparse
import time
from types import ModuleType

from actorkit.testing import Exploration, search

from . import NAMES, load


def main() -> None:
    """Explore every program."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.planted", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help="all by default")
    parser.add_argument("--seeds", type=int, default=1000, help="for the broken ones, 0: none")
    parser.add_argument("--twins", type=int, default=10_000, help="for the repaired ones, 0: none")
    parser.add_argument("--strategy", choices=("random", "pct", "exhaustive"), default="random")
    options = parser.parse_args()
    print("| mistake | seeds | deviations, found | shrunk | faults, found | shrunk | twin |")
    print("|---|---|---|---|---|---|---|")
    for name in options.names:
        module = load(name)

        def explored(test: str, seeds: int, module: ModuleType = module) -> Exploration:
            failures = getattr(module, "failures", ())
            return search(
                getattr(module, test),
                seeds,
                strategy=options.strategy,
                failures=failures,
                record=False,
            )

        row = [name, *(broken(explored("broken", options.seeds)) if options.seeds else [""] * 5)]
        if options.twins:
            began = time.perf_counter()
            twin = explored("repaired", options.twins)
            row.append(repaired(twin, time.perf_counter() - began))
        print(f"| {' | '.join(row)} |", flush=True)


def broken(exploration: Exploration) -> list[str]:
    """The cells of a mistake: the seeds it took, and what shrinking left."""
    found = exploration.failure
    if found is None:
        return [f"none of {exploration.runs}", "", "", "", ""]
    return [
        str(exploration.runs),
        str(found.found_deviations - found.found_faults),
        str(found.deviations - found.faults),
        str(found.found_faults),
        str(found.faults),
    ]


def repaired(exploration: Exploration, seconds: float) -> str:
    """The cell of a twin."""
    if exploration.failure is not None:
        return f"fails with seed {exploration.failure.seed}: {exploration.failure.error}"
    return f"{str(exploration).partition(': ')[2]}, {exploration.runs / seconds:.0f} a second"


if __name__ == "__main__":
    main()
