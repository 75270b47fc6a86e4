"""How an actor comes to be: its cell, its instance, its place among its siblings.

Used by the system (`spawn`) and by restarts (`make_instance`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import NameTaken, SystemStopped
from ...events import ActorStarted
from ..terms import RUNNING, STOPPED, Host
from .switch import get_ident

if TYPE_CHECKING:
    from ..cell import Cell
    from ..dispatcher import Dispatcher
    from ..inbox import Box
    from ..spec import Spec

__all__ = ["Arguments", "Family", "Plan", "make_instance", "spawn", "with_short_way"]


F = TypeVar("F", bound=Callable[..., Any])


class Arguments:
    """What an actor's constructor is called with, where that is more than a tuple."""

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs


class Family:
    """What of a `Life` the plain ways need: those of messages, and of a child's start and end."""

    __slots__ = ("box", "children", "farewell", "when_childless")

    box: Box | None  #: the storage of an inbox that has limits
    children: dict[str | int, Cell]
    farewell: bool  #: `on_stop` runs: its children have ended, and it gets no new ones
    when_childless: Callable[[], None] | None  #: what comes when all have ended, if they are to


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
    if name is not None and name in siblings:
        raise NameTaken(f"{siblings[name].path} is alive; stop it first or choose another name")
    uid = next(dispatcher.uids)
    given = Arguments(args, kwargs) if kwargs else args
    cell = host.cell_type(host, dispatcher, parent, spec, name, uid, given)
    siblings[uid if name is None else name] = cell
    if spec.bounded:
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


def with_short_way(spawn: F) -> F:
    """For `ActorSystem.spawn`: what a system's spawn with the usual options is.

    The compiled kernel has a way of its own for it; here it is the function itself.
    """
    return spawn


def make_instance(cell: Cell) -> None:
    """Construct the actor's object; `_cell` is there before `__init__` runs."""
    spec = cell._spec
    cls = spec.cls
    given = cell._given
    args, kwargs = (given.args, given.kwargs) if isinstance(given, Arguments) else (given, {})
    new = spec.new
    instance = object.__new__(cls) if new is None else new(cls, *args, **kwargs)
    instance._cell = cell
    cell._instance = instance
    spec.init(instance, *args, **kwargs)
