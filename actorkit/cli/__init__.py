"""The command line, with the extra `[cli]`: one module for each subject.

To add a command: write it in a module here with `@app.command()` from app.py, and name that module
in the import of main.py. `connected(uri, ...)` of connection.py gives the node that a URI names;
`Failure` of failure.py ends the program with one line and a code. Nothing else of the package
imports this, or typer, or rich.
"""
