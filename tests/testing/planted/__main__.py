"""The table of planted mistakes: seeds that each took, how small it got, what its twin stood."""

from __future__ import annotations

import argparse
import time

from actorkit.testing import search

from . import NAMES, load


def main() -> None:
    """Explore every program."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.planted", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME", help="all by default")
    parser.add_argument("--seeds", type=int, default=1000, help="for the broken programs")
    parser.add_argument("--twin-seeds", type=int, default=10_000, help="for the repaired ones")
    parser.add_argument("--strategy", choices=("random", "pct", "exhaustive"), default="random")
    options = parser.parse_args()
    print("| mistake | seeds | deviations, found | shrunk | faults, found | shrunk | twin |")
    print("|---|---|---|---|---|---|---|")
    for name in options.names:
        module = load(name)
        failures = getattr(module, "failures", ())
        broken = search(
            module.broken,
            options.seeds,
            strategy=options.strategy,
            failures=failures,
            record=False,
        )
        found = broken.failure
        row = [name, "none" if found is None else str(broken.runs)]
        if found is None:
            row += ["", "", "", ""]
        else:
            row += [
                str(found.found_deviations - found.found_faults),
                str(found.deviations - found.faults),
                str(found.found_faults),
                str(found.faults),
            ]
        began = time.perf_counter()
        twin = search(
            module.repaired,
            options.twin_seeds,
            strategy=options.strategy,
            failures=failures,
            record=False,
        )
        rate = twin.runs / (time.perf_counter() - began)
        row.append(
            f"{str(twin).partition(': ')[2]}, {rate:.0f} a second"
            if twin.failure is None
            else f"fails with seed {twin.failure.seed}: {twin.failure.error}"
        )
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
