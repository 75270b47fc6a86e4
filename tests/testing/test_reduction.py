"""The reduction on its own: races, and one run for each class of schedules that are alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from actorkit.testing.reduction import (
    BEGINNING,
    WRITE,
    Footprint,
    Reduction,
    Step,
    commute,
    races,
)

#: For each of some processes, what each of its steps touches; a process starts after another's
#: first step, or at once.
Threads = list[tuple[int | None, list[Footprint]]]
Schedule = tuple[int, ...]


def footprint(*things: str) -> Footprint:
    return dict.fromkeys(things, WRITE)


def enabled_after(threads: Threads, done: Schedule) -> list[int]:
    return [
        who
        for who, (starter, steps) in enumerate(threads)
        if done.count(who) < len(steps) and (starter is None or starter in done)
    ]


def all_schedules(threads: Threads, done: Schedule = ()) -> Iterator[Schedule]:
    enabled = enabled_after(threads, done)
    if not enabled:
        yield done
    for who in enabled:
        yield from all_schedules(threads, (*done, who))


def normal_form(threads: Threads, schedule: Schedule) -> Schedule:
    """The same for all schedules that differ by swaps of neighbours that commute: Foata's order."""
    steps = list(to_steps(threads, schedule))[1:]
    heights: list[int] = []
    for at, step in enumerate(steps):
        height = 0
        for before in range(at):
            other = steps[before]
            if (
                other.who == step.who
                or before + 1 in step.needs
                or not commute(other.footprint, step.footprint)
            ):
                height = max(height, heights[before] + 1)
        heights.append(height)
    return tuple(who for _, who in sorted(zip(heights, schedule, strict=True)))


def to_steps(threads: Threads, schedule: Schedule) -> Iterator[Step]:
    yield Step(BEGINNING, {})
    for at, who in enumerate(schedule):
        starter, steps = threads[who]
        needs = [0]
        if starter is not None and who not in schedule[:at]:
            needs.append(schedule.index(starter) + 1)
        yield Step(who, steps[schedule[:at].count(who)], needs)


def explored(threads: Threads) -> tuple[list[Schedule], int]:
    """The schedules that a reduction runs to their end, and how many runs it gives up."""
    reduction = Reduction()
    runs: list[Schedule] = []
    given_up = 0
    more = True
    while more:
        reduction.begin()
        schedule: Schedule = ()
        while True:
            reduction.over(list(to_steps(threads, schedule))[-1])
            enabled = enabled_after(threads, schedule)
            if not enabled:
                runs.append(schedule)
                break
            who = reduction.choose(enabled)
            if who is None:
                given_up += 1
                break
            assert isinstance(who, int)
            schedule = (*schedule, who)
        reduction.end()
        more = reduction.advance()
    return runs, given_up


THREADS: st.SearchStrategy[Threads] = st.lists(
    st.tuples(
        st.none(),
        st.lists(
            st.dictionaries(st.sampled_from("xyz"), st.sampled_from([WRITE, "read", "add"])),
            min_size=1,
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=3,
).flatmap(
    lambda threads: st.tuples(
        *(
            st.tuples(st.sampled_from([None, *range(who)]), st.just(steps))
            for who, (_, steps) in enumerate(threads)
        )
    ).map(list)
)


@settings(max_examples=200, deadline=None)
@given(threads=THREADS)
def test_of_all_schedules_that_are_alike_exactly_one_is_run(threads: Threads) -> None:
    classes = {normal_form(threads, schedule) for schedule in all_schedules(threads)}
    runs, _ = explored(threads)
    assert sorted(normal_form(threads, schedule) for schedule in runs) == sorted(classes)


def test_steps_that_touch_nothing_in_common_need_one_schedule() -> None:
    threads: Threads = [(None, [footprint(name)] * 2) for name in "abcd"]
    assert explored(threads) == ([(0, 0, 1, 1, 2, 2, 3, 3)], 0)


def test_steps_that_all_touch_the_same_need_every_order() -> None:
    threads: Threads = [(None, [footprint("x")]) for _ in range(4)]
    runs, _ = explored(threads)
    assert set(runs) == set(permutations(range(4)))


def test_ways_to_touch_commute_with_themselves_and_a_change_with_none() -> None:
    assert commute({"x": "read"}, {"x": "read", "y": WRITE})
    assert not commute({"x": "read"}, {"x": "add"})
    assert not commute({"x": WRITE}, {"x": WRITE})
    assert commute({"x": WRITE}, {})


def test_only_neighbours_race_and_not_what_is_needed() -> None:
    x = footprint("x")
    assert [(race.first, race.second) for race in races([Step(n, x) for n in range(3)])] == [
        (0, 1),
        (1, 2),
    ]
    assert list(races([Step(0, x), Step(1, x, needs=[0])])) == []
    assert list(races([Step(0, x), Step(0, x)])) == []


def test_nothing_races_over_a_leap_of_the_time() -> None:
    x = footprint("x")
    assert list(races([Step(0, x, instant=0), Step(1, x, instant=1)])) == []


def test_what_comes_in_place_of_the_first_depends_on_neither() -> None:
    steps = [
        Step("a", footprint("x")),
        Step("b", footprint("y")),
        Step("c", footprint("x", "y")),
    ]
    (race, other) = races(steps)
    assert {(race.first, race.second), (other.first, other.second)} == {(0, 2), (1, 2)}
    by_first = {one.first: one.initials for one in (race, other)}
    assert by_first == {0: [1], 1: [2]}


def test_a_fault_happens_at_each_place_where_it_can_and_once_in_a_run() -> None:
    reduction = Reduction(max_faults=1)
    seen = []
    more = True
    while more:
        reduction.begin()
        faults = [reduction.chance(), reduction.chance()]
        reduction.over(Step(BEGINNING, {}))
        who = reduction.choose(["a"])
        assert who == "a"
        faults.append(reduction.chance())
        reduction.over(Step("a", {}, [0]))
        reduction.end()
        seen.append(tuple(faults))
        more = reduction.advance()
    assert sorted(seen) == [
        (False, False, False),
        (False, False, True),
        (False, True, False),
        (True, False, False),
    ]


def test_who_was_ended_by_a_step_is_tried_before_it() -> None:
    reduction = Reduction()
    runs = []
    more = True
    while more:
        reduction.begin()
        reduction.over(Step(BEGINNING, {}))
        run = []
        left = ["cancel", "timer"]
        while left:
            who = reduction.choose(left)
            if who is None:
                break
            run.append(who)
            left.remove(str(who))
            ended: list[str] = []
            if who == "cancel":
                ended, left = left, []
            reduction.over(Step(who, footprint("timer"), [0], ended=ended))
        reduction.end()
        runs.append(run)
        more = reduction.advance()
    assert runs == [["cancel"], ["timer", "cancel"]]
