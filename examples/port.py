"""A port: a program behind an actor. Lines in, lines out, and a new one when the program dies.

    python examples/port.py
    python examples/port.py --command 'bc -q' '2 ^ 100' '6 * 7'

After the second line the program is killed: whoever asks next is answered by its successor.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys

from gevent.event import Event
from gevent.subprocess import PIPE, Popen

from actorkit import Actor, ActorRestarted, ActorSystem, Reason

#: What is run unless you say otherwise: Python that prints the value of each line.
CALCULATOR = [sys.executable, "-uc", "while True: print(eval(input()))"]


class ProgramEnded(Exception):
    """The program behind a port has ended, with this exit status."""


class Port(Actor):
    """Writes each line that it is asked to the program, and answers the next line of its output."""

    def __init__(self, command: list[str]) -> None:
        self.program = Popen(command, stdin=PIPE, stdout=PIPE, text=True, bufsize=1)
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.input, self.output = self.program.stdin, self.program.stdout

    def on_start(self) -> None:
        self.task(self.fail_with_the_program)

    def fail_with_the_program(self) -> None:
        """A task's failure is its actor's: a program that dies while idle is replaced too."""
        raise ProgramEnded(self.program.wait())

    def pid(self) -> int:
        return self.program.pid

    def receive(self, line: str) -> str:
        self.input.write(line + "\n")
        answer = self.output.readline()
        if not answer:
            raise ProgramEnded(self.program.wait())
        return answer.rstrip("\n")

    def on_stop(self, reason: Reason) -> None:
        self.program.kill()
        self.program.wait()
        self.output.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--command", type=shlex.split, default=CALCULATOR, help="the program")
    parser.add_argument("lines", nargs="*", default=["2 ** 100", "6 * 7", "1 + 1"])
    options = parser.parse_args()
    with ActorSystem("port") as system:
        restarted = Event()
        system.events.subscribe(ActorRestarted, lambda event: restarted.set())
        port = system.spawn(Port, options.command, name="port")
        for number, line in enumerate(options.lines, start=1):
            print(line, "=", port.ask(line))
            if number == 2:
                os.kill(port.proxy().pid(), signal.SIGKILL)
                restarted.wait()
                print("the program was killed, and is there again")


if __name__ == "__main__":
    main()
