"""Every Python block of README and docs runs; those of a page in order, in one namespace.

A block that patches the standard library is a program by itself, since that must come first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PATCHES = "from gevent import monkey\n"


def blocks(page: Path) -> list[tuple[int, str]]:
    """The line at which each block begins, and its text."""
    text = page.read_text()
    return [(text[: found.start(1)].count("\n"), found[1]) for found in BLOCK.finditer(text)]


def programs(page: Path) -> list[str]:
    """The program that the page is, and those of its blocks that stand alone."""
    parts = blocks(page)
    alone = [part for part in parts if part[1].startswith(PATCHES)]
    together = [part for part in parts if part not in alone]
    return [join(some) for some in (together, *([part] for part in alone)) if some]


def join(parts: list[tuple[int, str]]) -> str:
    """Blank lines keep the page's own line numbers in a traceback."""
    program = ""
    for line, block in parts:
        program += "\n" * (line - program.count("\n")) + block
    return program


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page)]
)
def test_the_code_of_a_page_runs(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for program in programs(page):
        environment = dict(os.environ)
        if "REDIS_URL" in program:
            environment["REDIS_URL"] = request.getfixturevalue("redis_server").url
        script = tmp_path / "page.py"
        script.write_text(program)
        done = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr


def test_there_is_code_to_run() -> None:
    assert len(PAGES) > 10
    assert sum(len(blocks(page)) for page in PAGES) > 25
