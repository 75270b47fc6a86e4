"""A directory with actors, and a command line that runs within the test: ten times as fast."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from actorkit.cli.main import main

from .programs import ACTORS, Result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `shop.py`."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(ACTORS)
    return folder


@pytest.fixture
def within(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Result]]:
    """What a command says in `folder`, without a process of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    configured = structlog.is_configured(), structlog.get_config()

    def run(*arguments: str) -> Result:
        code = main(arguments)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    yield run
    was, config = configured
    if was:
        structlog.configure(**config)
    else:
        structlog.reset_defaults()
    sys.modules.pop("shop", None)
