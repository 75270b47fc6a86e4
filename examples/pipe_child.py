"""A multiprocessing child behind an actor: messages over its pipe, and a new one when it dies.

    python examples/pipe_child.py --numbers 10 20 28

`NodePool` does this for whole actors. A pipe is for code that must not see gevent, or for a child
that you have already. After the second number the child is killed in the middle of its work.
"""

from __future__ import annotations

import argparse
import os
import signal
from multiprocessing import get_context
from multiprocessing.connection import Connection

import gevent
from gevent.socket import wait_read

from actorkit import Actor, ActorSystem, Reason


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def child(pipe: Connection) -> None:
    """Plain blocking Python in a process of its own."""
    while True:
        pipe.send(fibonacci(pipe.recv()))


class Child(Actor):
    """Owns a process and its pipe; one number at a time, the others wait in the inbox."""

    def __init__(self) -> None:
        context = get_context("spawn")  # a forked one would inherit the hub and every open socket
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=child, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that the child's end is the pipe's end

    def pid(self) -> int | None:
        return self.process.pid

    def receive(self, number: int) -> int:
        self.pipe.send(number)
        wait_read(self.pipe.fileno())  # only this actor waits
        answer: int = self.pipe.recv()  # EOFError when the child is dead, which is our failure
        return answer

    def on_stop(self, reason: Reason) -> None:
        self.process.kill()
        self.pipe.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[10, 20, 21])
    numbers = parser.parse_args().numbers
    with ActorSystem("pipe") as system:
        ref = system.spawn(Child, name="child")
        for place, number in enumerate(numbers, start=1):
            print(f"fibonacci({number}) = {ref.ask(number, timeout=60)}")
            if place == 2:
                pid = ref.proxy(timeout=60).pid()
                doomed = ref.ask_nowait(90, timeout=60)
                gevent.sleep(0.1)
                os.kill(pid or 0, signal.SIGKILL)
                print("killed the child:", repr(gevent.wait([doomed])[0].exception))


if __name__ == "__main__":
    main()
