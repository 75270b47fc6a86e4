"""The file of a failed run, which replays it: a test's name, its seed and its choices, in JSON."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import SimulationError

__all__ = ["DIRECTORY", "Recording"]

#: Where recordings go, below the directory in which the tests run.
DIRECTORY = ".actorkit"

_FORMAT = 1


@dataclass(frozen=True)
class Recording:
    """A failed run."""

    test: str  #: "module:name"
    seed: int | None  #: what found it; None for an exhaustive exploration
    strategy: str
    choices: list[int]  #: what `Recorded` takes
    error: str

    def save(self, directory: Path) -> Path:
        """Write it into `directory`, which is made when needed; returns the file."""
        if not directory.exists():
            directory.mkdir(parents=True)
            (directory / ".gitignore").write_text("*\n")
        name = re.sub(r"[^\w.-]+", "-", self.test.partition(":")[2]).strip("-") or "test"
        seed = self.strategy if self.seed is None else str(self.seed)
        path = directory / f"{name}-{seed}.json"
        path.write_text(json.dumps({"format": _FORMAT, **asdict(self)}, indent=1) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read it; raises SimulationError for what is no such file."""
        try:
            fields = json.loads(path.read_text())
            if fields.pop("format") != _FORMAT:
                raise ValueError("it has another format")
            return cls(**fields)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SimulationError(
                f"{path} is no recording of a failed run ({error}); explore() writes them"
            ) from error
