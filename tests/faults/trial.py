"""A trial: three nodes in processes of their own, a fault, and what must hold all the same.

`north` and `third` live on, and third's association with north must never notice. `south` is the
one that suffers, or the link between north and it, or north has to do with a peer that is no node.
`catalogue.py` has the faults.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import psutil

from tests.remote.hosts import Hosts, end, spawn

__all__ = ["NORTH", "PATIENCE", "SOUTH", "SPARE", "Member", "Trial", "until"]

#: The numbers of the members' hosts.
NORTH, SOUTH, THIRD = range(3)
#: Seconds in which something that must come about does so even on a slow and busy machine.
PATIENCE = 60.0
#: Bytes that a survivor may grow by for all that has no limit of its own.
SPARE = 200 * 1024 * 1024


class Member:
    """A `member.py` in its own process."""

    def __init__(
        self, prefix: list[str], violations: int, errors: int, stdout: str, **options: Any
    ) -> None:
        self.name = options["name"]
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        options |= {"control": theirs.fileno(), "violations": violations}
        with theirs, open(stdout, "w") as log:
            self.process = spawn(
                [*prefix, sys.executable, "-m", "tests.faults.member", json.dumps(options)],
                pass_fds=[theirs.fileno(), violations],
                stdout=log,
                stderr=errors,
                # Big blocks go back to the system when freed, so that memory can be judged.
                env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"},
            )
        self.pid = self.process.pid
        self._control = ours.makefile("rw")
        ours.close()
        self._address = ""

    @property
    def address(self) -> str:
        """Where it listens; waits until it does."""
        if not self._address:
            self._address = self._read()["address"]
        return self._address

    def order(self, name: str, *arguments: Any) -> Any:
        """Have it do something, and wait for the answer."""
        assert self.address
        self._control.write(json.dumps([name, *arguments]) + "\n")
        self._control.flush()
        return self._read()

    def report(self) -> Any:
        return self.order("report")

    def is_quiet(self) -> bool:
        """Whether none of its asks are under way."""
        under_way: int = self.report()["asking"]
        return not under_way

    @property
    def memory(self) -> int:
        """Bytes in use."""
        used: int = psutil.Process(self.pid).memory_info().rss
        return used

    def end(self) -> None:
        end(self.process)
        self._control.close()

    def _read(self) -> Any:
        line = self._control.readline()
        if not line:
            raise OSError(f"{self.name} ended by itself: {self.process.wait()}")
        return json.loads(line)


class Trial:
    """The nodes of one fault, for any number of runs, and the sums over them.

    With `hosts` each node is on its own; else they share the loopback.
    """

    def __init__(
        self,
        seed: int,
        hosts: Hosts | None = None,
        stdout: str = os.devnull,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.hosts = hosts
        self.sums: Counter[str] = Counter()
        self._stdout = stdout
        self._limits = dict(limits or {})
        self._ip = self.random.choice([4, 6])
        self._files = ExitStack()
        self._violations = self._files.enter_context(tempfile.TemporaryFile("a+"))  # noqa: SIM115
        self._errors = self._files.enter_context(tempfile.TemporaryFile("a+"))  # noqa: SIM115
        self._members: list[Member] = []
        self.north = self._start(NORTH, "north")
        self.third = self._start(THIRD, "third", connect={"north": self.north.address})
        self.south_address = ""
        self.south = self.start_south()
        self._memory = {"north": self.north.memory, "third": self.third.memory}
        self._reports: dict[int, Any] = {}

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in self._members:
            member.end()
        self._files.close()

    # -- the nodes ------------------------------------------------------------------------------

    def _start(self, place: int, name: str, listen: str = "", **options: Any) -> Member:
        prefix: list[str] = []
        if self.hosts is not None:
            prefix = self.hosts[place].command()
            listen = self.hosts[place].address(7001, self._ip)
        listen = listen or ("tcp://127.0.0.1:0" if self._ip == 4 else "tcp://[::1]:0")
        options = {"connect": {}} | options
        seed = self.random.randrange(1 << 30)
        member = Member(
            prefix,
            self._violations.fileno(),
            self._errors.fileno(),
            self._stdout,
            name=name,
            listen=listen,
            seed=seed,
            limits=self._limits,
            **options,
        )
        self._members.append(member)
        return member

    def start_south(self) -> Member:
        """Start south, at its old place if it had one; it connects, or north does, or both."""
        north_connects, south_connects = self.random.choice([(1, 0), (0, 1), (1, 1)])
        connect = {"north": self.north.address} if south_connects else {}
        self.north.order("let_go", "south")
        self.south = self._start(SOUTH, "south", self.south_address, connect=connect)
        if north_connects:
            self.south_address = self.south_address or self.south.address
            self.north.order("connect", "south", self.south_address)
        return self.south

    def kill_south(self) -> None:
        """Kill -9."""
        self.sums["killed"] += 1
        self._members.remove(self.south)
        self.south.end()

    def meet(self) -> None:
        """Wait until north and south are connected and messages come in on both sides."""
        for here, there in ((self.north, self.south), (self.south, self.north)):
            began = there.report()["in"]

            def arrives(here: Member = here, there: Member = there, began: Any = began) -> bool:
                came = there.report()["in"]
                return any(
                    alive and came.get(name, 0) > began.get(name, 0)
                    for peer, name, alive, _, _ in here.report()["out"]
                    if peer == there.name
                )

            if not until(arrives):
                self.violation(f"{here.name} reaches {there.name} no more: {here.report()}")

    def downs(self, here: Member, there: str = "south") -> int:
        """How often `here` has lost node `there`."""
        count: int = here.report()["downs"].get(there, 0)
        return count

    # -- what must hold -------------------------------------------------------------------------

    def violation(self, text: str) -> None:
        os.write(self._violations.fileno(), f"{text}\n".encode())

    @property
    def violations(self) -> list[str]:
        """All that was not as it must be, in words."""
        self._violations.seek(0)
        return self._violations.read().splitlines()

    def check(self) -> None:
        """All is quiet, and nothing is missing: what every run ends with."""
        self.sums["runs"] += 1
        self._errors.seek(0)
        if errors := self._errors.read():
            self.violation(f"something was raised where nobody catches it: {errors[-2000:]}")
        members = [self.north, self.third, self.south]
        for member in members:
            member.order("stream", False)
        for member in members:
            if not until(member.is_quiet):
                self.violation(f"{member.name} has asks that do not end")
        for member in members:
            member.order("confirm")
        reports = {member.name: member.report() for member in members}
        for name, report in reports.items():
            for peer, stream, alive, sent, confirmed in report["out"]:
                came = reports[peer]["in"].get(stream, 0)
                if came > sent:
                    self.violation(f"{peer} got {came} of {stream}, of which {sent} were sent")
                if alive and confirmed != sent:
                    self.violation(f"{name} sent {sent} in {stream}, {peer} confirmed {confirmed}")
        for here, there in ((self.third, "north"), (self.north, "third")):
            if lost := reports[here.name]["downs"].get(there, 0):
                self.violation(f"{here.name} lost {there}, which was well: {lost} times")
        for name, peers in (("north", 3), ("third", 2)):
            group = reports[name]["group"]
            if len(group) != peers or len({address.split("@")[0] for address in group}) != peers:
                self.violation(f"{name} has {group} in the group of all that it is connected with")
        for ask, count in reports["third"]["asks"].items():
            if not ask.endswith("answered"):
                self.violation(f"{count} asks of third: {ask}")
        self.sample_memory()
        for member in members:
            self._reports[member.pid] = reports[member.name]
            member.order("stream", True)

    def grown(self, member: Member) -> int:
        """Bytes that a survivor uses more than at first."""
        member.order("collect_garbage")
        return member.memory - self._memory[member.name]

    def sample_memory(self, may_keep: int = 0) -> None:
        """See whether the survivors use more than they may, which is `may_keep` bytes and some."""
        for member in (self.north, self.third):
            grown = self.grown(member)
            self.sums["grown"] = max(grown, self.sums["grown"])
            if grown > may_keep + SPARE:
                self.violation(f"{member.name} grew by {grown >> 20} MiB")

    def totals(self) -> Counter[str]:
        """The sums over all runs, by what the members told at the end of each."""
        sums = Counter(self.sums)
        for report in self._reports.values():
            sums["NodeDowns"] += sum(report["downs"].values())
            sums["dead letters"] += report["dead letters"]
            sums["sent"] += sum(sent for _, _, _, sent, _ in report["out"])
            sums["received"] += report["received"]
            for ask, count in report["asks"].items():
                sums["asks " + ask.split()[1]] += count
            for counter, count in report["counters"].items():
                if not counter.startswith("associations"):
                    sums["counted " + counter] += count
        sums["violations"] = len(self.violations)
        return sums


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Wait until `condition` holds; returns whether it does after `patience` seconds at most."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
