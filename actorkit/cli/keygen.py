"""`actorkit keygen`: a pair of CURVE keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..remote.security import generate_keys
from .app import app
from .failure import Failure


@app.command()
def keygen(
    file: Annotated[Path, typer.Argument(help="Where the keys go; it must not exist yet.")],
) -> None:
    """Make a pair of CURVE keys in a new file, and print the public one."""
    try:
        print(generate_keys(file).public)
    except FileExistsError as error:
        raise Failure(f"{file} exists; keys are never overwritten") from error
