"""A traced node in a process of its own: prints its address, and tells its spans when asked.

`python -m tests.observe.traced_node [untraced]`
"""

from __future__ import annotations

import sys
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from actorkit import Actor, ActorSystem
from actorkit.observe.tracing import Tracing
from tests.benchmarks.measure import quiet


class Spans:
    """A provider of tracers that keeps what they record."""

    def __init__(self, ids: IdGenerator | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(id_generator=ids)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def finished(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def short(self) -> list[tuple[str, str, str, str]]:
        """Name, trace, id and parent's id of each."""
        return [
            (
                span.name,
                f"{span.context.trace_id:032x}",
                f"{span.context.span_id:016x}",
                f"{span.parent.span_id:016x}" if span.parent else "",
            )
            for span in self.finished
        ]


class Back(Actor):
    """Passes on what it is asked to its neighbour."""

    def __init__(self) -> None:
        self.store = self.spawn(Store)

    def receive(self, message: Any) -> Any:
        self.store.tell(message)
        return message


class Store(Actor):
    def receive(self, message: Any) -> None:
        pass


class Teller(Actor):
    def __init__(self, spans: Spans) -> None:
        self.spans = spans

    def receive(self, message: Any) -> Any:
        return self.spans.short()


def main() -> None:
    quiet()
    spans = Spans()
    with ActorSystem("back", listen="tcp://127.0.0.1:0") as system:
        if "untraced" not in sys.argv:
            Tracing(system, spans.provider)
        system.spawn(Back, name="back")
        system.spawn(Teller, spans, name="teller")
        print(system.address, flush=True)
        system.wait()


if __name__ == "__main__":
    main()
