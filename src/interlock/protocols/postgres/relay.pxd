from interlock.ports.statement cimport Statement, new_statement
from interlock.protocols.postgres.messages cimport BindMessage
from interlock.protocols.postgres.names cimport Portal, Running, new_running
from interlock.protocols.postgres.reading cimport Reading
from interlock.protocols.postgres.replies cimport Awaited, Replies
from interlock.protocols.postgres.sink cimport Sink
cimport cython


cdef class Relay:
    cdef public object outlet
    cdef public object admission
    cdef public Sink sink
    cdef public Replies replies
    cdef public object inbox
    cdef public long batch
    cdef public bint batch_open
    cdef public object batch_executed
    cdef public bint cancelled
    cdef public bint holding
    cdef public object copied
    cdef public object doubt
    cdef public list upstream
    cdef Py_ssize_t _inbox_bytes
    cdef bint _paused
    cdef object _script
    cdef bint _stepping
    cdef object _wait
    cdef bint _unflushed
    cdef bint _read_only
    cdef long _number
    cdef object _asking
    cdef object _verdict
    cdef object _injection

    cpdef put(self, list pieces)
    cpdef take(self)
    cpdef control_flow(self)
    cpdef send(self, bytes raw, Awaited awaited)
    cpdef send_query(self, bytes raw, Running running, bint replayed=*)
    cpdef send_sync(self)
    cdef _close_batch(self)
    cpdef send_bind(self, bytes raw, Portal portal, Running running, fence)
    cpdef bint is_idle(self) except -1
    cpdef bint is_settled(self) except -1
    cpdef bint crosses_transactions(self) except -1
    cpdef ask_text(self, Running running, str shown)
    @cython.locals(bound=BindMessage)
    cpdef ask_portal(self, Running running, Portal portal)
    cdef _ask(self, Running running, Statement statement)
    cpdef expect_verdict(self, Running running)
    cdef note(self, Running running, verdict)
    cpdef long count(self) except -1
    cpdef Running number(self, Reading reading)
    cpdef effect_of(self, Reading reading)
