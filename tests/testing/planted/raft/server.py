"""Raft (Ongaro and Ousterhout, 2014): leader election and a replicated log, as actors.

Each node has one `Server`, which decides alone and never blocks, and for each other node a
`Courier`, its child, which blocks: it connects, asks, waits for the answer and brings it home.
Uses the public API and the simulated disk; what happens is told to a `Witness` of the test.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import Enum
from typing import Any

from actorkit import (
    Actor,
    ActorError,
    ActorRef,
    ActorSystem,
    AskTimeout,
    Inbox,
    Refused,
    Reply,
    message,
)
from actorkit.testing import Disk

from .witness import Witness

#: Seconds between two signs of life of a leader.
HEARTBEAT = 0.5
#: Seconds without one after which a server stands for election: from the least to the most.
ELECTION = (1.5, 3.0)
#: Seconds that a courier waits for an answer.
PATIENCE = 1.0


@message(name="raft.Entry")
class Entry:
    """One place of the log: a command, and the term of the leader that put it there."""

    term: int
    command: Any


@message(name="raft.RequestVote")
class RequestVote:
    term: int
    candidate: str
    last_index: int
    last_term: int


@message(name="raft.Voted")
class Voted:
    term: int
    voter: str
    granted: bool


@message(name="raft.AppendEntries")
class AppendEntries:
    """What follows the entry `before`, whose term is `term_before`; with nothing, a heartbeat."""

    term: int
    leader: str
    before: int
    term_before: int
    entries: list[Entry]
    commit: int


@message(name="raft.Appended")
class Appended:
    """`length`: up to where the follower's log is the leader's, or may be, if not `accepted`."""

    term: int
    follower: str
    accepted: bool
    length: int


@message(name="raft.NotLeader")
class NotLeader(Refused):
    """Ask another one."""


class Role(Enum):
    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Server(Actor):
    """One of the servers. `ask` it ("propose", command): the answer is the command's index.

    `forgets`: the planted mistake.
    """

    def __init__(
        self,
        others: Sequence[str],
        disk: Disk,
        chance: random.Random,
        witness: Witness,
        forgets: bool,
    ) -> None:
        self.me = self.system.name
        self.others = others
        self.disk = disk
        self.chance = chance
        self.witness = witness
        self.forgets = forgets
        # What must outlive a crash.
        self.term: int = disk.get("term", 0)
        self.voted_for: str | None = disk.get("voted_for")
        self.log_entries: list[Entry] = disk.get("log", [])
        # What need not.
        self.role = Role.FOLLOWER
        self.commit = 0
        self.votes: set[str] = set()
        self.next: dict[str, int] = {}
        self.match: dict[str, int] = {}
        self.promised: dict[int, Reply] = {}

    def on_start(self) -> None:
        self.couriers = {
            name: self.spawn(Courier, name, self.ref, name=f"to-{name}") for name in self.others
        }
        self.expect_leader()

    def receive(self, message: Any) -> Any:
        match message:
            case RequestVote() | AppendEntries() | Voted() | Appended():
                if message.term > self.term:
                    self.enter(message.term)
        match message:
            case RequestVote():
                return self.vote(message)
            case AppendEntries():
                return self.append(message)
            case Voted():
                self.count(message)
            case Appended():
                self.follow_up(message)
            case ("propose", command):
                return self.propose(command)
            case "no leader":
                self.stand()
            case "heartbeat":
                self.send_entries()
        return None

    # -- what is written down ---------------------------------------------------------------------

    def save_vote(self) -> None:
        """Before anyone hears of the term or the vote they must be safe from a power cut."""
        self.disk["term"] = self.term
        self.disk["voted_for"] = self.voted_for
        if not self.forgets:  # the next entry of the log will be synced, and this with it
            self.disk.sync()

    def save_log(self) -> None:
        self.disk["log"] = self.log_entries
        self.disk.sync()
        self.witness.has(self.me, self.log_entries)

    # -- elections --------------------------------------------------------------------------------

    def expect_leader(self) -> None:
        """Stand for election unless a leader, or a better candidate, is heard of in time."""
        self.after(self.chance.uniform(*ELECTION), "no leader", key="election")

    def enter(self, term: int) -> None:
        """A later term than ours: whatever we were, we follow."""
        self.term, self.voted_for = term, None
        self.save_vote()
        self.follow()

    def follow(self) -> None:
        if self.role is Role.LEADER:
            self.expect_leader()
        self.role = Role.FOLLOWER
        self.cancel("heartbeat")
        for reply in self.promised.values():
            reply.set_exception(NotLeader(f"{self.me} leads no more"))
        self.promised.clear()

    def stand(self) -> None:
        """Become a candidate of the next term, with a vote for ourselves."""
        self.role = Role.CANDIDATE
        self.term, self.voted_for = self.term + 1, self.me
        self.save_vote()
        self.votes = {self.me}
        self.expect_leader()
        self.every(HEARTBEAT, "heartbeat", key="heartbeat")
        self.ask_for_votes()

    def ask_for_votes(self) -> None:
        last = len(self.log_entries)
        request = RequestVote(self.term, self.me, last, self.term_at(last))
        for name in self.others:
            if name not in self.votes:
                self.couriers[name].tell(request)

    def vote(self, asked: RequestVote) -> Voted:
        last = len(self.log_entries)
        up_to_date = (asked.last_term, asked.last_index) >= (self.term_at(last), last)
        free = self.voted_for in (None, asked.candidate)
        granted = asked.term == self.term and free and up_to_date
        if granted:
            self.voted_for = asked.candidate
            self.save_vote()
            self.expect_leader()
        return Voted(self.term, self.me, granted)

    def count(self, vote: Voted) -> None:
        if self.role is Role.CANDIDATE and vote.term == self.term and vote.granted:
            self.votes.add(vote.voter)
            if self.is_majority(len(self.votes)):
                self.lead()

    def lead(self) -> None:
        self.role = Role.LEADER
        self.cancel("election")
        self.witness.leads(self.me, self.term, self.log_entries)
        self.next = dict.fromkeys(self.others, len(self.log_entries) + 1)
        self.match = dict.fromkeys(self.others, 0)
        self.send_entries()

    # -- the log ----------------------------------------------------------------------------------

    def propose(self, command: Any) -> None:
        if self.role is not Role.LEADER:
            raise NotLeader(f"{self.me} does not lead")
        self.log_entries.append(Entry(self.term, command))
        self.save_log()
        self.promised[len(self.log_entries)] = self.defer_reply()
        self.send_entries()

    def send_entries(self) -> None:
        """A sign of life for everyone, with what they lack."""
        if self.role is Role.CANDIDATE:
            self.ask_for_votes()
            return
        for name in self.others:
            before = self.next[name] - 1
            self.couriers[name].tell(
                AppendEntries(
                    self.term,
                    self.me,
                    before,
                    self.term_at(before),
                    self.log_entries[before:],
                    self.commit,
                )
            )

    def append(self, sent: AppendEntries) -> Appended:
        if sent.term < self.term:
            return Appended(self.term, self.me, False, 0)
        if self.role is Role.CANDIDATE:
            self.follow()
        self.expect_leader()
        if len(self.log_entries) < sent.before or self.term_at(sent.before) != sent.term_before:
            return Appended(self.term, self.me, False, min(len(self.log_entries), sent.before - 1))
        for index, entry in enumerate(sent.entries, sent.before + 1):
            if len(self.log_entries) >= index and self.term_at(index) != entry.term:
                del self.log_entries[index - 1 :]
            if len(self.log_entries) < index:
                self.log_entries.append(entry)
        length = sent.before + len(sent.entries)
        if sent.entries:
            self.save_log()
        self.commit_up_to(min(sent.commit, length))
        return Appended(self.term, self.me, True, length)

    def follow_up(self, answer: Appended) -> None:
        if self.role is not Role.LEADER or answer.term != self.term:
            return
        name = answer.follower
        if not answer.accepted:
            self.next[name] = max(self.match[name], answer.length) + 1
            return
        self.match[name] = max(self.match[name], answer.length)
        self.next[name] = self.match[name] + 1
        lengths = sorted([len(self.log_entries), *self.match.values()])
        held = lengths[(len(lengths) - 1) // 2]  # by a majority
        if self.term_at(held) == self.term:
            self.commit_up_to(held)

    def commit_up_to(self, index: int) -> None:
        while self.commit < index:
            self.commit += 1
            entry = self.log_entries[self.commit - 1]
            self.witness.applies(self.me, self.commit, entry, self.term)
            reply = self.promised.pop(self.commit, None)
            if reply is not None:
                reply.set(self.commit)

    # -- small things -----------------------------------------------------------------------------

    def term_at(self, index: int) -> int:
        return self.log_entries[index - 1].term if index else 0

    def is_majority(self, number: int) -> bool:
        return number > (len(self.others) + 1) / 2


class Courier(Actor):
    """Brings requests to one other server, and the answers back.

    While it waits for an answer only the last request is kept: it says all that earlier ones did.
    """

    inbox = Inbox(maxsize=1, overflow="drop_old")

    def __init__(self, to: str, home: ActorRef[Server]) -> None:
        self.to = to
        self.home = home
        self.server: ActorRef[Server] | None = None

    def receive(self, request: Any) -> None:
        try:
            if self.server is None:
                self.server = find(self.system, self.to)
            answer = self.server.ask(request, timeout=PATIENCE)
        except AskTimeout:
            pass
        except ActorError:
            self.server = None  # it is gone; there may be another one after a restart
        else:
            self.home.tell(answer)


def find(system: ActorSystem, name: str) -> ActorRef[Server]:
    """The server of a node; raises an ActorError where none is reached."""
    return system.connect(f"sim://{name}", timeout=PATIENCE).lookup("/raft", timeout=PATIENCE)
