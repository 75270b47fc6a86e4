"""Faults with real processes and hosts: `python -m tests.faults --help`."""
