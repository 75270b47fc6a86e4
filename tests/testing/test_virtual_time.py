"""gevent and actors in virtual time: nothing here waits, and each wait takes as long as it says."""

from __future__ import annotations

import gc
import os
import queue
import random
import secrets
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket
import gevent.subprocess
import pytest
from gevent.event import AsyncResult, Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from gevent.queue import Empty, Queue

from actorkit import Actor, ActorSystem, AskTimeout, Backoff, OneForOne
from actorkit.testing import (
    Deadlock,
    Recorded,
    Simulation,
    SimulationEndless,
    SimulationError,
    SimulationEscape,
)
from actorkit.testing import loop as loop_module
from actorkit.testing.loop import QUIET
from tests.actors import Collector, Echo


def simulated(main: Callable[[Simulation], Any], seed: int = 0, **options: Any) -> Any:
    return Simulation(seed, **options).run(main)


# -- gevent ----------------------------------------------------------------------------------------


def test_sleep_takes_its_time_and_none_of_ours() -> None:
    def main(sim: Simulation) -> float:
        for _ in range(24):
            gevent.sleep(3600)
        return sim.time()

    assert simulated(main) == 24 * 3600


def test_a_timeout_ends_a_wait_at_its_time() -> None:
    def main(sim: Simulation) -> float:
        with pytest.raises(gevent.Timeout), gevent.Timeout(100):
            Event().wait()
        return sim.time()

    assert simulated(main) == 100


def test_queues_events_and_results_wake_their_waiters_at_the_time_of_the_news() -> None:
    def main(sim: Simulation) -> list[Any]:
        queue: Queue[str] = Queue()
        event = Event()
        result: AsyncResult[str] = AsyncResult()
        gevent.spawn_later(1, queue.put, "item")
        gevent.spawn_later(2, event.set)
        gevent.spawn_later(3, result.set, "value")
        seen: list[Any] = [(queue.get(), sim.time())]
        seen.append((event.wait(), sim.time()))
        seen.append((result.get(), sim.time()))
        with pytest.raises(Empty):
            queue.get(timeout=4)
        seen.append(sim.time())
        return seen

    assert simulated(main) == [("item", 1), (True, 2), ("value", 3), 7]


def test_pools_and_locks_hold_up_as_many_as_they_do() -> None:
    def main(sim: Simulation) -> tuple[list[int], float, int]:
        lock = BoundedSemaphore(2)
        inside, most = 0, 0

        def work(n: int) -> int:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
                gevent.sleep(10)
                inside -= 1
            return n * n

        squares = list(Pool(5).map(work, range(10)))
        return squares, sim.time(), most

    for seed in range(5):
        assert simulated(main, seed) == ([n * n for n in range(10)], 50, 2)


def test_greenlets_that_are_killed_end_there() -> None:
    def main(sim: Simulation) -> tuple[float, bool]:
        sleeper = gevent.spawn(gevent.sleep, 1000)
        gevent.sleep(1)
        sleeper.kill()
        return sim.time(), sleeper.dead

    assert simulated(main) == (1, True)


def test_who_is_busy_for_ever_does_not_stop_the_clock() -> None:
    def main(sim: Simulation) -> float:
        def spin() -> None:
            while True:
                gevent.sleep(0)

        gevent.spawn(spin)
        gevent.sleep(0.01)
        return sim.time()

    assert 0.01 <= simulated(main) < 0.02


def test_two_timers_of_the_same_time_come_in_either_order() -> None:
    def main(sim: Simulation) -> str:
        came: list[str] = []
        gevent.spawn_later(0.1 + 0.2, came.append, "a")
        gevent.spawn_later(0.3, came.append, "b")
        gevent.sleep(1)
        return "".join(came)

    assert {simulated(main, seed) for seed in range(20)} == {"ab", "ba"}
    assert Simulation(source=Recorded([])).run(main) == "ab"


def test_idle_waits_for_what_is_ready() -> None:
    def main(sim: Simulation) -> list[str]:
        seen: list[str] = []
        gevent.spawn(seen.append, "ready")
        gevent.idle()
        gevent.sleep(0)
        return seen

    assert simulated(main) == ["ready"]


# -- actors ----------------------------------------------------------------------------------------


class Ticker(Actor):
    def __init__(self, log: Callable[[Any], None]) -> None:
        self.say = log

    def on_start(self) -> None:
        self.every(60, "tick")
        self.after(90, "once")

    def receive(self, message: Any) -> None:
        self.say(message)


def test_timers_of_actors_follow_virtual_time() -> None:
    def main(sim: Simulation) -> list[tuple[float, str]]:
        seen: list[tuple[float, str]] = []
        sim.system("a").spawn(Ticker, lambda message: seen.append((sim.time(), message)))
        gevent.sleep(200)
        return seen

    assert simulated(main) == [(60, "tick"), (90, "once"), (120, "tick"), (180, "tick")]


def test_ask_times_out_in_virtual_time() -> None:
    class Silent(Actor):
        def receive(self, message: Any) -> None:
            self.reply = self.defer_reply()

    def main(sim: Simulation) -> float:
        silent = sim.system("a").spawn(Silent)
        with pytest.raises(AskTimeout):
            silent.ask("?", timeout=300)
        return sim.time()

    assert simulated(main) == pytest.approx(300, abs=0.02)


def test_backoff_between_restarts_takes_virtual_time() -> None:
    class Fragile(Actor):
        def receive(self, message: Any) -> float:
            if message == "fail":
                raise KeyError(message)
            return started[-1]

        def on_start(self) -> None:
            started.append(clock())

    class Parent(Actor):
        supervision = OneForOne(
            intensity=10, period=1000, backoff=Backoff(first=10, minimum=20, maximum=40, jitter=0)
        )

        def __init__(self) -> None:
            self.child = self.spawn(Fragile)

        def receive(self, message: Any) -> Any:
            return self.child.tell(message) if message == "fail" else self.child

    started: list[float] = []
    clock: Callable[[], float] = time.monotonic

    def main(sim: Simulation) -> list[float]:
        nonlocal clock
        clock = sim.time
        parent = sim.system("a").spawn(Parent)
        for _ in range(2):
            parent.tell("fail")
            gevent.sleep(100)
        return started

    first, second, third = simulated(main)
    assert first == 0
    assert second == pytest.approx(10)
    assert third > 100


def test_a_plain_system_runs_in_virtual_time_too() -> None:
    def main(sim: Simulation) -> tuple[int, float]:
        with ActorSystem("plain") as system:
            echo = system.spawn(Echo)
            gevent.sleep(10)
            return echo.ask(1), sim.time()

    assert simulated(main) == (1, 10)


def test_actors_that_block_hold_up_nobody() -> None:
    class Sleeper(Actor):
        def receive(self, message: float) -> float:
            gevent.sleep(message)
            return message

    def main(sim: Simulation) -> tuple[list[float], float]:
        system = sim.system("a")
        answers = [system.spawn(Sleeper).ask_nowait(10.0, timeout=100) for _ in range(50)]
        return [answer.get() or 0.0 for answer in answers], sim.time()

    assert simulated(main) == ([10.0] * 50, 10)


def test_messages_of_one_sender_keep_their_order_under_every_seed() -> None:
    def main(sim: Simulation) -> list[int]:
        system = sim.system("a")
        collector = system.spawn(Collector)
        for _ in range(3):
            system.spawn(Echo).tell("noise")
        for number in range(20):
            collector.tell(number)
        got: list[int] = collector.ask(None)
        return got

    for seed in range(20):
        assert simulated(main, seed) == list(range(20))


def test_which_actor_is_next_depends_on_the_seed() -> None:
    class Sayer(Actor):
        def __init__(self, collector: Any) -> None:
            self.collector = collector

        def receive(self, message: Any) -> None:
            self.collector.tell(message)

    def main(sim: Simulation) -> tuple[int, ...]:
        system = sim.system("a")
        collector = system.spawn(Collector)
        for number in range(3):
            system.spawn(Sayer, collector).tell(number)
        gevent.sleep(1)
        return tuple(collector.ask(None))

    assert len({simulated(main, seed) for seed in range(60)}) == 6
    assert Simulation(source=Recorded([])).run(main) == (0, 1, 2)


# -- the end ---------------------------------------------------------------------------------------


def test_what_main_raises_is_raised_and_names_the_seed() -> None:
    def main(sim: Simulation) -> None:
        gevent.sleep(1)
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        simulated(main, seed=99)
    assert "in the simulation with seed 99: Simulation(seed=99)" in caught.value.__notes__


def test_nothing_runs_any_more_once_main_has_returned() -> None:
    ran: list[str] = []

    class Blocks(Actor):
        def receive(self, message: Any) -> None:
            try:
                gevent.sleep(1000)
            finally:
                ran.append("actor")

        def on_stop(self, reason: Any) -> None:
            ran.append("on_stop")

    def sleeps() -> None:
        try:
            gevent.sleep(1000)
        finally:
            ran.append("greenlet")

    def main(sim: Simulation) -> None:
        sim.system("a").spawn(Blocks).tell(1)
        gevent.spawn(sleeps)
        gevent.sleep(1)

    simulation = Simulation()
    simulation.run(main)
    simulation.run(main)
    del simulation
    assert ran == []


def all_freed(things: weakref.WeakSet[Any]) -> bool:
    until = time.monotonic() + 30
    while things and time.monotonic() < until:
        time.sleep(0.01)  # the thread of the last run may still be on its way out
        gc.collect()
    return not things


def test_a_simulation_that_is_over_leaves_nothing_of_its_systems() -> None:
    class Blocks(Actor):
        def receive(self, message: Any) -> None:
            gevent.sleep(1000)

    class Asks(Actor):
        def __init__(self, *others: Any) -> None:
            self.others = others

        def receive(self, number: int) -> None:
            self.others[number].ask("?", timeout=None)

    def main(sim: Simulation) -> None:
        for name in "ab":
            systems.add(sim.system(name))
            sim.system(name).spawn(Blocks, name="blocks").tell(1)
        far = sim.system("a").connect("sim://b").lookup("/blocks")
        near = sim.system("a").lookup("/blocks")
        for number in range(2):
            sim.system("a").spawn(Asks, near, far).tell(number)
        gevent.sleep(1)
        sim.crash("b")

    systems: weakref.WeakSet[ActorSystem] = weakref.WeakSet()
    for _ in range(3):
        Simulation().run(main)
    assert all_freed(systems)


def test_a_simulation_in_which_nothing_blocks_at_the_end_leaves_no_hub_or_loop() -> None:
    def main(sim: Simulation) -> None:
        sim.system("a").spawn(Echo, name="echo")
        assert sim.system("b").connect("sim://a").lookup("/echo").ask(1) == 1
        sim.crash("a")
        hubs.add(gevent.get_hub())

    hubs: weakref.WeakSet[Any] = weakref.WeakSet()
    for _ in range(3):
        Simulation().run(main)
    assert all_freed(hubs)


def test_a_simulation_ends_although_a_node_with_a_worker_at_rest_has_crashed() -> None:
    def main(sim: Simulation) -> str:
        sim.system("a").spawn(Echo, name="echo")
        echo = sim.system("b").connect("sim://a").lookup("/echo")
        assert echo.ask(1) == 1
        sim.crash("a")
        return "over"

    assert Simulation().run(main) == "over"


def test_a_system_that_is_left_in_order_stops_in_order() -> None:
    ended: list[Any] = []

    class Ends(Actor):
        def on_stop(self, reason: Any) -> None:
            gevent.sleep(1)
            ended.append(reason)

        def receive(self, message: Any) -> None: ...

    def main(sim: Simulation) -> tuple[int, float]:
        with sim.system("a") as system:
            system.spawn(Ends)
            system.spawn(Ends)
        return len(ended), sim.time()

    assert simulated(main) == (2, 2)


def test_a_deadlock_is_named_with_all_who_wait() -> None:
    never = Event()

    class Waits(Actor):
        def receive(self, message: Any) -> None:
            never.wait()

    class Asks(Actor):
        def receive(self, message: Any) -> None:
            message.ask("?", timeout=None)

    def stuck() -> None:
        never.wait()

    def main(sim: Simulation) -> None:
        system = ActorSystem("plain")
        waits = system.spawn(Waits, name="waits")
        system.spawn(Asks, name="asks").tell(waits)
        gevent.spawn(stuck)
        never.wait()

    with pytest.raises(Deadlock) as caught:
        simulated(main)
    text = str(caught.value)
    assert "the test itself, in" in text
    assert "main (test_virtual_time.py:" in text
    assert "actor plain/waits, in" in text
    assert "actor plain/asks, which asks /waits" in text
    assert "stuck (test_virtual_time.py:" in text


def test_a_deadlock_is_seen_beside_nodes_that_ping_each_other() -> None:
    def main(sim: Simulation) -> None:
        sim.system("b")
        sim.system("a").connect("sim://b")
        gevent.sleep(1000)
        started.append(sim.time())
        Event().wait()

    started: list[float] = []
    simulation = Simulation()
    with pytest.raises(Deadlock, match="pings") as caught:
        simulation.run(main)
    assert "the test itself, in" in str(caught.value)
    assert simulation.time() - started[0] < 2 * QUIET + 1


def test_whoever_waits_for_a_timer_far_away_is_not_in_a_deadlock() -> None:
    far = 10 * QUIET

    class Alarm(Actor):
        def on_start(self) -> None:
            self.after(far, "rise")

        def receive(self, message: Any) -> None:
            rung.set()

    def main(sim: Simulation) -> float:
        sim.system("b")
        sim.system("a").connect("sim://b")
        gevent.sleep(far)
        sim.system("b").spawn(Alarm)
        rung.wait()
        return sim.time()

    rung = Event()
    assert simulated(main) >= 2 * far


def test_a_run_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(sim: Simulation) -> None:
        gevent.spawn(gevent.sleep, 1e12)
        Event().wait()

    with pytest.raises(SimulationEndless, match="virtual seconds"):
        simulated(forever)

    def spins(sim: Simulation) -> None:
        while True:
            gevent.sleep(0)

    monkeypatch.setattr(loop_module, "MAX_STEPS", 5000)
    with pytest.raises(SimulationEndless, match="5000 steps"):
        simulated(spins)


def test_a_simulation_within_a_simulation_is_refused() -> None:
    with pytest.raises(SimulationError, match="within another"):
        simulated(lambda sim: Simulation().run(lambda inner: None))


def test_a_system_outside_of_run_is_refused() -> None:
    with pytest.raises(SimulationError, match=r"within Simulation\.run"):
        Simulation().system("a")


def test_a_seed_is_a_number() -> None:
    with pytest.raises(TypeError, match="a seed is an int"):
        Simulation("seven")  # type: ignore[arg-type]


def test_errors_of_greenlets_are_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise KeyError("unseen")

    def main(sim: Simulation) -> None:
        gevent.spawn(fails)
        gevent.sleep(1)

    simulation = Simulation()
    simulation.run(main)
    assert [event.detail for event in simulation.log] == ["KeyError('unseen')"]
    assert "unseen" in capfd.readouterr().err


# -- the real world --------------------------------------------------------------------------------


class Offloads(Actor):
    def receive(self, message: Any) -> Any:
        return self.offload(len, message)


ESCAPES: dict[str, tuple[Callable[[], Any], str]] = {
    "gevent's socket": (gevent.socket.socket, "sim.system"),
    "a name look-up": (lambda: gevent.socket.gethostbyname("localhost"), "thread"),
    "a thread": (threading.Thread(target=print).start, "gevent.spawn"),
    "a process": (lambda: subprocess.Popen(["true"]), "sim.system"),
    "gevent's process": (lambda: gevent.subprocess.Popen(["true"]), "sim.system"),
    "gevent's signal": (lambda: gevent.signal_handler(10, print), "sim.crash"),
    "a signal": (lambda: signal.signal(10, print), "sim.crash"),
    "an alarm": (lambda: signal.alarm(1000), "sim.crash"),
    "an interval": (lambda: signal.setitimer(signal.ITIMER_REAL, 1000), "sim.crash"),
    "a signal to itself": (lambda: signal.raise_signal(0), "sim.crash"),
    "a wait for a thread": (lambda: threading.Event().wait(0.01), "gevent.event"),
    "a queue of threads": (lambda: queue.Queue().get(timeout=0.01), "gevent.queue"),
    "a real sleep": (lambda: time.sleep(0), "gevent.sleep"),
    "time.time": (lambda: time.time(), "sim.time"),
    "time.monotonic": (lambda: time.monotonic(), "sim.time"),
    "time.localtime": (lambda: time.localtime(), "sim.time"),
    "time.strftime": (lambda: time.strftime("%Y"), "sim.time"),
    "secrets": (lambda: secrets.token_hex(), "sim.random"),
    "random.SystemRandom": (lambda: random.SystemRandom().random(), "sim.random"),
    "random": (lambda: random.random(), "sim.random"),
    "random.shuffle": (lambda: random.shuffle([1, 2]), "sim.random"),
    "the thread pool": (lambda: gevent.get_hub().threadpool, "thread pool"),
    "watching a file": (lambda: gevent.get_hub().loop.stat("/"), "sim.disk"),
    "a child": (lambda: gevent.get_hub().loop.child(1), "sim.system"),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_the_real_world_is_refused_at_the_call(name: str) -> None:
    escape, hint = ESCAPES[name]

    def main(sim: Simulation) -> None:
        with pytest.raises(SimulationEscape, match=hint):
            escape()

    simulated(main)


def test_offload_is_refused_at_the_asker() -> None:
    def main(sim: Simulation) -> None:
        with pytest.raises(SimulationEscape, match=r"offload\(\) and name look-ups"):
            sim.system("a").spawn(Offloads).ask("text")

    simulated(main)


def test_outside_of_the_simulation_the_real_world_is_as_ever() -> None:
    before = (time.time, random.random)

    def main(sim: Simulation) -> None:
        assert time.time is not before[0]

    simulated(main)
    assert (time.time, random.random) == before
    assert time.time() > 1e9


def test_other_threads_keep_their_clock_while_a_simulation_runs() -> None:
    seen: list[float] = []
    go, done = threading.Event(), threading.Event()

    def look() -> None:
        go.wait(30)
        seen.append(time.time())
        done.set()

    other = threading.Thread(target=look)
    other.start()

    def main(sim: Simulation) -> None:
        go.set()
        while not done.is_set():
            gevent.sleep(0.01)

    simulated(main)
    other.join()
    assert seen[0] > 1e9


def test_simulations_in_several_threads_do_not_get_in_each_others_way() -> None:
    def main(sim: Simulation) -> list[float]:
        echo = sim.system("a").spawn(Echo)
        drawn: list[float] = []
        for _ in range(50):
            gevent.sleep(sim.random.random())
            drawn.append(echo.ask(sim.time()))
            with pytest.raises(SimulationEscape):
                time.time()
        return drawn

    expected = {seed: simulated(main, seed) for seed in range(4)}
    found: dict[int, list[float]] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: simulated(main, seed)}))
        for seed in expected
    ]
    clock = time.time
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
    assert time.time is clock


def test_a_signal_in_the_waiting_thread_ends_the_simulation() -> None:
    class Enough(Exception):
        pass

    def enough(*_: Any) -> None:
        raise Enough

    seen: list[str] = []

    def main(sim: Simulation) -> None:
        begun.set()
        try:
            while True:
                gevent.sleep(0)
        except Enough:
            seen.append("interrupted")
            raise

    def interrupt() -> None:
        begun.wait(30)
        os.kill(os.getpid(), signal.SIGUSR1)

    begun = threading.Event()
    before = signal.signal(signal.SIGUSR1, enough)
    other = threading.Thread(target=interrupt)
    other.start()
    try:
        with pytest.raises(Enough):
            simulated(main)
    finally:
        signal.signal(signal.SIGUSR1, before)
        other.join()
    assert seen == ["interrupted"]


def test_clock_and_chance_are_virtual_by_choice() -> None:
    def main(sim: Simulation) -> tuple[Any, ...]:
        began = time.time(), time.monotonic()
        gevent.sleep(10)
        return time.time() - began[0], time.monotonic() - began[1], random.random(), time.time_ns()

    one = simulated(main, seed=5, patch_time=True, patch_random=True)
    assert one[:2] == (10, 10)
    assert one == simulated(main, seed=5, patch_time=True, patch_random=True)
    assert one != simulated(main, seed=6, patch_time=True, patch_random=True)
