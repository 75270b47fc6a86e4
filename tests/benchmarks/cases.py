"""The cases: what each measures, how much work, and the budget that it is held against."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One row. `sizes`: the amount of work for a peer; "" is for all others.

    `budget`: what the pure kernel is held to; after a slash, the compiled one.

    `program`: the function of the peers that measures it, called with the size and with `argument`
    if there is one; "" stands for a function of the case's own name.
    """

    name: str
    title: str
    unit: str
    sizes: dict[str, int]
    more_is_better: bool = True
    budget: str = ""
    quick: int = field(default=10)
    program: str = ""
    argument: str = ""

    @property
    def function(self) -> str:
        return self.program or self.name

    def size(self, peer: str, quick: bool) -> int:
        size = self.sizes.get(peer, self.sizes[""])
        return max(size // self.quick, 100) if quick else size


LOCAL = [
    Case(
        "ping_pong",
        "ping-pong",
        "messages/s",
        {
            "": 1_000_000,
            "compiled": 3_000_000,
            "pykka": 20_000,
            "erlang": 3_000_000,
            "lapinbeam": 20_000,
            "xoscar": 20_000,
        },
        budget=">= 6x / 18x seed, >= 60x Pykka, compiled >= 1.3x Erlang",
    ),
    Case(
        "fan_in",
        "fan-in, 4 senders",
        "messages/s",
        {
            "": 1_000_000,
            "compiled": 3_000_000,
            "pykka": 100_000,
            "erlang": 3_000_000,
            "lapinbeam": 20_000,
            "xoscar": 20_000,
        },
        budget=">= 1.6x / 2x seed, >= 20x Pykka",
    ),
    Case(
        "ask_main",
        "ask in turn, from main",
        "asks/s",
        {"": 200_000, "pykka": 20_000, "erlang": 1_000_000, "lapinbeam": 5_000, "xoscar": 10_000},
        budget=">= 15x / 30x Pykka",
    ),
    Case(
        "ask_actor",
        "ask in turn, from an actor",
        "asks/s",
        {"": 200_000, "pykka": 20_000, "erlang": 1_000_000, "lapinbeam": 5_000, "xoscar": 10_000},
        budget=">= 15x / 30x Pykka",
    ),
    Case(
        "spawn_all",
        "spawn + message + stop, all alive at once",
        "actors/s",
        {"": 100_000, "seed": 50_000},
        budget=">= 10x seed, >= 1x / 2x Erlang",
    ),
    Case(
        "spawn_stream",
        "spawn + message + stop, 100 at a time",
        "actors/s",
        {"": 200_000, "seed": 50_000, "pykka": 2_000},
    ),
    Case(
        "idle_bytes",
        "an idle actor with one attribute",
        "bytes",
        {"": 200_000, "seed": 50_000, "pykka": 500},
        more_is_better=False,
        budget="<= 1,000 / 500 bytes",
    ),
    Case(
        "live_megabytes",
        "1 M live actors",
        "MB",
        {"": 1_000_000},
        more_is_better=False,
        budget="<= 1,200 MB",
        quick=1,
    ),
    Case("throughput_10", "a message to each of 10 actors in turn", "messages/s", {"": 3_000_000}),
    Case("throughput_1k", "... of 1,000", "messages/s", {"": 3_000_000}),
    Case("throughput_100k", "... of 100,000", "messages/s", {"": 3_000_000}),
    Case(
        "throughput_1m",
        "... of 1,000,000",
        "messages/s",
        {"": 3_000_000},
        budget=">= 0.5x of that of 10",
        quick=1,
    ),
    Case("random_1m", "1,000 tokens at random among 1,000,000", "messages/s", {"": 3_000_000}),
    Case(
        "blocking",
        "2,000 actors block twice for 50 ms",
        "s",
        {"": 2_000},
        more_is_better=False,
    ),
    Case("timer_p50", "timer lateness under load, p50", "ms", {"": 1}, more_is_better=False),
    Case(
        "timer_p99",
        "timer lateness under load, p99",
        "ms",
        {"": 1},
        more_is_better=False,
        budget="< 2 ms",
    ),
    Case(
        "socket_p99",
        "socket round trip under load, p99",
        "ms",
        {"": 300},
        more_is_better=False,
    ),
    Case(
        "fairness",
        "ask in turn beside ten endless inboxes",
        "asks/s",
        {"": 2_000},
    ),
]

SAVINA = [
    Case(name, title, "s", {"": size}, more_is_better=False)
    for name, title, size in (
        ("chameneos", "chameneos, 100 creatures, 50,000 meetings", 50_000),
        ("big", "big, 100 actors, 1,000 pings each", 1_000),
        ("fork_join_throughput", "fork-join throughput, 60 actors, 2,000 messages each", 2_000),
        ("fork_join_creation", "fork-join creation, 40,000 actors", 40_000),
        ("bank_transaction", "bank, 100 accounts, 50,000 transactions", 50_000),
        ("concurrent_dictionary", "dictionary, 20 workers, 5,000 operations each", 5_000),
        ("sieve", "sieve of Eratosthenes up to 20,000", 20_000),
        ("quicksort", "quicksort of 200,000 numbers", 200_000),
    )
]
