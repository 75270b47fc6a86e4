"""Which of the two kernels runs: everything else takes the names of the per-message part from here.

The compiled one where it was built, unless the environment says ACTORKIT_PURE=1.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

__all__ = [
    "BUILT",
    "NAME",
    "Envelope",
    "Family",
    "Mailbox",
    "Plan",
    "Queue",
    "Switch",
    "Turns",
    "Waiter",
    "get_ident",
    "make_instance",
    "spawn",
    "with_short_way",
]

#: Whether there is a compiled kernel.
BUILT: bool = find_spec("actorkit.kernel.compiled.core") is not None

#: The one that runs, "pure" or "compiled".
NAME: str = "compiled" if BUILT and os.environ.get("ACTORKIT_PURE", "") in ("", "0") else "pure"

if TYPE_CHECKING or NAME == "pure":
    from .pure.envelope import Envelope, Waiter
    from .pure.mailbox import Mailbox
    from .pure.spawn import Family, Plan, make_instance, spawn, with_short_way
    from .pure.switch import Queue, Switch, get_ident
    from .pure.turns import Turns
else:
    from .compiled.core import (
        Envelope,
        Family,
        Mailbox,
        Plan,
        Queue,
        Switch,
        Turns,
        Waiter,
        get_ident,
        make_instance,
        spawn,
        with_short_way,
    )
