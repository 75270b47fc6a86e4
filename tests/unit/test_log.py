"""What is logged, and how `logging` gets it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from structlog.testing import capture_logs

from actorkit import Actor, ActorSystem
from tests.actors import Obedient, settle


def test_an_actors_log_is_bound_to_system_path_and_class() -> None:
    class Chatty(Actor):
        def receive(self, message: Any) -> None:
            self.log.info("got", message=message)

    with capture_logs() as logs, ActorSystem("logs") as system:
        system.spawn(Chatty, name="chatty").ask("x")
    assert logs == [
        {
            "event": "got",
            "log_level": "info",
            "message": "x",
            "system": "logs",
            "path": "/chatty",
            "actor": "Chatty",
        }
    ]


def test_a_failure_is_logged_once_with_its_exception() -> None:
    with capture_logs() as logs, ActorSystem() as system:
        ref = system.spawn(Obedient, name="it")
        ref.tell(lambda actor: 1 / 0)
        settle()
        failures = [log for log in logs if log["event"] == "actor failed"]
    assert len(failures) == 1
    assert isinstance(failures[0]["exc_info"], ZeroDivisionError)
    assert failures[0]["path"] == "/it"
    assert [log["event"] for log in logs if log["log_level"] == "info"] == ["actor restarted"]


def test_users_of_logging_get_everything_through_the_bridge() -> None:
    program = """
import logging
from actorkit import Actor, ActorSystem, use_stdlib_logging

class Talker(Actor):
    def receive(self, message):
        self.log.warning("heard", message=message)

logging.basicConfig(format="%(name)s %(levelname)s %(message)s %(path)s %(message_)s")
use_stdlib_logging()
with ActorSystem() as system:
    system.spawn(Talker, name="talker").ask("news")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "actorkit WARNING heard /talker news\n"
    assert done.stdout == ""


def test_a_log_that_cannot_be_written_harms_nobody() -> None:
    code = """
from actorkit import Actor, ActorSystem

class Chatty(Actor):
    def receive(self, message):
        self.log.bind(more=1).info("got", message=message)
        return message

with ActorSystem("logs") as system:
    chatty = system.spawn(Chatty)
    assert [chatty.ask(n) for n in range(3)] == [0, 1, 2]
"""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-u", "-c", code], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 0, done.stderr.decode()


FAILING = """
import structlog
from actorkit import Actor, ActorSystem

class Weak(Actor):
    def receive(self, message):
        self.log.info("got", message=message)
        raise ValueError("weak")

with ActorSystem("logs") as system:
    weak = system.spawn(Weak, restart="temporary", name="weak")
    {configure}
    weak.tell("x")
    weak.join()
"""


def run(configure: str) -> str:
    program = FAILING.format(configure=configure)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_traceback_of_a_failure_is_plain_although_rich_is_installed() -> None:
    import rich  # noqa: F401

    out = run("pass")
    assert "\nTraceback (most recent call last):\n" in out
    assert "ValueError: weak" in out
    assert "─" not in out


def test_who_configures_structlog_gets_it_as_configured_even_afterwards() -> None:
    chosen = "structlog.processors.format_exc_info, structlog.processors.JSONRenderer()"
    out = run(f"structlog.configure(processors=[{chosen}])")
    got = out.splitlines()[0]
    assert json.loads(got) == {
        "actor": "Weak",
        "event": "got",
        "message": "x",
        "path": "/weak",
        "system": "logs",
    }
    assert '"exception": "Traceback' in out
