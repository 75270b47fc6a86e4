"""Mutated frames by the million: each decodes or raises CodecError, in bounded time.

python -m tests.fuzz --frames 1000000 --seed 1
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy

from actorkit import CodecError, Reason, kernel
from actorkit.messages import Call
from actorkit.remote.batch import pure
from actorkit.remote.codec import Codec
from actorkit.remote.wire import Batch, Goodbye, Hello, Welcome

BRACKETS = str.maketrans("()", "[]")
TWINS: list[Any] = [pure]
if kernel.BUILT:
    from actorkit.remote.batch import compiled

    TWINS.append(compiled)


def refuse(value: Any) -> Any:
    raise CodecError("no references here")


def read(data: bytes) -> Any:
    """A frame as both twins read it, where both are there."""
    ends = []
    for twin in TWINS:
        try:
            ends.append(twin.read(data))
        except CodecError as error:
            ends.append(error)
    # As text, where a tuple looks like a list and nan like itself.
    assert (
        len({repr(end).replace("(", "[").replace(",)", "]").replace(")", "]") for end in ends}) == 1
    )
    if isinstance(ends[0], CodecError):
        raise ends[0]
    return ends[0]


def seeds(codec: Codec) -> list[tuple[Any, bytes]]:
    """Sound bytes to begin with, beside what decodes them."""
    values: list[Any] = [
        (1, "two", [3.0, None, True], {"four": b"5"}),
        {(1, 2): {3, 4}, "x": frozenset([5])},
        [Decimal("1.5"), 1 << 90, dt.datetime.now(dt.UTC), dt.timedelta(1)],
        [KeyError("k"), Reason.KILLED, Call("method", (1,), {"a": (2,)})],
        numpy.arange(10.0).reshape(2, 5),
        [[[[[[[[(((((1,),),),),)]]]]]]]],
    ]
    messages: list[Any] = [
        Hello("name", "incarnation", "tcp://host:1", "session"),
        Welcome("name", "incarnation", "", "session"),
        Batch(1, 0, [8, "plain", 15, codec.pack(values[0]), -9, 7]),
        Batch(2, 1, [16, {"a": 1.5, "b": None}, 17, ["é", b"\0", -5], 17, [True], 18, [0, "x"]]),
        Goodbye("reason"),
    ]
    return [(codec.unpack, codec.pack(value)) for value in values] + [
        (read, message.write()) for message in messages
    ]


def mutate(data: bytes, rng: random.Random) -> bytes:
    mutated = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        position = rng.randrange(len(mutated) + 1)
        match rng.randrange(4):
            case 0 if position < len(mutated):
                mutated[position] = rng.randrange(256)
            case 1 if position < len(mutated):
                del mutated[position : position + rng.randrange(1, 5)]
            case 2:
                mutated[position:position] = rng.randbytes(rng.randrange(1, 5))
            case 3 if position < len(mutated):
                mutated[position] ^= 1 << rng.randrange(8)
    return bytes(mutated)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    pool = seeds(Codec(refuse, refuse))
    ends: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(options.frames):
        decode, data = rng.choice(pool)
        mutated = mutate(data, rng)
        started = time.perf_counter()
        try:
            decode(mutated)
            ends["decoded"] += 1
        except CodecError:
            ends["CodecError"] += 1
        slowest = max(slowest, time.perf_counter() - started)
    print(f"{options.frames:,} frames: {dict(ends)}; the slowest took {slowest * 1000:.1f} ms")


if __name__ == "__main__":
    main()
