"""The cases between two processes over tcp on the loopback, with their peers.

A peer's module measures in the process that sends, and run as a program it is the other process.
"""
