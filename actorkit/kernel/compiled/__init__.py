"""The compiled kernel: `core.pyx`, the twin of `kernel/pure`. `twin.py` chooses between the two."""
