"""Count the words of big files on all cores, also when a process dies meanwhile.

    python examples/map_reduce.py --processes 2 --check
    python examples/map_reduce.py --processes 4 --kill book.txt another.txt

Without files it writes a text of its own. Actors in the processes of a pool read and count parts of
the files (map); what they find is added up here (reduce).
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
from gevent.pool import Group

from actorkit import Actor, ActorRef, ActorSystem, NodeLost, NodePool, NodeUnreachable, message

#: Bytes of a file that are counted at a time.
CHUNK = 256 * 1024


@message
class Chunk:
    path: str
    start: int
    end: int


class Mapper(Actor):
    def receive(self, chunk: Chunk) -> dict[str, int]:
        return count(chunk)


def count(chunk: Chunk) -> dict[str, int]:
    with open(chunk.path, "rb") as file:
        file.seek(chunk.start)
        text = file.read(chunk.end - chunk.start).decode(errors="replace")
    return dict(Counter(re.findall(r"\w+", text.lower())))


def chunks_of(path: str) -> Iterator[Chunk]:
    """The parts of a file, each to the end of a line."""
    with open(path, "rb") as file:
        start, size = 0, os.path.getsize(path)
        while start < size:
            file.seek(start + CHUNK)
            file.readline()
            end = min(file.tell(), size)
            yield Chunk(path, start, end)
            start = end


def feed(system: ActorSystem, pool: NodePool, todo: deque[Chunk], total: Counter[str]) -> None:
    """Have a mapper count one chunk after the other, and another one when its process dies."""
    mapper: ActorRef[Any] | None = None
    while todo:
        chunk = todo.popleft()
        try:
            mapper = mapper or system.spawn(Mapper, on=pool)
            total.update(mapper.ask(chunk, timeout=None))
        except (NodeLost, NodeUnreachable):
            todo.append(chunk)
            mapper = None


def kill_one(pool: NodePool, todo: deque[Chunk]) -> None:
    """Kill a process when half of the work is done."""
    half = len(todo) / 2
    while len(todo) > half:
        gevent.sleep(0.001)
    os.kill(pool.pids[0], signal.SIGKILL)
    print("one process killed")


def write_text(path: str, megabytes: int) -> None:
    dice = random.Random(1)
    words = ["".join(dice.choices("aeioubcdlmnrst", k=dice.randint(2, 9))) for _ in range(5_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    lines = (" ".join(dice.choices(words, weights, k=12)) + "\n" for _ in range(15_000))
    megabyte = "".join(lines)[: 1 << 20]
    with open(path, "w") as file:
        for _ in range(megabytes):
            file.write(megabyte + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", help="texts to count; else one is made")
    parser.add_argument("--megabytes", type=int, default=32, help="of the text that is made")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--check", action="store_true", help="compare with one process")
    parser.add_argument("--kill", action="store_true", help="kill a process half-way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(name).resolve()) for name in options.files]
        if not files:
            files = [os.path.join(folder, "text")]
            write_text(files[0], options.megabytes)
        chunks = [chunk for path in files for chunk in chunks_of(path)]

        with NodePool(options.processes) as pool, ActorSystem("map-reduce") as system:
            todo, total = deque(chunks), Counter[str]()
            started = time.perf_counter()
            tasks = Group()
            for _ in range(2 * pool.processes):  # two for each, so that none waits for work
                tasks.spawn(feed, system, pool, todo, total)
            if options.kill:
                tasks.spawn(kill_one, pool, todo)
            tasks.join(raise_error=True)
            spread = time.perf_counter() - started

        print(f"{total.total()} words, {len(total)} different ones, in {len(chunks)} chunks")
        print("most frequent:", *(f"{word} ({times})" for word, times in total.most_common(5)))
        print(f"{options.processes} processes {spread:6.2f} s")
        if options.check:
            serial = Counter[str]()
            started = time.perf_counter()
            for chunk in chunks:
                serial.update(count(chunk))
            alone = time.perf_counter() - started
            print(f"one process {alone:6.2f} s  ({alone / spread:.1f} x)")
            assert total == serial, "the counts differ"
            print("the counts are the same")


if __name__ == "__main__":
    main()
