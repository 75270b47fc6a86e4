"""simloom on its own lost-update program; prints schedules for each second of CPU.

In a process of its own: simloom collects garbage around every run, so it pays for what else lives.
"""

from __future__ import annotations

import asyncio
import sys
import time

import simloom


async def lost_update() -> int:
    value = 0

    async def worker() -> None:
        nonlocal value
        for _ in range(3):
            current = value
            await asyncio.sleep(0)
            value = current + 1

    await asyncio.gather(*(worker() for _ in range(3)))
    return value


def main() -> None:
    seeds = int(sys.argv[1])
    began = time.process_time()
    for seed in range(seeds):
        simloom.run(lost_update, seed=seed)
    print(seeds / (time.process_time() - began))


if __name__ == "__main__":
    main()
