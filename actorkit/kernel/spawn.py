"""How an actor comes to be: its cell, its instance, its place among its siblings.

Used by the system (`spawn`) and by restarts (`make_instance`).
"""

from __future__ import annotations

from itertools import count
from typing import Any

from ..errors import NameTaken, SystemStopped
from ..events import ActorStarted
from ..messages import Reason
from .cell import RUNNING, STOPPED, Cell, Host, Spec
from .dispatcher import Dispatcher, get_ident
from .inbox import Box

__all__ = ["make_instance", "spawn"]

_uids = count(1)


def spawn(
    host: Host,
    dispatcher: Dispatcher,
    parent: Cell,
    spec: Spec,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str | None,
) -> Cell:
    """Make an actor below `parent`. Its constructor runs here, its `on_start` as its first turn.

    Raises NameTaken, SystemStopped, and whatever the constructor raises.
    """
    if get_ident() != dispatcher.thread:
        dispatcher.check_thread()
    if host.stopping or parent.state is STOPPED:
        raise SystemStopped(f"cannot start {spec.cls.__name__}: {host.name!r} is shutting down")
    life = parent.life
    siblings = (parent.get_life() if life is None else life).children
    uid = next(_uids)
    key: str | int = uid
    if name is not None:
        if name in siblings:
            raise NameTaken(f"{siblings[name].path} is alive; stop it first or choose another name")
        key = name
    cell = Cell(host, dispatcher, parent, spec, key, uid, args, kwargs or None)
    siblings[key] = cell
    box = None if spec.inbox.plain else Box(spec.inbox)
    if box is not None:
        cell.box = box
        cell.get_life()
    try:
        make_instance(cell)
    except BaseException:
        cell.state = STOPPED
        siblings.pop(key, None)
        if cell.life is not None:
            for child in reversed(list(cell.life.children.values())):
                child.get_life().order_stop(Reason.SHUTDOWN)
        cell.flush()
        raise
    events = host.events
    if events.wants(ActorStarted):
        events.publish(ActorStarted(cell.ref))
    if spec.on_start or spec.dedicated:
        cell.get_life().begin()
    else:
        cell.state = RUNNING
        life = cell.life
        if life is not None:
            life.settle()
        else:
            cell.handler = spec.receive
            queue = cell.queue
            if queue is None:
                cell.idle = True
            else:
                cell.first = queue.popleft()
                dispatcher.schedule(cell)
    return cell


def make_instance(cell: Cell) -> None:
    """Construct the actor's object; `_cell` is there before `__init__` runs."""
    spec = cell.spec
    cls = spec.cls
    args = cell.args
    kwargs = cell.kwargs
    new = spec.new
    instance = object.__new__(cls) if new is None else new(cls, *args, **(kwargs or {}))
    instance._cell = cell
    cell.instance = instance
    if kwargs is None:
        spec.init(instance, *args)
    else:
        spec.init(instance, *args, **kwargs)
