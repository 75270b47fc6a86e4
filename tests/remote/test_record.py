"""Records: short forms come back as they were; no record, however wrong, does harm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actorkit import ActorSystem, CodecError, message
from actorkit.messages import Call, names, registry
from actorkit.remote.forms import ShortForms
from actorkit.remote.record import (
    MESSAGE,
    PACKED,
    PLAIN,
    SMALL,
    TUPLE,
    read_traced,
)
from actorkit.remote.service import SERVICES
from actorkit.remote.wire import Batch, Hello
from tests.actors import Collector, settle


@message(name="record.Said")
class Said:
    who: Any
    text: Any = "nothing"


@message(name="record.Doubled")
class Doubled:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("negative")


small = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
short = (
    small
    | st.lists(small, max_size=5)
    | st.lists(small, max_size=5).map(tuple)
    | st.dictionaries(st.text(max_size=5), small, max_size=5)
    | st.builds(Said, small, small)
)


def pair() -> tuple[ShortForms, ShortForms]:
    """Two sides; what the first announces the second learns."""
    there = ShortForms(lambda *schema: None)
    return ShortForms(there.learn), there


@given(short)
def test_what_has_a_short_form_comes_back_as_it_was(value: Any) -> None:
    here, there = pair()
    kind, body = here.of(value)
    assert kind != PACKED
    data = msgpack.packb(body, unicode_errors="surrogatepass")
    back = msgpack.unpackb(data, unicode_errors="surrogatepass")
    if kind == TUPLE:
        back = tuple(back)
    elif kind == MESSAGE:
        assert here.restore(body) == value
        back = there.read(back)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * (SMALL + 1),
        ("x" * (SMALL + 1),),
        {"a": b"x" * (SMALL + 1)},
        {"k" * (SMALL + 1): 1},
        [[1]],
        ((1,),),
        {1: 2},
        {"a": []},
        {1},
        Said("ada", [1]),
        Said("ada", "x" * (SMALL + 1)),
        KeyError("k"),
        object(),
    ],
)
def test_what_is_large_nested_or_of_another_type_has_none(value: Any) -> None:
    assert pair()[0].of(value) == (PACKED, None)


def test_a_class_is_announced_once() -> None:
    announced: list[Any] = []
    forms = ShortForms(lambda *schema: announced.append(schema))
    for number in range(3):
        assert forms.of(Said("ada", number)) == (MESSAGE, (0, "ada", number))
    assert forms.of(Doubled(1)) == (MESSAGE, (1, 1))
    assert announced == [(0, "record.Said", ["who", "text"]), (1, "record.Doubled", ["number"])]


def test_versions_that_differ_understand_each_other() -> None:
    there = ShortForms(lambda *schema: None)
    there.learn(0, "record.Said", ["colour", "who"])
    assert there.read([0, "red", "ada"]) == Said("ada")
    there.learn(1, "record.Said", ["text"])
    with pytest.raises(CodecError, match="who"):
        there.read([1, "hello"])
    there.learn(2, "record.Unknown", ["a"])
    with pytest.raises(CodecError, match=r"record\.Unknown"):
        there.read([2, 1])


@pytest.mark.parametrize(
    "body", [[], [0], [0, 1, 2, 3], [9, 1], ["0", 1], {}, {"0": 1}, 5, None, "x"]
)
def test_a_body_that_is_no_message_is_refused(body: Any) -> None:
    there = ShortForms(lambda *schema: None)
    there.learn(0, "record.Said", ["who", "text"])
    with pytest.raises(CodecError):
        there.read(body)


def test_a_class_may_refuse_what_came() -> None:
    here, there = pair()
    assert there.read(list(here.of(Doubled(2))[1])) == Doubled(2)
    with pytest.raises(CodecError, match="negative"):
        there.read([0, -1])


def test_only_a_message_with_a_making_of_its_own_is_made_by_its_constructor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: Any) -> None:
        raise ValueError("called")

    for cls in (Said, Doubled):
        monkeypatch.setattr(cls, "__init__", refuse)
    here, there = pair()
    said = Said.__new__(Said)
    object.__setattr__(said, "who", "ada")
    object.__setattr__(said, "text", "hello")
    body = list(here.of(said)[1])
    assert there.read(body) == said
    there.learn(1, "record.Doubled", ["number"])
    with pytest.raises(CodecError, match="called"):
        there.read([1, 2])


def test_a_schema_cannot_come_twice() -> None:
    there = ShortForms(lambda *schema: None)
    there.learn(0, "record.Said", ["who", "text"])
    with pytest.raises(CodecError, match="twice"):
        there.learn(0, "record.Said", ["text", "who"])


def test_no_error_class_travels_as_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry, "record.Error", KeyError)
    monkeypatch.setitem(names, KeyError, "record.Error")
    here, there = pair()
    assert here.of(KeyError("k")) == (PACKED, None)
    there.learn(0, "record.Error", ["args"])
    with pytest.raises(CodecError):
        there.read([0, 1])


class Silence:
    """A wire that leads nowhere."""

    host = ""

    def send(self, frames: list[Any]) -> None:
        pass

    def drain(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def network() -> Iterator[Any]:
    with structlog.testing.capture_logs(), ActorSystem("here") as system:
        yield system._get_network()


anything = st.recursive(
    small | st.integers(0, 40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(small, inner, max_size=3),
    max_leaves=8,
)
calls = st.builds(
    lambda name, args: msgpack.ExtType(13, msgpack.packb([name, args, {}])),
    st.sampled_from([*SERVICES, "x"]),
    st.lists(st.integers(-1, 30) | st.text(max_size=3) | st.none() | st.just([]), max_size=4),
).map(msgpack.packb)
heads = st.integers(-40, 200) | small
records = st.lists(st.tuples(heads, anything | calls | st.tuples(st.integers(0, 9), calls)))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(records.map(lambda pairs: [item for pair in pairs for item in pair]), max_size=4))
def test_any_records_are_taken_or_end_the_association_and_harm_nobody(
    network: Any, batches: list[list[Any]]
) -> None:
    system = network.system
    box = system.spawn(Collector)
    network.exports.clear()
    network.exports[1] = box
    peer = network._stand(Silence(), Hello("there", "1", "", "s"), "", "s")
    for seq, batch in enumerate(batches, 1):
        data = msgpack.packb([3, seq, 0, batch], default=list, unicode_errors="surrogatepass")
        if peer.association.alive:
            peer.association.received([data])
    settle()
    if not box.ready():
        assert isinstance(box.ask(None), list)
    peer.association.end("over")
    assert not network.peers
    box.kill()


def test_a_batch_with_big_integers_is_mended_whatever_holds_them(network: Any) -> None:
    sent: list[Any] = []

    class Wire(Silence):
        def send(self, frames: list[Any]) -> None:
            sent.append(frames)

    peer = network._stand(Wire(), Hello("there", "2", "", "s"), "", "s")
    box = network.ref_of(peer.node, 1, "/box")
    values = [1 << 70, (1, 1 << 70), {"a": 1 << 70}, [1 << 70], Said("ada", 1 << 70)]
    for value in values:
        box.tell(value)
    box.ask_nowait(1 << 70)
    peer.reply(5, 1 << 70, None)
    peer.association.flush()
    batch = Batch(*msgpack.unpackb(sent[-1][0], strict_map_key=False)[1:])
    assert all(type(head) is int for head in batch.records[::2])
    kinds = [(head if head >= 0 else -head - 1) & 7 for head in batch.records[::2]]
    assert kinds == [PACKED] * 8
    packed = [body for body in batch.records[1::2] if type(body) is bytes]
    told = [network.codec.unpack(data) for data in packed]
    assert [value for value in told if type(value) is not Call][:5] == values
    peer.association.end("over")


def test_a_traced_record_has_a_map_of_text_a_kind_and_a_body() -> None:
    carrier = {"traceparent": "00-1-2-01"}
    assert read_traced([carrier, PLAIN, "body"]) == (carrier, PLAIN, "body")


@pytest.mark.parametrize(
    "body",
    [None, {}, [], [{}, 0], [{}, "0", 1], [{"a": 1}, 0, 1], [{1: "a"}, 0, 1], [[], 0, 1]],
    ids=repr,
)
def test_a_traced_record_of_another_shape_is_refused(body: Any) -> None:
    with pytest.raises(CodecError):
        read_traced(body)


@pytest.mark.parametrize("uid", [0, -1, 1 << 60, 1 << 63])
def test_a_reference_whose_number_no_head_can_carry_is_refused(network: Any, uid: int) -> None:
    reference = msgpack.ExtType(1, msgpack.packb(["there", "9", "", "/box", uid]))
    with pytest.raises(CodecError, match="reference"):
        network.codec.unpack(msgpack.packb(reference))
