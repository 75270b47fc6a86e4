"""Carries out what supervision decides on a child's failure or normal end.

The decision itself is pure (`actorkit.supervision`); here are its effects on a parent's `Life` and
its children. Used by life.py.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..errors import ActorError
from ..messages import Reason
from ..supervision import Action, Decision, Directive, OneForOne, Strategy, decide
from .cell import Cell
from .terms import STOPPED, State

if TYPE_CHECKING:
    from .life import Life

__all__ = ["Regroup", "supervise"]

_DEFAULT = OneForOne()


def supervise(cell: Cell, error: BaseException | None) -> None:
    """Have the parent of a failed (error) or normally ended (None) permanent actor decide."""
    parent = cell._parent
    if parent is None:
        cell._get_life().order_stop(Reason.FAILED, error)
        return
    life = parent._get_life()
    if parent._state in (State.STOPPING, STOPPED) or life._halted is not None:
        return  # it stops its children anyway
    if error is not None and parent._spec.judges:
        life.signal(lambda: _judge(life, cell, error))
    else:
        _apply(life, cell, error, None)


def _judge(life: Life, cell: Cell, error: BaseException) -> None:
    """Ask the parent's `on_child_failure`, as a turn of the parent."""
    if cell._state is not State.FAILED:
        return
    try:
        directive = life.cell._instance.on_child_failure(cell, error)
        if directive is not None and not isinstance(directive, Directive):
            raise TypeError(
                f"{life.cell._spec.cls.__name__}.on_child_failure must return a Directive or None,"
                f" not {directive!r}"
            )
    except BaseException as hook_error:
        cell._get_life().error = error
        life.failed(hook_error, None)
    else:
        _apply(life, cell, error, directive)
    finally:
        life._clean()


def _apply(
    life: Life, cell: Cell, error: BaseException | None, directive: Directive | None
) -> None:
    """Carry out what supervision decides for the failed child `cell` of `life`."""
    parent = life.cell
    child = cell._get_life()
    strategy: Strategy = _DEFAULT if parent._instance is None else parent._instance.supervision
    record = life if strategy.grouped and cell._spec.restart != "temporary" else child
    dispatcher = parent._dispatcher

    def decided(directive: Directive | None) -> Decision:
        return decide(
            strategy,
            record.history,
            dispatcher.clock(),
            restart=cell._spec.restart,  # type: ignore[arg-type]
            error=error,
            directive=directive,
            rand=dispatcher.random(),
        )

    try:
        decision = decided(directive)
        if decision.action is Action.RESUME and child.regroup is not None:
            decision = decided(Directive.RESTART)  # a half-made instance cannot go on
    except Exception as decide_error:
        life.get_log().exception("supervision failed")
        _escalate(life, cell, error or decide_error)
        return
    record.history = decision.history
    if decision.action is Action.RESUME:
        child.resume()
    elif decision.action is Action.STOP:
        child.order_stop(Reason.NORMAL if error is None else Reason.FAILED, error)
    elif decision.action is Action.ESCALATE:
        _escalate(life, cell, error or ActorError(f"{cell.path} ended more often than allowed"))
    else:
        affected = [cell]
        if strategy.grouped:
            siblings = list(life.children.values())
            affected = [siblings[i] for i in strategy.affected(siblings.index(cell), len(siblings))]
        child.error = error
        Regroup(life, affected, cell, error, decision.delay)


def _escalate(life: Life, cell: Cell, error: BaseException) -> None:
    parent = life.cell
    if parent._parent is None:
        cell._get_life().get_log().critical("actor failed for good", error=repr(error))
        cell._get_life().order_stop(Reason.FAILED, error)
    else:
        cell._get_life().error = error
        life.fail_soon(error)


class Regroup:
    """A restart under way, of one child or of several: all end, last first; all begin, first first.

    One step at a time, each begun by the end of the one before. A failure during it makes a new
    `Regroup`, which takes over the members that have not begun anew.
    """

    __slots__ = (
        "culprit",
        "ending",
        "error",
        "halting",
        "life",
        "members",
        "ready_at",
        "revives",
        "reviving",
        "waiting",
    )

    def __init__(
        self,
        life: Life,
        members: list[Cell],
        culprit: Cell,
        error: BaseException | None,
        delay: float,
    ) -> None:
        self.life = life
        self.culprit = culprit
        self.error = error
        taken = set(members)
        for regroup in {cell._get_life().regroup for cell in members} - {None}:
            taken.update(regroup.cancel())  # type: ignore[union-attr]
        self.members: list[Cell] = members
        if len(taken) > len(members):
            self.members = [cell for cell in life.children.values() if cell in taken]
        self.halting = list(self.members)
        self.revives = False
        self.reviving: deque[Cell] = deque()
        self.waiting: Cell | None = None
        for cell in self.members:
            cell._get_life().regroup = self
        dispatcher = life.cell._dispatcher
        self.ready_at = dispatcher.clock() + delay
        self.ending: Cell | None = None
        self._halt_next()

    def cancel(self) -> list[Cell]:
        """Go no further; returns the members that have not begun anew."""
        unfinished = list(self.reviving)
        if self.waiting is not None:
            unfinished.append(self.waiting)
        elif not self.revives:
            unfinished = self.members
        self.halting = []
        self.reviving.clear()
        self.waiting = None
        self.members = []
        return unfinished

    def member_ended(self, cell: Cell) -> None:
        """A member ended for good: go on without it."""
        if cell is self.ending:
            self.ending = None
            self._halt_next()
        elif cell is self.waiting:
            self._revive_next()

    def _halt_next(self) -> None:
        if not self.members:
            return
        while self.halting:
            cell = self.halting.pop()
            if cell._state in (State.STOPPING, STOPPED):
                continue
            reason = Reason.SHUTDOWN
            if cell is self.culprit:
                reason = Reason.NORMAL if self.error is None else Reason.FAILED
            if cell._state is State.RESTARTING and cell._instance is None:
                continue
            if cell is not self.culprit and cell._spec.restart == "temporary":
                # OTP: a temporary sibling ends with the group and does not come back.
                self.ending = cell
                cell._get_life().order_stop(Reason.SHUTDOWN, within=cell._spec.shutdown)
            else:
                cell._get_life().halt(reason, self._halt_next)
            return
        dispatcher = self.life.cell._dispatcher
        delay = self.ready_at - dispatcher.clock()
        self.revives = True
        self.reviving = deque(self.members)
        if delay > 0:
            dispatcher.timers.after(delay, self._revive_next)
        else:
            self._revive_next()

    def _revive_next(self) -> None:
        self.waiting = None
        while self.reviving:
            cell = self.reviving.popleft()
            if cell._state is State.RESTARTING:
                self.waiting = cell
                cell._get_life().revive(self, self._revive_next)
                return
