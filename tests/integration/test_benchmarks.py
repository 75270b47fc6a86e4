"""The benchmark programs run and print their table; figures are no matter of tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from actorkit import kernel
from tests.benchmarks.cases import LOCAL, SAVINA
from tests.benchmarks.run import available, offers
from tests.benchmarks.table import table, write

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


def test_savina_runs_on_each_kernel_and_in_erlang_where_they_are_there(tmp_path: Path) -> None:
    report = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.benchmarks", "savina", "--quick", "--repeats", "1"]
    command += ["--only", "bank_transaction", "--peers", "pure,compiled,erlang"]
    done = subprocess.run(
        [*command, "--json", str(report)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = json.loads(report.read_text())["runs"]["bank_transaction"]
    there = {"pure": True, "compiled": kernel.BUILT, "erlang": available("erlang")}
    assert {peer: len(figures) == 1 for peer, figures in runs.items()} == there


@pytest.mark.parametrize("peer", ["pure", "compiled", "erlang", "seed", "pykka"])
def test_every_program_of_savina_exists_for_each_of_its_peers(peer: str) -> None:
    assert all(offers("savina", peer, case.function) for case in SAVINA)


def test_a_table_has_a_ratio_for_each_kernel_and_a_dash_for_what_is_absent() -> None:
    ping_pong = next(case for case in LOCAL if case.name == "ping_pong")
    runs = {"pure": [200.0, 300.0, 100.0], "compiled": [600.0], "seed": [100.0], "xoscar": []}
    row = table([(ping_pong, runs)], ["pure", "compiled", "seed", "xoscar"]).splitlines()[2]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:8] == ["200", "600", "100", "-", "2x / 6x", "-"]


def test_fewer_seconds_are_better_in_the_ratios_of_a_case_that_takes_time() -> None:
    runs = {"pure": [2.0], "compiled": [], "erlang": [1.0]}
    row = table([(SAVINA[0], runs)], ["pure", "compiled", "erlang"]).splitlines()[2]
    assert row.strip("| ").split("|")[-1].strip() == "0.5x / -"


def test_pages_without_marks_are_not_written() -> None:
    before = (ROOT / "LICENSE").read_text()
    with pytest.raises(ValueError, match="LICENSE needs one pair of marks"):
        write("LICENSE", "local", "a table")
    assert (ROOT / "LICENSE").read_text() == before


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("README.md", "local"),
        ("docs/benchmarks.md", "local"),
        ("docs/benchmarks.md", "savina"),
        ("docs/benchmarks.md", "remote"),
    ],
)
def test_each_page_has_the_marks_of_its_tables(page: str, name: str) -> None:
    text = (ROOT / page).read_text()
    assert text.count(f"<!-- {name} table -->\n") == 1
    assert text.index(f"<!-- {name} table -->") < text.index(f"<!-- /{name} table -->")
