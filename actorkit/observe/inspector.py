"""`Inspector`: answers those who look inside a system, here and from other nodes.

An ordinary actor of the system, started when somebody asks for the first time. It waits for nobody
but a summary that takes too long, and asks nobody. docs/observing.md says who may ask what,
docs/wire-protocol.md what a question looks like on the wire. Other nodes reach it by the service
"inspect", programs through `watch.py`.
"""

from __future__ import annotations

import traceback
from itertools import islice
from typing import TYPE_CHECKING, Any

import gevent

from ..actor import Actor
from ..errors import ActorNotFound, NodeLost, Refused, RestartOrdered
from ..kernel import RUNNING, STOPPED, Cell, InboxQueue, spawn
from ..messages import Call
from .brief import MAX_BRIEF, brief
from .levels import INSPECT_LEVELS
from .tap import Tap
from .view import View, activity

if TYPE_CHECKING:
    from ..ref import ActorRef
    from ..system import ActorSystem

__all__ = ["NAME", "Inspector", "inspector_of"]

#: The name of the actor, below the root.
NAME = "$inspector"
#: Watchers of the tree, and actors whose messages are watched, at the same time.
MAX_VIEWS = 16
MAX_TAPS = 16
#: Seconds without a question after which a watcher counts as gone.
GONE_AFTER = 10.0
#: Failures in one answer.
FAILURES_AT_ONCE = 20
#: Seconds that an actor's `on_inspect` may take, and entries of its summary that are shown.
SUMMARY_TIME = 0.2
MAX_STATE = 50
#: Frames that show where an actor is blocked.
MAX_FRAMES = 20


class Inspector(Actor):
    """Each message is a list: what is asked, and its arguments."""

    def __init__(self) -> None:
        self._views: dict[int, tuple[View, float]] = {}
        self._taps: dict[str, Tap] = {}
        self._last_view = 0
        self._sweeping = False
        #: What may be seen in this turn.
        self._level = "off"

    def receive(self, question: Any) -> Any:
        if question is SWEEP:
            return self._sweep()
        self._level = inspect_level(self.system)
        try:
            return self._answer(question)
        except (ActorNotFound, NodeLost) as error:
            self.defer_reply().set_exception(error)  # the asker's mistake, and no failure of ours
            return None

    def _answer(self, question: Any) -> Any:
        self._require("tree")
        match question:
            case ["about"]:
                return self._about()
            case ["view"]:
                return self._open_view()
            case ["page", int(number)]:
                return self._page(number)
            case ["close", int(number)]:
                return self._views.pop(number, None) is not None
            case ["failures", int(after)]:
                return self._failures(after)
            case ["actor", str(path)]:
                return self._details(self._find(path))
            case ["tap", str(path)]:
                return self._open_tap(path)
            case ["messages", str(path), int(after)]:
                return self._messages(path, after)
            case ["stop" | "kill" | "restart" as order, str(path)]:
                return self._carry_out(order, path)
            case ["relay", str(node), [*inner]]:
                return self._relay(node, inner)
            case ["at", str(level), [*inner]] if level in INSPECT_LEVELS and inner[:1] != ["relay"]:
                self._level = min(level, self._level, key=INSPECT_LEVELS.index)
                return self._answer(inner)
        raise Refused(f"no such question to an inspector: {brief(question)}")

    def on_stop(self, reason: Any) -> None:
        for tap in self._taps.values():
            tap.end("the inspector has ended")

    # -- what is seen at every level ------------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        system = self.system
        return {
            "name": system.name,
            "address": system.address,
            "level": self._level,
            "nodes": [[node.name, node.address] for node in system.nodes],
            "failures": system.failures.count,
            "counters": system.counters,
        }

    def _open_view(self) -> int:
        if len(self._views) >= MAX_VIEWS:
            raise Refused(f"{MAX_VIEWS} watchers look at {self.system.name!r} already")
        self._last_view += 1
        self._views[self._last_view] = (View(self.system._root), self._now)
        self._expect_sweep()
        return self._last_view

    def _page(self, number: int) -> dict[str, Any]:
        view, _ = self._views.get(number, (None, 0.0))
        if view is None:
            raise Refused(f"no view {number}: it ended {GONE_AFTER:.0f} s after its last page")
        self._views[number] = (view, self._now)
        return view.page()

    def _failures(self, after: int) -> list[dict[str, Any]]:
        texts = self._allows("all")
        return [
            {
                "number": failure.number,
                "ago": self._now - failure.at,
                "path": failure.path,
                "class": failure.cls,
                "error": failure.error,
                "trace": failure.text() if texts else failure.places(),
            }
            for failure in self.system.failures.after(after)[:FAILURES_AT_ONCE]
        ]

    def _details(self, cell: Cell) -> dict[str, Any]:
        life = cell._life
        cls = cell._spec.cls
        maxsize = cell._spec.inbox.maxsize
        details: dict[str, Any] = {
            "path": cell.path,
            "class": f"{cls.__module__}.{cls.__qualname__}",
            "state": cell._state.value,
            "activity": activity(cell),
            "inbox": InboxQueue(cell).qsize(),
            "maxsize": maxsize,
            "handled": cell._handled,
            "restart": cell._spec.restart,
            "restarts": 0 if life is None else life.restarts,
            "children": 0 if life is None else len(life.children),
            "watchers": 0 if life is None else len(life.watchers),
            "timers": 0 if life is None else len(life.timers),
            "stack": _stack(cell),
            "summary": None,
        }
        if self._allows("all"):
            details["summary"] = _summary(cell)
        return details

    # -- what may hold secrets ------------------------------------------------------------------

    def _open_tap(self, path: str) -> int:
        self._require("all")
        cell = self._find(path)
        tap = self._taps.get(cell.path)
        if tap is None or tap.ended:
            if len(self._taps) >= MAX_TAPS:
                raise Refused(f"the messages of {MAX_TAPS} actors are watched already")
            if cell is self._own_cell():
                raise Refused("the inspector does not watch itself")
            tap = self._taps[cell.path] = Tap(cell)
            self._expect_sweep()
        return tap.last

    def _messages(self, path: str, after: int) -> dict[str, Any]:
        self._require("all")
        tap = self._taps.get(path)
        if tap is None:
            return {"time": self._now, "messages": [], "skipped": 0, "ended": "nobody looked"}
        messages = tap.after(after)
        if tap.ended:
            del self._taps[path]
        return {
            "time": self._now,
            "messages": messages,
            "skipped": tap.skipped,
            "ended": tap.ended,
        }

    # -- what changes something -----------------------------------------------------------------

    def _carry_out(self, order: str, path: str) -> bool:
        self._require("control")
        cell = self._find(path)
        if cell is self._own_cell():
            raise Refused("the inspector does not end itself")
        if order == "stop":
            cell._ref.stop()
        elif order == "kill":
            cell._ref.kill()
        else:
            cell._get_life().fail_soon(
                RestartOrdered(f"the restart of {cell.path} was ordered from outside")
            )
        return True

    # -- other nodes ----------------------------------------------------------------------------

    def _relay(self, node: str, question: list[Any]) -> None:
        """Pass on a question to a node that this one is connected with, at most one step.

        What this node does not show, it does not fetch from others either.
        """
        for other in self.system.nodes:
            if other.name == node:
                at_most = ["at", self._level, question]
                self.forward(other.service, Call("inspect", (at_most,)))
                return
        raise NodeLost(f"{self.system.name!r} is not connected with a node {node!r}")

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self._own_cell()._dispatcher.clock()

    def _find(self, path: str) -> Cell:
        return self.system.lookup(path)  # type: ignore[return-value]

    def _allows(self, level: str) -> bool:
        return INSPECT_LEVELS.index(self._level) >= INSPECT_LEVELS.index(level)

    def _require(self, level: str) -> None:
        if not self._allows(level):
            raise Refused(
                f"{self.system.name!r} does not show that to you; it and the node that you ask"
                f' through must be started with config={{"inspect": "{level}"}}'
            )

    def _expect_sweep(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self.after(GONE_AFTER / 2, SWEEP)

    def _sweep(self) -> None:
        """Forget the watchers that have gone."""
        self._sweeping = False
        since = self._now - GONE_AFTER
        for number, (_, seen) in list(self._views.items()):
            if seen < since:
                del self._views[number]
        for path, tap in list(self._taps.items()):
            if tap.seen < since:
                tap.end("nobody looked")
                del self._taps[path]
        if self._views or self._taps:
            self._expect_sweep()


#: The inspector's message to itself.
SWEEP = object()


def inspector_of(system: ActorSystem) -> ActorRef[Inspector]:
    """The inspector of a system, started when there is none."""
    from ..system import _spec

    root = system._root
    cell = root._get_life().children.get(NAME)
    if cell is None:
        spec = _spec(Inspector, "permanent", 1.0, None)
        cell = spawn(system, system._dispatcher, root, spec, (), {}, NAME)
    return cell._ref


def inspect_level(system: ActorSystem) -> str:
    """What this system shows: what it was told, or all while it reaches this machine only."""
    if system._inspect is not None:
        return system._inspect
    network = system._network
    return "all" if network is None or network.is_local else "tree"


def _summary(cell: Cell) -> dict[str, str]:
    """What an actor shows of its state, in words."""
    instance = cell._instance
    if instance is None or cell._state is STOPPED:
        return {}
    hook = gevent.spawn(_inspected, instance)
    hook.join(SUMMARY_TIME)
    if not hook.ready():
        hook.kill(block=False)
        return {"on_inspect": f"took more than {SUMMARY_TIME} s"}
    result = hook.value
    return result if isinstance(result, dict) else {"on_inspect": "was killed"}


def _inspected(instance: Any) -> dict[str, str]:
    try:
        shown = instance.on_inspect()
        if type(shown) is not dict:
            return {"": brief(shown, 10 * MAX_BRIEF)}
        entries = list(shown.items())[:MAX_STATE]
        return {key if type(key) is str else brief(key): brief(item) for key, item in entries}
    except Exception as error:
        return {"on_inspect": f"failed: {brief(error)}"}


def _stack(cell: Cell) -> list[str]:
    """Where an actor is blocked, innermost last."""
    worker = cell._worker
    frame = None if worker is None or cell._state is not RUNNING else worker.gr_frame
    if frame is None:
        return []
    frames = [frame for frame, _ in islice(traceback.walk_stack(frame), MAX_FRAMES)]
    return [
        f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
        for frame in reversed(frames)
        if not frame.f_globals.get("__name__", "").startswith(("actorkit.kernel", "gevent"))
    ]
