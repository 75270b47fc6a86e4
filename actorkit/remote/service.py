"""What a node does for another one that asks the node itself: lookup, spawn, watch, link, groups,
inspect.

`serve(peer, call, number)` is the only entry; docs/wire-protocol.md has the table of calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import gevent

from ..errors import CodecError, Refused, SystemStopped
from ..messages import Call, Reason
from ..observe.inspector import inspector_of
from ..ref import ActorRef
from .peer import Answer, Peer, Watcher

__all__ = ["SERVICES", "serve"]


_signature = cache(inspect.signature)


def serve(peer: Peer, call: Any, number: int) -> None:
    """Carry out what the other node asks; question `number` (0: none) is answered."""
    service = SERVICES.get(call.name) if type(call) is Call else None
    try:
        if service is None:
            raise CodecError(f"no such service: {call!r:.100}")
        arguments = _signature(service).bind(peer, *call.args)
    except (CodecError, TypeError) as error:
        peer.network.counters["unreadable"] += 1
        if number:
            peer.reply(number, None, CodecError(str(error)))
        return
    if service is _spawn:
        gevent.spawn(_run, peer, service, arguments, number)  # a constructor may block
    elif service is _inspect:
        _ask_inspector(peer, call.args[0], number)
    else:
        _run(peer, service, arguments, number)


def _run(
    peer: Peer, service: Callable[..., Any], arguments: inspect.BoundArguments, number: int
) -> None:
    value, failure = None, None
    try:
        value = service(*arguments.args)
    except Exception as error:
        failure = error
    if number:
        peer.reply(number, value, failure)
    elif failure is not None:
        peer.network.counters["unreadable"] += 1


def _lookup(peer: Peer, path: str) -> ActorRef[Any]:
    return peer.network.system.lookup(path)


def _spawn(
    peer: Peer, name: str, args: tuple[Any, ...], kwargs: Any, options: Any
) -> ActorRef[Any]:
    network = peer.network
    cls = network.spawnable.get(name)
    if cls is None:
        raise Refused(
            f"{network.system.name!r} does not let others spawn {name!r}; it must name the class or"
            " its module in spawnable="
        )
    system = network.system
    return system._spawn(
        system._root,
        cls,
        tuple(args),
        kwargs,
        options.get("name"),
        options.get("restart", "transient"),
        None,
        options.get("shutdown", 5.0),
        None,
    )


def _inspect(peer: Peer, question: list[Any]) -> None:
    """Answered by the system's inspector when it comes to it: see `_ask_inspector`."""


def _ask_inspector(peer: Peer, question: Any, number: int) -> None:
    if not number:
        return  # nobody wants to know
    try:
        inspector_of(peer.network.system)._submit(question, None, Answer(peer, number))
    except SystemStopped as error:
        peer.reply(number, None, error)


def _watch(peer: Peer, uid: int) -> None:
    ref = peer.network.exports.get(uid)
    if ref is None:
        peer.tell(0, Call("down", (uid, Reason.NOT_FOUND, None)))
    elif uid not in peer.watchers:
        watcher = Watcher(peer)
        if not ref.ready():
            peer.watchers[uid] = (ref, watcher)
        ref._add_watcher(watcher)  # type: ignore[arg-type]


def _unwatch(peer: Peer, uid: int) -> None:
    ref, watcher = peer.watchers.pop(uid, (None, None))
    if ref is not None:
        ref._remove_watcher(watcher)  # type: ignore[arg-type]


def _stop(peer: Peer, uid: int, drain: bool) -> None:
    ref = peer.network.exports.get(uid)
    if ref is not None:
        ref.stop(drain=bool(drain))


def _kill(peer: Peer, uid: int) -> None:
    ref = peer.network.exports.get(uid)
    if ref is not None:
        ref.kill()


def _down(peer: Peer, uid: int, reason: Reason, error: BaseException | None) -> None:
    watched = peer.watched.pop(uid, None)
    if watched is not None:
        peer.network.report_end(watched, reason, error)


def _link(peer: Peer, uid: int, other: ActorRef[Any]) -> None:
    network = peer.network
    ref = network.exports.get(uid)
    if ref is None:
        gone = network.ref_of(network.node, uid, "/")
        other._linked_ended(gone, Reason.NOT_FOUND, None)
    else:
        if not ref.ready():
            peer.links[ref, other] = None
        ref._add_link(other)  # one that has ended already says how


def _unlink(peer: Peer, uid: int, other: ActorRef[Any]) -> None:
    ref = peer.network.exports.get(uid)
    if ref is not None:
        peer.links.pop((ref, other), None)
        ref._remove_link(other)


def _linked_ended(
    peer: Peer, uid: int, other: ActorRef[Any], reason: Reason, error: BaseException | None
) -> None:
    ref = peer.network.exports.get(uid)
    if ref is not None:
        peer.links.pop((ref, other), None)
        ref._linked_ended(other, reason, error)


def _schema(peer: Peer, number: int, name: str, field_names: list[str]) -> None:
    peer.forms.learn(number, name, field_names)


def _joined(peer: Peer, group: str, ref: ActorRef[Any]) -> None:
    peer.network.system.groups.joined_elsewhere(peer.node, group, ref)


def _left(peer: Peer, group: str, ref: ActorRef[Any]) -> None:
    peer.network.system.groups.left_elsewhere(peer.node, group, ref)


#: What a node can be asked, by name.
SERVICES: dict[str, Callable[..., Any]] = {
    "lookup": _lookup,
    "spawn": _spawn,
    "watch": _watch,
    "unwatch": _unwatch,
    "stop": _stop,
    "kill": _kill,
    "down": _down,
    "link": _link,
    "unlink": _unlink,
    "linked_ended": _linked_ended,
    "schema": _schema,
    "joined": _joined,
    "left": _left,
    "inspect": _inspect,
}
