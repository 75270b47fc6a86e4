"""Exploring: failures are found, made small and replayed; claims; traces; the shrinker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorkit import Actor, ActorRef
from actorkit.testing import (
    ClaimBroken,
    ExplorationFailed,
    Recorded,
    Simulation,
    SimulationError,
    exploration,
    explore,
    first_difference,
    replay,
    search,
    to_html,
    to_json_lines,
)
from actorkit.testing.choices import ByKind, ChoiceSequence, Source
from actorkit.testing.orders import explore_orders
from actorkit.testing.shrink import Run, shrink, size, trim
from actorkit.testing.trial import Trial
from tests.actors import Echo

from .planted import NAMES, load

# -- planted mistakes ------------------------------------------------------------------------------

#: Seeds for the twin: fewer where a run is a cluster's.
TWIN_SEEDS = {"raft": 10, "two_leaders": 20}
#: The seeds before this one are known to pass, and take long; `tests.testing.planted` tries them.
FIRST_SEEDS = {"raft": 130}


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_mistake_is_found_and_its_repaired_twin_holds(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploration, "SHRINK_STEPS", 25_000)
    monkeypatch.setattr(exploration, "MIN_TRIES", 30)
    module = load(name)
    failures = getattr(module, "failures", ())

    def broken(sim: Simulation) -> None:
        if sim.seed == 0 or sim.seed >= FIRST_SEEDS.get(name, 0):  # 0: also of each recording
            module.broken(sim)

    found = search(broken, 1000, failures=failures, record=False).failure
    assert found is not None
    assert found.deviations <= found.found_deviations
    assert Trial(module.broken, failures).run(Recorded(found.choices)).error is not None
    seeds = TWIN_SEEDS.get(name, 100)
    assert search(module.repaired, seeds, failures=failures, record=False).ok


def test_of_two_leaders_nothing_is_left_but_the_partition() -> None:
    found = search(load("two_leaders").broken, 100, record=False).failure
    assert found is not None
    assert (found.found_faults, found.faults, found.deviations) == (1, 1, 1)


@pytest.mark.parametrize("name", ["lost_update", "stale_cache", "lost_news", "two_senders"])
def test_changing_priorities_find_mistakes_of_order(name: str) -> None:
    assert not search(load(name).broken, 1000, strategy="pct", record=False).ok
    assert search(load(name).repaired, 50, strategy="pct", record=False).ok


# -- exploring -------------------------------------------------------------------------------------


def three_tells(sim: Simulation) -> list[Any]:
    """Three actors that each tell a fourth one something; what it got."""
    got: list[Any] = []

    class Ear(Actor):
        def receive(self, message: Any) -> None:
            got.append(message)

    class Mouth(Actor):
        def __init__(self, ear: ActorRef[Any]) -> None:
            self.ear = ear

        def receive(self, message: Any) -> None:
            self.ear.tell(message)

    system = sim.system("a")
    ear = system.spawn(Ear, name="ear")
    for number in range(3):
        system.spawn(Mouth, ear, name=f"mouth-{number}").tell(number)
    gevent.sleep(1)
    return got


def ends_with_two(sim: Simulation) -> None:
    assert three_tells(sim)[-1] == 2


def test_an_exploration_is_the_same_for_any_number_of_processes() -> None:
    one = search(ends_with_two, 100, processes=1, record=False)
    assert one.failure is not None
    assert one == search(ends_with_two, 100, processes=3, record=False)


def test_a_failure_names_its_seed_and_its_file_which_replays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExplorationFailed, match=r"--actorkit-seed=\d+") as caught:
        explore(ends_with_two, 100)
    exploration = caught.value.exploration
    assert exploration.failure is not None
    assert exploration.file is not None
    assert exploration.failure.deviations == 1
    assert "Simulation(seed=" not in exploration.failure.details  # not what was shrunk
    with pytest.raises(AssertionError):
        replay(ends_with_two, exploration.file)
    page = exploration.file.with_suffix(".html").read_text()
    assert "<svg" in page
    assert "http://www.w3.org/2000/svg" in page
    assert page.count("http") == 1  # it needs nothing else


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[]")
    with pytest.raises(SimulationError, match="no recording"):
        replay(ends_with_two, path)


def test_every_order_is_tried_and_random_ones_show_no_other() -> None:
    ends: set[tuple[Any, ...]] = set()
    seen: set[tuple[Any, ...]] = set()
    orders = explore_orders(
        Trial(lambda sim: ends.add(tuple(three_tells(sim)))), 10_000, lambda runs: None
    )
    assert orders.complete
    for seed in range(200):
        Simulation(seed).run(lambda sim: seen.add(tuple(three_tells(sim))))
    assert seen == ends
    assert len(ends) == 6

    exploration = search(ends_with_two, 10_000, strategy="exhaustive", record=False)
    assert exploration.failure is not None
    holds = search(three_tells, 10_000, strategy="exhaustive", record=False)
    assert holds.complete
    assert f"all {holds.runs} schedules hold" in str(holds)
    assert holds.runs == orders.runs
    bounded = search(three_tells, 5, strategy="exhaustive", record=False)
    assert not bounded.complete
    assert "the bound was reached" in str(bounded)


def test_a_test_that_is_no_function_of_its_choices_is_named_so() -> None:
    kept: list[int] = []

    def remembers(sim: Simulation) -> None:
        kept.append(1)
        sim.system("a").spawn(Echo, name="echo").ask(len(kept))

    with pytest.raises(SimulationError, match="the runs part here"):
        search(remembers, 3, twice=True, record=False)
    assert search(ends_with_two, 1, twice=True, record=False).runs == 1


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="seeds="):
        explore(ends_with_two, 0)
    with pytest.raises(ValueError, match="strategy="):
        explore(ends_with_two, strategy="best")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="processes="):
        explore(ends_with_two, processes=0)


def test_the_decorator_explores_replays_a_seed_and_replays_a_file(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
import pytest
from actorkit.testing import explore

@explore(seeds=50)
def test_three(sim, tmp_path):
    assert tmp_path.exists()
    assert [sim.random.randrange(4) for _ in range(3)] != [0, 0, 0] or sim.seed == 3
    assert sim.random.randrange(4) < 3

@pytest.mark.parametrize("number", [1, 2])
@explore(seeds=5)
def test_parameters(sim, number):
    assert number

class TestTogether:
    @explore(seeds=5)
    def test_method(self, sim, tmp_path):
        assert isinstance(self, TestTogether) and tmp_path.exists()
        assert sim.time() == 0
"""
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "three")
    result.assert_outcomes(failed=1)
    (file,) = (pytester.path / ".actorkit").glob("*.json")
    seed = file.stem.rpartition("-")[2]
    for told in (seed, str(file)):
        result = pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", "-k", "three", f"--actorkit-seed={told}"
        )
        result.assert_outcomes(failed=1)
        result.stdout.no_fnmatch_line("*ExplorationFailed*")
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "parameters").assert_outcomes(
        passed=2
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "method").assert_outcomes(passed=1)


# -- claims ----------------------------------------------------------------------------------------


def test_a_claim_that_always_holds_is_asked_after_every_step() -> None:
    def main(sim: Simulation) -> None:
        numbers: list[int] = []
        sim.always("below 3", lambda: len(numbers) < 3)
        for number in range(5):
            gevent.sleep(1)
            numbers.append(number)

    with pytest.raises(ClaimBroken, match=r"below 3: not so at 3\.0"):
        Simulation().run(main)


def test_what_holds_eventually_is_waited_for_and_not_longer() -> None:
    def main(sim: Simulation, seconds: float) -> None:
        sim.eventually("it is late", lambda: sim.time() >= seconds, within=10)
        gevent.spawn_later(seconds, int)

    Simulation().run(lambda sim: main(sim, 5))
    with pytest.raises(ClaimBroken, match=r"it is late: not so by 10\.0"):
        Simulation().run(lambda sim: main(sim, 20))


def test_a_predicate_that_raises_breaks_its_claim() -> None:
    with pytest.raises(ClaimBroken, match="ZeroDivisionError"):
        Simulation().run(lambda sim: sim.always("sane", lambda: 1 / 0))


def test_dead_letters_and_failures_are_claimed_not_to_be() -> None:
    class Fragile(Actor):
        def receive(self, message: Any) -> None:
            raise KeyError(message)

    def letter(sim: Simulation) -> None:
        sim.no_dead_letters()
        ref = sim.system("a").spawn(Echo, name="echo")
        ref.stop()
        ref.join()
        ref.tell("too late")

    def failure(sim: Simulation, but: type[Exception] = ValueError) -> None:
        sim.no_failures(but)
        sim.system("a").spawn(Fragile, name="fragile").tell(1)
        gevent.sleep(1)

    with pytest.raises(ClaimBroken, match="'too late' to /echo"):
        Simulation().run(letter)
    with pytest.raises(ClaimBroken, match="actor /fragile failed"):
        Simulation().run(failure)
    Simulation().run(lambda sim: failure(sim, KeyError))


def test_order_and_single_delivery_hold_between_nodes() -> None:
    def main(sim: Simulation) -> None:
        sim.in_order()
        sim.no_duplicates()
        sim.system("a", boot=lambda system: system.spawn(Echo, name="echo"))
        echo = sim.system("b").connect("sim://a").lookup("/echo")
        for number in range(20):
            echo.tell(number)
        gevent.sleep(5)

    explore(main, 20)


# -- traces ----------------------------------------------------------------------------------------


def test_two_runs_are_compared_at_their_first_difference() -> None:
    one, same, other = Simulation(1), Simulation(1), Simulation(2)
    for simulation in (one, same, other):
        simulation.run(three_tells)
    assert first_difference(one.log, same.log) is None
    difference = first_difference(one.log, other.log)
    assert difference is not None
    assert difference.one != difference.other
    assert str(difference).startswith("the runs part here:")


def test_a_trace_is_json_lines_and_a_page_with_every_event() -> None:
    simulation = Simulation(1)
    simulation.run(three_tells)
    assert to_json_lines(simulation.log).count("\n") == len(simulation.log)
    assert to_html(simulation.log, "a <run>").count("<g>") == len(simulation.log)


# -- the shrinker ----------------------------------------------------------------------------------

VALUES = st.lists(st.integers(0, 9), max_size=30)


@settings(max_examples=200, deadline=None)
@given(values=VALUES, needed=st.sets(st.integers(1, 9), max_size=3), rest=st.integers(0, 20))
def test_what_is_shrunk_fails_still_and_is_no_bigger(
    values: list[int], needed: set[int], rest: int
) -> None:
    def breaks(tried: Sequence[int]) -> bool:
        return needed <= set(tried) and sum(tried) >= rest

    def fails(tried: Run) -> Run | None:
        return tried if breaks(tried[0]) else None

    run: Run = (values, ["next"] * len(values))
    if not breaks(values):
        return
    smallest, tries = shrink(run, fails)
    assert breaks(smallest[0])
    assert size(smallest) <= size(trim(run))
    assert tries <= 600
    if rest <= sum(needed):
        assert sorted(smallest[0]) == sorted(needed)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.integers(1, 9), max_size=60), needed=st.integers(0, 9))
def test_what_a_choice_decides_is_kept_though_there_are_fewer_of_another_kind_before_it(
    values: list[int], needed: int
) -> None:
    """Ten steps: a delay, as many choices of order as the delay says, and a fault perhaps."""

    def play(source: Source) -> tuple[Run, bool]:
        choices = ChoiceSequence(source)
        faults = []
        for _ in range(10):
            for _ in range(choices.choose(10, "latency")):
                choices.choose(10, "next")
            faults.append(choices.choose(10, "fate"))
        return (choices.values, choices.kinds), bool(faults[needed])

    def fails(tried: Run) -> Run | None:
        run, failed = play(ByKind(*tried))
        return run if failed else None

    run, failed = play(Recorded(values))
    if failed:
        smallest, _ = shrink(run, fails)
        assert size(smallest)[:2] == (1, 1)
        assert play(Recorded(smallest[0]))[1]


def test_shrinking_stops_at_its_limit() -> None:
    run: Run = ([1] * 100, ["next"] * 100)
    _, tries = shrink(run, lambda values: None, max_tries=7)
    assert tries == 7
