"""NodePool: placement, worker processes that die, and what ends with what."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import psutil
import pytest
import structlog
from gevent.threadpool import ThreadPool

from actorkit import (
    Actor,
    ActorRef,
    ActorStopped,
    ActorSystem,
    Backoff,
    ConsistentHash,
    LeastLoaded,
    LinkedActorDied,
    NodeDown,
    NodeLost,
    NodePool,
    NodeUnreachable,
    NodeUp,
    Reason,
    Refused,
    RoundRobin,
    SystemStopped,
    Terminated,
    WrongThread,
    pool,
)
from actorkit.remote import pool as pool_module
from tests.actors import Collector, Obedient
from tests.remote import workers
from tests.remote.workers import Placed

pytestmark = pytest.mark.timeout(120)


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for something that must come to be true."""
    with gevent.Timeout(seconds):
        while not condition():
            gevent.sleep(0.01)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], set[Path]]:
    """The folders that pools have made, where nobody else makes any."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: set(tmp_path.glob("actorkit-*"))


@pytest.fixture(scope="module")
def shared() -> Iterator[NodePool]:
    """A pool for the tests that leave it as it was."""
    with structlog.testing.capture_logs(), NodePool(2, name="shared") as pool:
        yield pool


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture
def system(logs: list[Any]) -> Iterator[ActorSystem]:
    with ActorSystem("main") as system:
        yield system


# -- placement ----------------------------------------------------------------------------------


def test_actors_are_spread_over_the_processes(system: ActorSystem, shared: NodePool) -> None:
    refs = [system.spawn(Placed, on=shared) for _ in range(6)]
    places = Counter(ref.ask("where") for ref in refs)
    assert set(places) == set(zip(shared.names, shared.pids, strict=True))
    assert set(places.values()) == {3}


def test_many_at_once_are_spread_too(system: ActorSystem, shared: NodePool) -> None:
    spawning = [gevent.spawn(system.spawn, Placed, on=shared) for _ in range(40)]
    gevent.joinall(spawning, raise_error=True)
    places = Counter(spawned.get().ask("where") for spawned in spawning)
    assert list(places.values()) == [20, 20]


def test_the_process_with_the_fewest_living_actors_gets_the_next(
    system: ActorSystem, shared: NodePool
) -> None:
    refs = [system.spawn(Placed, on=shared) for _ in range(6)]
    there = refs[0].ask("where")
    for ref in refs:
        if ref.ask("where") == there:
            ref.stop()
            ref.join()
    assert {system.spawn(Placed, on=shared).ask("where") for _ in range(3)} == {there}


def test_what_failed_in_its_constructor_does_not_count(
    system: ActorSystem, shared: NodePool
) -> None:
    for _ in range(3):
        with pytest.raises(ValueError, match="told to fail"):
            system.spawn(Placed, True, on=shared)
    places = Counter(system.spawn(Placed, on=shared).ask("where") for _ in range(4))
    assert list(places.values()) == [2, 2]


def test_an_actor_places_others_with_the_options_of_spawn(
    system: ActorSystem, shared: NodePool
) -> None:
    parent = system.spawn(Obedient)
    ref = parent.ask(lambda me: me.spawn(Placed, name="placed", restart="temporary", on=shared))
    assert ref.name == "placed"
    assert ref.ask("where")[0] in shared.names


def test_two_systems_use_one_pool(system: ActorSystem, shared: NodePool) -> None:
    ups: list[Any] = []
    with ActorSystem("second") as second:
        second.events.subscribe(NodeUp, ups.append)
        refs = [each.spawn(Placed, on=shared) for each in (system, second) for _ in range(2)]
        assert Counter(ref.ask("where")[0] for ref in refs) == dict.fromkeys(shared.names, 2)
        assert sorted(up.name for up in ups) == shared.names
    assert refs[0].ask("where")[0] in shared.names


def test_the_nodes_of_a_pool_are_nodes_like_any_other(
    system: ActorSystem, shared: NodePool
) -> None:
    node = system.connect(shared.addresses[1])
    assert node.name == shared.names[1]
    placed = [system.spawn(Placed, on=shared) for _ in range(2)]
    there = next(ref for ref in placed if ref.ask("where")[0] == node.name)
    assert node.lookup(there.path) == there


def test_a_router_has_its_members_in_the_processes(system: ActorSystem, shared: NodePool) -> None:
    first = system.spawn(RoundRobin, pool(4, Placed, on=shared))
    second = system.spawn(RoundRobin, pool(4, Placed, on=shared))
    for router in (first, second):
        places = Counter(router.ask("where") for _ in range(4))
        assert sorted(name for name, _ in places) == shared.names


def test_least_loaded_avoids_the_members_elsewhere_that_owe_answers(
    system: ActorSystem, shared: NodePool
) -> None:
    router = system.spawn(LeastLoaded, pool(2, workers.Worker, on=shared))
    members = router.proxy().members()
    pids = [member.ask("pid") for member in members]
    assert [router.ask("pid") for _ in range(4)] == 2 * pids
    router.tell("told")  # to the first, and it does not count
    owed = router.ask_nowait("owe", timeout=None)  # by the second
    assert [router.ask("pid") for _ in range(4)] == 4 * pids[:1]
    members[1].tell("pay")
    assert owed.get(timeout=60) == "paid"
    assert sorted(router.ask("pid") for _ in range(4)) == sorted(2 * pids)
    owed = router.ask_nowait("owe", timeout=None)
    members[0].kill()
    members[1].kill()
    with pytest.raises(ActorStopped):
        owed.get(timeout=60)


def test_the_members_of_a_hash_ring_share_the_keys_though_their_paths_are_the_same(
    system: ActorSystem,
) -> None:
    with NodePool(2) as own:
        router = system.spawn(ConsistentHash, pool(2, Placed, on=own))
        members = router.proxy().members()
        assert members[0].path == members[1].path
        places = Counter(router.ask(f"key {number}") for number in range(200))
    assert sorted(name for name, _ in places) == own.names
    assert min(places.values()) > 20


def test_what_makes_no_sense_is_refused_at_once(system: ActorSystem, shared: NodePool) -> None:
    with pytest.raises(TypeError, match="subclasses of Actor"):
        system.spawn(str, on=shared)
    with pytest.raises(ValueError, match="NodePool"):
        system.spawn(Placed, on=object())
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(ValueError, match="processes"):
            NodePool(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name is a word"):
        NodePool(1, name="two words")
    with pytest.raises(ValueError, match="another name="):
        NodePool(1, name="shared")
    with pytest.raises(TypeError, match="Backoff"):
        NodePool(1, backoff=0.1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="spawnable"):
        NodePool(1, spawnable=["tests.remote.workers"])
    with pytest.raises(ValueError, match="timeout"):
        NodePool(1, shutdown=-1)


def test_another_thread_is_told_that_the_pool_is_not_its_own(shared: NodePool) -> None:
    def use() -> None:
        with ActorSystem("elsewhere") as elsewhere:
            elsewhere.spawn(Placed, on=shared)

    with pytest.raises(WrongThread, match="each thread"):
        ThreadPool(1).apply(use)


# -- classes ------------------------------------------------------------------------------------


def test_a_class_that_a_process_cannot_import_is_an_error_that_says_why(
    system: ActorSystem, shared: NodePool
) -> None:
    class Local(Actor):
        def receive(self, message: Any) -> None: ...

    with pytest.raises(ImportError, match="in a function"):
        system.spawn(Local, on=shared)
    for name, why in (("tests.no_such_module", "ModuleNotFoundError"), ("tests.actors", "Missing")):
        missing = types.new_class("Missing", (Obedient,))
        missing.__module__ = name
        for _ in range(2):
            with pytest.raises(ImportError, match=why) as raised:
                system.spawn(missing, on=shared)
            assert "raised there" in raised.value.__notes__[0]


def test_only_what_the_parent_named_may_be_spawned(system: ActorSystem) -> None:
    with NodePool(1, spawnable=[workers]) as own:
        node = system.connect(own.addresses[0])
        assert node.spawn(Placed).ask("where") == ("pool-1", own.pids[0])
        with pytest.raises(Refused, match="spawnable"):
            node.spawn(Collector)
        assert system.spawn(Collector, on=own).ask(None) == []
        assert node.spawn(Collector).ask(None) == []


# -- processes that die -------------------------------------------------------------------------


def test_kill_9_of_a_process_is_seen_by_watchers_and_only_there(system: ActorSystem) -> None:
    downs: list[Any] = []
    system.events.subscribe(NodeDown, downs.append)
    with NodePool(2) as own:
        here, there = (system.spawn(Placed, on=own) for _ in range(2))
        watcher = system.spawn(Collector)
        observer = system.spawn(Obedient)
        heard: list[Any] = []
        observer.ask(lambda me: me.become(heard.append) or (me.watch(here), me.watch(there)))
        linked = system.spawn(Obedient, restart="temporary")
        linked.ask(lambda me: me.link(here))
        before = own.pids
        os.kill(here.ask("where")[1], signal.SIGKILL)
        with pytest.raises(NodeLost):
            here.ask(("call", "getpid"), timeout=60)
        linked.join(timeout=60)
        assert type(linked.exception) is LinkedActorDied
        until(lambda: heard)
        assert [(end.ref, end.reason) for end in heard] == [(here, Reason.NODE_LOST)]
        assert type(heard[0]) is Terminated
        assert [down.name for down in downs] == ["pool-1"]
        assert there.ask("where") == ("pool-2", before[1])
        until(lambda: len(own.pids) == 2)
        assert own.pids[0] != before[0]
        assert own.pids[1] == before[1]
        again = system.spawn(Placed, on=own)
        assert again.ask("where") == ("pool-1", own.pids[0])
        assert again != here
        with pytest.raises(NodeLost):
            here.ask("where")
        assert watcher.ask(None) == []


def test_a_process_that_is_down_is_passed_over(system: ActorSystem) -> None:
    with NodePool(2, backoff=Backoff(first=600, minimum=600, maximum=600)) as own:
        os.kill(own.pids[0], signal.SIGKILL)
        refs = [system.spawn(Placed, on=own) for _ in range(3)]
        assert {ref.ask("where")[0] for ref in refs} == {"pool-2"}


def test_a_spawn_waits_for_a_process_to_be_up(
    system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "ASK_TIMEOUT", 60.0)
    with NodePool(1) as own:
        before = own.pids
        os.kill(before[0], signal.SIGKILL)
        assert system.spawn(Placed, on=own).ask("where")[1] not in before


def test_a_spawn_does_not_wait_for_ever(
    system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "ASK_TIMEOUT", 0.2)
    with NodePool(1, backoff=Backoff(first=600, minimum=600, maximum=600)) as own:
        os.kill(own.pids[0], signal.SIGKILL)
        with pytest.raises(NodeUnreachable, match="0 of 1 processes up"):
            system.spawn(Placed, on=own)
    with pytest.raises(SystemStopped, match="closed"):
        system.spawn(Placed, on=own)


def test_a_process_that_does_not_answer_is_passed_over(system: ActorSystem) -> None:
    with NodePool(2) as own:
        stopped = own.pids[0]
        os.kill(stopped, signal.SIGSTOP)
        try:
            assert system.spawn(Placed, on=own).ask("where")[0] == "pool-2"
        finally:
            os.kill(stopped, signal.SIGCONT)


def ends(own: NodePool, logs: list[Any], times: int) -> list[Any]:
    """Kill the only process so many times; what the log says of each end."""
    for _ in range(times):
        until(lambda: own.pids)
        pid = own.pids[0]
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: own.pids and own.pids != [pid])  # type: ignore[misc]
    return [entry for entry in logs if entry["event"] == "worker process ended"]


def test_each_restart_of_a_series_waits_longer(logs: list[Any]) -> None:
    backoff = Backoff(first=0.0, minimum=0.01, maximum=0.03, factor=2, jitter=0)
    with NodePool(1, backoff=backoff) as own:
        ended = ends(own, logs, 4)
    assert [entry["restart_in"] for entry in ended] == [0.0, 0.01, 0.02, 0.03]
    assert {entry["reason"] for entry in ended} == {"killed by signal 9"}


def test_a_process_that_was_up_for_long_begins_a_new_series(
    logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "HEALTHY", 0.0)
    with NodePool(1, backoff=Backoff(first=0.0, minimum=600, maximum=600)) as own:
        ended = ends(own, logs, 3)
    assert [entry["restart_in"] for entry in ended] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("exit", "SystemExit: 3 (exit status 3)"),
        ("shut down", "exit status 0"),
        (("call", "_exit", 5), "exit status 5"),
        (("call", "abort"), "killed by signal 6"),
    ],
)
def test_however_a_process_ends_it_is_started_again(
    system: ActorSystem, logs: list[Any], order: Any, reason: str
) -> None:
    with NodePool(1) as own:
        before = own.pids
        system.spawn(Placed, on=own).tell(order)
        until(lambda: own.pids not in ([], before))
    assert [e["reason"] for e in logs if e["event"] == "worker process ended"] == [reason]


def test_a_child_that_a_process_forked_does_not_hide_its_end(system: ActorSystem) -> None:
    with NodePool(1) as own:
        before = own.pids
        child = system.spawn(Placed, on=own).ask("fork", timeout=60)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: own.pids not in ([], before))
        os.kill(child, signal.SIGKILL)


# -- starts that fail ---------------------------------------------------------------------------

MODULE = """
import os, time
from actorkit import Actor

class Started(Actor):
    def receive(self, message): ...

if os.getpid() != int(os.environ["PARENT"]):
    {body}
"""


@pytest.fixture
def only_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Any]:
    """Makes a module that does something when a worker process imports it."""
    monkeypatch.setenv("PARENT", str(os.getpid()))
    monkeypatch.syspath_prepend(tmp_path)

    def make(body: str) -> Any:
        name = f"only_there_{abs(hash(body))}"
        (tmp_path / f"{name}.py").write_text(MODULE.format(body=body))
        return __import__(name)

    return make


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import no_such_module", r"ModuleNotFoundError: .*no_such_module.* \(exit status 1\)"),
        ("raise SystemExit(4)", r"SystemExit: 4 \(exit status 4\)"),
        ("os._exit(7)", "exit status 7"),
        ("os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("time.sleep(600)", r"not ready within 1 s \(killed by signal 9\)"),
    ],
)
def test_a_process_that_does_not_start_is_an_error_with_the_reason(
    only_there: Callable[[str], Any],
    folders: Callable[[], set[Path]],
    monkeypatch: pytest.MonkeyPatch,
    logs: list[Any],
    body: str,
    said: str,
) -> None:
    if "sleep" in body:
        monkeypatch.setattr(pool_module, "START_TIME", 1.0)
    before = children()
    with pytest.raises(NodeUnreachable, match=f"pool-1 did not start: .*{said}"):
        NodePool(1, spawnable=[only_there(body)])
    assert (children(), folders()) == (before, set())


def test_without_an_interpreter_nothing_starts(
    folders: Callable[[], set[Path]], monkeypatch: pytest.MonkeyPatch, logs: list[Any]
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(NodeUnreachable, match=r"could not be started.*no/such/python"):
        NodePool(2)
    assert not folders()


def test_a_socket_whose_path_is_too_long_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(ValueError, match="set TMPDIR"):
        NodePool(1)
    assert not list(deep.iterdir())


# -- the end ------------------------------------------------------------------------------------


def test_close_leaves_nothing(
    system: ActorSystem, logs: list[Any], folders: Callable[[], set[Path]]
) -> None:
    gevent.sleep(0.01)
    this = psutil.Process()
    before = (children(), folders(), this.num_fds(), set(threading.enumerate()))
    with NodePool(2) as own:
        assert len(children() - before[0]) == 2
        (made,) = folders()
        assert made.stat().st_mode & 0o777 == 0o700
        os.kill(own.pids[0], signal.SIGKILL)
        until(lambda: len(own.pids) == 2)
    own.close()
    assert repr(own) == "<NodePool 'pool': closed>"
    assert own.pids == []
    after = (children(), folders(), this.num_fds(), set(threading.enumerate()))
    assert after == before
    assert not [entry for entry in logs if entry["log_level"] == "error"]


def test_a_system_does_not_look_for_a_pool_that_is_closed(system: ActorSystem) -> None:
    with NodePool(1) as own:
        ref = system.spawn(Placed, on=own)
        os.kill(own.pids[0], signal.SIGKILL)
        ref.join(timeout=60)
    assert system._get_network().dials == {}


@pytest.mark.parametrize("state", ["holds its hub", "is stopped"])
def test_close_ends_a_process_that(
    state: str, system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with NodePool(1, shutdown=0.1) as own:
        ref = system.spawn(Placed, on=own)
        pid = own.pids[0]
        assert ref.ask("where") == ("pool-1", pid)
        if state == "is stopped":
            os.kill(pid, signal.SIGSTOP)
            monkeypatch.setattr(pool_module, "KILL_GRACE", 0.1)
        else:
            ref.tell("hold the hub for ever")
    assert not psutil.pid_exists(pid)


def test_close_ends_a_process_that_is_starting(
    only_there: Callable[[str], Any], system: ActorSystem
) -> None:
    module = only_there("time.sleep(0.2 if not os.path.exists(__file__ + '.slow') else 600)")
    before = children()
    with NodePool(1, spawnable=[module]) as own:
        Path(f"{module.__file__}.slow").touch()
        first = own.pids[0]
        os.kill(first, signal.SIGKILL)
        until(lambda: children() - before - {first})
    assert children() == before


def test_close_while_a_restart_waits(logs: list[Any]) -> None:
    with NodePool(1, backoff=Backoff(first=600, maximum=600)) as own:
        os.kill(own.pids[0], signal.SIGKILL)
        until(lambda: any(entry["event"] == "worker process ended" for entry in logs))
    assert own.pids == []


def test_a_pool_of_the_same_name_may_follow(logs: list[Any]) -> None:
    for _ in range(2):
        with ActorSystem("main") as system, NodePool(1) as own:
            ref: ActorRef[Any] = system.spawn(Placed, on=own)
            assert ref.ask("where")[0] == "pool-1"
