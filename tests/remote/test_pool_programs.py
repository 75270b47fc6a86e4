"""Programs that have a NodePool: what the processes inherit, and that they end with the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.timeout(120)
ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, sys, time
import gevent
from actorkit import Actor, ActorSystem, ForkedSystem, NodePool, message
from tests.remote.workers import Placed

@message
class Said:
    text: str

class Here(Actor):
    def receive(self, message):
        print("received", message, flush=True)
        self.log.info("logged", main=sys.modules["__main__"].__name__)
        return Said(message.text + " to you")

    def on_stop(self, reason):
        print("stopped", reason.name, flush=True)

def main():
    with NodePool({processes}, shutdown=0.5) as pool, ActorSystem("main") as system:
        {body}

if __name__ == "__main__":
    main()
"""


running: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it would tear lines apart
    yield
    while running:
        program = running.pop()
        program.kill()
        program.communicate(timeout=60)


class Program:
    """A program in a file of its own; it has ended when nobody holds its output any more."""

    def __init__(self, folder: Path, text: str, *command: str, new_group: bool = False) -> None:
        (folder / "program.py").write_text(text)
        self.popen = subprocess.Popen(
            [sys.executable, *(command or (str(folder / "program.py"),))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=new_group,
        )
        running.append(self.popen)

    def line(self) -> str:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, "it has ended"
        return line.rstrip("\n")

    def lines_until(self, wanted: str) -> None:
        while self.line() != wanted:
            pass

    def end(self) -> tuple[str, str]:
        return self.popen.communicate(timeout=60)


def with_pool(folder: Path, *body: str, processes: int = 1, **options: bool) -> Program:
    text = PROGRAM.format(processes=processes, body="\n        ".join(body))
    return Program(folder, text, **options)


def until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=60)
    # Their parent is gone, and whoever inherits them may not care to see them end.
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


# -- what they inherit --------------------------------------------------------------------------


def test_classes_and_messages_of_the_program_itself_work(tmp_path: Path) -> None:
    out, error = with_pool(
        tmp_path,
        'print(system.spawn(Here, on=pool).ask(Said("hello")))',
    ).end()
    assert error == ""
    assert out.count("received Said(text='hello')") == 1
    assert "Said(text='hello to you')" in out
    assert "main=__mp_main__" in out


def test_they_work_in_a_program_run_as_a_module(tmp_path: Path) -> None:
    text = PROGRAM.format(processes=1, body='print(system.spawn(Here, on=pool).ask(Said("hello")))')
    out, error = Program(tmp_path, text, "-m", "program").end()
    assert error == ""
    assert "Said(text='hello to you')" in out


def test_a_program_in_no_file_is_told_to_have_one(tmp_path: Path) -> None:
    text = PROGRAM.format(processes=1, body="system.spawn(Here, on=pool)")
    _, error = Program(tmp_path, "", "-c", text).end()
    assert "cannot import __main__.Here: the main module is not a file" in error


def test_a_program_that_starts_itself_when_imported_is_told_how_not_to(tmp_path: Path) -> None:
    text = PROGRAM.format(processes=1, body="system.spawn(Here, on=pool)")
    program = Program(tmp_path, text.replace('if __name__ == "__main__"', "if True"))
    _, error = program.end()
    assert program.popen.returncode == 1
    assert 'below `if __name__ == "__main__":`' in error.splitlines()[-1] or (
        "ImportError: pool-1 cannot import __main__.Here: RuntimeError" in error
    )


def test_what_they_print_and_log_is_passed_on(tmp_path: Path) -> None:
    out, error = with_pool(
        tmp_path,
        "placed = system.spawn(Placed, on=pool)",
        'assert placed.ask(("call", "write", 2, b"to stderr\\n")) is not None',
        'system.spawn(Here, on=pool).ask(Said("hello"))',
    ).end()
    assert error == "to stderr\n"
    lines = out.splitlines()
    assert "received Said(text='hello')" in lines
    assert any("logged" in line and "system=pool-1" in line for line in lines)
    assert lines.index("received Said(text='hello')") < lines.index("stopped SHUTDOWN")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_lines_of_several_processes_do_not_mix(
    unbuffered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    out, error = with_pool(
        tmp_path,
        "refs = [system.spawn(Placed, on=pool) for _ in range(2)]",
        'gevent.joinall([ref.ask_nowait(("print", ref.node.name * 20, 500)) for ref in refs])',
        processes=2,
    ).end()
    assert error == ""
    for name in ("pool-1", "pool-2"):
        assert out.splitlines().count(name * 20) == 500


def test_a_program_patched_by_gevent_has_pools_too(tmp_path: Path) -> None:
    text = PROGRAM.format(
        processes=2,
        body="""refs = [system.spawn(Placed, on=pool) for _ in range(2)]
        assert sorted(ref.ask("where")[1] for ref in refs) == sorted(pool.pids)
        before = pool.pids
        os.kill(before[0], 9)
        while len(pool.pids) < 2 or pool.pids == before:
            time.sleep(0.01)
        print("good")""",
    )
    out, error = Program(tmp_path, f"from gevent import monkey; monkey.patch_all()\n{text}").end()
    assert error == ""
    assert "good\n" in out


# -- forks --------------------------------------------------------------------------------------


def test_a_forked_child_has_nothing_of_the_pool_and_may_have_its_own(tmp_path: Path) -> None:
    out, error = with_pool(
        tmp_path,
        "before = pool.pids",
        "placed = system.spawn(Placed, on=pool)",
        "child = os.fork()",
        "if not child:",
        "    for use in (lambda: system.spawn(Placed, on=pool), pool.close):",
        "        try:",
        "            use()",
        "        except ForkedSystem as error:",
        "            print(error, flush=True)",
        "    gevent.sleep(0.1)  # what was copied of the pool has its chance to do harm",
        '    with NodePool(1) as own, ActorSystem("child") as mine:',
        '        print("child:", mine.spawn(Placed, on=own).ask("where")[0], flush=True)',
        "    os._exit(0)",
        "assert os.waitpid(child, 0)[1] == 0",
        "gevent.sleep(0.1)",
        "assert pool.pids == before",
        'print("parent:", placed.ask("where")[0], flush=True)',
    ).end()
    assert error == ""
    assert out.count("make a new NodePool after fork") == 2
    assert "child: pool-1\n" in out
    assert "parent: pool-1\n" in out


def test_a_forked_child_does_not_keep_the_processes_alive(tmp_path: Path) -> None:
    program = with_pool(
        tmp_path,
        "child = os.fork()",
        "if not child:",
        "    os.closerange(0, 3)",
        "    time.sleep(600)",
        "print(child, flush=True)",
        "time.sleep(600)",
    )
    child = psutil.Process(int(program.line()))
    program.popen.kill()
    program.end()
    assert child.is_running()
    child.kill()


# -- the end ------------------------------------------------------------------------------------


def idle(folder: Path) -> Program:
    program = with_pool(
        folder,
        "refs = [system.spawn(Here, on=pool) for _ in range(2)]",
        'print("up", flush=True)',
        "time.sleep(600)",
        processes=2,
    )
    program.lines_until("up")
    return program


def holding(folder: Path) -> Program:
    program = with_pool(
        folder,
        "for _ in range(2):",
        '    system.spawn(Placed, on=pool).tell("hold the hub for ever")',
        "gevent.sleep(600)",
        processes=2,
    )
    for _ in range(2):
        program.lines_until("holding")
    return program


def starting(folder: Path) -> Program:
    (folder / "slow.py").write_text(
        "import os, time\n"
        "from actorkit import Actor\n"
        "class Slow(Actor):\n"
        "    def receive(self, message): ...\n"
        "if os.getppid() == int(os.environ.setdefault('PARENT', str(os.getpid()))):\n"
        "    print('starting', flush=True)\n"
        "    time.sleep(600)\n"
    )
    program = Program(
        folder, "import slow\nfrom actorkit import NodePool\nNodePool(2, spawnable=[slow])\n"
    )
    for _ in range(2):
        program.lines_until("starting")
    return program


@pytest.mark.parametrize("program", [idle, holding, starting])
def test_kill_9_of_the_program_ends_its_processes(
    program: Callable[[Path], Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    running = program(tmp_path)
    processes = psutil.Process(running.popen.pid).children(recursive=True)
    assert len(processes) == 2
    os.kill(running.popen.pid, signal.SIGKILL)
    out, _ = running.end()
    until_gone(processes)
    assert not list(tmp_path.glob("actorkit-*"))
    if program is idle:
        assert out.count("stopped SHUTDOWN") == 2  # in order, although nobody is left


def test_a_program_that_just_ends_takes_its_processes_along(tmp_path: Path) -> None:
    program = Program(tmp_path, "from actorkit import NodePool\nprint(NodePool(2))\n")
    out, error = program.end()
    assert (out, error) == ("<NodePool 'pool': 2 of 2 processes up>\n", "")
    assert program.popen.returncode == 0


def test_ctrl_c_reaches_the_program_alone_which_ends_its_processes_in_order(
    tmp_path: Path,
) -> None:
    program = with_pool(
        tmp_path,
        "ref = system.spawn(Here, on=pool)",
        "try:",
        '    print("up", flush=True)',
        "    time.sleep(600)",
        "finally:",
        '    ref.ask(Said("the interrupt"))',
        new_group=True,
    )
    program.lines_until("up")
    processes = psutil.Process(program.popen.pid).children()
    os.killpg(program.popen.pid, signal.SIGINT)
    out, error = program.end()
    assert "received Said(text='the interrupt')" in out
    assert "stopped SHUTDOWN" in out
    assert error.count("Traceback") == error.count("KeyboardInterrupt") == 1
    until_gone(processes)


def test_ctrl_c_while_the_processes_start_is_no_tumult(tmp_path: Path) -> None:
    program = Program(
        tmp_path,
        "from actorkit import NodePool\nprint('go', flush=True)\nNodePool(4)\n",
        new_group=True,
    )
    program.lines_until("go")
    while not (processes := psutil.Process(program.popen.pid).children()):
        time.sleep(0.001)
    os.killpg(program.popen.pid, signal.SIGINT)
    _, error = program.end()
    assert "KeyboardInterrupt" in error
    assert "worker" not in error
    assert program.popen.returncode == -signal.SIGINT
    until_gone(processes)


def test_sigterm_ends_a_process_in_order_and_it_comes_back(tmp_path: Path) -> None:
    out, error = with_pool(
        tmp_path,
        "system.spawn(Here, on=pool)",
        "before = pool.pids",
        "os.kill(before[0], 15)",
        "while pool.pids in ([], before):",
        "    gevent.sleep(0.01)",
        'print("back", flush=True)',
    ).end()
    assert error == ""
    lines = out.splitlines()
    assert lines.index("stopped SHUTDOWN") < lines.index("back")
    assert any("exit status 0" in line for line in lines)
