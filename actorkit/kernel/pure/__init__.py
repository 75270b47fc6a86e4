"""The pure Python kernel: what runs for every message. It is the reference, and exists twice.

Its compiled twin is `compiled/core.pyx`; `twin.py` chooses between the two.
"""
