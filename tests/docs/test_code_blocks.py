"""Every Python block of README and docs runs; those of a page in order, in one namespace."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> list[tuple[int, str]]:
    """The line at which each block begins, and its text."""
    text = page.read_text()
    return [(text[: found.start(1)].count("\n"), found[1]) for found in BLOCK.finditer(text)]


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page)]
)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    # Blank lines keep the page's own line numbers in a traceback.
    program = ""
    for line, block in blocks(page):
        program += "\n" * (line - program.count("\n")) + block
    script = tmp_path / "page.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_there_is_code_to_run() -> None:
    assert len(PAGES) > 10
    assert sum(len(blocks(page)) for page in PAGES) > 25
