"""`ActorSystem`: a tree of actors and what they share: dispatcher, events, groups, the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakSet

import gevent
from greenlet import getcurrent

from .actor import Actor
from .errors import ActorNotFound, SystemStopped
from .events import EventStream
from .groups import Groups
from .kernel import (
    RUNNING,
    STOPPED,
    Cell,
    Dispatcher,
    Inbox,
    Life,
    Spec,
    Worker,
    make_instance,
    with_short_way,
)
from .kernel import spawn as spawn_cell
from .kernel.asking import ASK_TIMEOUT, check_timeout
from .kernel.life import KILL_GRACE
from .kernel.watchdog import Watchdog
from .messages import Reason
from .observe.failures import Failures
from .observe.levels import INSPECT_LEVELS
from .observe.tree import ActorInfo, snapshot
from .ref import ActorRef, LocalRef

if TYPE_CHECKING:
    from .observe.counts import Departed
    from .observe.tracing import Tracing
    from .remote.link import Transport
    from .remote.node import Network, Node
    from .remote.security import Curve, Insecure

__all__ = ["ActorSystem", "check_system_name", "systems"]

A = TypeVar("A", bound=Actor)

#: Sets of spawn options remembered for each class.
MAX_SPECS = 64

_RESTARTS = ("permanent", "transient", "temporary")


class Guardian(Actor):
    """The parent of the actors that the system itself starts; supervises them one for one."""

    def receive(self, message: Any) -> None:
        self._own_cell()._dead_letter(message, "the root of a system takes no messages")


class ActorSystem:
    """A tree of actors in this thread's gevent hub. A context manager::

        with ActorSystem("demo") as system:
            greeter = system.spawn(Greeter, name="greeter")
            ...

    Leaving the block shuts down in order. Several systems may live in one process; there is no
    global one.
    """

    def __init__(
        self,
        name: str = "actorkit",
        *,
        listen: str | None = None,
        security: Curve | Insecure | None = None,
        spawnable: Iterable[Any] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Make a system; with `listen` ("tcp://host:port" or "ipc:///path") also a node.

        `security`: `Curve(...)` or `Insecure()`, needed to listen beyond this machine. `spawnable`:
        the actor classes, or modules of them, that other nodes may spawn here. `config`:
        "outbound" is "block" (the default) or "fail", for what `tell` does when too much is on its
        way to a node; "inspect" is "off", "tree", "all" or "control", for what other nodes may see
        (docs/observing.md).
        """
        check_system_name(name)
        self._outbound, self._inspect = _check_config(config)
        self.name = name
        self.events = EventStream()
        #: Answers that came second, or after their asker had gone; they were dropped.
        self.late_answers = 0
        #: The last failures of its actors.
        self.failures = Failures()
        #: The messages of ended actors, while they are counted: see observe/counts.py.
        self.departed: Departed | None = None
        self.stopping = False
        #: Who records spans of its messages, if anybody does.
        self.tracing: Tracing | None = None
        self._dispatcher = self._find_dispatcher()
        self._root: LocalRef[Guardian] = LocalRef(
            self, self._dispatcher, None, _spec(Guardian, "temporary", 5.0, None), "", 0, ()
        )
        make_instance(self._root)
        self._root._state = RUNNING
        self._root._handler = self._root._spec.receive
        self._root._idle = True
        Life(self._root)
        self._watchdog = Watchdog.of(self._dispatcher)
        self._watchdog.start()
        self._root.rawlink(self._ended)
        systems.add(self)
        self._security = security
        self._spawnable = tuple(spawnable)
        self._network: Network | None = None
        if listen is not None:
            try:
                self._get_network().listen(listen)
            except BaseException:
                self.shutdown()
                raise

    def __enter__(self) -> ActorSystem:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._dispatcher.forked:
            self.shutdown()

    # -- actors ---------------------------------------------------------------------------------

    @with_short_way
    def spawn(
        self,
        cls: type[A],
        *args: Any,
        name: str | None = None,
        restart: str = "transient",
        inbox: Inbox | None = None,
        shutdown: float = 5.0,
        on: Any = None,
        **kwargs: Any,
    ) -> ActorRef[A]:
        """Start an actor of class `cls` and return its reference.

        The constructor runs here with `args` and `kwargs`, so that its errors are raised here;
        `on_start` runs as the actor's first turn. `name` is unique among siblings. `restart`:
        "transient" (after a failure), "permanent" (after a normal end too) or "temporary" (never).
        `inbox` overrides the class's. `shutdown`: seconds that the actor has to stop before it is
        killed. `on`: a node, its address or a `NodePool`, to start it there; the constructor runs
        there too. Raises NameTaken, TypeError, ValueError, SystemStopped.
        """
        if (
            name is not None
            or on is not None
            or inbox is not None
            or restart != "transient"
            or shutdown != 5.0
        ):
            return self._spawn(self._root, cls, args, kwargs, name, restart, inbox, shutdown, on)
        try:  # the way of most: a short form of `_spawn`
            spec = cls._specs[cls]
        except (AttributeError, KeyError, TypeError):
            spec = _spec(cls, restart, shutdown, inbox)
        ref: ActorRef[A] = spawn_cell(self, self._dispatcher, self._root, spec, args, kwargs, None)
        return ref

    def connect(self, address: str, timeout: float | None = 5.0) -> Node:
        """Connect to the node that listens at `address`, and wait until the association stands.

        `timeout` is in seconds, None for ever; until then it is tried again and again. Raises
        NodeUnreachable, and HandshakeRefused when the other side says no. Two nodes that are
        connected already get the association that they have.
        """
        self._dispatcher.check_thread()
        if not isinstance(address, str):
            raise TypeError(f"connect takes an address such as tcp://host:port, not {address!r}")
        if self.stopping:
            raise SystemStopped(f"cannot connect: {self.name!r} is shutting down")
        return self._get_network().connect(address, timeout)

    @property
    def nodes(self) -> list[Node]:
        """The other nodes that this one is connected with now."""
        from .remote.node import Node

        peers = () if self._network is None else self._network.peers.values()
        return [Node(peer) for peer in peers]

    @property
    def counters(self) -> dict[str, int]:
        """How often what was dropped or refused: late answers and, of a node, much more."""
        network = self._network
        more = {} if network is None else network.counters | network.transport.counters
        return {"late_answers": self.late_answers, **more}

    @property
    def address(self) -> str:
        """Where this system listens, with the port that it got; empty if it does not."""
        return "" if self._network is None else self._network.address

    def lookup(self, path: str) -> ActorRef[Any]:
        """The reference of the living actor at `path`; raises ActorNotFound."""
        self._dispatcher.check_thread()
        cell: Cell = self._root
        for name in path.strip("/").split("/"):
            children = cell._life.children if cell._life is not None else {}
            key: str | int = name
            if name.startswith("$") and name[1:].isdigit():
                key = int(name[1:])
            child = children.get(key)
            if child is None:
                raise ActorNotFound(f"no actor at {path!r} in {self.name!r}; see system.tree()")
            cell = child
        return cell._ref

    def tree(self) -> list[ActorInfo]:
        """A snapshot of every actor, parents before children."""
        self._dispatcher.check_thread()
        return snapshot(self._root)

    @cached_property
    def groups(self) -> Groups:
        """Named groups of actors: `join`, `leave`, `members`, `publish`."""
        return Groups(self)

    # -- the end --------------------------------------------------------------------------------

    def shutdown(self, timeout: float | None = None) -> None:
        """Stop every actor, children before parents, last-started first, and wait for that.

        Each actor has its own shutdown time; what is not done in `timeout` seconds is killed.
        Inside an actor it returns at once and happens after the turn.
        """
        self._dispatcher.check_thread()
        if timeout is not None:
            check_timeout(timeout)
        self.stopping = True
        root = self._root._get_life()
        root.order_stop(Reason.SHUTDOWN)
        worker = getcurrent()
        if isinstance(worker, Worker) and worker.cell is not None:
            if timeout is not None:
                self._dispatcher.timers.after(timeout, root.kill_tree)
            return
        self._root.join(timeout)
        if not self._root.ready():
            root.kill_tree()
            self._root.join(2 * KILL_GRACE)
        self._close_network()

    @property
    def terminated(self) -> bool:
        """Whether the system has shut down."""
        return self._root._state is STOPPED

    def wait(self) -> None:
        """Wait until the system has shut down.

        Meanwhile SIGINT and SIGTERM start an orderly shutdown, and a second one ends it at once
        with SystemExit (128 + the signal's number).
        """
        self._dispatcher.check_thread()
        # Keeps the loop alive while every actor is idle: news may come from other threads.
        alive = self._dispatcher.loop.async_()
        alive.start(lambda: None)
        handlers = []
        forced: list[int] = []

        def on_signal(number: int) -> None:
            if self.stopping:
                forced.append(number)
                self._root._get_life().abandon_tree()
            else:
                gevent.spawn(self.shutdown)

        if threading.current_thread() is threading.main_thread():
            handlers = [
                gevent.signal_handler(number, on_signal, number)
                for number in (signal.SIGINT, signal.SIGTERM)
            ]
        try:
            self._root.join()
        finally:
            alive.stop()
            alive.close()
            for handler in handlers:
                handler.cancel()
        if forced:
            raise SystemExit(128 + forced[0])

    def __repr__(self) -> str:
        return f"<ActorSystem {self.name!r}{' (shut down)' if self.terminated else ''}>"

    # -- what the kernel needs ------------------------------------------------------------------

    cell_type: ClassVar[type[Cell]] = LocalRef

    def _find_dispatcher(self) -> Dispatcher:
        return Dispatcher.current()

    def _spawn(
        self,
        parent: Cell,
        cls: type[A],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None,
        restart: str,
        inbox: Inbox | None,
        shutdown: float,
        on: Any,
    ) -> ActorRef[A]:
        if name is not None:
            _check_name(name)
        if on is not None:
            return self._spawn_elsewhere(on, cls, args, kwargs, name, restart, inbox, shutdown)
        usual = inbox is None and restart == "transient" and shutdown == 5.0
        try:
            spec = cls._specs[cls if usual else (cls, restart, shutdown, inbox)]
        except (AttributeError, KeyError, TypeError):
            spec = _spec(cls, restart, shutdown, inbox)
        ref: ActorRef[A] = spawn_cell(self, self._dispatcher, parent, spec, args, kwargs, name)
        return ref

    def _spawn_elsewhere(
        self,
        on: Any,
        cls: type[A],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None,
        restart: str,
        inbox: Inbox | None,
        shutdown: float,
    ) -> ActorRef[A]:
        from .remote.node import Node
        from .remote.pool import NodePool

        if inbox is not None:
            raise ValueError("inbox= does not travel; set it on the class")
        options = {"name": name, "restart": restart, "shutdown": shutdown}
        if isinstance(on, NodePool):
            return on._spawn(self, cls, args, kwargs, options)
        node = self.connect(on) if isinstance(on, str) else on
        if not isinstance(node, Node):
            raise ValueError(f"on= takes a node, its address or a NodePool, not {on!r}")
        return node.start(cls, args, kwargs, options, ASK_TIMEOUT)

    def _get_network(self) -> Network:
        if self._network is None:
            from .remote.node import Network

            self._network = Network(
                self, self._dispatcher, self._make_transport, self._spawnable, self._outbound
            )
        return self._network

    def _make_transport(self, on_message: Callable[[Any, list[Any]], None]) -> Transport:
        """What carries this system's messages to other nodes; a simulation has its own."""
        from .remote import transport

        return transport.Transport(self._dispatcher.loop, self._security, on_message)

    def _forget_node(self, address: str) -> None:
        if self._network is not None:
            self._network.forget(address)

    def _close_network(self) -> None:
        network, self._network = self._network, None
        if network is not None:
            network.close()

    def _ended(self, _: Any) -> None:
        self._close_network()
        self.stopping = True
        self._watchdog.stop()


#: Every system of this process that is not garbage, for tools that look at all of them.
systems: WeakSet[ActorSystem] = WeakSet()


def _spec(cls: type[Actor], restart: str, shutdown: float, inbox: Inbox | None) -> Spec:
    """Check these options and make the `Spec` that all actors spawned with them share."""
    if not isinstance(cls, type) or not issubclass(cls, Actor):
        hint = "the class, not an instance" if isinstance(cls, Actor) else "a subclass of Actor"
        raise TypeError(f"spawn takes {hint}: {cls!r}")
    if cls.receive is Actor.receive and cls.run is Actor.run and not cls._method_names():
        raise TypeError(
            f"{cls.__name__} has neither receive(), nor run(), nor a public method: no message"
            " could reach it"
        )
    if restart not in _RESTARTS:
        raise ValueError(f"restart must be one of {_RESTARTS}, not {restart!r}")
    if isinstance(shutdown, bool) or not isinstance(shutdown, int | float) or not shutdown >= 0:
        raise ValueError(f"shutdown must be seconds >= 0, not {shutdown!r}")
    if inbox is not None and not isinstance(inbox, Inbox):
        raise TypeError(f"inbox must be an Inbox(...), not {inbox!r}")
    spec = Spec(cls, restart, shutdown, cls.inbox if inbox is None else inbox, Actor)
    if len(cls._specs) >= MAX_SPECS:
        cls._specs.clear()
    usual = inbox is None and restart == "transient" and shutdown == 5.0
    cls._specs[cls if usual else (cls, restart, shutdown, inbox)] = spec
    return spec


def check_system_name(name: str) -> None:
    """Raise ValueError for what cannot be the name of a system."""
    if not isinstance(name, str) or not name or set(name) & set("/@#$: \n"):
        raise ValueError(f"a system's name is a word without / @ # $ : or spaces, not {name!r}")


def _check_config(config: Mapping[str, Any] | None) -> tuple[str, str | None]:
    """The settings: what `tell` does when a node is congested, and what others may see."""
    settings = dict(config or {})
    outbound: str = settings.pop("outbound", "block")
    inspect: str | None = settings.pop("inspect", None)
    if settings or outbound not in ("block", "fail") or inspect not in (None, *INSPECT_LEVELS):
        raise ValueError(
            'config takes "outbound" ("block" or "fail") and "inspect"'
            f" ({', '.join(INSPECT_LEVELS)}), not {config!r}"
        )
    return outbound, inspect


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name or "/" in name or "#" in name or name[0] == "$":
        raise ValueError(f"a name is a non-empty str without / or #, not starting with $: {name!r}")
