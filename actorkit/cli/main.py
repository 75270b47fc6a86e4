"""`main`: runs a command, and turns whatever went wrong into one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from ..errors import ActorError
from . import inspecting, keygen, new, node, observe, talk  # noqa: F401  (they join the app)
from .app import DEBUG, app
from .failure import Exit, Failure, code_of

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` by default) and return its exit code, an `Exit`."""
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name="actorkit", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output is gone; what is left of it must not raise again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except Exception as error:
        return _complain(error)
    return code if isinstance(code, int) else Exit.OK


def _complain(error: Exception) -> int:
    # What typer itself finds wrong is a click exception, of typer's own copy of click or of click.
    usage = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
        return Exit.USAGE
    if usage is None and os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exception(error)
    if usage is not None:
        text = f"{usage().removesuffix('.')}; see --help"
    elif isinstance(error, Failure | ActorError | OSError) and str(error):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    print("actorkit:", " ".join(text.split()), file=sys.stderr)
    return code_of(error) if usage is None else Exit.USAGE
