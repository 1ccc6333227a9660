from interlock.protocols.postgres.framer cimport Message, Run
from interlock.protocols.postgres.names cimport Running
from interlock.protocols.postgres.row_mask cimport RowMask
from interlock.protocols.postgres.sink cimport Sink
cimport cython

cdef int _ERROR, _READY, _COMPLETE, _EMPTY, _SUSPENDED, _COPY_IN, _NOTICE, _NOTIFICATION, _PARAMETER
cdef int _DESCRIPTION, _NOTHING_SHOWN


cdef class Awaited:
    cdef public str kind
    cdef public Running running
    cdef public object statement
    cdef public object portal
    cdef public object injection
    cdef public bint last
    cdef public bytes refusal
    cdef public bint quiet
    cdef public bint replayed


cdef class Replies:
    cdef Sink _sink
    cdef object _finish
    cdef object _settle
    cdef public object expected
    cdef public object statements
    cdef public object portals
    cdef public int status
    cdef public bint in_block
    cdef public bint implicit_block
    cdef public bint skipping
    cdef public bint server_skipping
    cdef public Awaited copying
    cdef public int unsettled
    cdef public int ending_block
    cdef public bint stale_settings
    cdef public bint transaction_over
    cdef public bint fatal
    cdef public bint hides_details
    cdef public dict proceeding

    cpdef expect(self, Awaited awaited)
    cpdef begin(self, Running running)
    cpdef take(self, piece)
    cpdef end(self, Running running, str error=*)
    @cython.locals(running=Running)
    cdef _take_run(self, Run run)
    @cython.locals(covered=bytes)
    cdef _take_masked(self, Run run, Running running, RowMask mask)
    @cython.locals(code=int, head=Awaited, last=bint)
    cdef _take_answer(self, Message message)
    cdef _take_injected(self, Awaited head, Message message, injection)
    @cython.locals(running=Running)
    cdef _complete(self, Awaited head, str tag)
    cdef _follow_block(self, classified, str tag)
    cdef _follow_names(self, Running running, str tag)
    cdef _confirm(self, Awaited head, int code)
    cpdef become_ready(self, int status)
    cpdef forget_portals(self)
    @cython.locals(head=Awaited)
    cdef _take_error(self, Message message)
    @cython.locals(first=Awaited)
    cdef _skip_batch(self)
    cdef _drop(self, Awaited awaited, str error)
