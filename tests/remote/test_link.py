"""The association over a wire that loses, doubles and reorders: no gap, no duplicate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import actorkit.remote.link as link
from actorkit.kernel import Dispatcher
from actorkit.remote.link import Association, ProtocolBroken, Sequence, Window
from actorkit.remote.wire import Batch, Offer
from tests.actors import settle


class Line:
    """A wire whose messages wait until the test lets them through."""

    host = ""

    def __init__(self) -> None:
        self.under_way: list[list[Any]] = []
        self.closed = False

    def send(self, frames: list[Any]) -> None:
        if self.closed:
            raise OSError("cut")
        self.under_way.append(frames)

    def drain(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Links(RuleBasedStateMachine):
    """Two sides, a line each way, and a network that does what it likes."""

    @initialize()
    def begin(self) -> None:
        self.got: list[list[int]] = [[], []]
        self.sent = [0, 0]
        self.ends: list[list[str]] = [[], []]
        self.disturbed = [False, False]
        self.lines = [Line(), Line()]
        self.sides = [self.side(number) for number in (0, 1)]

    def side(self, number: int) -> Association:
        def on_records(records: list[Any], buffers: list[Any]) -> None:
            assert not self.ends[number]
            self.got[number] += records[1::2]

        return Association(
            self.lines[number],
            Offer(),
            Dispatcher.current(),
            on_records,
            lambda association, reason, again: self.ends[number].append(reason),
        )

    @rule(number=st.integers(0, 1), count=st.integers(1, 30))
    def say(self, number: int, count: int) -> None:
        if self.sides[number].alive:
            for _ in range(count):
                self.sent[number] += 1
                self.sides[number].put(0, self.sent[number])
            self.sides[number].flush()

    @rule(number=st.integers(0, 1))
    def ping(self, number: int) -> None:
        if self.sides[number].alive:
            self.sides[number].ping()

    @rule(number=st.integers(0, 1), count=st.integers(1, 5))
    def let_through(self, number: int, count: int) -> None:
        line, other = self.lines[number], self.sides[1 - number]
        for _ in range(count):
            if line.under_way:
                frames = line.under_way.pop(0)
                if other.alive:
                    other.received(frames)

    @precondition(lambda self: any(line.under_way for line in self.lines))
    @rule(data=st.data(), what=st.sampled_from(["lose", "double", "swap", "garbage"]))
    def disturb(self, data: st.DataObject, what: str) -> None:
        number = data.draw(st.sampled_from([n for n in (0, 1) if self.lines[n].under_way]))
        waiting = self.lines[number].under_way
        position = data.draw(st.integers(0, len(waiting) - 1))
        if what == "lose":
            del waiting[position]
        elif what == "double":
            waiting.insert(position, waiting[position])
        elif what == "swap":
            waiting.append(waiting.pop(position))
        else:
            waiting[position] = [data.draw(st.binary(max_size=20))]
        self.disturbed[number] = True

    @rule(number=st.integers(0, 1))
    def end(self, number: int) -> None:
        self.sides[number].end("enough")

    @invariant()
    def what_came_is_a_beginning_of_what_was_said(self) -> None:
        if hasattr(self, "got"):
            for number in (0, 1):
                said = list(range(1, self.sent[1 - number] + 1))
                assert self.got[number] == said[: len(self.got[number])]
                assert len(self.ends[number]) == (not self.sides[number].alive)

    def teardown(self) -> None:
        if not hasattr(self, "sides"):
            return
        for _ in range(3):
            for number in (0, 1):
                if self.sides[number].alive:
                    self.sides[number].flush()
                self.let_through(number, 10_000)
        for number in (0, 1):
            if not any(self.disturbed) and all(side.alive for side in self.sides):
                assert len(self.got[number]) == self.sent[1 - number]
                assert self.sides[number]._window.records == 0
            self.sides[number].end("over")
        settle()


Links.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestLinks = Links.TestCase


def test_the_sequence_takes_each_batch_once_and_in_order() -> None:
    sequence = Sequence()
    sequence.accept(1)
    sequence.accept(2)
    for wrong in (2, 1, 4, 0, -1):
        with pytest.raises(ProtocolBroken):
            sequence.accept(wrong)


def test_the_window_knows_what_is_under_way() -> None:
    window = Window()
    window.sent(1, 10, 100)
    window.sent(2, 5, 50)
    assert (window.records, window.bytes) == (15, 150)
    window.acknowledged(1)
    assert (window.records, window.bytes) == (5, 50)
    window.acknowledged(2)
    assert (window.records, window.bytes) == (0, 0)
    for wrong in (3, -1):
        with pytest.raises(ProtocolBroken):
            window.acknowledged(wrong)


def test_acknowledgements_come_after_a_while_without_traffic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "ACK_DELAY", 0.001)
    line = Line()
    got: list[Any] = []
    association = Association(
        line,
        Offer(),
        Dispatcher.current(),
        lambda records, buffers: got.extend(records),
        lambda association, reason, again: None,
    )
    association.received([Batch(1, 0, [8, "hello"]).write()])
    assert line.under_way == []
    settle()
    assert line.under_way == [[Batch(1, 1, []).write()]]
    assert got == [8, "hello"]
    association.end("over")


def test_what_is_answered_after_the_end_is_kept_for_nobody() -> None:
    association = Association(
        Line(), Offer(), Dispatcher.current(), lambda records, buffers: None, lambda *end: None
    )
    association.end("over")
    association.buffers.append(b"big")
    association.put(-8, "an answer that comes late")
    settle()
    assert len(association.records) == len(association.buffers) == 0


def test_a_batch_in_parts_whose_connection_breaks_is_given_back_whole() -> None:
    line = Line()
    line.closed = True
    unsent: list[Any] = []
    association = Association(
        line,
        Offer(frame=100),
        Dispatcher.current(),
        lambda records, buffers: None,
        lambda association, reason, again: None,
        on_unsent=lambda records, buffers, text: unsent.extend(records),
    )
    for number in range(8):
        association.put(number, "x" * 40)
    settle()
    assert not association.alive
    assert unsent[::2] == list(range(8))
