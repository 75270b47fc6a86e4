"""Benchmarks: `python -m tests.benchmarks local` prints a table with peers in the same run."""
