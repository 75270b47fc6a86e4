"""`python -m tests.benchmarks.shares CASE…`: where the processor time of a case goes, by perf.

For the compiled kernel, where Python code and the kernel can be told apart. A sample belongs to the
innermost of these on its stack; the start and the end of the process do not count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from .cases import LOCAL, SAVINA
from .run import environment

SHARES = ("Python code", "kernel", "greenlet", "garbage collection", "rest")
_SUITES = {"local": LOCAL, "savina": SAVINA}
_COLLECTOR = "gc_collect"
_NOT_THE_CASE = ("PyImport_", "Py_Initialize", "Py_Finalize", "r_object")

#: One stack, innermost first: the function and the file of each frame.
Stack = list[tuple[str, str]]


def stacks(lines: Iterable[str]) -> Iterator[Stack]:
    """The stacks in what `perf script -F comm,ip,sym,dso` prints."""
    stack: Stack = []
    for line in lines:
        if line.startswith(("\t", " ")):
            _, function, *_, file = line.split()
            stack.append((function.split("+")[0], file))
        elif stack:
            yield stack
            stack = []
    if stack:
        yield stack


def share(stack: Stack) -> str | None:
    """What a stack's time went to; None when it belongs to no case."""
    functions = [function for function, _ in stack]
    if any(function.startswith(_NOT_THE_CASE) for function in functions):
        return None
    if any(function.startswith(_COLLECTOR) for function in functions):
        return "garbage collection"
    for function, file in stack:
        if "core.cpython" in file:
            return "kernel"
        if "_greenlet" in file:
            return "greenlet"
        if "Eval" in function:
            return "Python code"
    return "rest"


def profile(suite: str, function: str, size: int, runs: int) -> Counter[str]:
    """Samples by what they went to."""
    counts: Counter[str] = Counter()
    case = [sys.executable, "-m", "tests.benchmarks.run", suite, "compiled", function, str(size)]
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            data = str(Path(folder) / "perf.data")
            record = ["perf", "record", "-q", "-e", "cpu-clock:u", "-F", "400", "-m", "1024"]
            record += ["--call-graph", "dwarf,8192", "-o", data, *case]
            subprocess.run(
                record, check=True, capture_output=True, text=True, env=environment("compiled")
            )
            show = ["perf", "script", "-i", data, "--no-inline", "-F", "comm,ip,sym,dso"]
            done = subprocess.run(show, check=True, capture_output=True, text=True)
        counts.update(part for stack in stacks(done.stdout.splitlines()) if (part := share(stack)))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.shares", description=__doc__)
    parser.add_argument("cases", nargs="+", metavar="CASE")
    parser.add_argument("--runs", type=int, default=4)
    options = parser.parse_args()
    known = {case.name: (suite, case) for suite, all_ in _SUITES.items() for case in all_}
    print(f"| case | {' | '.join(SHARES)} | samples |")
    print("|---" * (len(SHARES) + 2) + "|")
    for name in options.cases:
        suite, case = known[name]
        counts = profile(suite, case.function, case.size("compiled", quick=False), options.runs)
        total = counts.total()
        parts = (f"{counts[part] / total:.0%}" for part in SHARES)
        print(f"| {case.title} | {' | '.join(parts)} | {total:,} |", flush=True)


if __name__ == "__main__":
    main()
