"""The world around a system: other threads, forked processes, signals, the end of the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.threadpool import ThreadPool

from actorkit import ActorRef, ActorSystem, Inbox, WrongThread
from tests.actors import Collector, Echo, settle

pytestmark = pytest.mark.timeout(60)


def on_thread(function: Callable[[], Any]) -> Any:
    """What `function` returns or raises on another OS thread."""
    return ThreadPool(1).apply(function)


@pytest.mark.parametrize(
    "use",
    [
        lambda system, ref: ref.tell(1),
        lambda system, ref: ref.ask(1),
        lambda system, ref: ref.ask_nowait(1),
        lambda system, ref: ref.inbox.put(1),
        lambda system, ref: ref.cast("method"),
        lambda system, ref: ref.stop(),
        lambda system, ref: ref.kill(),
        lambda system, ref: ref.join(),
        lambda system, ref: ref.rawlink(print),
        lambda system, ref: gevent.wait([ref], timeout=1),
        lambda system, ref: system.groups.join("group", ref),
        lambda system, ref: system.groups.leave("group", ref),
        lambda system, ref: system.groups.publish("group", 1),
        lambda system, ref: system.spawn(Echo),
        lambda system, ref: system.lookup("/x"),
        lambda system, ref: system.tree(),
        lambda system, ref: system.shutdown(),
        lambda system, ref: system.wait(),
    ],
)
def test_a_wrong_thread_is_told_so_and_corrupts_nothing(system: ActorSystem, use: Any) -> None:
    class Methods(Echo):
        def method(self) -> None: ...

    ref = system.spawn(Methods)
    with pytest.raises(WrongThread, match="tell_threadsafe"):
        on_thread(lambda: use(system, ref))
    assert ref.ask("alive") == "alive"
    assert len(system.tree()) == 1


def test_tell_threadsafe_loses_nothing_and_keeps_the_order_of_each_thread(
    system: ActorSystem,
) -> None:
    collector = system.spawn(Collector)

    def send(sender: int) -> None:
        for number in range(500):
            collector.tell_threadsafe((sender, number))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        gevent.sleep(0.001)
    settle(collector)
    got = collector.ask(None)
    assert len(got) == 2000
    for sender in range(4):
        assert [number for who, number in got if who == sender] == list(range(500))


def test_tell_threadsafe_into_a_full_inbox_is_a_dead_letter(system: ActorSystem) -> None:
    from actorkit import DeadLetter

    dead: list[DeadLetter] = []
    system.events.subscribe(DeadLetter, dead.append)
    ref = system.spawn(Collector, inbox=Inbox(maxsize=1, overflow="fail"))
    for number in range(3):
        ref.tell_threadsafe(number)
    settle()
    assert len(ref.ask(None)) + len(dead) == 3


def test_two_threads_have_systems_of_their_own() -> None:
    results: list[Any] = []

    def run() -> None:
        with ActorSystem("other") as system:
            ref: ActorRef[Any] = system.spawn(Echo)
            results.append(sum(ref.ask(n) for n in range(1000)))
        gevent.get_hub().destroy()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    with ActorSystem("main") as system:
        ref = system.spawn(Echo)
        assert sum(ref.ask(n) for n in range(1000)) == 499500
    for thread in threads:
        thread.join(20)
    assert results == [499500] * 3


def run_program(program: str, *, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_after_a_fork_any_use_of_the_system_raises_and_nothing_hangs() -> None:
    done = run_program("""
import os, gevent
from actorkit import *
from tests.actors import Echo

system = ActorSystem()
ref = system.spawn(Echo)
ref.ask(1)
pid = gevent.os.fork() if hasattr(gevent.os, "fork") else os.fork()
if pid == 0:
    uses = [lambda: ref.tell(1), lambda: ref.ask(1), lambda: ref.ask_nowait(1),
            lambda: ref.tell_threadsafe(1), lambda: ref.stop(), lambda: ref.kill(),
            lambda: ref.join(), lambda: system.spawn(Echo), lambda: system.shutdown(),
            lambda: system.lookup("/x"), lambda: system.tree(), lambda: system.wait()]
    refused = 0
    for use in uses:
        try:
            use()
        except ForkedSystem as error:
            assert "new ActorSystem" in str(error)
            refused += 1
    with ActorSystem("child") as own:
        answer = own.spawn(Echo).ask("anew")
    os._exit(0 if refused == len(uses) and answer == "anew" else 1)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert ref.ask("parent lives") == "parent lives"
system.shutdown()
print("good")
""")
    assert done.stdout == "good\n", done.stderr


def test_a_child_of_a_connected_system_has_a_hub_that_works() -> None:
    done = run_program("""
import os, gevent
from actorkit import *
from tests.actors import Echo

here = ActorSystem("here", listen="tcp://127.0.0.1:0", spawnable=[Echo])
there = ActorSystem("there")
ref = there.spawn(Echo, on=here.address)
ref.rawlink(print)  # what is to be sent for it is on its way
pid = os.fork()
if pid == 0:
    gevent.sleep(0.05)
    with ActorSystem("child", listen="tcp://127.0.0.1:0", spawnable=[Echo]) as one:
        with ActorSystem("grandchild") as other:
            answer = other.spawn(Echo, on=one.address).ask("anew")
    os._exit(0 if answer == "anew" else 1)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0
print(ref.ask("parent lives"), flush=True)
os._exit(0)
""")
    assert done.stdout.splitlines()[-1:] == ["parent lives"], done.stderr


def test_leaving_the_block_in_a_forked_child_does_not_hang() -> None:
    done = run_program("""
import os
from actorkit import *
from tests.actors import Echo
try:
    with ActorSystem() as system:
        ref = system.spawn(Echo)
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
            print(ref.ask("parent"))
finally:
    if not pid:
        os._exit(0)
""")
    assert done.stdout == "parent\n", done.stderr


@pytest.mark.parametrize(
    ("raises", "code", "shown"),
    [
        ("KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
        ("SystemExit(7)", 7, ""),
    ],
)
@pytest.mark.parametrize("where", ["receive", "on_start", "run"])
def test_keyboard_interrupt_and_system_exit_end_the_program_and_are_no_failure(
    raises: str, code: int, shown: str, where: str
) -> None:
    done = run_program(f"""
from actorkit import *

class Ender(Actor):
    def {where}(self, *message):
        raise {raises}
    def method(self): ...

failures = []
system = ActorSystem()
system.events.subscribe(ActorFailed, failures.append)
try:
    ref = system.spawn(Ender)
    ref.tell("end")
    system.wait()
finally:
    print("failures", len(failures))
""")
    assert done.returncode == code, done.stderr
    assert done.stdout == "failures 0\n"
    assert shown in done.stderr


def test_an_actor_may_end_before_the_loop_has_ever_run() -> None:
    done = run_program("""
from actorkit import *

class Brief(Actor):
    def run(self):
        return 5

with ActorSystem() as system:
    brief = system.spawn(Brief)
    brief.join()
    print(brief.value)
""")
    assert done.stdout == "5\n", done.stderr


WAITING = """
import gevent
from actorkit import *

class Server(Actor):
    def on_start(self):
        print("ready", flush=True)
    def receive(self, message):
        gevent.sleep(60)
    def on_stop(self, reason):
        print("stopped", reason.name, flush=True)
        gevent.sleep({goodbye})

with ActorSystem() as system:
    system.spawn(Server, shutdown=30)
    system.wait()
print("orderly end", flush=True)
"""


def start(goodbye: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING.format(goodbye=goodbye)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_starts_an_orderly_shutdown(number: signal.Signals) -> None:
    process = start(goodbye=0.05)
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert out == "stopped SHUTDOWN\norderly end\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    process = start(goodbye=25)
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stdout.readline() == "stopped SHUTDOWN\n"
    started = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - started < 20
    assert out == ""
    assert process.returncode == 128 + number


def test_wait_turns_a_signal_into_a_shutdown_and_a_second_into_system_exit() -> None:
    class Slow(Echo):
        def on_stop(self, reason: Any) -> None:
            gevent.sleep(20)

    def send_twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        gevent.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    system = ActorSystem()
    ref = system.spawn(Slow, shutdown=30)
    ref.ask(1)
    gevent.spawn(send_twice)
    with pytest.raises(SystemExit) as ended:
        system.wait()
    assert ended.value.code == 128 + signal.SIGTERM
    assert ref.ready()
