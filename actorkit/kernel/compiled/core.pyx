# cython: language_level=3, annotation_typing=False, boundscheck=False, wraparound=False
# cython: embedsignature=True, embedsignature.format=clinic, auto_pickle=False
"""The compiled kernel: the twin of `kernel/pure`, with the same names, in the same order.

Read the pure one first; comments here only say what is different in C. A change to one is made to
the other: `tests/properties/test_kernels.py` drives both with the same programs.

Methods of `Entry`, `Mailbox` and `Switch` that run for each message are `cdef`, with a `def` beside
them where Python calls them: a `cpdef` method would look for an override in each call.
"""

cimport cython
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject, PyObject_Size
from cpython.tuple cimport PyTuple_GET_SIZE

from contextvars import Context
from functools import wraps

from gevent.exceptions import BlockingSwitchOutError
from greenlet import GreenletExit

from ...errors import AskTimeout, NameTaken, SystemStopped
from ...events import ActorStarted, ActorStopped
from ...messages import Call, Reason
from ..asking import ASK_TIMEOUT, check_timeout, refuse_cycle
from ..terms import EMPTY, MAX_PARKED, MAX_SPARE, RUNNING, STOPPED, State

cdef extern from *:
    """
    /* cls.__new__(cls), without a look-up. */
    static PyObject *actorkit_make(PyObject *cls, PyObject *no_args) {
        return ((PyTypeObject *)cls)->tp_new((PyTypeObject *)cls, no_args, NULL);
    }
    """
    object actorkit_make(object cls, object no_args)

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident()

cdef extern from "greenlet/greenlet.h":
    ctypedef class greenlet.greenlet [object PyGreenlet]:
        pass

    void PyGreenlet_Import()
    void** _PyGreenlet_API
    greenlet PyGreenlet_GetCurrent()
    object PyGreenlet_Switch(greenlet target, PyObject* args, PyObject* kwargs)

PyGreenlet_Import()
if _PyGreenlet_API == NULL:
    raise ImportError("greenlet has no C API here")

# Names that are looked up for each message live in C variables.
cdef object _EMPTY = EMPTY
cdef object _RUNNING = RUNNING
cdef object _STOPPED = STOPPED
cdef object _STARTING = State.STARTING
cdef object _State = State
cdef object _NORMAL = Reason.NORMAL
cdef object _Call = Call
cdef object _Context = Context
cdef Py_ssize_t _MAX_PARKED = MAX_PARKED
cdef Py_ssize_t _MAX_SPARE = MAX_SPARE

#: Queues with more places are not kept for others when they are empty.
cdef Py_ssize_t SPARE_PLACES = 1024


def get_ident():
    """The number of the calling thread, even where gevent has patched `threading`."""
    return PyThread_get_thread_ident()


cdef inline object switch_to(greenlet target):
    return PyGreenlet_Switch(target, NULL, NULL)


@cython.final
cdef class Queue:
    """A ring in a Python list, so that the garbage collector sees what waits in it.

    The number of places is a power of two. Of `deque`'s words it has those that the kernel uses.
    """

    cdef list places
    cdef Py_ssize_t first
    cdef Py_ssize_t mask
    cdef readonly Py_ssize_t count

    def __cinit__(self, iterable=()):
        self.places = [None] * 8
        self.mask = 7

    def __init__(self, iterable=()):
        for item in iterable:
            self.put(item)

    cdef inline int put(self, item) except -1:
        if self.count > self.mask:
            self.grow()
        self.places[(self.first + self.count) & self.mask] = item
        self.count += 1
        return 0

    cdef inline object take(self):
        """The first one; there must be one."""
        cdef Py_ssize_t first = self.first
        item = self.places[first]
        self.places[first] = None
        self.first = (first + 1) & self.mask
        self.count -= 1
        return item

    cdef int grow(self) except -1:
        cdef list places = self.places
        places = places[self.first:] + places[:self.first]
        self.places = places + [None] * len(places)
        self.first = 0
        self.mask = 2 * self.mask + 1
        return 0

    cdef int shrink(self) except -1:
        """Give back what a burst has used, once the queue is empty."""
        if self.mask >= SPARE_PLACES:
            self.places = [None] * 8
            self.mask = 7
            self.first = 0
        return 0

    def append(self, item):
        self.put(item)

    def popleft(self):
        if self.count == 0:
            raise IndexError("pop from an empty queue")
        return self.take()

    def extendleft(self, iterable):
        for item in iterable:
            if self.count > self.mask:
                self.grow()
            self.first = (self.first - 1) & self.mask
            self.places[self.first] = item
            self.count += 1

    def __len__(self):
        return self.count

    def __getitem__(self, Py_ssize_t index):
        if not 0 <= index < self.count:
            raise IndexError("queue index out of range")
        return self.places[(self.first + index) & self.mask]


# -- envelopes --------------------------------------------------------------------------------------


cdef class Entry:
    """What the ready queue holds: a cell or a waiter. `_handler` is None unless it is a cell with
    plain mail."""

    cdef public object _handler


cdef class Waiter(Entry):
    """See `pure/envelope.py`."""

    cdef public greenlet greenlet

    def __init__(self):
        self.greenlet = None

    def _step(self, worker):
        """The waiting greenlet, which is to have the thread of control (it may have gone)."""
        return self.take()

    cdef inline greenlet take(self):
        cdef greenlet waiting = self.greenlet
        self.greenlet = None
        return waiting


@cython.final
cdef class Envelope(Waiter):
    """See `pure/envelope.py`."""

    cdef public object message
    cdef public object cell  # a Mailbox, or the reference of an actor on another node
    cdef public Switch dispatcher
    cdef public object gate
    cdef public bint done
    cdef public bint passed
    cdef public object sink
    cdef public object trace
    cdef public dict bucket
    cdef public object value
    cdef public object error
    cdef public double deadline

    def __init__(self, message, cell, Switch dispatcher=None, gate=None):
        self.message = message
        self.cell = cell
        self.dispatcher = dispatcher
        self.gate = gate

    cpdef int deliver(self, Turns worker, handler, instance) except -1:
        """Run the message's turn and answer with what it returns."""
        gate = self.gate
        if gate is not None and not gate():
            return 0
        worker.envelope = self
        message = self.message
        if self.trace is not None:
            value = self.trace.run(handler, instance, message)
        elif type(message) is _Call:
            value = instance._on_call(message)
        else:
            value = handler(instance, message)
        worker.envelope = None
        if not self.passed:
            self.settle(value, None)
        return 0

    def answer(self, value):
        """Settle with a value; False when it was settled before (the answer is dropped)."""
        return self.settle(value, None)

    def fail(self, error):
        """Settle with an error; False when it was settled before."""
        return self.settle(None, error)

    cdef bint settle(self, value, error) except -1:
        cdef dict bucket
        if self.done:
            if self.cell is not None:
                self.cell._host.late_answers += 1
            return False
        self.done = True
        if self.cell is None:
            return True
        self.value = value
        self.error = error
        bucket = self.bucket
        if bucket is not None:
            del bucket[self]
            self.bucket = None
        if self.greenlet is not None:
            self.dispatcher.enqueue(self)
        elif self.sink is not None:
            self.sink.settle(value, error)
        return True

    cpdef int abandon(self) except -1:
        """The asker waits no more; an answer that still comes is dropped."""
        self.done = True
        if self.bucket is not None:
            del self.bucket[self]
            self.bucket = None
        return 0

    def expire(self):
        """The asker's time is over (called by the timeout wheel)."""
        self.settle(
            None, AskTimeout(f"no answer from {self.cell.path} in time; it may be busy or blocked")
        )


# -- the mailbox ------------------------------------------------------------------------------------


cdef class Mailbox(Entry):
    """See `pure/mailbox.py`."""

    cdef object __weakref__
    cdef public Envelope _asking
    cdef public Switch _dispatcher
    cdef public object _first
    cdef public object _given
    cdef public long long _handled
    cdef public object _host
    cdef public bint _idle
    cdef public Queue _inbox
    cdef public object _instance
    cdef public Family _life
    cdef public str _name
    cdef public Mailbox _parent
    cdef public Plan _spec
    cdef PyObject *state  # a `State`: they live as long as their module, nobody need count them
    cdef public Turns _worker
    cdef readonly cython.py_int uid

    def __cinit__(self):
        self.state = <PyObject*>_STARTING

    def __init__(self, host, Switch dispatcher, Mailbox parent, Plan spec, name, uid, given):
        self._host = host
        self._dispatcher = dispatcher
        self._parent = parent
        self._spec = spec
        self._name = name
        self.uid = uid
        self._given = given
        self._first = _EMPTY

    @property
    def _state(self):
        return <object>self.state

    @_state.setter
    def _state(self, value):
        if type(value) is not _State:
            raise TypeError(f"not a state: {value!r}")
        self.state = <PyObject*>value

    def tell(self, message):
        cdef Switch dispatcher = self._dispatcher
        if PyThread_get_thread_ident() != dispatcher.thread:
            dispatcher.check_thread()
        if self._idle:
            self._idle = False
            self._first = message
            dispatcher.enqueue(self)
        elif self._inbox is not None:
            self._inbox.put(message)
        else:
            self.accept(message, True, None)

    def ask(self, message, timeout=ASK_TIMEOUT):
        cdef Switch dispatcher = self._dispatcher
        cdef greenlet me
        cdef Mailbox asker = None
        cdef Envelope envelope
        cdef list fresh
        cdef Py_ssize_t last
        if PyThread_get_thread_ident() != dispatcher.thread:
            dispatcher.check_thread()
        me = PyGreenlet_GetCurrent()
        if isinstance(me, Turns):
            asker = (<Turns>me).cell
            if asker is not None and (self is asker or self._asking is not None):
                refuse_cycle(asker, self)
        envelope = question(message, self, dispatcher)
        if timeout is not None:
            if type(timeout) is not float or not timeout >= 0.0:
                check_timeout(timeout)
            envelope.deadline = <double>dispatcher.clock() + <double>timeout
            dispatcher.fresh.append(envelope)
        if self._idle:
            self._idle = False
            self._first = envelope
            dispatcher.enqueue(self)
        elif self._inbox is not None:
            self._inbox.put(envelope)
        else:
            self.accept(envelope, True, timeout)
        if not envelope.done:
            if asker is not None:
                asker._asking = envelope
            try:
                dispatcher.wait(envelope)
            finally:
                if asker is not None:
                    asker._asking = None
                if not envelope.done:
                    envelope.abandon()
        fresh = dispatcher.fresh
        last = PyList_GET_SIZE(fresh) - 1
        if last >= 0 and fresh[last] is envelope:
            fresh.pop()  # one asker at a time: the envelope is free for the next question
        error = envelope.error
        if error is not None:
            envelope.error = None
            raise error
        return envelope.value

    def _submit(self, message, timeout, sink):
        """Ask without waiting: the answer goes to `sink`."""
        cdef Switch dispatcher = self._dispatcher
        cdef Envelope envelope
        dispatcher.check_thread()
        envelope = question(message, self, dispatcher)
        envelope.sink = sink
        if timeout is not None:
            dispatcher.timeouts.add(envelope, dispatcher.clock() + check_timeout(timeout))
        self.accept(envelope, True, None)
        return envelope

    def _put(self, message, block=True, timeout=None):
        """Queue a message wherever it belongs: the long way of `tell`, for every state.

        Raises Full as the inbox's policy says; never because the actor is dead.
        """
        self.accept(message, block, timeout)

    cdef int accept(self, message, block, timeout) except -1:
        cdef list spare
        if self._idle:
            self._idle = False
            self._first = message
            self._dispatcher.enqueue(self)
        elif self.state is <PyObject*>_STOPPED:
            self._dead_letter(message)
        elif self._life is not None and self._life.box is not None:
            self._life.box.put(self, message, block, timeout)
        else:
            if self._inbox is None:
                spare = self._dispatcher.spare
                self._inbox = spare.pop() if spare else Queue.__new__(Queue)
            self._inbox.put(message)
        return 0

    def _stop_itself(self):
        """The actor's own normal end: after this turn; a `permanent` one comes back."""
        if self._life is None and self.state is <PyObject*>_RUNNING and self._spec.plain_end:
            self.stop_plainly()
        elif self.state is not <PyObject*>_STOPPED:
            self._get_life().end_itself()

    cdef int stop_plainly(self) except -1:
        self._handler = None
        if self._idle:
            self._idle = False
            self._dispatcher.enqueue(self)
        return 0

    def _stop_plainly(self):
        """End after the current message, where nobody needs to be asked or called."""
        self.stop_plainly()

    cdef int end(self, reason, long handled) except -1:
        self.state = <PyObject*>_STOPPED
        self._instance = None
        self._idle = False
        cdef Family life = self._parent._life
        del life.children[self.uid if self._name is None else self._name]
        if self._first is not _EMPTY or self._inbox is not None:
            self._flush()
        host = self._host
        departed = host.departed
        if departed is not None:
            departed[self._spec] += self._handled + handled
        events = host.events
        if events.ends:
            events.publish(ActorStopped(f"{self.path} ended", ref=self._ref, reason=reason))
        if life.when_childless is not None:
            life.child_gone()
        return 0

    def _end(self, reason=_NORMAL, long handled=0):
        """The end of an actor that has no life but its slots.

        `handled`: the messages of the turn that it ends, which it does not count yet.
        """
        self.end(reason, handled)


cdef inline Envelope question(message, Mailbox cell, Switch dispatcher):
    cdef Envelope envelope = Envelope.__new__(Envelope)
    envelope.message = message
    envelope.cell = cell
    envelope.dispatcher = dispatcher
    return envelope


# -- spawn ------------------------------------------------------------------------------------------


@cython.final
cdef class Arguments:
    """See `pure/spawn.py`."""

    cdef tuple args
    cdef dict kwargs


cdef class Family:
    """See `pure/spawn.py`."""

    cdef public object box
    cdef public dict children
    cdef public bint farewell
    cdef public object when_childless


cdef class Plan:
    """See `pure/spawn.py`."""

    cdef public bint begins
    cdef public bint bounded
    cdef public bint ordered_plainly
    cdef public bint plain_end
    cdef public object cls
    cdef public object init
    cdef public object new
    cdef public object receive


def spawn(
    host, Switch dispatcher not None, Mailbox parent not None, Plan spec not None, args, kwargs, name
):
    """Make an actor below `parent`. Its constructor runs here, its `on_start` as its first turn.

    Raises NameTaken, SystemStopped, and whatever the constructor raises.
    """
    return start(host, dispatcher, parent, spec, args, kwargs, name)


cdef Mailbox start(
    host, Switch dispatcher, Mailbox parent, Plan spec, tuple args, dict kwargs, name
):
    cdef Mailbox cell
    cdef Family life = parent._life
    cdef Arguments given
    cdef object uid
    if PyThread_get_thread_ident() != dispatcher.thread:
        dispatcher.check_thread()
    if host.stopping or parent.state is <PyObject*>_STOPPED:
        raise SystemStopped(f"cannot start {spec.cls.__name__}: {host.name!r} is shutting down")
    if life is None:
        life = parent._get_life()
    elif life.farewell:
        raise SystemStopped(f"{parent.path} is ending; start children before on_stop")
    if name is not None and name in life.children:
        raise NameTaken(
            f"{life.children[name].path} is alive; stop it first or choose another name"
        )
    uid = next(dispatcher.uids)
    cell = <Mailbox?>actorkit_make(host.cell_type, ())
    cell._host = host
    cell._dispatcher = dispatcher
    cell._parent = parent
    cell._spec = spec
    cell._name = name
    cell.uid = uid
    if kwargs:
        given = Arguments.__new__(Arguments)
        given.args = args
        given.kwargs = kwargs
        cell._given = given
    else:
        cell._given = args
    cell._first = _EMPTY
    life.children[uid if name is None else name] = cell
    if spec.bounded:
        cell._get_life()
    try:
        make_instance(cell)
    except BaseException:
        cell._discard()
        raise
    events = host.events
    if events.starts:
        events.publish(ActorStarted(cell._ref))
    if spec.begins:
        cell._get_life().begin()
        return cell
    cell.state = <PyObject*>_RUNNING
    if cell._life is not None:
        cell._life.settle()
    else:
        cell._handler = spec.receive
        if cell._inbox is None:
            cell._idle = True
        else:
            cell._first = cell._inbox.take()
            dispatcher.enqueue(cell)
    return cell


def with_short_way(spawn):
    """See `pure/spawn.py`. The short way is that of `spawn(cls, *args)`, where the class is known."""

    @wraps(spawn)
    def spawn_shortly(self, cls, *args, **kwargs):
        cdef Mailbox root
        if not kwargs:
            try:
                spec = cls._specs[cls]
            except (AttributeError, KeyError, TypeError):
                pass
            else:
                root = self._root
                return start(self, root._dispatcher, root, spec, args, None, None)
        return spawn(self, cls, *args, **kwargs)

    return spawn_shortly


cpdef int make_instance(Mailbox cell) except -1:
    """Construct the actor's object; `_cell` is there before `__init__` runs."""
    cdef Plan spec = cell._spec
    cdef tuple args
    cdef dict kwargs = None
    given = cell._given
    if type(given) is Arguments:
        args = (<Arguments>given).args
        kwargs = (<Arguments>given).kwargs
    else:
        args = given
    if spec.new is None:
        instance = actorkit_make(spec.cls, ())
    else:
        instance = spec.new(spec.cls, *args, **(kwargs or {}))
    instance._cell = cell
    cell._instance = instance
    if kwargs is not None:
        spec.init(instance, *args, **kwargs)
    elif PyTuple_GET_SIZE(args) == 0:
        spec.init(instance)
    else:
        spec.init(instance, *args)
    return 0


# -- turns ------------------------------------------------------------------------------------------


cdef class Turns(greenlet):
    """See `pure/turns.py`."""

    cdef public Switch dispatcher
    cdef public Mailbox cell
    cdef public Envelope envelope
    cdef public object guard
    cdef public bint alert
    cdef public object stash_to

    def __init__(self, Switch dispatcher):
        super().__init__(parent=dispatcher.hub)
        self.dispatcher = dispatcher

    def run(self):
        cdef Switch dispatcher = self.dispatcher
        cdef Queue ready = dispatcher.ready
        cdef Queue queue
        cdef list spare = dispatcher.spare
        cdef Entry entry
        cdef Mailbox cell
        cdef greenlet target
        cdef long left = 0
        cdef long taken
        cdef bint active
        context = self.gr_context = _Context()
        while True:
            if left <= 0:
                left = dispatcher.tick(self)
            # What this frame holds would live as long as the worker rests: let go of it early.
            cell = handler = instance = message = None
            if ready.count == 0:
                ready.shrink()
                entry = None
                if not dispatcher.leave_idle(self):
                    return
                continue
            entry = <Entry>ready.take()
            handler = entry._handler
            if handler is None:
                left -= 1
                if isinstance(entry, Waiter):
                    target = (<Waiter>entry).take()
                    entry = None
                    if target is not None:
                        if dispatcher.plain:
                            dispatcher.give(self, target)
                        else:
                            dispatcher.hand_to(self, target)
                        target = None
                else:
                    entry._step(self)
                    entry = None
                if dispatcher.active is not self and not dispatcher.leave_idle(self):
                    return
                continue
            cell = <Mailbox>entry
            entry = None
            self.cell = cell
            instance = cell._instance
            message = cell._first
            cell._first = _EMPTY
            taken = left
            active = True
            try:
                while True:
                    left -= 1
                    if type(message) is Envelope:
                        (<Envelope>message).deliver(self, handler, instance)
                    else:
                        handler(instance, message)
                    if self.alert:
                        self.alert = False
                        self.clean(message)
                        active = dispatcher.active is self
                    if PyObject_Size(context):
                        context = self.gr_context = _Context()
                    handler = cell._handler
                    if handler is None:
                        if cell._life is None:
                            cell.end(_NORMAL, taken - left)
                        else:
                            dispatcher.enqueue(cell)
                        break
                    queue = cell._inbox
                    if queue is None:
                        cell._idle = True
                        break
                    if queue.count == 0:
                        cell._inbox = None
                        if queue.mask < SPARE_PLACES and PyList_GET_SIZE(spare) < _MAX_SPARE:
                            spare.append(queue)
                        cell._idle = True
                        break
                    if left <= 0 or not active:
                        cell._first = queue.take()
                        dispatcher.enqueue(cell)
                        break
                    message = queue.take()
            except BaseException as error:
                self.failed(cell, error)
                cell._life.settle()
            cell._handled += taken - left
            if dispatcher.active is not self:
                cell._worker = None
                cell = handler = instance = message = None
                if not dispatcher.leave_idle(self):
                    return


# -- the switch -------------------------------------------------------------------------------------


cdef class Switch:
    """See `pure/switch.py`."""

    cdef readonly object hub
    cdef public object clock
    cdef public unsigned long thread
    cdef readonly Queue ready
    cdef readonly list spare
    cdef readonly list parked
    cdef public Turns active
    cdef readonly list fresh
    cdef public object uids
    cdef public bint yielding
    cdef bint asleep
    cdef bint plain  # `hand_to` is not overridden

    def __init__(self, hub, clock):
        self.hub = hub
        self.clock = clock
        self.thread = PyThread_get_thread_ident()
        self.ready = Queue.__new__(Queue)
        self.spare = []
        self.parked = []
        self.fresh = []
        self.asleep = True
        self.plain = type(self).hand_to is Switch.hand_to

    cdef inline int enqueue(self, Entry entry) except -1:
        if self.asleep:
            self._wake(entry)
        else:
            self.ready.put(entry)
        return 0

    def schedule(self, Entry entry not None):
        """Put a cell or a waiter at the end of the ready queue."""
        self.enqueue(entry)

    def sleep(self):
        """Nothing is ready and nothing stands on the loop: the next entry wakes the dispatcher."""
        self.asleep = True

    def rouse(self):
        """The pump stands on the loop: entries need only be put into the ready queue."""
        self.asleep = False

    def suspend(self, Waiter waiter not None):
        """Wait here until somebody schedules `waiter`; other actors run meanwhile.

        Raises whatever is thrown into the waiting greenlet (a timeout, a kill).
        """
        self.wait(waiter)

    cdef int wait(self, Waiter waiter) except -1:
        cdef greenlet me = PyGreenlet_GetCurrent()
        cdef Mailbox cell
        if me is self.hub:
            raise BlockingSwitchOutError(
                "a callback of the event loop cannot wait; use ask_nowait or spawn a greenlet"
            )
        waiter.greenlet = me
        try:
            self.leave(me)
        except BaseException:
            waiter.greenlet = None
            raise
        while waiter.greenlet is not None:  # woken by a stray switch
            self.hub.switch()
        if self.active is me:
            cell = (<Turns>me).cell
            if cell is not None:
                cell._worker = None
        return 0

    cdef int leave(self, greenlet me) except -1:
        cdef Turns active = self.active
        cdef Turns worker
        # A new worker is the pump's to start: a greenlet inherits the recursion depth of where it
        # is started, and a chain of them, each started by one that waits, would run out of it.
        if (
            self.parked
            and self.ready.count
            and not self.yielding
            and (active is me or active is None)
        ):
            if active is me:
                active.alert = True
                if active.cell is not None:
                    active.cell._worker = active
            worker = self.parked.pop()
            self.active = worker
            switch_to(worker)
        else:
            if self.fresh:  # perhaps nothing is to run, and no pump to file them
                self._file_timeouts()
            self.hub.switch()
        return 0

    def hand_to(self, Turns worker not None, greenlet target not None):
        """Park the active `worker` and switch straight to `target`."""
        self.give(worker, target)

    cdef int give(self, Turns worker, greenlet target) except -1:
        worker.cell = None
        self.parked.append(worker)
        self.active = <Turns>target if isinstance(target, Turns) else None
        try:
            switch_to(target)
        except BaseException:
            self.retire(worker)
        return 0

    def rest(self, Turns worker not None):
        """A worker that has an actor of its own waits here until control is handed to it."""
        if self.active is worker and self.ready.count and not self.yielding:
            self.leave(worker)
        else:
            self.leave_for_good(worker)
            self.hub.switch()

    def leave_for_good(self, Turns worker not None):
        """The worker takes no more entries; the pump stands, so others will."""
        if self.active is worker:
            self.active = None

    def park(self, Turns worker not None):
        """Wait among the idle workers until made active; False when the worker shall end."""
        return self.leave_idle(worker)

    cdef bint leave_idle(self, Turns worker) except -1:
        worker.cell = None
        if self.active is worker:
            self.active = None
        if PyList_GET_SIZE(self.parked) >= _MAX_PARKED:
            return False
        self.parked.append(worker)
        try:
            self.hub.switch()
        except BaseException:
            self.retire(worker)
        return True

    def retire(self, worker):
        """End an idle worker into which something was thrown: it was nobody's turn."""
        if worker in self.parked:
            self.parked.remove(worker)
        raise GreenletExit
