"""The pytest plugin, seen from outside: runs of pytest within pytest."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAD = """
import gevent, pytest, socket, threading
from actorkit import Actor, ActorSystem
from actorkit.testing import Probe

class Echo(Actor):
    def receive(self, message):
        return message

class Fragile(Actor):
    def receive(self, message):
        raise KeyError(message)
"""


def run(pytester: pytest.Pytester, source: str, *args: str) -> pytest.RunResult:
    """Run a test module of this text."""
    pytester.makepyfile(HEAD + source)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *args)


def test_the_fixtures_are_there(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
def test_it_echoes(actor_system, probe, simulation):
    assert isinstance(actor_system, ActorSystem) and isinstance(probe, Probe)
    assert actor_system.spawn(Echo).ask(1) == 1
    probe.ref.tell("hello")
    probe.expect("hello")
    assert simulation.run(lambda sim: sim.system("a").spawn(Echo).ask(2)) == 2
""",
    ).assert_outcomes(passed=1)


def test_the_seed_of_the_command_line_is_the_simulations(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
def test_seed(simulation):
    assert simulation.seed == 12345
""",
        "--actorkit-seed=12345",
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize("told", ["seven", "0x7", "1.5", ""])
def test_a_seed_that_is_neither_a_number_nor_a_file_is_refused(
    pytester: pytest.Pytester, told: str
) -> None:
    result = pytester.runpytest_inprocess(f"--actorkit-seed={told}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--actorkit-seed takes a whole number, or a file*"])


def test_an_actor_that_fails_unexpectedly_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_told(actor_system):
    actor_system.spawn(Fragile, name="fragile").tell("oh")

def test_the_next_one_is_not_concerned(actor_system):
    pass
""",
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["actor /fragile failed:", "*KeyError: 'oh'"])
    result.stdout.fnmatch_lines(["*probe.expect_failure*"])


def test_an_actor_of_a_simulation_that_fails_unexpectedly_fails_the_test(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
def main(sim):
    sim.system("a").spawn(Fragile, name="fragile").tell("oh")
    gevent.sleep(1)

def test_told(simulation):
    simulation.run(main)
""",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["actor /fragile failed:"])


def test_an_expected_failure_is_none(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_by_the_probe(actor_system, probe):
    actor_system.spawn(Fragile).tell("oh")
    probe.expect_failure(KeyError)

@pytest.mark.actor_failures(raises=KeyError)
def test_by_the_mark(actor_system):
    actor_system.spawn(Fragile).tell("oh")

@pytest.mark.actor_failures
def test_by_a_mark_for_all(actor_system):
    actor_system.spawn(Fragile).tell("oh")

@pytest.mark.actor_failures(ValueError, OSError)
def test_by_a_mark_for_others_in_a_row(actor_system):
    actor_system.spawn(Fragile).tell("oh")

@pytest.mark.actor_failures(raises=(ValueError, OSError))
def test_by_a_mark_for_others(actor_system):
    actor_system.spawn(Fragile).tell("oh")
""",
        "--strict-markers",
    )
    result.assert_outcomes(passed=3, failed=2)


def test_a_failure_during_the_shutdown_is_told_too(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
class Late(Actor):
    def run(self):
        try:
            self.inbox.get()
        finally:
            raise KeyError("late")

def test_it_fails_late(actor_system):
    actor_system.spawn(Late, name="late")
""",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["actor /late failed:"])


def test_a_system_that_still_runs_is_named_with_its_actors(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_forgets():
    ActorSystem("forgotten").spawn(Echo, name="echo")

def test_the_next_one_is_not_concerned():
    pass
""",
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*system 'forgotten' still runs with actors /echo*"])


def test_systems_of_wider_fixtures_may_stay(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
@pytest.fixture(scope="module")
def shared():
    with ActorSystem("shared") as system:
        yield system

@pytest.fixture
def own():
    with ActorSystem("own") as system:
        yield system

def test_one(shared, own):
    assert shared.spawn(Echo).ask(own.name) == "own"

def test_other(shared, own):
    assert shared.spawn(Echo).ask(own.name) == "own"
""",
    ).assert_outcomes(passed=2)


def test_greenlets_sockets_and_threads_left_behind_are_named(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
kept = []

def forever():
    gevent.sleep(1000)

def test_greenlet(actor_system):
    kept.append(gevent.spawn(forever))
    gevent.sleep(0)

def test_socket(actor_system):
    kept.append(socket.socket())

def test_thread(actor_system):
    stop = threading.Event()
    kept.append(stop)
    threading.Thread(target=stop.wait, name="lingering", daemon=True).start()

def test_the_next_one_is_not_concerned(actor_system):
    kept[2].set()
    gevent.spawn(gevent.sleep, 0.01)
    socket.socket().close()
""",
    )
    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines(
        ["greenlet forever, which waits in forever (*), spawned in test_greenlet (*)"]
    )
    result.stdout.fnmatch_lines(["socket <socket.socket*"])
    result.stdout.fnmatch_lines(["thread 'lingering'"])


def test_actors_that_block_or_own_a_greenlet_end_with_the_fixture(
    pytester: pytest.Pytester,
) -> None:
    run(
        pytester,
        """
class Process(Actor):
    def run(self):
        while True:
            self.inbox.get()

class Sleeper(Actor):
    def receive(self, message):
        self.task(gevent.sleep, 1000)
        gevent.sleep(0.05)

def test_they_end(actor_system):
    actor_system.spawn(Process).tell(1)
    sleeper = actor_system.spawn(Sleeper)
    sleeper.tell(1)
    gevent.sleep(0.01)
""",
    ).assert_outcomes(passed=1)


def test_what_a_simulation_leaves_is_no_leak(pytester: pytest.Pytester) -> None:
    run(
        pytester,
        """
class Blocks(Actor):
    def receive(self, message):
        gevent.sleep(1000)

def main(sim):
    sim.system("a").spawn(Blocks).tell(1)
    sim.greenlet = gevent.spawn(gevent.sleep, 1000)
    gevent.sleep(1)

def test_power_off(simulation, actor_system):
    simulation.run(main)
""",
    ).assert_outcomes(passed=1)


def test_a_failed_simulation_names_its_seed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def main(sim):
    assert sim.time() == 1

def test_it_fails(simulation):
    simulation.run(main)
""",
        "--actorkit-seed=77",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*in the simulation with seed 77*"])


def test_loading_the_plugin_imports_neither_gevent_nor_actorkit() -> None:
    code = (
        "import sys, pytest_actorkit;"
        "print([m for m in ('gevent', 'actorkit', 'ssl', 'asyncio') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
