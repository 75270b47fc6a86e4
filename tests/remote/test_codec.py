"""The codec: what it accepts comes back; any bytes at all decode or raise CodecError."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import msgpack
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorkit import CodecError, Reason, Refused, RemoteError, message
from actorkit.messages import Call, names, registry
from actorkit.remote.codec import BIG, MAX_DEPTH, Codec, Ext
from actorkit.remote.wire import Batch, read


def no_ref(value: Any) -> Any:
    raise CodecError("no references here")


codec = Codec(no_ref, no_ref)


@message
class Point:
    x: int
    y: Any = None
    tags: frozenset[str] = frozenset()


@message(name="tests.Overdrawn")
class Overdrawn(Refused):
    """A registered error."""


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary(max_size=100)
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.datetimes(timezones=st.timezones()).map(
        lambda at: at.replace(tzinfo=dt.timezone(at.utcoffset() or dt.timedelta()))
    )
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.sampled_from(Reason)
)
hashables = st.recursive(
    scalars,
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=3)
        | st.builds(Point, st.integers(), inner, st.frozensets(st.text(max_size=3), max_size=2))
        | st.builds(
            Call,
            st.text(max_size=5),
            st.lists(inner, max_size=2).map(tuple),
            st.none() | st.dictionaries(st.text(max_size=3), inner, min_size=1, max_size=2),
        )
    ),
    max_leaves=15,
)


def alike(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b)


@settings(max_examples=250, deadline=None)
@given(values)
def test_whatever_is_accepted_comes_back(value: Any) -> None:
    buffers: list[Any] = []
    assert alike(codec.unpack(codec.pack(value, buffers), buffers), value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_decode_or_raise_codec_error(data: bytes) -> None:
    for decode in (codec.unpack, read):
        with contextlib.suppress(CodecError):
            decode(data)


@settings(max_examples=250, deadline=None)
@given(value=values, data=st.data())
def test_mutated_bytes_decode_or_raise_codec_error(value: Any, data: st.DataObject) -> None:
    packed = bytearray(codec.pack(value))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(packed) - 1))
        packed[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CodecError):
        codec.unpack(bytes(packed))


@pytest.mark.parametrize("size", [0, 10, BIG - 1, BIG, 3 * BIG])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_big_buffers_travel_as_frames_of_their_own(size: int, kind: Any) -> None:
    value = kind(bytes(size))
    buffers: list[Any] = []
    packed = codec.pack({"data": value}, buffers)
    assert len(buffers) == (size >= BIG)
    assert codec.unpack(packed, buffers) == {"data": bytes(size)}
    if buffers:
        with pytest.raises(CodecError, match="buffer"):
            codec.unpack(packed, [])


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(10),
        numpy.zeros((3, 4, 5), dtype="f4"),
        numpy.ones((300, 300)),
        numpy.ones((300, 300))[::2, ::3],
        numpy.array([], dtype="i8"),
        numpy.array(5.0),
        numpy.array(["a", "bc"]),
    ],
)
def test_arrays_come_back_without_a_copy_where_they_are_big(array: Any) -> None:
    buffers: list[Any] = []
    back = codec.unpack(codec.pack([array], buffers), buffers)[0]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert (back == array).all()
    assert len(buffers) == (array.nbytes >= BIG)
    assert codec.unpack(codec.pack(numpy.float64(1.5))) == 1.5


def test_a_message_of_another_version_loses_and_gains_fields() -> None:
    newer = msgpack.ExtType(12, msgpack.packb(["Point", {"x": 1, "colour": "red"}]))
    assert codec.unpack(msgpack.packb(newer)) == Point(1)
    without = msgpack.ExtType(12, msgpack.packb(["Point", {"y": 1}]))
    with pytest.raises(CodecError, match="'x'"):
        codec.unpack(msgpack.packb(without))
    unknown = msgpack.ExtType(12, msgpack.packb(["Nobody", {}]))
    with pytest.raises(CodecError, match="Nobody"):
        codec.unpack(msgpack.packb(unknown))


def test_messages_are_frozen_slotted_and_named_once() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 2  # type: ignore[misc]
    assert not hasattr(point, "__dict__")
    with pytest.raises(ValueError, match="travels as"):

        @message(name="Point")
        class Other:
            z: int

    assert registry["Point"] is Point
    assert names[Point] == "Point"


class Unregistered:
    pass


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def circle() -> Any:
    value: list[Any] = []
    value.append({"again": value})
    return value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (Unregistered(), "the message is a"),
        ({"a": [1, Unregistered()]}, r"the message\['a'\]\[1\]"),
        (Point(1, {"deep": {Unregistered()}}), r"the message\.y\['deep'\]\[0\]"),
        ((1, lambda: 1), r"the message\[1\]"),
        (dt.datetime(2026, 1, 1), "timezone"),
        (deep(MAX_DEPTH + 1), "nested"),
        (circle(), "nested"),
        (numpy.array([object()]), "array of objects"),
        (Call("method", (Unregistered(),), None), "arguments of method"),
    ],
)
def test_what_cannot_travel_is_named_with_its_place_at_the_sender(value: Any, place: str) -> None:
    with pytest.raises(CodecError, match=place):
        codec.pack(value)


def test_deep_values_within_the_limit_come_back() -> None:
    assert codec.unpack(codec.pack(deep(MAX_DEPTH))) == deep(MAX_DEPTH)


@pytest.mark.parametrize(
    "error", [KeyError("k"), ValueError("a", 2), OSError(2, "no file"), Overdrawn("only 5 left")]
)
def test_known_errors_come_back_as_themselves(error: Exception) -> None:
    back = codec.unpack(codec.pack(error))
    assert type(back) is type(error)
    assert back.args == error.args
    assert "raised on another node" in back.__notes__[0]


def test_an_unknown_error_comes_back_as_remote_error_with_its_traceback() -> None:
    class Local(Exception):
        pass

    try:
        raise Local("here")
    except Local as error:
        back = codec.unpack(codec.pack(error))
    assert isinstance(back, RemoteError)
    assert back.type_name.endswith("Local")
    assert str(back).endswith("Local: here")
    assert "raise Local" in back.remote_traceback
    again = codec.unpack(codec.pack(back))
    assert (again.type_name, again.remote_traceback) == (back.type_name, back.remote_traceback)


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "object"])
def test_no_error_that_ends_programs_is_made_from_bytes(name: str) -> None:
    data = msgpack.packb(msgpack.ExtType(14, msgpack.packb([name, [], "text", "trace"])))
    assert isinstance(codec.unpack(data), RemoteError)


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62), st.lists(st.integers(), max_size=5))
def test_a_batch_comes_back(seq: int, ack: int, records: list[int]) -> None:
    records = [number % (1 << 63) for number in records]
    assert read(Batch(seq, ack, records).write()) == Batch(seq, ack, records)


def test_values_of_every_extension_type() -> None:
    for value in (Decimal("1E+5"), uuid.UUID(int=5), 1 << 80, -(1 << 80), "\udc80"):
        assert codec.unpack(codec.pack(value)) == value


def test_msgpacks_own_timestamp_is_a_datetime() -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC)
    assert codec.unpack(msgpack.packb([moment], datetime=True)) == [moment]
    with pytest.raises(CodecError):
        codec.unpack(msgpack.packb(msgpack.Timestamp(2**62)))


def test_an_extension_type_that_is_not_in_a_packed_value_is_refused() -> None:
    body = msgpack.ExtType(Ext.TUPLE, msgpack.packb([1]))
    with pytest.raises(CodecError, match="extension type 2"):
        read(msgpack.packb([3, 1, 0, [16, body]]))
