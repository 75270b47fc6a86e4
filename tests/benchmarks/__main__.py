"""`python -m tests.benchmarks SUITE…`: tables of actorkit with its peers in the same run.

`local` is the core in one process; `savina` are programs of the Savina suite; `remote` is two
processes over tcp; `simulation` and `observe` are what virtual time, metrics and
tracing cost. The peers "pure" and "compiled" are actorkit on each of its kernels.

Each figure is measured in a process of its own; the peers of a case alternate, so that they share
the machine's moods; the median of the repeats is shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import erlang, observing, simulation
from .cases import LOCAL, SAVINA, Case
from .remote.cases import REMOTE
from .run import available, environment, offers
from .table import KERNELS, Row, Runs, figure, table, write

CASES = {"local": LOCAL, "savina": SAVINA, "remote": REMOTE}
PEERS = {
    "local": "pure,compiled,erlang,seed,pykka,lapinbeam,xoscar",
    "savina": "pure,compiled,erlang,seed,pykka",
    "remote": "pure,compiled,raw,raw_blocking,erlang,zerorpc,xoscar,lapinbeam",
}
#: Suites that print tables of their own.
OTHERS = {"simulation": simulation.main, "observe": observing.main}
#: The table in README.md, of the local suite.
README_PEERS = ("pure", "compiled", "erlang", "seed", "pykka")
README_CASES = (
    "ping_pong",
    "fan_in",
    "ask_main",
    "ask_actor",
    "spawn_all",
    "idle_bytes",
    "live_megabytes",
    "timer_p99",
    "socket_p99",
)
PACKAGES = ("gevent", "greenlet", "pyzmq", "msgpack", "pykka", "zerorpc", "lapinbeam", "xoscar")


def measure(suite: str, case: Case, peers: list[str], repeats: int, quick: bool) -> Runs:
    """The figures of each peer; the peers take turns."""
    runs: Runs = {peer: [] for peer in peers}
    able = [peer for peer in peers if available(peer) and offers(suite, peer, case.function)]
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
    if available("erlang"):
        packages.append(f"Erlang/OTP {erlang.release()}")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model}, {os.cpu_count()} CPUs; {python}, {', '.join(packages)}"


def run(suite: str, cases: list[Case], peers: list[str], repeats: int, quick: bool) -> list[Row]:
    """Measure the cases one after the other."""
    rows = []
    for case in cases:
        runs = measure(suite, case, peers, repeats, quick)
        rows.append((case, runs))
        ours = "; ".join(
            f"{peer} {', '.join(map(figure, runs[peer]))}" for peer in KERNELS if runs.get(peer)
        )
        print(f"  {case.title}: {ours}", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    suites = [*CASES, *OTHERS]
    parser.add_argument("suites", nargs="+", choices=suites, metavar="SUITE", help=str(suites))
    parser.add_argument("--only", help="names of cases, with commas between")
    parser.add_argument("--peers", help="which peers, with commas between")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--json", type=Path, help="write the figures of all repeats too")
    parser.add_argument(
        "--write", action="store_true", help="put the tables into README.md and docs/benchmarks.md"
    )
    options = parser.parse_args()
    if options.write and (options.only or options.peers):
        parser.error("--write is for whole tables: not with --only or --peers")
    chosen = [case for suite in options.suites for case in CASES.get(suite, [])]
    only = set(options.only.split(",")) if options.only else {case.name for case in chosen}
    if unknown := only - {case.name for case in chosen}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    measured_with = machine() + ("; a tenth of the work (--quick)" if options.quick else "")
    print(measured_with)
    report: dict[str, Runs] = {}
    for suite in options.suites:
        if suite in OTHERS:
            OTHERS[suite](options.repeats, options.quick)
            continue
        peers = (options.peers or PEERS[suite]).split(",")
        if absent := [peer for peer in peers if not available(peer)]:
            print(f"not installed, so without figures: {', '.join(absent)}")
        cases = [case for case in CASES[suite] if case.name in only]
        rows = run(suite, cases, peers, options.repeats, options.quick)
        print(f"\n{table(rows, peers)}\n", flush=True)
        report |= {case.name: runs for case, runs in rows}
        if options.json:
            figures = {"machine": measured_with, "runs": report}
            options.json.write_text(json.dumps(figures, indent=2))
        if options.write:
            text = f"Measured with {measured_with}.\n\n{table(rows, peers)}"
            write("docs/benchmarks.md", suite, text)
        if options.write and suite == "local":
            in_readme = [(case, runs) for case, runs in rows if case.name in README_CASES]
            write("README.md", suite, table(in_readme, README_PEERS, budget=False))


if __name__ == "__main__":
    main()
