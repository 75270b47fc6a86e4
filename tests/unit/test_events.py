"""The event stream: who hears of what."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from actorkit import (
    Actor,
    ActorFailed,
    ActorRestarted,
    ActorStarted,
    ActorStopped,
    ActorSystem,
    DeadLetter,
    Inbox,
    InboxOverflow,
    Reason,
)
from tests.actors import Collector, Echo, Obedient, settle


def test_a_life_is_told_in_events(system: ActorSystem) -> None:
    heard: list[Any] = []
    system.events.subscribe(
        ActorStarted | ActorStopped | ActorFailed | ActorRestarted, heard.append
    )
    ref = system.spawn(Obedient)
    ref.tell(lambda actor: 1 / 0)
    ref.ask(lambda actor: None)
    ref.stop()
    ref.join()
    kinds = [type(event) for event in heard]
    assert kinds == [ActorStarted, ActorFailed, ActorRestarted, ActorStopped]
    assert all(event.ref == ref for event in heard)
    assert isinstance(heard[1].error, ZeroDivisionError)
    assert heard[2].restarts == 1
    match heard[3]:
        case ActorStopped(ended, reason, error):
            assert (ended, reason, error) == (ref, Reason.NORMAL, None)


def test_a_reference_gets_events_as_messages(system: ActorSystem) -> None:
    collector = system.spawn(Collector)
    system.events.subscribe((ActorStarted, DeadLetter), collector)
    echo = system.spawn(Echo)
    echo.stop()
    echo.join()
    echo.tell("too late")
    assert collector.ask(None) == [
        ActorStarted(echo),
        DeadLetter("too late", echo, "the actor has stopped"),
    ]


def test_unsubscribe_ends_all_or_some_kinds(system: ActorSystem) -> None:
    heard: list[Any] = []
    system.events.subscribe(ActorStarted | ActorStopped, heard.append)
    system.events.unsubscribe(heard.append, ActorStopped)
    echo = system.spawn(Echo)
    echo.stop()
    echo.join()
    system.events.unsubscribe(heard.append)
    system.spawn(Echo)
    assert heard == [ActorStarted(echo)]


def test_a_subscriber_that_raises_is_logged_and_hurts_nobody() -> None:
    def fail(event: Any) -> None:
        raise RuntimeError

    heard: list[Any] = []
    with capture_logs() as logs, ActorSystem() as system:
        system.events.subscribe(ActorStarted, fail)
        system.events.subscribe(ActorStarted, heard.append)
        assert system.spawn(Echo).ask(1) == 1
    assert len(heard) == 1
    assert [log["event"] for log in logs] == ["event subscriber failed"]


def test_wrong_subscriptions_are_refused(system: ActorSystem) -> None:
    with pytest.raises(TypeError, match="event classes"):
        system.events.subscribe("DeadLetter", print)
    with pytest.raises(TypeError, match="callable"):
        system.events.subscribe(DeadLetter, None)


def test_dropped_messages_are_published(system: ActorSystem) -> None:
    heard: list[InboxOverflow] = []
    system.events.subscribe(InboxOverflow, heard.append)
    ref = system.spawn(Collector, inbox=Inbox(maxsize=1, overflow="drop_new"))
    for number in range(3):
        ref.tell(number)
    settle()
    assert [(event.message, event.dropped) for event in heard] == [(1, 1), (2, 2)]
    assert ref.inbox.dropped == 2


def test_a_told_message_without_receive_is_a_dead_letter(system: ActorSystem) -> None:
    class Methods(Actor):
        def nothing(self) -> None: ...

    heard: list[DeadLetter] = []
    system.events.subscribe(DeadLetter, heard.append)
    ref = system.spawn(Methods)
    ref.tell("unheard")
    settle()
    assert [letter.message for letter in heard] == ["unheard"]
    assert "receive" in heard[0].reason
