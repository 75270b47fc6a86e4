"""Probes: what they take, what they refuse, and what they say then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from actorkit import Actor, ActorSystem, AskTimeout, Reason, Terminated
from actorkit.testing import Probe, Simulation
from tests.actors import Echo


class Fragile(Actor):
    """Fails by every error that it is sent."""

    def receive(self, message: Any) -> None:
        raise message


def test_the_next_message_is_expected_by_value_or_by_type(
    actor_system: ActorSystem, probe: Probe
) -> None:
    for message in (7, "seven", (1, 2), [3], None):
        probe.ref.tell(message)
    assert probe.expect(7) == 7
    assert probe.expect(str) == "seven"
    assert probe.expect((1, 2)) == (1, 2)
    assert probe.expect(list | tuple) == [3]
    assert probe.expect() is None


def test_another_message_than_the_expected_one_fails_and_names_both(
    actor_system: ActorSystem, probe: Probe
) -> None:
    probe.ref.tell("four")
    with pytest.raises(AssertionError, match="expected 4, and got 'four'"):
        probe.expect(4)
    probe.ref.tell(4)
    with pytest.raises(AssertionError, match="expected str, and got 4"):
        probe.expect(str)


def test_a_message_that_comes_later_is_waited_for(actor_system: ActorSystem, probe: Probe) -> None:
    gevent.spawn_later(0.01, probe.ref.tell, "late")
    assert probe.expect("late", timeout=10) == "late"


def test_no_message_in_time_fails(actor_system: ActorSystem, probe: Probe) -> None:
    with pytest.raises(AssertionError, match=r"no message, where str was expected within 0\.01 s"):
        probe.expect(str, timeout=0.01)


def test_nothing_is_nothing_that_has_come_nor_comes(
    actor_system: ActorSystem, probe: Probe
) -> None:
    probe.expect_nothing(0.01)
    gevent.spawn_later(0.01, probe.ref.tell, "late")
    with pytest.raises(AssertionError, match="expected nothing, and got 'late'"):
        probe.expect_nothing(10)
    with pytest.raises(AssertionError, match="expected nothing, and got 'late'"):
        probe.expect_nothing(0)
    assert probe.messages == ["late"]


def test_the_end_of_an_actor_is_expected_with_its_reason(
    actor_system: ActorSystem, probe: Probe
) -> None:
    echo = actor_system.spawn(Echo)
    gevent.spawn_later(0.01, echo.stop)
    assert probe.expect_terminated(echo, timeout=10) == Terminated(echo, Reason.NORMAL)
    other = actor_system.spawn(Echo)
    other.kill()
    with pytest.raises(AssertionError, match="ended: killed, and normal was expected"):
        probe.expect_terminated(other, timeout=10, reason=Reason.NORMAL)


def test_an_actor_that_lives_on_has_not_ended(actor_system: ActorSystem, probe: Probe) -> None:
    echo = actor_system.spawn(Echo, name="echo")
    with pytest.raises(AssertionError, match=r"/echo has not ended within 0\.01 s"):
        probe.expect_terminated(echo, timeout=0.01)


def test_an_end_does_not_get_in_the_way_of_messages(
    actor_system: ActorSystem, probe: Probe
) -> None:
    echo = actor_system.spawn(Echo)
    probe.watch(echo)
    echo.stop()
    echo.join()
    probe.ref.tell("after")
    assert probe.expect(str) == "after"
    assert probe.expect() == Terminated(echo, Reason.NORMAL)


def test_a_watched_end_is_expected_like_a_message(actor_system: ActorSystem, probe: Probe) -> None:
    echo = actor_system.spawn(Echo)
    probe.watch(echo)
    probe.ref.tell("before")
    echo.stop()
    assert probe.expect(Terminated).ref == echo
    assert probe.expect("before") == "before"


def test_questions_are_answered_by_the_test(actor_system: ActorSystem, probe: Probe) -> None:
    answer = probe.ref.ask_nowait("how many?")
    probe.expect("how many?")
    probe.reply(3)
    assert answer.get(timeout=10) == 3
    refused = probe.ref.ask_nowait("and now?")
    probe.expect("and now?")
    probe.reply_error(KeyError("none"))
    with pytest.raises(KeyError):
        refused.get(timeout=10)


def test_what_was_told_cannot_be_answered(actor_system: ActorSystem, probe: Probe) -> None:
    probe.ref.tell("told")
    probe.expect("told")
    with pytest.raises(AssertionError, match="told, not asked"):
        probe.reply(1)


def test_a_failure_is_expected_by_type_and_actor(actor_system: ActorSystem, probe: Probe) -> None:
    one, other = actor_system.spawn(Fragile), actor_system.spawn(Fragile, name="other")
    one.tell(KeyError("a"))
    other.tell(KeyError("b"))
    other.tell(ValueError("c"))
    assert probe.expect_failure(KeyError, other).ref == other
    assert isinstance(probe.expect_failure(ValueError).error, ValueError)
    assert probe.expect_failure().ref == one
    with pytest.raises(AssertionError, match=r"/other has not failed with KeyError within 0\.01"):
        probe.expect_failure(KeyError, other, timeout=0.01)


def test_probes_wait_in_virtual_time_within_a_simulation() -> None:
    def main(sim: Simulation) -> float:
        probe = Probe(sim.system("a"))
        gevent.spawn_later(3600, probe.ref.tell, "late")
        probe.expect_nothing(3599)
        probe.expect("late", timeout=2)
        with pytest.raises(AskTimeout):
            probe.ref.ask("unanswered", timeout=100)
        probe.expect("unanswered")
        return sim.time()

    assert Simulation().run(main) == pytest.approx(3700, abs=0.1)


def test_a_stopped_probe_has_ended(actor_system: ActorSystem) -> None:
    probe = Probe(actor_system, name="p")
    probe.stop()
    assert probe.ref.ready()
    assert "/p" in repr(probe)


def test_expect_is_typed_as_what_it_expects(actor_system: ActorSystem, probe: Probe) -> None:
    probe.ref.tell("text")
    upper: Callable[[], str] = probe.expect(str).upper
    assert upper() == "TEXT"
