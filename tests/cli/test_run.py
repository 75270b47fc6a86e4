"""`actorkit run`, `new` and what all commands have in common."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from actorkit import kernel
from actorkit.cli.failure import Exit

from .programs import Result, actorkit, running

pytestmark = pytest.mark.timeout(180)
Within = Callable[..., Result]
LISTEN = ("--listen", "tcp://127.0.0.1:0")


def test_run_ends_well_when_its_actor_does(folder: Path) -> None:
    done = actorkit("run", "shop:Closing", cwd=folder)
    assert done.returncode == 0
    assert done.stdout == ""
    assert "closing" in done.stderr  # the log


def test_run_ends_badly_when_its_actor_fails_for_good(folder: Path) -> None:
    done = actorkit("run", "shop:Failing", cwd=folder)
    assert done.returncode == Exit.ACTOR_ERROR
    assert done.stderr.splitlines()[-1] == "actorkit: /failing failed: OutOfStock: nothing"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_well(folder: Path, number: signal.Signals) -> None:
    with running("run", "shop:Shop", *LISTEN, cwd=folder) as (process, _):
        process.send_signal(number)
        assert process.wait(timeout=60) == 0


def test_run_says_where_its_actor_is(folder: Path) -> None:
    arguments = ["run", "shop:Shop", "--name", "corner", *LISTEN]
    with subprocess.Popen(
        [sys.executable, "-m", "actorkit", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
    ) as process:
        assert process.stdout is not None
        uri = process.stdout.readline().split()[-1]
        listens = process.stdout.readline()
        try:
            assert listens == f"corner listens at {uri.removesuffix('/shop')}\n"
            assert actorkit("ask", uri, "hello", cwd=folder).stdout == "hello\n"
        finally:
            process.terminate()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "shop"], Exit.USAGE, "MODULE:CLASS"),
        (["run", "shop:Order"], Exit.USAGE, "shop has no actor class Order"),
        (["run", "shop:Nothing"], Exit.USAGE, "shop has no actor class Nothing"),
        (["run", "stall:Shop"], Exit.FAILED, "cannot import stall"),
        (["run", "shop:Shop", "a", "b"], Exit.USAGE, "too many positional arguments"),
        (["run", "shop:Shop", "--keyword", "size=3"], Exit.USAGE, "size"),
        (["run", "shop:Shop", "--listen", "tcp://0.0.0.0:0"], Exit.USAGE, "--keys FILE"),
        (["run", "shop:Shop", "--name", "a b"], Exit.USAGE, "'a b'"),
        (["run", "shop:Shop", "--allow", "x"], Exit.USAGE, "--keys"),
        (["run", "shop:Shop", "--lisen", "x"], Exit.USAGE, "--lisen"),
        (["run"], Exit.USAGE, "see --help"),
        (["ran", "shop:Shop"], Exit.USAGE, "'ran'"),
    ],
)
def test_what_cannot_run_says_why_in_one_line(
    within: Within, arguments: list[str], code: Exit, said: str
) -> None:
    done = within(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_address_that_is_taken_is_told_so(folder: Path, within: Within) -> None:
    with running("run", "shop:Shop", *LISTEN, cwd=folder) as (_, address):
        done = within("run", "shop:Shop", "--listen", address)
    assert done.returncode == Exit.FAILED
    assert "in use" in done.stderr


def test_a_new_project_passes_its_own_test_and_runs(tmp_path: Path) -> None:
    made = actorkit("new", "demo-shop", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "demo-shop"
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=project,
    )
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout
    for check in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *check], check=True, cwd=project)
    with running("run", "demo_shop:Greeter", "Hi", *LISTEN, cwd=project) as (_, address):
        uri = f"{address}/greeter"
        assert actorkit("ask", uri, "Ada", cwd=project).stdout == "Hi, Ada!\n"
        assert actorkit("call", uri, "count", cwd=project).stdout == "1\n"


def test_new_overwrites_nothing(within: Within, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    done = within("new", str(tmp_path / "demo"))
    assert done.returncode == Exit.FAILED
    assert "demo exists" in done.stderr
    assert os.listdir(tmp_path / "demo") == []


@pytest.mark.parametrize("name", ["json", "class", "2nd", "a.b", "_x", "tests"])
def test_new_takes_no_name_that_could_not_be_imported(
    within: Within, tmp_path: Path, name: str
) -> None:
    done = within("new", str(tmp_path / name))
    assert done.returncode == Exit.USAGE
    assert os.listdir(tmp_path) == []


def test_version_says_which_release_runs_on_which_kernel(tmp_path: Path) -> None:
    done = actorkit("--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"actorkit {version('actorkit')} ({kernel.NAME} kernel)\n"


def test_importing_actorkit_imports_nothing_of_the_extra() -> None:
    code = "import sys, actorkit, actorkit.remote.worker; print({'typer', 'rich'} & {*sys.modules})"
    done = subprocess.run(
        # structlog imports rich by itself where it can.
        [sys.executable, "-c", f"import sys; sys.modules['rich'] = None; {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "{'rich'}\n", done.stderr


WITHOUT = """
import sys
sys.modules["typer"] = sys.modules["rich"] = None  # as if they were not installed
"""


def test_without_the_extra_the_command_line_says_what_to_install() -> None:
    code = f"{WITHOUT}\nfrom actorkit.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.NO_EXTRA
    assert done.stderr == "actorkit: the command line needs: pip install 'actorkit[cli]'\n"


def test_a_pool_starts_its_workers_without_the_extra(tmp_path: Path) -> None:
    # In the workers too: they find a typer that cannot be imported.
    for name in ("typer", "rich"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not here')")
    program = tmp_path / "program.py"
    program.write_text("""
import os
from actorkit import Actor, ActorSystem, NodePool

class Worker(Actor):
    def receive(self, message):
        return os.getpid()

if __name__ == "__main__":
    with NodePool(processes=1) as pool, ActorSystem("boss") as system:
        print(system.spawn(Worker, on=pool).ask("pid", timeout=30) != os.getpid())
""")
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert "True\n" in done.stdout, done.stderr
