"""The two twins of batches do the same: what is written, read, refused and delivered."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actorkit import CodecError, kernel, message
from actorkit.remote.batch import pure
from actorkit.remote.forms import ShortForms
from actorkit.remote.record import PACKED, SMALL
from actorkit.remote.wire import Batch

pytestmark = pytest.mark.skipif(not kernel.BUILT, reason="there is no compiled twin")
if kernel.BUILT:
    from actorkit.remote.batch import compiled


@message(name="batches.Said")
class Said:
    who: Any
    text: Any = "nothing"


@message(name="batches.Bare")
class Bare:
    """Without fields there is no schema."""


numbers = st.integers(-(1 << 63), (1 << 64) - 1) | st.sampled_from(
    [edge + more for edge in (-(1 << 31), -(1 << 15), -128, -32, 0, 128, 1 << 16, 1 << 32)
     for more in (-1, 0, 1)]
)  # fmt: skip
texts = st.text(st.characters(), max_size=5) | st.builds(
    lambda char, size: char * size,
    st.sampled_from("aé€😀\udc80"),
    st.sampled_from([31, 32, 255, 256, SMALL, SMALL + 1, 70_000]),
)
small = st.none() | st.booleans() | numbers | st.floats() | texts | st.binary(max_size=5)
nested = st.recursive(
    small,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(small | st.tuples(small), inner, max_size=3)
    ),
    max_leaves=10,
)
sizes = st.sampled_from([15, 16, 300, 70_000])
kinds = st.sampled_from([list, tuple, lambda items: {str(item): item for item in items}])
messages = (
    small
    | st.lists(small, max_size=4)
    | st.lists(small, max_size=4).map(tuple)
    | st.dictionaries(texts, small, max_size=3)
    | st.builds(lambda kind, size: kind(range(size)), kinds, sizes)
    | st.builds(Said, small, small)
    | st.builds(Said, nested, small)
    | st.just(Bare())
    | nested
    | st.sampled_from([{1}, ValueError("no"), object()])
)
records = st.tuples(st.integers(0, 1 << 30), messages)


def frame(heads_and_bodies: list[Any]) -> bytes:
    return bytes(
        msgpack.packb([3, 1, 0, heads_and_bodies], default=list, unicode_errors="surrogatepass")
    )


def as_lists(value: Any) -> Any:
    """Tuples as lists, and nan as something that equals itself."""
    match value:
        case list() | tuple():
            return [as_lists(item) for item in value]
        case dict():
            return [[as_lists(key), as_lists(item)] for key, item in value.items()]
        case float():
            return "nan" if math.isnan(value) else (value, math.copysign(1, value))
        case _:
            return type(value), value


def written(twin: Any, tells: list[Any], most: int) -> Any:
    announced: list[Any] = []
    forms = ShortForms(lambda *schema: announced.append(schema))
    outgoing = twin.Outgoing(most)
    due = [outgoing.tell(uid, said, forms) for uid, said in tells]
    taken = outgoing.take()
    assert len(outgoing) == 0
    data = taken.write(1 << 40, 5)
    assert len(taken) == len(taken.flat()) // 2
    return due, announced, data, as_lists(taken.flat())


@settings(max_examples=200, deadline=None)
@given(st.lists(records, max_size=6), st.integers(1, 5))
def test_what_is_told_is_written_alike(tells: list[Any], most: int) -> None:
    here, there = (written(twin, tells, most) for twin in (pure, compiled))
    assert here == there


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(numbers, nested | st.just(b"x" * (SMALL + 1))), max_size=6))
def test_what_is_put_is_written_alike(pairs: list[Any]) -> None:
    one, other = pure.Outgoing(5), compiled.Outgoing(5)
    for head, body in pairs:
        assert one.put(head, body) == other.put(head, body)
    assert one.write(1, 2) == other.write(1, 2)
    one.extend(list(one.flat()))
    other.extend(list(other.flat()))
    assert one.write(1, 2) == other.write(1, 2)


@pytest.mark.parametrize("value", [1 << 64, -(1 << 63) - 1, [1, 1 << 70], {"a": 1 << 70}])
def test_integers_of_more_than_64_bits_are_found_by_whoever_writes(value: Any) -> None:
    forms = ShortForms(lambda *schema: None)
    for twin in (pure, compiled):
        outgoing: Any = twin.Outgoing(10)
        outgoing.put(16, "before")
        outgoing.put(24, (1, value))
        outgoing.tell(1, "after", forms)
        outgoing.put(16, (1, 2))
        with pytest.raises(OverflowError):
            outgoing.write(1, 0)
        assert as_lists(outgoing.flat()) == as_lists(
            [16, "before", 24, (1, value), 16, "after", 16, (1, 2)]
        )
        assert len(outgoing.take()) == 4
        assert len(outgoing) == 0
        assert outgoing.put(16, "again") is True
        assert as_lists(outgoing.flat()) == as_lists([16, "again"])


def test_a_batch_that_is_taken_while_a_class_is_announced_loses_no_message() -> None:
    for twin in (pure, compiled):
        outgoing: Any = twin.Outgoing(10)
        sent: list[Any] = []

        def announce(*schema: Any) -> None:
            outgoing.put(0, list(schema))  # noqa: B023
            sent.append(outgoing.take())  # noqa: B023

        forms = ShortForms(announce)
        assert outgoing.tell(1, Said("ada"), forms) is True
        assert sent[0].flat()[::2] == [0]
        assert outgoing.flat()[::2] == [18]


def result(decode: Any, data: bytes) -> Any:
    try:
        return decode(data)
    except CodecError as error:
        return str(error)


def alike(data: bytes) -> None:
    one, other = result(pure.read, data), result(compiled.read, data)
    assert type(one) is type(other)
    if isinstance(one, Batch):
        assert as_lists(one) == as_lists(other)
    else:
        assert one == other


heads = st.integers(-40, 200) | st.sampled_from([1 << 62, (1 << 64) - 1, -(1 << 63)]) | small
bodies = nested | st.lists(small, max_size=5) | st.just(msgpack.ExtType(2, b"\x90"))


@settings(max_examples=200, deadline=None)
@given(st.lists(heads | bodies, max_size=8))
def test_frames_are_read_alike(items: list[Any]) -> None:
    alike(frame(items))


@settings(max_examples=250, deadline=None)
@given(items=st.lists(heads | bodies, max_size=8), data=st.data())
def test_mutated_frames_are_read_or_refused_alike(items: list[Any], data: st.DataObject) -> None:
    mutated = bytearray(frame(items))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(mutated) - 1))
        if data.draw(st.booleans()):
            mutated[position] = data.draw(st.integers(0, 255))
        elif len(mutated) > 1:
            del mutated[position]
    alike(bytes(mutated))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x94",
        b"\x94\x03\x01\x00",
        b"\x94\x03\x01\x00\xdd\xff\xff\xff\xff",
        b"\x94\x03\x01\x00\x92\x10\xdf\xff\xff\xff\xff",
        b"\x94\x03\x01\x00\x92\x10\xc6\xff\xff\xff\xff",
        b"\x94\x03\x01\x00\x92\x10" + b"\x91" * 2000 + b"\xc0",
        b"\x94\x03\x01\x00\x92\x10" + b"\x91" * 150 + b"\xc0",
        b"\x94\x03\x01\x00\x92\x10\xa1\xff",
        b"\x94\x03\x01\x00\x92\x10\xa3\xed\xb2\x80",
        b"\x94\x03\x01\x00\x92\x10\x81\x90\x01",
        b"\x94\x03\x01\x00\x90\xc0",
        b"\x94\x03\xc3\x00\x90",
        b"\x95\x03\x01\x00\x90\xc0",
        b"\x93\x03\x01\x00",
        b"\x94\x03\x01\x00\xdd\x00\x02\x00\x02" + b"\x10" * 0x20002,
    ],
    ids=lambda data: data[:12].hex(),
)
def test_frames_that_break_a_rule_or_a_limit_are_refused_alike(data: bytes) -> None:
    alike(data)


class Target:
    """An actor's reference that takes what it likes."""

    def __init__(self, said: list[Any]) -> None:
        self.said = said

    def tell(self, body: Any) -> None:
        if body == "full":
            raise ValueError("full")
        self.said.append(("told", type(body), as_lists(body)))


class Deliveries:
    """A peer that notes what it is called with, on one of the twins."""

    def __init__(self, twin: Any) -> None:
        self.said: list[Any] = []
        self.network = SimpleNamespace(exports={1: Target(self.said)})
        self.association = SimpleNamespace(alive=True)
        self.forms = ShortForms(lambda *schema: None)
        self.forms.readers[0] = twin.plain_reader(Said, ["who", "text"])
        self.forms.learn(1, "batches.Said", ["colour", "who"])
        self.forms.learn(2, "batches.Unknown", ["x"])

    def answered(self, code: int, body: Any, buffers: Any) -> None:
        self.said.append(("answered", code, as_lists(body)))
        self.association.alive = body != "end"

    def take_other(self, head: int, body: Any, buffers: Any) -> None:
        self.said.append(("other", head, as_lists(body)))
        self.network.exports[2] = Target(self.said)
        self.association.alive = body != "end"

    def unreadable(self, ref: Any, body: Any, number: int, error: CodecError) -> None:
        self.said.append(("unreadable", as_lists(body), str(error)))

    def refused(self, ref: Any, body: Any, error: Exception) -> None:
        self.said.append(("refused", as_lists(body), repr(error)))


def deliveries(twin: Any, data: bytes) -> list[Any]:
    peer: Any = Deliveries(twin)
    try:
        twin.deliver(peer, twin.read(data).records, [])
    except CodecError as error:
        peer.said.append(str(error))
    for said in peer.said:
        if said[:2] == ("told", Said):
            said[2][1] = [as_lists(said[2][1].who), as_lists(said[2][1].text)]
    return peer.said  # type: ignore[no-any-return]


likely_heads = st.sampled_from([16, 17, 18, 32, 33, 34, 19, 24, 1, -9, 50]) | heads
likely_bodies = (
    small
    | bodies
    | st.sampled_from(["end", "full"])
    | st.lists(small, max_size=4).map(lambda values: [0, *values])
    | st.tuples(st.sampled_from([0, 1, 2, 3, True, 0.0]), small, small).map(list)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(likely_heads, likely_bodies), max_size=8), st.booleans())
@example([(None, None)], False)
@example([(16, 1), (16.0, 2)], False)
def test_what_came_is_delivered_alike(pairs: list[Any], odd: bool) -> None:
    data = frame([item for pair in pairs for item in pair] + [16] * odd)
    assert repr(deliveries(pure, data)) == repr(deliveries(compiled, data))


def test_a_message_made_by_its_slots_is_as_its_constructor_makes_it() -> None:
    for twin in (pure, compiled):
        read = twin.plain_reader(Said, ["who", "text"])
        assert read([0, "ada", [1]]) == Said("ada", [1])
        with pytest.raises(CodecError, match="2 fields, 1 came"):
            read([0, "ada"])


def test_the_codec_packs_what_is_large() -> None:
    forms = ShortForms(lambda *schema: None)
    for value in ("x" * (SMALL + 1), (b"x" * (SMALL + 1),), {1: 2}, [[1]], {"a": ()}):
        assert forms.of(value) == (PACKED, None)
        for twin in (pure, compiled):
            assert twin.Outgoing(5).tell(1, value, forms) is None
