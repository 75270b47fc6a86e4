"""A batch as it is filled, and as it is read and delivered: what runs for each message to and fro.

It exists twice, in `pure.py` (the reference) and in `compiled.pyx`; the one runs that goes with the
kernel. Used by link.py, peer.py and forms.py.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ... import kernel

__all__ = ["Outgoing", "deliver", "plain_reader", "read"]

if TYPE_CHECKING or kernel.NAME == "pure" or find_spec("actorkit.remote.batch.compiled") is None:
    from .pure import Outgoing, deliver, plain_reader, read
else:
    from .compiled import Outgoing, deliver, plain_reader, read
