"""The two kernels do the same: each program runs on both, and what happened is compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actorkit import kernel

targets = st.integers(0, 5)
values = st.integers(0, 3)
plain_actions = st.one_of(
    st.tuples(
        st.sampled_from(
            ("stop", "spawn", "defer", "stash", "unstash", "become", "unbecome", "yield", "take")
        )
    ),
    st.tuples(st.sampled_from(("fail", "refuse", "size"))),
    st.tuples(st.sampled_from(("answer", "settle", "mark")), values),
    st.tuples(st.sampled_from(("kill", "watch", "link")), targets),
    st.tuples(st.just("end"), targets, st.booleans()),
    st.tuples(st.just("call"), targets, values),
)
scripts = st.recursive(
    st.lists(plain_actions, max_size=3),
    lambda inner: st.lists(
        st.one_of(
            plain_actions,
            st.tuples(st.sampled_from(("tell", "ask", "forward", "put")), targets, inner),
        ),
        max_size=4,
    ),
    max_leaves=12,
)
steps = st.one_of(
    st.tuples(st.sampled_from(("tell", "ask")), targets, scripts),
    st.tuples(st.sampled_from(("tell", "ask")), targets, scripts),
    st.tuples(st.just("stop"), targets, st.booleans()),
    st.tuples(st.just("kill"), targets),
    st.tuples(st.just("calm")),
)


class Machine:
    """A process with one of the kernels that runs programs."""

    def __init__(self, pure: bool, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.programs", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"ACTORKIT_PURE": "1" if pure else "0"},
        )

    def run(self, program: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(program) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the program has ended the process"
        return json.loads(answer)

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def traced_or_not() -> Iterator[tuple[Machine, Machine]]:
    machines = Machine(kernel.NAME == "pure", "traced"), Machine(kernel.NAME == "pure")
    yield machines
    for machine in machines:
        machine.close()


@contextmanager
def both_kernels(*options: str) -> Iterator[tuple[Machine, Machine]]:
    if not kernel.BUILT:
        pytest.skip("the compiled kernel has not been built here")
    machines = Machine(True, *options), Machine(False, *options)
    yield machines
    for machine in machines:
        machine.close()


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    with both_kernels() as machines:
        yield machines


@pytest.fixture(scope="module")
def metered() -> Iterator[tuple[Machine, Machine]]:
    with both_kernels("metered") as machines:
        yield machines


@given(st.lists(steps, min_size=1, max_size=12))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_kernels_do_the_same_in_the_same_order(
    machines: tuple[Machine, Machine], program: list[Any]
) -> None:
    pure, compiled = machines
    assert compiled.run(program) == pure.run(program)


@given(st.lists(steps, min_size=1, max_size=12))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_kernels_do_the_same_while_every_message_is_timed(
    metered: tuple[Machine, Machine], program: list[Any]
) -> None:
    pure, compiled = metered
    assert compiled.run(program) == pure.run(program)


@given(st.lists(steps, min_size=1, max_size=12))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_same_happens_with_and_without_a_trace(
    traced_or_not: tuple[Machine, Machine], program: list[Any]
) -> None:
    traced, plain = traced_or_not
    assert traced.run(program) == plain.run(program)
