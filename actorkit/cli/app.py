"""The typer application that the commands of this package join."""

from __future__ import annotations

import os
from typing import Annotated

import typer

__all__ = ["DEBUG", "app"]

#: The environment variable that shows tracebacks.
DEBUG = "ACTORKIT_DEBUG"

app = typer.Typer(
    name="actorkit",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show tracebacks; so does {DEBUG}=1.")
    ] = False,
) -> None:
    """Run actors, talk to them and look at them from the command line."""
    if debug:
        os.environ[DEBUG] = "1"
