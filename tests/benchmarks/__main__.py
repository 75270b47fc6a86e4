"""`python -m tests.benchmarks SUITE`: a table of actorkit with its peers in the same run.

`local` is the core in one process; `remote` is two processes over tcp. The peer "pure" is actorkit
again, on its pure kernel.

Each figure is measured in a process of its own; the peers of a case alternate, so that they share
the machine's moods; the median of the repeats is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from actorkit import kernel

from .cases import LOCAL, SAVINA, Case
from .remote.cases import REMOTE
from .run import available, environment, offers

CASES = {"local": LOCAL + SAVINA, "remote": REMOTE}
PEERS = {
    "local": "actorkit,pure,seed,pykka,erlang,lapinbeam,xoscar",
    "remote": "actorkit,pure,raw,raw_blocking,erlang,zerorpc,xoscar,lapinbeam",
}
PACKAGES = ("gevent", "greenlet", "pyzmq", "msgpack", "pykka", "zerorpc", "lapinbeam", "xoscar")

#: What each peer measured, once for each repeat; nothing where it has no such program or failed.
Runs = dict[str, list[float]]


def measure(suite: str, case: Case, peers: list[str], repeats: int, quick: bool) -> Runs:
    """The figures of each peer; the peers take turns."""
    runs: Runs = {peer: [] for peer in peers}
    able = [peer for peer in peers if offers(suite, peer, case.function)]
    for _ in range(repeats):
        for peer in able:
            command = [sys.executable, "-m", "tests.benchmarks.run", suite, peer, case.function]
            command += [str(case.size(peer, quick))]
            if case.argument:
                command.append(case.argument)
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=environment(peer)
            )
            if done.returncode:
                print(f"{peer} {case.name} failed:\n{done.stderr}", file=sys.stderr)
            else:
                runs[peer].append(float(done.stdout.split()[-1]))
    return runs


def median(runs: list[float]) -> float | None:
    return statistics.median(runs) if runs else None


def machine() -> str:
    """One line on what the figures were measured with."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"{model}, {os.cpu_count()} CPUs; {python}, {', '.join(packages)};"
        f" actorkit's kernel: {kernel.NAME}"
    )


def ratio(case: Case, ours: float | None, theirs: float | None) -> str:
    if not ours or not theirs:
        return "-"
    factor = ours / theirs if case.more_is_better else theirs / ours
    return f"{factor:.2g}x" if factor < 10 else f"{factor:,.0f}x"


def figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(rows: list[tuple[Case, Runs]], peers: list[str]) -> str:
    """A Markdown table: the figures of each peer, and how many times better actorkit is."""
    others = [peer for peer in peers if peer != "actorkit"]
    header = ["case", "unit", *peers, *(f"vs {peer}" for peer in others), "budget"]
    cells = [header]
    for case, runs in rows:
        figures = {peer: median(runs[peer]) for peer in peers}
        ours = figures.get("actorkit")
        cells.append(
            [case.title, case.unit]
            + [figure(figures.get(peer)) for peer in peers]
            + [ratio(case, ours, figures.get(peer)) for peer in others]
            + [case.budget]
        )
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("suite", choices=[*CASES, "simulation"], help="which cases")
    parser.add_argument("--only", help="names of cases, with commas between")
    parser.add_argument("--peers", help="which peers, with commas between")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--json", type=Path, help="write the figures of all repeats too")
    options = parser.parse_args()
    if options.suite == "simulation":
        from . import simulation

        print(machine())
        simulation.main(options.repeats, options.quick)
        return
    cases = CASES[options.suite]
    if options.only:
        names = options.only.split(",")
        unknown = set(names) - {case.name for case in cases}
        if unknown:
            parser.error(f"no such case: {', '.join(sorted(unknown))}")
        cases = [case for case in cases if case.name in names]
    wanted = (options.peers or PEERS[options.suite]).split(",")
    peers = [peer for peer in wanted if available(peer)]
    absent = [peer for peer in wanted if peer not in peers]
    print(machine())
    if absent:
        print(f"not installed, so without figures: {', '.join(absent)}")
    rows = []
    for case in cases:
        runs = measure(options.suite, case, peers, options.repeats, options.quick)
        rows.append((case, runs))
        ours = ", ".join(figure(run) for run in runs.get("actorkit", []))
        print(f"  {case.title}: {ours}", file=sys.stderr, flush=True)
    print()
    print(table(rows, peers))
    if options.json:
        report = {case.name: runs for case, runs in rows}
        options.json.write_text(json.dumps({"machine": machine(), "runs": report}, indent=2))


if __name__ == "__main__":
    main()
