"""The benchmark programs run and print their table; figures are no matter of tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_remote_suite_prints_a_table_with_the_figures_of_each_peer(tmp_path: Path) -> None:
    report = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks", "remote", "--quick", "--repeats", "1"]
    command += ["--only", "ask_1,tell_int", "--peers", "pure,raw", "--json", str(report)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [
        "case",
        "ask in turn",
        "tell, an int",
    ]
    cases = json.loads(report.read_text())["runs"]
    assert cases.keys() == {"ask_1", "tell_int"}
    for runs in cases.values():
        assert runs.keys() == {"pure", "raw"}
        assert all(len(figures) == 1 and figures[0] > 0 for figures in runs.values())
