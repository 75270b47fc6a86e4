"""`python -m actorkit` and the script `actorkit`: the command line, if its extra is installed."""

from __future__ import annotations

import sys

from .cli.failure import Exit


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        from .cli.main import main as run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print("actorkit: the command line needs: pip install 'actorkit[cli]'", file=sys.stderr)
        return Exit.NO_EXTRA
    return run()


if __name__ == "__main__":
    sys.exit(main())
