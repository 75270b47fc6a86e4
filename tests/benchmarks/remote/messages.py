"""What is told. Both processes import this module, so that both know the class."""

from __future__ import annotations

from typing import Any

from actorkit import message


@message
class Order:
    item: str
    amount: int = 1


def sample(kind: str) -> Any:
    """A message of the kind that a case names."""
    match kind:
        case "int":
            return 123_456
        case "str":
            return "apples"
        case "tuple":
            return ("apples", 3)
        case "dict":
            return {"item": "apples", "amount": 3}
        case "message":
            return Order("apples", 3)
        case "kib":
            return bytes(1024)
        case "mib":
            import numpy

            return numpy.zeros(1 << 17)
        case _:
            raise ValueError(f"no message of the kind {kind!r}")
