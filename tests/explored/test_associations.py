"""An association and its end, explored: order without gaps, dead letters, questions, NodeDown."""

from __future__ import annotations

from typing import Any

import gevent

from actorkit import Actor, ActorRef, NodeDown, NodeLost, NodeUp
from actorkit.testing import Simulation, explore

from .books import Books
from .faults import trouble

#: Messages or questions of a run.
MESSAGES = 30


class Receiver(Actor):
    """Keeps the books, and answers with the question."""

    def __init__(self, books: Books) -> None:
        self.books = books

    def receive(self, message: Any) -> Any:
        if isinstance(message, tuple):
            self.books.note(self.ref, message)
        return message


@explore(seeds=600)
def test_within_an_association_there_is_order_without_gaps_and_what_is_not_sent_is_a_dead_letter(
    sim: Simulation,
) -> None:
    here, there = sim.system("here"), sim.system("there")
    sim.network.latency = (0.01, 0.2)
    books = Books(here)
    there.spawn(Receiver, books, name="receiver")
    receiver = here.connect("sim://there").lookup("/receiver")
    downs: list[Any] = []
    here.events.subscribe(NodeDown, downs.append)

    by_association: list[list[tuple[str, int]]] = [[]]
    for _ in range(MESSAGES):
        while len(by_association) <= len(downs):
            by_association.append([])
        books.tell(receiver, "here")
        by_association[-1].append(books.told[-1])
        gevent.sleep(sim.random.choice([0, 0.05, 0.5]))
        trouble(sim, "here", "there", 0.03)
    sim.network.heal()
    gevent.sleep(20)

    books.check_order()
    received = [message for _, message in books.handled]
    assert not set(received) & set(books.dead)
    assert len(books.dead) == len(set(books.dead))
    for number, told in enumerate(by_association):
        sent = [message for message in told if message not in books.dead]
        came = [message for message in sent if message in received]
        assert came == sent[: len(came)]
        if number == len(downs):  # what was lost, was lost with its association
            assert came == sent


@explore(seeds=600)
def test_a_question_is_answered_or_fails_at_the_moment_of_the_loss(sim: Simulation) -> None:
    here = sim.system("here")
    sim.network.latency = (0.01, 0.2)
    books = Books(here)
    sim.system("there", boot=lambda system: system.spawn(Receiver, books, name="receiver"))
    receiver = here.connect("sim://there").lookup("/receiver")
    #: The ends of associations by their times; whether one stands.
    ends: list[float] = []
    stands = [True]

    def note(event: Any) -> None:
        assert stands[-1] != isinstance(event, NodeUp)
        stands.append(isinstance(event, NodeUp))
        if not stands[-1]:
            ends.append(sim.time())

    here.events.subscribe(NodeDown | NodeUp, note)
    answers: list[bool] = []
    losses: list[tuple[bool, float]] = []
    restarts = 0

    class Asker(Actor):
        def receive(self, number: int) -> None:
            stood = stands[-1] and not restarts  # a new incarnation is another node
            try:
                answers.append(receiver.ask(number, timeout=None) == number)
            except NodeLost:
                losses.append((stood, sim.time()))

    for number in range(MESSAGES):
        here.spawn(Asker).tell(number)
        gevent.sleep(sim.random.choice([0, 0.05, 0.5]))
        trouble(sim, "here", "there", 0.03)
        if sim.fault(0.01):
            sim.restart("there")
            restarts += 1
    sim.network.heal()
    gevent.sleep(20)
    assert len(answers) + len(losses) == MESSAGES
    assert all(answers)
    assert all(time in ends for stood, time in losses if stood)


@explore(seeds=600)
def test_an_orderly_end_loses_nothing_that_was_told_before_it(sim: Simulation) -> None:
    """Whoever ends, and whoever has connected to whom."""
    sim.network.latency = (0.01, 0.2)
    there = sim.system("there")
    here = sim.system("here")
    books = Books(here, there)
    local: ActorRef[Any] = there.spawn(Receiver, books, name="receiver")
    if sim.random.randrange(2):
        receiver = here.connect("sim://there").lookup("/receiver")
    else:
        there.connect("sim://here")
        receiver = here.connect("sim://there").lookup("/receiver")
    for _ in range(MESSAGES):
        books.tell(receiver, "here")
        if sim.random.randrange(4) == 0:
            gevent.sleep(0.02)
    here.shutdown()
    gevent.sleep(5)
    assert not local.ready()
    books.check_order()
    books.check_each_is_in_one_place()
    assert not books.dead
