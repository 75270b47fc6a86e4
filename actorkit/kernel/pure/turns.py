"""The turns of cells: the loop in which a worker spends its life.

Uses envelopes and the words of the kernel. `Worker` is this and what is needed more rarely.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

from greenlet import greenlet

from ..terms import EMPTY, MAX_SPARE
from .envelope import Envelope

if TYPE_CHECKING:
    from ..cell import Cell
    from ..dispatcher import Dispatcher, TurnGuard, Worker

__all__ = ["Turns"]


class Turns(greenlet):
    """A greenlet that runs turns of cells.

    `cell` is whose turn it runs (None when none), `envelope` the question being answered, `guard`
    what must be undone after the message: see `Worker.clean`.
    """

    __slots__ = ("alert", "cell", "dispatcher", "envelope", "guard", "stash_to")

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(parent=dispatcher.hub)
        self.dispatcher = dispatcher
        self.cell: Cell | None = None
        self.envelope: Envelope | None = None
        self.guard: TurnGuard | None = None
        #: Something is to be looked at after the message: a guard, or that this one is not active.
        self.alert = False
        self.stash_to: list[Any] | None = None

    def run(self) -> None:
        worker = cast("Worker", self)
        dispatcher = self.dispatcher
        ready = dispatcher.ready
        spare = dispatcher.spare
        popleft = ready.popleft
        left = 0
        context = self.gr_context = Context()
        while True:
            if left <= 0:
                left = dispatcher.tick(worker)
            try:
                cell = popleft()
            except IndexError:
                # What this frame holds would live as long as the worker rests.
                cell = instance = handler = None
                if not dispatcher.park(worker):
                    return
                continue
            handler = cell._handler
            if handler is None:
                left -= 1
                instance = None
                target = cell._step(worker)
                if target is not None:
                    cell = None
                    dispatcher.hand_to(worker, target)
                    target = None
                if dispatcher.active is not self and not dispatcher.park(worker):
                    return
                continue
            self.cell = cell
            instance = cell._instance
            message = cell._first
            cell._first = EMPTY
            taken = left
            active = True
            try:
                while True:
                    left -= 1
                    if type(message) is Envelope:
                        message.deliver(worker, handler, instance)
                    else:
                        handler(instance, message)
                    if self.alert:
                        self.alert = False
                        worker.clean(message)
                        active = dispatcher.active is self
                    if context:
                        context = self.gr_context = Context()
                    handler = cell._handler
                    if handler is None:
                        if cell._life is None:
                            cell._end(handled=taken - left)
                        else:
                            dispatcher.schedule(cell)
                        break
                    queue = cell._inbox
                    if not queue:
                        if queue is not None:
                            cell._inbox = None
                            if len(spare) < MAX_SPARE:
                                spare.append(queue)
                        cell._idle = True
                        break
                    if left <= 0 or not active:
                        cell._first = queue.popleft()
                        dispatcher.schedule(cell)
                        break
                    message = queue.popleft()
            except BaseException as error:
                worker.failed(cell, error)
                cell._life.settle()
            cell._handled += taken - left
            message = EMPTY
            if dispatcher.active is not self:
                cell._worker = None
                cell = instance = handler = None
                if not dispatcher.park(worker):
                    return
