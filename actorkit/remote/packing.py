"""`pack`: the bytes that msgpack makes of plain values.

To make a packer takes several times as long as to pack a small batch, so packers are kept. Pure;
used by the codec and by wire.py.
"""

from __future__ import annotations

from typing import Any

import msgpack

__all__ = ["pack"]

#: Bytes up to which a packer is kept with the buffer that has grown to what it packed.
MAX_KEPT = 1024 * 1024

#: Packers that are not at work: whoever packs takes one out, for finalizers and threads pack too.
_idle: list[msgpack.Packer] = []


def pack(value: Any) -> bytes:
    """The bytes of `value`; raises what msgpack does for one that it does not take."""
    try:
        packer = _idle.pop()
    except IndexError:
        packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogatepass")
    data: bytes = packer.pack(value)
    if len(data) <= MAX_KEPT:
        _idle.append(packer)
    return data
