"""Prometheus metrics of systems, for a registry of yours or served by themselves (`[metrics]`).

Uses counts.py for the numbers, and prometheus-client, which nothing else here imports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import gevent
from gevent.monkey import get_original
from gevent.pywsgi import WSGIServer
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ..kernel.twin import get_ident
from .counts import BOUNDS, Counts, Tally

if TYPE_CHECKING:
    from ..system import ActorSystem

__all__ = ["PORT", "SCRAPE_TIME", "Metrics"]

#: Where the metrics are served unless told otherwise.
PORT = 9464
#: Seconds that a scrape from another thread waits for the hub.
SCRAPE_TIME = 5.0

_make_event = get_original("threading", "Event")


class Metrics(Collector):
    """Counts what `systems` do from now on, as a collector for any registry::

        metrics = Metrics(system)
        prometheus_client.REGISTRY.register(metrics)

    or on its own::

        with Metrics(system) as metrics:
            metrics.serve(port=9464)

    The labels are the system and the class of the actors, never an actor's path, so that there are
    no more series than `counts.MAX_CLASSES` allows. Raises ValueError for two systems of one name,
    and for a system that others count already.
    """

    def __init__(self, *systems: ActorSystem) -> None:
        if len({system.name for system in systems}) < len(systems) or not systems:
            raise ValueError(f"Metrics takes systems with different names, not {systems!r}")
        for system in systems:
            if system.departed is not None:
                raise ValueError(f"{system.name!r} has metrics already; close() those first")
        self._counts = [Counts(system) for system in systems]
        self._servers: list[WSGIServer] = []

    def __enter__(self) -> Metrics:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Count no more, and end what `serve` began; the last numbers can still be collected."""
        for server in self._servers:
            server.stop(timeout=1)
        self._servers.clear()
        for counts in self._counts:
            counts.close()

    def serve(self, port: int = PORT, host: str = "127.0.0.1") -> tuple[str, int]:
        """Serve the metrics by HTTP in this hub, on loopback unless told otherwise.

        Port 0 takes a free one. Returns host and port. Raises OSError when they are taken.
        """
        registry = CollectorRegistry()
        registry.register(self)
        server = WSGIServer((host, port), make_wsgi_app(registry), log=None)
        server.start()
        self._servers.append(server)
        return server.socket.getsockname()[:2]  # type: ignore[no-any-return]

    # -- for the registry -----------------------------------------------------------------------

    def describe(self) -> Iterable[Metric]:
        """The families of metrics without their numbers."""
        return _Families().all()

    def collect(self) -> Iterable[Metric]:
        """The families of metrics, with a look at every actor, in slices.

        From another thread it waits for the hub, up to `SCRAPE_TIME` seconds, and then gives what
        the last look has seen.
        """
        families = _Families()
        for counts in self._counts:
            families.add(counts, _walk(counts))
        return families.all()


def _walk(counts: Counts) -> dict[str, Tally]:
    dispatcher = counts._dispatcher
    if get_ident() == dispatcher.thread:
        return counts.walk()
    if dispatcher.forked or counts.system.terminated:
        return counts.seen
    done = _make_event()

    def walk() -> None:
        try:
            counts.walk()
        finally:
            done.set()

    dispatcher.loop.run_callback_threadsafe(gevent.spawn, walk)
    done.wait(SCRAPE_TIME)
    return counts.seen


_BY_CLASS = ["system", "actor"]


class _Families:
    """The families of metrics, being filled."""

    def __init__(self) -> None:
        self.actors = GaugeMetricFamily("actorkit_actors", "Living actors.", labels=_BY_CLASS)
        self.inbox = GaugeMetricFamily(
            "actorkit_inbox_messages", "Messages that wait in inboxes.", labels=_BY_CLASS
        )
        self.longest = GaugeMetricFamily(
            "actorkit_inbox_messages_max",
            "Messages that wait in the longest inbox.",
            labels=_BY_CLASS,
        )
        self.handled = CounterMetricFamily(
            "actorkit_messages_handled", "Messages handled.", labels=_BY_CLASS
        )
        self.receive = HistogramMetricFamily(
            "actorkit_receive_seconds",
            "Time from the call of receive, or of a method, to its end; sampled under load.",
            labels=_BY_CLASS,
        )
        self.failures = CounterMetricFamily(
            "actorkit_failures", "Failures of actors.", labels=_BY_CLASS
        )
        self.restarts = CounterMetricFamily(
            "actorkit_restarts", "Restarts of actors.", labels=_BY_CLASS
        )
        self.dead_letters = CounterMetricFamily(
            "actorkit_dead_letters", "Messages that could not be delivered.", labels=_BY_CLASS
        )
        self.overflows = CounterMetricFamily(
            "actorkit_inbox_overflows",
            "Messages that full inboxes dropped.",
            labels=[*_BY_CLASS, "policy"],
        )
        self.nodes = GaugeMetricFamily(
            "actorkit_nodes", "Nodes connected with this one.", labels=["system"]
        )
        self.counters = CounterMetricFamily(
            "actorkit_events",
            "What system.counters counts: associations, what was dropped or refused.",
            labels=["system", "event"],
        )

    def all(self) -> list[Metric]:
        return list(vars(self).values())

    def add(self, counts: Counts, tallies: dict[str, Tally]) -> None:
        system = counts.system
        for name, tally in tallies.items():
            labels = [system.name, name]
            self.actors.add_metric(labels, tally.actors)
            self.inbox.add_metric(labels, tally.inbox)
            self.longest.add_metric(labels, tally.longest)
            self.handled.add_metric(labels, tally.handled)
            self.failures.add_metric(labels, tally.failures)
            self.restarts.add_metric(labels, tally.restarts)
            self.dead_letters.add_metric(labels, tally.dead_letters)
            for policy, dropped in tally.overflows.items():
                self.overflows.add_metric([*labels, policy], dropped)
            self.receive.add_metric(labels, list(_cumulated(tally.times)), tally.seconds)
        self.nodes.add_metric([system.name], len(system.nodes))
        for event, count in system.counters.items():
            self.counters.add_metric([system.name, event], count)


def _cumulated(times: list[int]) -> Iterator[tuple[str, float]]:
    """The histogram as Prometheus has it: how many took up to each bound."""
    total = 0
    for bound, count in zip([*map(str, BOUNDS), "+Inf"], times, strict=True):
        total += count
        yield bound, total
