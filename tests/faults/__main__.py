"""Every fault that a cluster meets, with real processes and hosts, at moments that a seed chooses.

    python -m tests.faults --runs 20 --seed 1
    python -m tests.faults --only kill,cut_long --runs 100

While nodes tell and ask each other numbers without end, one of them is killed, its link is cut, and
so on; `trial.py` has what must hold. Prints a table in Markdown and ends with status 1 if anything
did not hold.
"""

from __future__ import annotations

import argparse
import sys

from .catalogue import FAULTS, attempt

COLUMNS = ("runs", "NodeDowns", "sent", "received", "dead letters", "violations")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="of each fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help=f"some of {', '.join(FAULTS)}")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(FAULTS)
    print("| fault | " + " | ".join(COLUMNS) + " | dropped, by counter | MiB | seconds |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    failed = False
    for number, name in enumerate(names):
        fault = FAULTS[name]
        if reason := fault.impossible():
            print(f"| {fault.title} | 0: {reason}" + " |" * (len(COLUMNS) + 3))
            continue
        seed = options.seed * 1000 + number
        sums, violations = attempt(fault, options.runs, seed)
        cells = [f"{sums[column]:,}" for column in COLUMNS]
        counted = {key.split()[1]: sums[key] for key in sums if key.startswith("counted ")}
        cells += [", ".join(f"`{name}` {count:,}" for name, count in counted.items() if count)]
        cells += [f"{sums['grown'] >> 20}", f"{sums['seconds']}"]
        print(f"| {fault.title} | " + " | ".join(cells) + " |", flush=True)
        for violation in violations[:20]:
            failed = True
            print(f"{name}, seed {seed}: {violation}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
