"""The pytest plugin of actorkit: the fixtures `actor_system`, `probe` and `simulation`, and checks.

Loaded into every run of pytest where actorkit is installed, so it imports nothing before it is
used: a conftest.py may still have gevent patch the standard library first. The work is done in
`actorkit.testing`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from actorkit import ActorSystem
    from actorkit.testing import Probe, Simulation
    from actorkit.testing.failures import Failures

#: What a test's fixtures have seen fail.
_failures: pytest.StashKey[list[Failures | Simulation]] = pytest.StashKey()
#: Systems that ran before the test, or that fixtures of a wider scope have started.
_allowed: pytest.StashKey[set[Any]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("actorkit").addoption(
        "--actorkit-seed",
        default=None,
        metavar="N|FILE",
        help="the seed of the `simulation` fixture (default: 0); tests that explore try this seed"
        " alone, or replay this file",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "actor_failures(*errors, raises=BaseException): actors of this test may fail with these"
        " errors, or this one, or one of a tuple of errors, without failing the test.",
    )
    told = config.getoption("--actorkit-seed")
    if told is not None and not _is_seed(told) and not Path(told).is_file():
        raise pytest.UsageError(
            f"--actorkit-seed takes a whole number, or a file that explore() has written: {told!r}"
        )


def _is_seed(told: str) -> bool:
    return told.removeprefix("-").isdecimal()


@pytest.fixture
def actor_system(request: pytest.FixtureRequest, _leaves_nothing: None) -> Iterator[ActorSystem]:
    """An `ActorSystem` for this test, shut down after it.

    The test fails when an actor fails that it did not expect: say so with
    `probe.expect_failure(KeyError)` or `@pytest.mark.actor_failures(raises=KeyError)`.
    """
    from actorkit import ActorSystem
    from actorkit.testing.failures import Failures

    with ActorSystem("test") as system:
        _of(request.node).append(Failures.of(system))
        yield system
        system.shutdown(timeout=5.0)
    _check_failures(request.node)


@pytest.fixture
def probe(actor_system: ActorSystem) -> Probe:
    """A `Probe` in `actor_system`: an actor whose inbox the test reads."""
    from actorkit.testing import Probe

    return Probe(actor_system, name="probe")


@pytest.fixture
def simulation(request: pytest.FixtureRequest, _leaves_nothing: None) -> Simulation:
    """A `Simulation` with the seed of `--actorkit-seed`; give it the test to `run`."""
    from actorkit.testing import Simulation

    told = request.config.getoption("--actorkit-seed") or "0"
    made = Simulation(int(told) if _is_seed(told) else 0)
    _of(request.node).append(made)
    return made


@pytest.fixture
def _leaves_nothing() -> Iterator[None]:
    from actorkit.testing.leaks import Traces, left_since

    before = Traces()
    yield
    left = left_since(before)
    if left is not None:
        text = left.describe()
        left.end()
        pytest.fail(f"the test left behind:\n{text}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    exploration: Any = sys.modules.get("actorkit.testing.exploration")
    if exploration is not None:
        exploration.command_line = item.config.getoption("--actorkit-seed")
    result = yield
    if _failures in item.stash:
        _check_failures(item, let_run=True)
    return result


def _of(item: pytest.Item) -> list[Failures | Simulation]:
    return item.stash.setdefault(_failures, [])


def _check_failures(item: pytest.Item, let_run: bool = False) -> None:
    """Fail the test for every failure of an actor that it did not expect."""
    from actorkit.testing.plugin import unexpected

    marker = item.get_closest_marker("actor_failures")
    expected: Any = ()
    if marker is not None:
        expected = marker.args or marker.kwargs.get("raises", BaseException)
    text = unexpected(_of(item), expected, let_run)
    if text:
        pytest.fail(text, pytrace=False)


# -- systems that are left running by any test -----------------------------------------------------


def _running() -> set[Any]:
    if "actorkit.system" not in sys.modules:
        return set()
    from actorkit.testing.leaks import running_systems

    return running_systems()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[_allowed] = _running()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Iterator[None]:
    before = _running()
    result = yield
    if fixturedef.scope != "function":
        started = _running() - before
        for item in request.session.items:
            if started and _allowed in item.stash:
                item.stash[_allowed] |= started
    return result


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    result = yield
    left = _running()
    if _allowed in item.stash:
        allowed: set[Any] = item.stash[_allowed]
        left -= allowed
    if left:
        from actorkit.testing.leaks import describe_system, end_systems

        text = "\n".join(sorted(map(describe_system, left)))
        end_systems(left)
        pytest.fail(f"the test left behind:\n{text}", pytrace=False)
    return result
