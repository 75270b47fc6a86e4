"""Faults that a peer brings: garbage, other versions, silence, floods; north must not mind."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import psutil

from actorkit.remote.link import MAX_UNREAD_BYTES
from actorkit.remote.wire import VERSION
from tests.fuzz import mutate

from .raw import ASK, UID, RawNode, RawServer, last_words, with_version
from .trial import SPARE, Trial, until

__all__ = [
    "deaf",
    "flood",
    "garbage",
    "greedy",
    "silent_connections",
    "unacknowledging",
    "versions",
]

#: TCP connections that say nothing.
SILENT = 1000
#: Bytes of one message to a peer that does not read, and how many of them: far over the window.
SIZE, MANY = 10_000, 30_000


def garbage(trial: Trial) -> None:
    """a peer speaks garbage: TCP bytes, zmq frames, half a handshake, broken batches"""
    random, address = trial.random, trial.north.address
    with ExitStack() as stack:
        for _ in range(5):
            plain = stack.enter_context(dial(address))
            greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + bytes(48)
            half = greeting[: random.randrange(1, len(greeting))]
            with suppress(OSError):  # north may hang up at any byte
                plain.sendall(
                    random.choice([random.randbytes(500), half, mutate(greeting, random)])
                )
        for number in range(5):
            raw = stack.enter_context(RawNode(address, f"raw{number}"))
            for _ in range(3):
                frames = [random.randbytes(random.randrange(40)) for _ in range(3)]
                raw.socket.send_multipart(random.choice([frames, [mutate(raw.hello(), random)]]))
        for number in range(5):
            raw = stack.enter_context(RawNode(address, f"broken{number}"))
            raw.shake_hands()
            sound = raw.batch(ASK, [1, "x"], 1 << UID, "x", -5, None)
            for _ in range(20):
                raw.socket.send(mutate(sound, random))
        trial.meet()


def versions(trial: Trial) -> None:
    """a peer of an older or a newer version of the protocol"""
    for version in (VERSION - 1, VERSION + 1, VERSION + 98):
        with RawNode(trial.north.address, "other") as raw:
            raw.socket.send(with_version(raw.hello(), version))
            reason = last_words(raw)
            if not (str(version) in reason and str(VERSION) in reason):
                trial.violation(f"version {version} was refused with {reason!r}")
        with RawServer() as server:
            answering = threading.Thread(target=server.greet, args=(version,))
            answering.start()
            error, text, seconds = trial.third.order("try_to_connect", server.address, 10)
            answering.join()
            if error != "HandshakeRefused" or str(version) not in text or seconds > 9:
                trial.violation(f"a node of version {version} gave {error} {text!r}")
    trial.meet()


def silent_connections(trial: Trial) -> None:
    """a thousand TCP connections that say nothing"""
    north = psutil.Process(trial.north.pid)
    before = north.num_fds()
    with ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(dial(trial.north.address))
        trial.meet()
        if not until(lambda: north.num_fds() < before + 100):
            trial.violation(f"north keeps {north.num_fds() - before} connections that say nothing")
    trial.meet()


def deaf(trial: Trial) -> None:
    """a peer stops reading, its zmq too"""
    before = trial.downs(trial.north, "deaf")
    with RawNode(trial.north.address, "deaf", reads=False) as raw:
        raw.shake_hands()
        talker = raw.lookup("/talker")
        raw.tell(talker, ("tell", raw.me(), MANY, SIZE))
        if not until(lambda: trial.downs(trial.north, "deaf") > before):
            trial.violation("north did not see that its peer reads no more")
    trial.meet()


def unacknowledging(trial: Trial) -> None:
    """a peer reads and acknowledges nothing"""
    before = trial.downs(trial.north, "mute")
    with RawNode(trial.north.address, "mute") as raw:
        raw.shake_hands()
        talker = raw.lookup("/talker")
        raw.tell(talker, ("tell", raw.me(), MANY, SIZE))
        time.sleep(0.5)
        raw.tell(talker, ("ask", raw.me(), 0.5))
        time.sleep(1.5)
        trial.meet()
    if not until(lambda: trial.downs(trial.north, "mute") > before):
        trial.violation("north did not see that its peer hung up")
    outcome, seconds = trial.north.order("asked")
    if seconds > 3.0:
        trial.violation(f"an ask of half a second ended after {seconds} s: {outcome}")


def greedy(trial: Trial) -> None:
    """a peer asks for a gigabyte and reads no answer"""
    before = trial.downs(trial.north, "greedy")
    with RawNode(trial.north.address, "greedy", reads=False) as raw:
        raw.shake_hands()
        talker = raw.lookup("/talker")
        for _ in range(1000):
            raw.question(talker, ("big", 1 << 20))
        if not until(lambda: trial.downs(trial.north, "greedy") > before):
            trial.violation("north did not see that its peer reads no answers")
        trial.sample_memory(MAX_UNREAD_BYTES)
        trial.meet()
    if not until(lambda: trial.grown(trial.north) < SPARE):
        trial.violation("north keeps the answers of a peer that is gone")


def flood(trial: Trial) -> None:
    """a peer floods while others are served"""
    served = trial.third.report()["received"]
    trial.south.order("flood", 1.5)
    trial.meet()
    if trial.third.report()["received"] <= served:
        trial.violation("third got nothing while south flooded north")


def dial(address: str) -> socket.socket:
    place = urlsplit(address)
    assert place.hostname is not None
    assert place.port is not None
    return socket.create_connection((place.hostname, place.port), timeout=20)
