# cython: language_level=3, annotation_typing=False, boundscheck=False, wraparound=False
# cython: embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""Batches in Cython: the twin of pure.py, with the same names in the same order.

Read the pure one first; comments here only say what is different in C. Records are written as
msgpack when they are put, and whatever is unusual is left to the pure one: a frame that is not
understood here is read there from its beginning, which says what is wrong with it.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_Next
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_New, PyList_SET_ITEM
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject, PyObject_GetAttr
from cpython.ref cimport Py_INCREF
from cpython.sequence cimport PySequence_Fast_GET_ITEM, PySequence_Fast_GET_SIZE
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from ...errors import CodecError
from ..record import ASK, KIND, MESSAGE, NUMBERS, PACKED, SMALL, TEXTS, TUPLE, as_tuple
from ..wire import MAX_RECORDS, Batch
from ..wire import read as read_anything
from .pure import Outgoing as PureOutgoing

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? -1
    object PyLong_FromLongLong(long long value)
    object PyLong_FromUnsignedLongLong(unsigned long long value)
    object PyUnicode_DecodeUTF8(const char *data, Py_ssize_t size, const char *errors)
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    uint32_t PyUnicode_READ(int kind, void *data, Py_ssize_t index)

cdef extern from *:
    """
    static PyObject *actorkit_make_plain(PyObject *cls, PyObject *no_args) {
        return PyBaseObject_Type.tp_new((PyTypeObject *)cls, no_args, NULL);
    }
    static int actorkit_set_slot(PyObject *slot, PyObject *target, PyObject *value) {
        return Py_TYPE(slot)->tp_descr_set(slot, target, value);
    }
    """
    object actorkit_make_plain(object cls, object no_args)
    int actorkit_set_slot(object slot, object target, object value) except -1

cdef Py_ssize_t _SMALL = SMALL
cdef Py_ssize_t _MAX_ITEMS = 2 * MAX_RECORDS
cdef int _KIND_AND_ASK = KIND | ASK
cdef int _ASK = ASK
cdef int _TUPLE = TUPLE
cdef int _MESSAGE = MESSAGE
#: Types that have a short form.
cdef frozenset _SHORT = NUMBERS | TEXTS | {tuple, dict, list}
cdef long long _MAX_UID = (1 << 58) - 1
cdef object _MAX_UINT64 = (1 << 64) - 1

#: Levels of nesting that are written and read here.
cdef int DEPTH = 32
#: Bytes that a batch begins with.
cdef Py_ssize_t ROOM = 256
#: Keys of maps that are remembered while one frame is read, and bytes that such a key has at most.
cdef enum:
    KEYS = 64
    KEY_SIZE = 32


# -- out --------------------------------------------------------------------------------------------


@cython.final
cdef class Outgoing:
    """See `pure.py`."""

    cdef uint8_t *data
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef Py_ssize_t count
    cdef Py_ssize_t most
    cdef object rest  # a pure one in the place of this, once there is something that it must hold

    def __init__(self, most):
        self.most = most

    def __dealloc__(self):
        PyMem_Free(self.data)

    def __len__(self):
        return self.count if self.rest is None else len(self.rest)

    def tell(self, uid, message, forms):
        cdef Py_ssize_t start
        cdef PyObject *found
        cdef tuple values = None
        cdef bint done
        cdef int overflow = 0
        cdef long long head = PyLong_AsLongLongAndOverflow(uid, &overflow)
        cls = type(message)
        if cls not in _SHORT:
            found = PyDict_GetItem(forms.schemas, cls)
            if found == NULL:
                return self.tell_other(uid, message, forms)
            values = fields_of(message, <tuple>found)  # may run the user's code, which may tell
        if self.rest is not None or overflow or head > _MAX_UID:
            return self.tell_other(uid, message, forms)
        head <<= 4
        start = self.size
        if values is not None:
            self.integer(head | _MESSAGE)
            done = self.smalls(values)
        elif cls is tuple:
            self.integer(head | _TUPLE)
            done = self.smalls(message)
        else:
            self.integer(head)
            if cls is dict:
                done = self.small_dict(<dict>message)
            elif cls is list:
                done = self.smalls(message)
            else:
                done = self.small(message)
        if done:
            return self.added()
        self.size = start
        return None

    cdef tell_other(self, uid, message, forms):
        kind, body = forms.of(message)
        return None if kind == PACKED else self.put(uid << 4 | kind, body)

    def put(self, head, body):
        cdef Py_ssize_t start = self.size
        if self.rest is not None:
            return self.rest.put(head, body)
        if self.put_value(head, 0) and self.put_value(body, 0):
            return self.added()
        self.size = start
        flat = self.flat()
        self.rest = PureOutgoing(self.most)
        self.rest.extend(flat)
        return self.rest.put(head, body)

    def extend(self, flat):
        parts = iter(flat)
        for head, body in zip(parts, parts, strict=True):
            self.put(head, body)

    def take(self):
        cdef Outgoing taken = Outgoing.__new__(Outgoing)
        taken.data, self.data = self.data, NULL
        taken.size, self.size = self.size, 0
        taken.room, self.room = self.room, 0
        taken.count, self.count = self.count, 0
        taken.rest, self.rest = self.rest, None
        taken.most = self.most
        return taken

    def flat(self):
        if self.rest is not None:
            return self.rest.flat()
        return read_anything(self.write(0, 0)).records

    def write(self, seq, ack):
        cdef Outgoing whole
        if self.rest is not None:
            return self.rest.write(seq, ack)
        whole = Outgoing.__new__(Outgoing)
        whole.reserve(self.size + 32)
        whole.byte(0x94)
        whole.byte(3)
        whole.integer(seq)
        whole.integer(ack)
        whole.sized(2 * self.count, 0x90, 15, 0, 0xDC)
        if self.size:
            memcpy(whole.data + whole.size, self.data, self.size)
        return PyBytes_FromStringAndSize(<char *>whole.data, whole.size + self.size)

    cdef inline bint added(self):
        self.count += 1
        return self.count == 1 or self.count >= self.most

    # What follows writes a value and returns True, or returns False: `size` is then to be set back.
    # No object that the garbage collector knows is made meanwhile, so no other code can run.

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t room = self.room
        cdef void *data
        if self.size + more > room:
            room = max(ROOM, 2 * room, self.size + more)
            data = PyMem_Realloc(self.data, room)
            if data == NULL:
                raise MemoryError
            self.data = <uint8_t *>data
            self.room = room
        return 0

    cdef inline int byte(self, uint8_t value) except -1:
        self.reserve(1)
        self.data[self.size] = value
        self.size += 1
        return 0

    cdef inline int number(self, uint8_t mark, uint64_t value, int width) except -1:
        """A mark, and a number of so many bytes after it."""
        cdef uint8_t *at
        self.reserve(9)
        at = self.data + self.size
        at[0] = mark
        self.size += 1 + width
        while width:
            at[width] = value & 0xFF
            value >>= 8
            width -= 1
        return 0

    cdef inline int integer(self, long long value) except -1:
        if value >= 0:
            return self.natural(value)
        if value >= -32:
            return self.byte(<uint8_t>value)
        if value >= -0x80:
            return self.number(0xD0, <uint64_t>value, 1)
        if value >= -0x8000:
            return self.number(0xD1, <uint64_t>value, 2)
        if value >= -0x80000000LL:
            return self.number(0xD2, <uint64_t>value, 4)
        return self.number(0xD3, <uint64_t>value, 8)

    cdef inline int natural(self, uint64_t value) except -1:
        if value < 0x80:
            return self.byte(<uint8_t>value)
        if value <= 0xFF:
            return self.number(0xCC, value, 1)
        if value <= 0xFFFF:
            return self.number(0xCD, value, 2)
        if value <= 0xFFFFFFFFULL:
            return self.number(0xCE, value, 4)
        return self.number(0xCF, value, 8)

    cdef inline int sized(
        self, Py_ssize_t size, uint8_t short, int most, uint8_t one, uint8_t two
    ) except -1:
        """The size of a text or a collection: within the mark, or in one, two or four bytes.

        `one` is 0 where there is no mark for one byte; the mark for four follows that for two.
        """
        if size <= most:
            return self.byte(<uint8_t>(short | size))
        if one and size <= 0xFF:
            return self.number(one, size, 1)
        if size <= 0xFFFF:
            return self.number(two, size, 2)
        return self.number(two + 1, size, 4)

    cdef inline int raw(self, const void *data, Py_ssize_t size) except -1:
        self.reserve(size)
        memcpy(self.data + self.size, data, size)
        self.size += size
        return 0

    cdef bint put_long(self, value) except -1:
        cdef int overflow = 0
        cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow == 0:
            self.integer(number)
            return True
        if overflow < 0 or value > _MAX_UINT64:
            return False
        self.natural(PyLong_AsUnsignedLongLong(value))
        return True

    cdef bint put_float(self, value) except -1:
        cdef double number = PyFloat_AS_DOUBLE(value)
        cdef uint64_t bits
        memcpy(&bits, &number, 8)
        self.number(0xCB, bits, 8)
        return True

    cdef bint put_text(self, value) except -1:
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(value)
        cdef Py_ssize_t size = length
        cdef Py_ssize_t index
        cdef uint32_t point
        cdef uint8_t *at
        cdef void *points = PyUnicode_DATA(value)
        cdef int width = PyUnicode_KIND(value)
        if PyUnicode_IS_COMPACT_ASCII(value):
            if length > 0xFFFFFFFFLL:
                return False
            self.sized(length, 0xA0, 31, 0xD9, 0xDA)
            self.raw(points, length)
            return True
        for index in range(length):
            point = PyUnicode_READ(width, points, index)
            size += (point > 0x7F) + (point > 0x7FF) + (point > 0xFFFF)
        if size > 0xFFFFFFFFLL:
            return False
        self.sized(size, 0xA0, 31, 0xD9, 0xDA)
        self.reserve(size)
        at = self.data + self.size
        for index in range(length):
            point = PyUnicode_READ(width, points, index)
            if point <= 0x7F:
                at[0] = point
                at += 1
                continue
            if point <= 0x7FF:
                at[0] = 0xC0 | point >> 6
                at += 1
            else:
                if point <= 0xFFFF:
                    at[0] = 0xE0 | point >> 12
                    at += 1
                else:
                    at[0] = 0xF0 | point >> 18
                    at[1] = 0x80 | point >> 12 & 0x3F
                    at += 2
                at[0] = 0x80 | point >> 6 & 0x3F
                at += 1
            at[0] = 0x80 | point & 0x3F
            at += 1
        self.size += size
        return True

    cdef bint put_bytes(self, value) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
        if size > 0xFFFFFFFFLL:
            return False
        self.sized(size, 0, -1, 0xC4, 0xC5)
        self.raw(PyBytes_AS_STRING(value), size)
        return True

    cdef inline bint small(self, value) except -1:
        """A number, None, or a text of a modest size."""
        cls = type(value)
        if cls is str:
            return PyUnicode_GET_LENGTH(value) <= _SMALL and self.put_text(value)
        if cls is int:
            return self.put_long(value)
        if cls is float:
            return self.put_float(value)
        if cls is bytes:
            return PyBytes_GET_SIZE(value) <= _SMALL and self.put_bytes(value)
        return self.put_constant(value)

    cdef inline bint put_constant(self, value) except -1:
        if value is None:
            self.byte(0xC0)
        elif value is True:
            self.byte(0xC3)
        elif value is False:
            self.byte(0xC2)
        else:
            return False
        return True

    cdef bint smalls(self, values) except -1:
        """The items of a tuple or a list."""
        cdef Py_ssize_t index
        cdef Py_ssize_t size = PySequence_Fast_GET_SIZE(values)
        self.sized(size, 0x90, 15, 0, 0xDC)
        for index in range(size):
            if not self.small(<object>PySequence_Fast_GET_ITEM(values, index)):
                return False
        return True

    cdef bint small_dict(self, dict values) except -1:
        cdef Py_ssize_t place = 0
        cdef PyObject *key
        cdef PyObject *value
        self.sized(len(values), 0x80, 15, 0, 0xDE)
        while PyDict_Next(values, &place, &key, &value):
            if type(<object>key) is not str or PyUnicode_GET_LENGTH(<object>key) > _SMALL:
                return False
            self.put_text(<object>key)
            if not self.small(<object>value):
                return False
        return True

    cdef bint put_value(self, value, int depth) except -1:
        """Whatever msgpack has by itself."""
        cdef Py_ssize_t place = 0
        cdef PyObject *key
        cdef PyObject *item
        cls = type(value)
        if cls is int:
            return self.put_long(value)
        if cls is str:
            return self.put_text(value)
        if cls is bytes:
            return self.put_bytes(value)
        if cls is float:
            return self.put_float(value)
        if depth > DEPTH:
            return False
        if cls is tuple or cls is list:
            self.sized(len(value), 0x90, 15, 0, 0xDC)
            for each in value:
                if not self.put_value(each, depth + 1):
                    return False
            return True
        if cls is dict:
            self.sized(len(value), 0x80, 15, 0, 0xDE)
            while PyDict_Next(value, &place, &key, &item):
                if type(<object>key) is not str or not self.put_text(<object>key):
                    return False
                if not self.put_value(<object>item, depth + 1):
                    return False
            return True
        return self.put_constant(value)


cdef tuple fields_of(message, tuple schema):
    """The number of the schema, and the message's fields."""
    cdef tuple names = <tuple>schema[1]
    cdef Py_ssize_t index
    cdef Py_ssize_t count = PyTuple_GET_SIZE(names)
    cdef tuple values = PyTuple_New(count + 1)
    number = schema[0]
    Py_INCREF(number)
    PyTuple_SET_ITEM(values, 0, number)
    for index in range(count):
        value = getattr(message, <object>PyTuple_GET_ITEM(names, index))
        Py_INCREF(value)
        PyTuple_SET_ITEM(values, index + 1, value)
    return values


# -- in ---------------------------------------------------------------------------------------------


def read(data):
    """See `wire.read`. The body of a tell of kind 1 is a tuple already."""
    cdef Py_buffer view
    cdef Reader reader
    try:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    except (BufferError, TypeError):
        return read_anything(data)
    try:
        reader = Reader.__new__(Reader)
        reader.at = <const uint8_t *>view.buf
        reader.end = reader.at + view.len
        batch = reader.batch()
    except Exception:
        batch = None
    finally:
        PyBuffer_Release(&view)
    return read_anything(data) if batch is None else batch


class Odd(Exception):
    """What comes next is left to the pure reader."""


cdef struct Key:
    const uint8_t *data
    Py_ssize_t size
    PyObject *text


@cython.final
cdef class Reader:
    """The bytes of one frame that are not read yet."""

    cdef const uint8_t *at
    cdef const uint8_t *end
    cdef list texts  # of `keys`: it holds them
    cdef Key keys[KEYS]

    cdef batch(self):
        """The frame as a Batch, or None; raises anything where it is not understood."""
        cdef Py_ssize_t index, size
        cdef list records
        cdef const uint8_t *start
        cdef Py_ssize_t width = 0
        cdef long long head
        cdef int overflow = 0
        cdef bint tupled = False
        self.need(2)
        if self.at[0] != 0x94 or self.at[1] != 3:
            return None
        self.at += 2
        self.texts = []
        seq = self.take_value(0)
        ack = self.take_value(0)
        if type(seq) is not int or type(ack) is not int:
            return None
        size = self.array_size()
        if size > _MAX_ITEMS:
            return None
        records = PyList_New(size)
        last = None
        for index in range(size):
            if index & 1:
                if tupled and self.at < self.end and is_array(self.at[0]):
                    item = self.take_tuple()
                else:
                    item = self.take_value(0)
            elif width and self.end - self.at >= width and memcmp(self.at, start, width) == 0:
                item = last  # the same head again
                self.at += width
            else:
                start = self.at
                last = item = self.take_value(0)
                width = self.at - start
                tupled = False
                if type(item) is int:
                    head = PyLong_AsLongLongAndOverflow(item, &overflow)
                    tupled = head >= 0 and head & _KIND_AND_ASK == _TUPLE
            Py_INCREF(item)
            PyList_SET_ITEM(records, index, item)
        if self.at != self.end:
            return None
        return Batch(seq, ack, records)

    cdef inline int need(self, Py_ssize_t size) except -1:
        if self.end - self.at < size:
            raise Odd
        return 0

    cdef inline uint64_t take_natural(self, int width) except? 0xFFFFFFFFFFFFFFFF:
        """The number in the next bytes."""
        cdef uint64_t value = 0
        self.need(width)
        while width:
            value = value << 8 | self.at[0]
            self.at += 1
            width -= 1
        return value

    cdef Py_ssize_t array_size(self) except -1:
        cdef uint8_t mark
        cdef Py_ssize_t size
        self.need(1)
        mark = self.at[0]
        self.at += 1
        if mark & 0xF0 == 0x90:
            size = mark & 0x0F
        elif mark == 0xDC:
            size = self.take_natural(2)
        elif mark == 0xDD:
            size = self.take_natural(4)
        else:
            raise Odd
        self.need(size)  # each item has a byte at least
        return size

    cdef tuple take_tuple(self):
        cdef Py_ssize_t index
        cdef Py_ssize_t size = self.array_size()
        cdef tuple items = PyTuple_New(size)
        for index in range(size):
            item = self.take_value(1)
            Py_INCREF(item)
            PyTuple_SET_ITEM(items, index, item)
        return items

    cdef list take_list(self, int depth):
        cdef Py_ssize_t index
        cdef Py_ssize_t size = self.array_size()
        cdef list items = PyList_New(size)
        for index in range(size):
            item = self.take_value(depth + 1)
            Py_INCREF(item)
            PyList_SET_ITEM(items, index, item)
        return items

    cdef dict take_dict(self, Py_ssize_t size, int depth):
        cdef dict items = {}
        while size:
            key = self.take_key(depth)
            items[key] = self.take_value(depth + 1)
            size -= 1
        return items

    cdef take_key(self, int depth):
        """The key of a map: often the same as before."""
        cdef Py_ssize_t size
        cdef Key *known
        self.need(1)
        size = self.at[0] - 0xA0
        if not 0 < size < KEY_SIZE:
            return self.take_value(depth + 1)
        self.at += 1
        self.need(size)
        known = &self.keys[(self.at[0] * 7 + self.at[size - 1] * 3 + size) % KEYS]
        if known.size == size and memcmp(known.data, self.at, size) == 0:
            self.at += size
            return <object>known.text
        text = self.take_text(size)
        self.texts.append(text)
        known.text = <PyObject *>text
        known.data = self.at - size
        known.size = size
        return text

    cdef inline take_text(self, Py_ssize_t size):
        cdef const uint8_t *start = self.at
        cdef uint8_t high = 0
        cdef Py_ssize_t index
        self.need(size)
        self.at += size
        for index in range(size):
            high |= start[index]
        if high < 0x80 and size > 1:
            text = PyUnicode_New(size, 0x7F)
            memcpy(PyUnicode_DATA(text), start, size)
            return text
        return PyUnicode_DecodeUTF8(<const char *>start, size, NULL)

    cdef inline take_bytes(self, Py_ssize_t size):
        self.need(size)
        self.at += size
        return PyBytes_FromStringAndSize(<char *>(self.at - size), size)

    cdef take_value(self, int depth):
        cdef uint8_t mark
        cdef uint64_t bits
        cdef uint32_t half
        cdef double number
        cdef float single
        if depth > DEPTH:
            raise Odd
        self.need(1)
        mark = self.at[0]
        if is_array(mark):
            return self.take_list(depth)
        self.at += 1
        if mark < 0x80:
            return PyLong_FromLongLong(mark)
        if mark < 0x90:
            return self.take_dict(mark & 0x0F, depth)
        if mark < 0xC0:
            return self.take_text(mark & 0x1F)
        if mark >= 0xE0:
            return PyLong_FromLongLong(<int8_t>mark)
        if mark == 0xC0:
            return None
        if mark == 0xC2:
            return False
        if mark == 0xC3:
            return True
        if mark == 0xC4:
            return self.take_bytes(self.take_natural(1))
        if mark == 0xC5:
            return self.take_bytes(self.take_natural(2))
        if mark == 0xC6:
            return self.take_bytes(self.take_natural(4))
        if mark == 0xCA:
            half = self.take_natural(4)
            memcpy(&single, &half, 4)
            return <double>single
        if mark == 0xCB:
            bits = self.take_natural(8)
            memcpy(&number, &bits, 8)
            return number
        if mark == 0xCC:
            return PyLong_FromLongLong(self.take_natural(1))
        if mark == 0xCD:
            return PyLong_FromLongLong(self.take_natural(2))
        if mark == 0xCE:
            return PyLong_FromLongLong(self.take_natural(4))
        if mark == 0xCF:
            return PyLong_FromUnsignedLongLong(self.take_natural(8))
        if mark == 0xD0:
            return PyLong_FromLongLong(<int8_t>self.take_natural(1))
        if mark == 0xD1:
            return PyLong_FromLongLong(<int16_t>self.take_natural(2))
        if mark == 0xD2:
            return PyLong_FromLongLong(<int32_t>self.take_natural(4))
        if mark == 0xD3:
            return PyLong_FromLongLong(<int64_t>self.take_natural(8))
        if mark == 0xD9:
            return self.take_text(self.take_natural(1))
        if mark == 0xDA:
            return self.take_text(self.take_natural(2))
        if mark == 0xDB:
            return self.take_text(self.take_natural(4))
        if mark == 0xDE:
            return self.take_dict(self.take_natural(2), depth)
        if mark == 0xDF:
            return self.take_dict(self.take_natural(4), depth)
        raise Odd  # an extension type, or no mark at all


cdef inline bint is_array(uint8_t mark):
    return mark & 0xF0 == 0x90 or mark == 0xDC or mark == 0xDD


def deliver(peer, list records not None, buffers):
    cdef Py_ssize_t index
    cdef Py_ssize_t size = PyList_GET_SIZE(records)
    cdef dict exports = peer.network.exports
    cdef dict readers = peer.forms.readers
    cdef PyObject *found
    cdef long long code
    cdef int overflow = 0
    cdef int kind = -1
    cdef bint known = False
    if size % 2:
        raise CodecError("a record without a body")
    for index in range(0, size, 2):
        if type(<object>PyList_GET_ITEM(records, index)) is not int:
            raise CodecError("a record without a head")
    read_message = peer.forms.read
    association = peer.association
    last = ref = tell = None
    for index in range(0, size, 2):
        head = <object>PyList_GET_ITEM(records, index)
        body = <object>PyList_GET_ITEM(records, index + 1)
        if not known or head is not last:
            last = head
            ref = None
            code = PyLong_AsLongLongAndOverflow(head, &overflow)
            kind = code & _KIND_AND_ASK
            if kind <= _MESSAGE and code > _ASK and overflow == 0:
                found = PyDict_GetItem(exports, head >> 4)
                if found != NULL:
                    ref = <object>found
                    tell = ref.tell
        known = ref is not None  # what was not there may have come
        if not known:
            if head < 0:
                peer.answered(-head - 1, body, buffers)
            else:
                peer.take_other(head, body, buffers)
            if not association.alive:
                return
            continue
        if kind == _TUPLE:
            if type(body) is not tuple:
                body = as_tuple(body)
        elif kind == _MESSAGE:
            try:
                body = message_of(readers, read_message, body)
            except CodecError as error:
                peer.unreadable(ref, body, 0, error)
                continue
        try:
            tell(body)
        except Exception as error:
            peer.refused(ref, body, error)


cdef message_of(dict readers, read_message, body):
    cdef PyObject *reader
    if type(body) is list and PyList_GET_SIZE(<list>body):
        number = <object>PyList_GET_ITEM(<list>body, 0)
        if type(number) is int:
            reader = PyDict_GetItem(readers, number)
            if reader != NULL and type(<object>reader) is PlainReader:
                if (<PlainReader>reader).size == PyList_GET_SIZE(<list>body):
                    return (<PlainReader>reader).make(<list>body)
    return read_message(body)


@cython.final
cdef class PlainReader:
    """What `plain_reader` makes."""

    cdef object cls
    cdef list slots
    cdef Py_ssize_t size

    cdef make(self, list body):
        cdef Py_ssize_t index
        made = actorkit_make_plain(self.cls, ())
        for index in range(1, self.size):
            actorkit_set_slot(
                <object>PyList_GET_ITEM(self.slots, index - 1),
                made,
                <object>PyList_GET_ITEM(body, index),
            )
        return made

    def __call__(self, list body not None):
        if PyList_GET_SIZE(body) != self.size:
            raise CodecError(
                f"{self.cls.__qualname__} has {self.size - 1} fields, {len(body) - 1} came"
            )
        return self.make(body)


def plain_reader(cls, field_names):
    cdef PlainReader reader = PlainReader.__new__(PlainReader)
    reader.cls = cls
    reader.slots = [vars(cls)[name].__set__.__self__ for name in field_names]
    reader.size = len(field_names) + 1
    return reader
