"""Values to bytes and back: msgpack with extension types for what it lacks.

Pure: no sockets, no actors; how references are written and found is handed in. Nothing that comes
in is imported by name, unpickled or evaluated. docs/wire-protocol.md has the table of types.
"""

from __future__ import annotations

import builtins
import datetime as dt
import traceback
import uuid
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from decimal import Decimal
from enum import IntEnum
from functools import cache
from typing import Any

import msgpack

from .. import errors
from ..errors import CodecError, RemoteError
from ..messages import Call, Reason, names, registry
from ..ref import ActorRef
from .packing import pack

__all__ = ["BIG", "MAX_DEPTH", "Codec", "Ext"]

#: Levels of nesting that a value may have.
MAX_DEPTH = 64
#: Bytes from which a buffer travels as a frame of its own, without a copy.
BIG = 65_536

_MIN_INT, _MAX_INT = -(1 << 63), (1 << 64) - 1


class Ext(IntEnum):
    """The extension types of the wire."""

    REF = 1
    TUPLE = 2
    SET = 3
    FROZENSET = 4
    BIGINT = 5
    DECIMAL = 6
    UUID = 7
    DATETIME = 8
    DATE = 9
    TIME = 10
    TIMEDELTA = 11
    MESSAGE = 12
    CALL = 13
    ERROR = 14
    REASON = 15
    BUFFER = 16
    NDARRAY = 17


class Codec:
    """Packs and unpacks values for one node.

    `write_ref(ref)` gives what stands for a reference on the wire (a list of plain values);
    `read_ref(that)` gives the reference.
    """

    def __init__(
        self, write_ref: Callable[[ActorRef[Any]], list[Any]], read_ref: Callable[[Any], Any]
    ) -> None:
        self._write_ref = write_ref
        self._read_ref = read_ref

    def pack(self, value: Any, buffers: list[Any] | None = None) -> bytes:
        """The bytes of `value`; big buffers are appended to `buffers` instead, if there is a list.

        Raises CodecError that names the place in the value.
        """
        return _Packer(self._write_ref, buffers).pack(value)

    def unpack(self, data: Any, buffers: list[Any] | None = None) -> Any:
        """The value of these bytes. Raises CodecError for any bytes that are none."""
        try:
            return _Unpacker(self._read_ref, buffers or []).unpack(data)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"not a value: {type(error).__name__}: {error}") from error


#: The fields of a class of messages by their names, in their order.
_fields_of: Callable[[Any], dict[str, Field[Any]]] = cache(
    lambda cls: {field.name: field for field in fields(cls)}
)


class _Packer:
    """Turns one value into what msgpack packs as it is."""

    def __init__(self, write_ref: Any, buffers: list[Any] | None) -> None:
        self._write_ref = write_ref
        self._buffers = buffers
        self._depth = 0

    def pack(self, value: Any) -> bytes:
        try:
            return pack(self._plain(value, "the message"))
        except (ValueError, OverflowError, TypeError) as error:
            if isinstance(error, CodecError):
                raise
            raise CodecError(f"cannot be sent: {error}") from error

    def _plain(self, value: Any, place: str) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is float or kind is str:
            return value
        if kind is int:
            if _MIN_INT <= value <= _MAX_INT:
                return value
            return self._ext(Ext.BIGINT, value.to_bytes(value.bit_length() // 8 + 1, signed=True))
        writer = _WRITERS.get(kind)
        if writer is None:
            writer = self._writer(value, place)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CodecError(
                f"{place[:200]} is nested more than {MAX_DEPTH} levels deep, or holds itself"
            )
        written = writer(self, value, place)
        self._depth -= 1
        return written

    def _writer(self, value: Any, place: str) -> Callable[[_Packer, Any, str], Any]:
        kind = type(value)
        if kind in names:
            return _Packer._error if isinstance(value, BaseException) else _Packer._message
        if isinstance(value, BaseException):
            return _Packer._error
        if isinstance(value, ActorRef):
            return _Packer._ref
        if kind.__module__ == "numpy":
            if kind.__name__ == "ndarray":
                return _Packer._ndarray
            if hasattr(value, "dtype"):
                return lambda packer, value, place: packer._plain(value.item(), place)
        raise CodecError(
            f"{place} is a {kind.__module__}.{kind.__qualname__}, which other nodes do not know;"
            " decorate the class with @message, or send plain values"
        )

    def _ext(self, code: Ext, data: bytes) -> msgpack.ExtType:
        return msgpack.ExtType(code, data)

    def _list(self, value: Any, place: str) -> Any:
        return [self._plain(item, f"{place}[{index}]") for index, item in enumerate(value)]

    def _dict(self, value: dict[Any, Any], place: str) -> Any:
        return {
            self._plain(key, f"a key of {place}"): self._plain(item, f"{place}[{key!r}]")
            for key, item in value.items()
        }

    def _tuple(self, value: Any, place: str) -> Any:
        return self._ext(Ext.TUPLE, pack(self._list(value, place)))

    def _set(self, value: Any, place: str) -> Any:
        code = Ext.SET if type(value) is set else Ext.FROZENSET
        return self._ext(code, pack(self._list(value, place)))

    def _bytes(self, value: bytes, place: str) -> Any:
        if self._buffers is None or len(value) < BIG:
            return value
        self._buffers.append(value)
        return self._ext(Ext.BUFFER, pack(len(self._buffers) - 1))

    def _buffer(self, value: Any, place: str) -> Any:
        return self._bytes(bytes(value), place)

    def _datetime(self, value: dt.datetime, place: str) -> Any:
        if value.tzinfo is None:
            raise CodecError(f"{place} is a datetime without a timezone; give it one")
        return self._ext(Ext.DATETIME, value.isoformat().encode())

    def _message(self, value: Any, place: str) -> Any:
        content = {
            name: self._plain(getattr(value, name), f"{place}.{name}")
            for name in _fields_of(type(value))
        }
        return self._ext(Ext.MESSAGE, pack([names[type(value)], content]))

    def _call(self, value: Call, place: str) -> Any:
        content = [
            value.name,
            self._list(value.args, f"{place}, arguments of {value.name}"),
            self._dict(value.kwargs or {}, f"{place}, arguments of {value.name}"),
        ]
        return self._ext(Ext.CALL, pack(content))

    def _error(self, value: BaseException, place: str) -> Any:
        kind = type(value)
        try:
            args = self._list(value.args, place)
        except CodecError:
            args = None
        text = "".join(traceback.format_exception(value))
        if isinstance(value, RemoteError):
            content = [value.type_name, None, value.args[0], value.remote_traceback]
        else:
            content = [names.get(kind, kind.__qualname__), args, str(value), text]
        return self._ext(Ext.ERROR, pack(content))

    def _ref(self, value: ActorRef[Any], place: str) -> Any:
        return self._ext(Ext.REF, pack(self._write_ref(value)))

    def _ndarray(self, value: Any, place: str) -> Any:
        if value.dtype.hasobject:
            raise CodecError(f"{place} is an array of objects; send a list instead")
        if not value.flags.c_contiguous:
            value = value.copy(order="C")
        content = [value.dtype.str, list(value.shape), self._bytes_of_array(value)]
        return self._ext(Ext.NDARRAY, pack(content))

    def _bytes_of_array(self, value: Any) -> Any:
        if self._buffers is None or value.nbytes < BIG:
            return value.tobytes()
        self._buffers.append(value.data.cast("B") if value.size else b"")
        return len(self._buffers) - 1


_WRITERS: dict[type, Callable[[_Packer, Any, str], Any]] = {
    list: _Packer._list,
    dict: _Packer._dict,
    tuple: _Packer._tuple,
    set: _Packer._set,
    frozenset: _Packer._set,
    bytes: _Packer._bytes,
    bytearray: _Packer._buffer,
    memoryview: _Packer._buffer,
    Call: _Packer._call,
    dt.datetime: _Packer._datetime,
    dt.date: lambda packer, value, _: packer._ext(Ext.DATE, value.isoformat().encode()),
    dt.time: lambda packer, value, _: packer._ext(Ext.TIME, value.isoformat().encode()),
    dt.timedelta: lambda packer, value, _: packer._ext(
        Ext.TIMEDELTA, pack([value.days, value.seconds, value.microseconds])
    ),
    Decimal: lambda packer, value, _: packer._ext(Ext.DECIMAL, str(value).encode()),
    uuid.UUID: lambda packer, value, _: packer._ext(Ext.UUID, value.bytes),
    Reason: lambda packer, value, _: packer._ext(Ext.REASON, value.value.encode()),
}


class _Unpacker:
    """Turns the bytes of one value into it."""

    def __init__(self, read_ref: Callable[[Any], Any], buffers: list[Any]) -> None:
        self._read_ref = read_ref
        self._buffers = buffers
        self._depth = 0

    def unpack(self, data: Any) -> Any:
        return msgpack.unpackb(
            data,
            ext_hook=self._ext,
            timestamp=3,  # msgpack's own type: a datetime in UTC
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )

    def _ext(self, code: int, data: bytes) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CodecError(f"nested more than {MAX_DEPTH} levels deep")
        reader = _READERS.get(code)
        if reader is None:
            raise CodecError(f"unknown extension type {code}")
        value = reader(self, data)
        self._depth -= 1
        return value

    def _list(self, data: bytes) -> list[Any]:
        value = self.unpack(data)
        if type(value) is not list:
            raise CodecError("a list was expected")
        return value

    def _parts(self, data: bytes, *kinds: Any) -> list[Any]:
        value = self._list(data)
        if len(value) < len(kinds) or not all(map(isinstance, value, kinds)):
            raise CodecError("not of the shape of its type")
        return value

    def _message(self, data: bytes) -> Any:
        name, content = self._parts(data, str, dict)[:2]
        cls = registry.get(name)
        if cls is None or issubclass(cls, BaseException):
            raise CodecError(f"no class is registered here as the message {name!r}")
        known = _fields_of(cls)
        if content.keys() == known.keys():
            return cls(**content)
        given = {key: value for key, value in content.items() if key in known}
        for key, field in known.items():
            if key not in given and field.default is MISSING and field.default_factory is MISSING:
                raise CodecError(f"the message {name!r} came without {key!r}, which has no default")
        return cls(**given)

    def _call(self, data: bytes) -> Call:
        name, args, kwargs = self._parts(data, str, list, dict)[:3]
        if not all(isinstance(key, str) for key in kwargs):
            raise CodecError("argument names are not text")
        return Call(name, tuple(args), kwargs or None)

    def _error(self, data: bytes) -> BaseException:
        name, args, text, trace = self._parts(data, str, list | None, str, str)[:4]
        cls = registry.get(name) or _KNOWN_ERRORS.get(name)
        error: BaseException | None = None
        if cls is not None and issubclass(cls, Exception) and args is not None:
            try:
                error = cls(*args)
            except Exception:
                error = None
        if error is None:
            return RemoteError(text, name, trace)
        error.add_note(f"raised on another node:\n{trace}")
        return error

    def _bytes_at(self, where: Any) -> Any:
        if isinstance(where, bytes):
            return where
        if not isinstance(where, int) or not 0 <= where < len(self._buffers):
            raise CodecError("a buffer is missing")
        return self._buffers[where]

    def _buffer(self, data: bytes) -> bytes:
        return bytes(self._bytes_at(self.unpack(data)))

    def _ndarray(self, data: bytes) -> Any:
        kind, shape, where = self._parts(data, str, list, bytes | int)[:3]
        try:
            import numpy
        except ImportError:
            raise CodecError("an array came, and numpy is not installed here") from None
        dtype = numpy.dtype(kind)
        if dtype.hasobject:
            raise CodecError("an array of objects is refused")
        return numpy.frombuffer(self._bytes_at(where), dtype=dtype).reshape(shape)


def _utf8(data: bytes) -> str:
    return data.decode("ascii")


_READERS: dict[int, Callable[[_Unpacker, bytes], Any]] = {
    Ext.REF: lambda unpacker, data: unpacker._read_ref(unpacker._list(data)),
    Ext.TUPLE: lambda unpacker, data: tuple(unpacker._list(data)),
    Ext.SET: lambda unpacker, data: set(unpacker._list(data)),
    Ext.FROZENSET: lambda unpacker, data: frozenset(unpacker._list(data)),
    Ext.BIGINT: lambda _, data: int.from_bytes(data, signed=True),
    Ext.DECIMAL: lambda _, data: Decimal(_utf8(data)),
    Ext.UUID: lambda _, data: uuid.UUID(bytes=data),
    Ext.DATETIME: lambda _, data: dt.datetime.fromisoformat(_utf8(data)),
    Ext.DATE: lambda _, data: dt.date.fromisoformat(_utf8(data)),
    Ext.TIME: lambda _, data: dt.time.fromisoformat(_utf8(data)),
    Ext.TIMEDELTA: lambda unpacker, data: dt.timedelta(*unpacker._parts(data, int, int, int)[:3]),
    Ext.MESSAGE: _Unpacker._message,
    Ext.CALL: _Unpacker._call,
    Ext.ERROR: _Unpacker._error,
    Ext.REASON: lambda _, data: Reason(_utf8(data)),
    Ext.BUFFER: _Unpacker._buffer,
    Ext.NDARRAY: _Unpacker._ndarray,
}

#: Errors that come back as themselves without being registered.
_KNOWN_ERRORS: dict[str, type[Any]] = {
    name: value
    for module in (builtins, errors)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Exception)
}
