"""The typer application that the commands of this package join."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Annotated

import typer

from .. import kernel

__all__ = ["DEBUG", "app"]

#: The environment variable that shows tracebacks.
DEBUG = "ACTORKIT_DEBUG"

app = typer.Typer(
    name="actorkit",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"actorkit {version('actorkit')} ({kernel.NAME} kernel)")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show tracebacks; so does {DEBUG}=1.")
    ] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Say which actorkit this is."
        ),
    ] = False,
) -> None:
    """Run actors, talk to them and look at them from the command line."""
    if debug:
        os.environ[DEBUG] = "1"
