"""How an actor comes to be: its cell, its instance, its place among its siblings.

Used by the system (`spawn`) and by restarts (`make_instance`).
"""

from __future__ import annotations

from typing import Any

from ..errors import NameTaken, SystemStopped
from ..events import ActorStarted
from ..messages import Reason
from .cell import RUNNING, STOPPED, Cell, Host, Spec
from .dispatcher import Dispatcher, get_ident
from .inbox import Box

__all__ = ["make_instance", "spawn"]


def spawn(
    host: Host,
    dispatcher: Dispatcher,
    parent: Cell,
    spec: Spec,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str | None,
) -> Any:
    """Make an actor below `parent`. Its constructor runs here, its `on_start` as its first turn.

    Raises NameTaken, SystemStopped, and whatever the constructor raises.
    """
    if get_ident() != dispatcher.thread:
        dispatcher.check_thread()
    if host.stopping or parent._state is STOPPED:
        raise SystemStopped(f"cannot start {spec.cls.__name__}: {host.name!r} is shutting down")
    life = parent._life
    siblings = (parent._get_life() if life is None else life).children
    if life is not None and life.farewell:
        raise SystemStopped(f"{parent.path} is ending; start children before on_stop")
    uid = next(dispatcher.uids)
    key: str | int = uid
    if name is not None:
        if name in siblings:
            raise NameTaken(f"{siblings[name].path} is alive; stop it first or choose another name")
        key = name
    cell = host.cell_type(host, dispatcher, parent, spec, key, uid, args, kwargs or None)
    siblings[key] = cell
    if spec.bounded:
        cell._box = Box(spec.inbox)
        cell._get_life()
    try:
        make_instance(cell)
    except BaseException:
        _discard(cell)
        raise
    if host.events.subscriptions:
        host.events.publish(ActorStarted(cell._ref))
    if spec.begins:
        cell._get_life().begin()
        return cell
    cell._state = RUNNING
    if cell._life is not None:
        cell._life.settle()
    else:
        cell._handler = spec.receive
        queue = cell._inbox
        if queue is None:
            cell._idle = True
        else:
            cell._first = queue.popleft()
            dispatcher.schedule(cell)
    return cell


def _discard(cell: Cell) -> None:
    """The constructor has failed: end what it began, and leave nothing behind."""
    cell._state = STOPPED
    cell._instance = None
    cell._parent._get_life().children.pop(cell._key, None)  # type: ignore[union-attr]
    if cell._life is not None:
        for child in reversed(list(cell._life.children.values())):
            child._get_life().order_stop(Reason.SHUTDOWN)
    cell._flush()


def make_instance(cell: Cell) -> None:
    """Construct the actor's object; `_cell` is there before `__init__` runs."""
    spec = cell._spec
    cls = spec.cls
    args = cell._args
    kwargs = cell._kwargs
    new = spec.new
    instance = object.__new__(cls) if new is None else new(cls, *args, **(kwargs or {}))
    instance._cell = cell
    cell._instance = instance
    if kwargs is None:
        spec.init(instance, *args)
    else:
        spec.init(instance, *args, **kwargs)
