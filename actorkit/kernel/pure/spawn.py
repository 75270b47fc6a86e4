"""How an actor comes to be: its cell, its instance, its place among its siblings.

Used by the system (`spawn`) and by restarts (`make_instance`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import NameTaken, SystemStopped
from ...events import ActorStarted
from ..terms import RUNNING, STOPPED, Host
from .switch import get_ident

if TYPE_CHECKING:
    from ..cell import Cell
    from ..dispatcher import Dispatcher
    from ..spec import Spec

__all__ = ["Plan", "make_instance", "spawn"]


class Plan:
    """What each spawn, message and end of an actor needs of its `Spec`."""

    __slots__ = (
        "begins",
        "bounded",
        "cls",
        "init",
        "new",
        "ordered_plainly",
        "plain_end",
        "receive",
    )

    cls: type[Any]
    new: Callable[..., Any] | None  #: None where it is `object.__new__`
    init: Callable[..., None]
    receive: Callable[[Any, Any], Any]
    begins: bool  #: the actor has a first turn of its own
    bounded: bool  #: its inbox has limits
    ordered_plainly: bool  #: an end needs no turn, since there is nothing to call ...
    plain_end: bool  #: ... and, where it is the actor's own end, nothing to restart


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
        cell._box = spec.make_box()
        cell._get_life()
    try:
        make_instance(cell)
    except BaseException:
        cell._discard()
        raise
    if host.events.starts:
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
