"""Systems: names, lookup, the tree, shutdown."""

from __future__ import annotations

from typing import Any

import gevent
import pytest
from structlog.testing import capture_logs

from actorkit import (
    Actor,
    ActorNotFound,
    ActorStopped,
    ActorSystem,
    Inbox,
    NotInActor,
    Reason,
    SystemStopped,
)
from tests.actors import Collector, Echo, Obedient, settle


def test_lookup_finds_the_living_by_path(system: ActorSystem) -> None:
    parent = system.spawn(Obedient, name="parent")
    child = parent.ask(lambda actor: actor.spawn(Echo, name="child"))
    nameless = parent.ask(lambda actor: actor.spawn(Echo))
    assert system.lookup("/parent") == parent
    assert system.lookup("/parent/child") == child
    assert system.lookup("parent/child") == child
    assert system.lookup(nameless.path) == nameless
    for path in ("/nobody", "/parent/nobody", "/parent/child/x", "", "/", "/$x"):
        with pytest.raises(ActorNotFound):
            system.lookup(path)
    child.stop()
    child.join()
    with pytest.raises(ActorNotFound, match="/parent/child"):
        system.lookup("/parent/child")


def test_the_tree_shows_parents_before_children(system: ActorSystem) -> None:
    parent = system.spawn(Obedient, name="parent")
    parent.ask(lambda actor: actor.spawn(Echo, name="child").tell(1))
    system.spawn(Collector, name="other").ask(1)
    settle()
    rows = [(i.path, i.cls, i.state, i.inbox_size, i.handled, i.restarts) for i in system.tree()]
    assert rows == [
        ("/parent", Obedient, "running", 0, 1, 0),
        ("/parent/child", Echo, "running", 0, 1, 0),
        ("/other", Collector, "running", 0, 1, 0),
    ]


def test_the_tree_counts_what_waits(system: ActorSystem) -> None:
    plain = system.spawn(Echo, name="plain")
    bounded = system.spawn(Echo, name="bounded", inbox=Inbox(maxsize=5))
    for _ in range(3):
        plain.tell(1)
        bounded.tell(1)
    assert [info.inbox_size for info in system.tree()] == [3, 3]


def test_several_systems_live_in_one_process() -> None:
    with ActorSystem("one") as one, ActorSystem("two") as two:
        first = one.spawn(Echo, name="echo")
        second = two.spawn(Echo, name="echo")
        assert first != second
        asker = two.spawn(Obedient)
        assert asker.ask(lambda actor: first.ask("across")) == "across"
        one.shutdown()
        assert second.ask("alive") == "alive"


def test_after_shutdown_nothing_starts_and_nothing_answers() -> None:
    system = ActorSystem("over")
    echo = system.spawn(Echo)
    system.shutdown()
    assert system.terminated
    assert echo.ready()
    assert "shut down" in repr(system)
    with pytest.raises(SystemStopped):
        system.spawn(Echo)
    with pytest.raises(ActorStopped):
        echo.ask(1)
    system.shutdown()


def test_shutdown_kills_what_does_not_stop_in_its_time() -> None:
    reasons: list[Reason] = []

    class Deaf(Actor):
        def receive(self, message: Any) -> None:
            gevent.sleep(60)

        def on_stop(self, reason: Reason) -> None:
            reasons.append(reason)

    system = ActorSystem()
    refs = [system.spawn(Deaf, shutdown=0.02) for _ in range(20)]
    for ref in refs:
        ref.tell("sleep")
    gevent.sleep(0.01)
    system.shutdown()
    assert reasons == [Reason.KILLED] * 20


def test_shutdown_with_a_timeout_kills_everything_left() -> None:
    system = ActorSystem()
    ref = system.spawn(Obedient, shutdown=60)
    ref.tell(lambda actor: gevent.sleep(60))
    gevent.sleep(0.01)
    system.shutdown(timeout=0.05)
    assert ref.ready()
    with pytest.raises(ValueError, match="timeout"):
        system.shutdown(timeout=-1)


def test_shutdown_from_inside_an_actor_returns_at_once() -> None:
    after: list[bool] = []

    def shut_down(actor: Actor) -> None:
        actor.system.shutdown()
        after.append(actor.system.terminated)

    system = ActorSystem()
    system.spawn(Obedient).tell(shut_down)
    system.wait()
    assert after == [False]
    assert system.terminated


def test_leaving_the_block_by_an_error_shuts_down_too() -> None:
    with pytest.raises(KeyError), ActorSystem() as system:
        raise KeyError
    assert system.terminated


@pytest.mark.parametrize("name", ["", "a/b", "a b", "$x", 3, None, "a#b", "a@b"])
def test_a_system_needs_a_plain_name(name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        ActorSystem(name)


@pytest.mark.parametrize("name", ["", "a/b", "$1", "a#b", 3, b"x"])
def test_an_actor_needs_a_plain_name(system: ActorSystem, name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        system.spawn(Echo, name=name)
    assert system.tree() == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"restart": "always"}, ValueError),
        ({"restart": None}, ValueError),
        ({"shutdown": -1}, ValueError),
        ({"shutdown": "5"}, ValueError),
        ({"shutdown": True}, ValueError),
        ({"inbox": 5}, TypeError),
        ({"inbox": []}, TypeError),
        ({"on": 5}, ValueError),
    ],
)
def test_wrong_spawn_options_are_named(
    system: ActorSystem, options: dict[str, Any], error: type[Exception]
) -> None:
    option = next(iter(options))
    with pytest.raises(error, match=option):
        system.spawn(Echo, **options)
    assert system.tree() == []


def test_only_actor_classes_are_spawned(system: ActorSystem) -> None:
    with pytest.raises(TypeError, match="subclass of Actor"):
        system.spawn(dict)
    with pytest.raises(TypeError, match="subclass of Actor"):
        system.spawn("Echo")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the class, not an instance"):
        system.spawn(Echo())  # type: ignore[arg-type]


def test_an_actor_that_no_message_could_reach_is_refused(system: ActorSystem) -> None:
    class Mute(Actor):
        pass

    with pytest.raises(TypeError, match=r"receive\(\)"):
        system.spawn(Mute)


def test_a_class_with_async_or_generator_hooks_is_refused_when_it_is_made() -> None:
    with pytest.raises(TypeError, match="async def"):

        class Async(Actor):
            async def receive(self, message: Any) -> None: ...

    with pytest.raises(TypeError, match="generator"):

        class Generator(Actor):
            def receive(self, message: Any) -> Any:
                yield message

    with pytest.raises(TypeError, match="method"):

        class Value(Actor):
            receive = 3  # type: ignore[assignment]

    with pytest.raises(TypeError, match="Inbox"):

        class Boxed(Actor):
            inbox = 5  # type: ignore[assignment]

    with pytest.raises(TypeError, match="OneForOne"):

        class Supervised(Actor):
            supervision = "restart"  # type: ignore[assignment]


def test_become_refuses_what_is_no_plain_function(system: ActorSystem) -> None:
    async def coroutine(message: Any) -> None: ...

    ref = system.spawn(Obedient, restart="permanent")
    with pytest.raises(TypeError, match="become"):
        ref.ask(lambda actor: actor.become(None))
    with pytest.raises(TypeError, match="become"):
        ref.ask(lambda actor: actor.become(coroutine))


def test_an_actors_own_words_need_its_own_turn(system: ActorSystem) -> None:
    actors: list[Actor] = []
    ref = system.spawn(Obedient)
    ref.ask(actors.append)
    with pytest.raises(NotInActor):
        actors[0].stash()


def test_messages_to_the_root_are_dead_letters(system: ActorSystem) -> None:
    from actorkit import DeadLetter

    dead: list[Any] = []
    system.events.subscribe(DeadLetter, dead.append)
    system._root._ref.tell("hello")
    settle()
    assert [letter.message for letter in dead] == ["hello"]


def test_at_the_root_an_actor_past_its_intensity_ends_alone_and_critically() -> None:
    with ActorSystem() as system:
        other = system.spawn(Echo)
        ref = system.spawn(Obedient)
        with capture_logs() as logs:
            for _ in range(4):
                ref.tell(lambda actor: 1 / 0)
            ref.join(timeout=3)
        assert isinstance(ref.exception, ZeroDivisionError)
        assert [log["log_level"] for log in logs].count("critical") == 1
        assert other.ask(1) == 1


def test_actorkit_does_not_import_zmq() -> None:
    import subprocess
    import sys

    code = "import sys, actorkit; assert 'zmq' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


class Secretive(Actor):
    """Keeps from `Actor` that it is derived from."""

    def __init_subclass__(cls) -> None:
        pass

    def receive(self, message: Any) -> str:
        return type(self).__name__


class Derived(Secretive):
    pass


def test_a_spawn_makes_the_class_named_whatever_was_spawned_before(system: ActorSystem) -> None:
    for _ in range(2):
        for cls in (Secretive, Derived):
            assert system.spawn(cls).ask("who") == cls.__name__
            assert system.spawn(cls, restart="temporary").ask("who") == cls.__name__


def test_options_of_one_spawn_are_not_those_of_the_next(system: ActorSystem) -> None:
    class Ending(Actor):
        def receive(self, message: Any) -> None:
            self.stop()

    for _ in range(2):
        usual, permanent = system.spawn(Ending), system.spawn(Ending, restart="permanent")
        for ref in (usual, permanent):
            ref.tell("end")
        usual.join(timeout=5)
        permanent.ask("end", timeout=5)
        assert usual.ready()
        assert not permanent.ready()
