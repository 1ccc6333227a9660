from interlock.protocols.postgres.names cimport Portal, Prepared, Running, new_portal
from interlock.protocols.postgres.reading cimport Reader, Reading
from interlock.protocols.postgres.relay cimport Relay
from interlock.protocols.postgres.replies cimport Replies
cimport cython

cdef int _QUERY, _PARSE, _BIND, _EXECUTE, _DESCRIBE, _CLOSE, _SYNC, _FLUSH, _TERMINATE, _CALL


cdef class Steady:
    cdef Relay _relay
    cdef Replies _replies
    cdef Reader _reader
    cdef object _terminate
    cdef public object scripts
    cdef dict _script_of

    cpdef pump(self)
    @cython.locals(code=int)
    cdef _begin(self, piece)
    cdef bint _at_once(self, int code, bytes raw) except -1
    @cython.locals(relay=Relay, replies=Replies, reading=Reading, running=Running, text=str)
    cdef bint _query_at_once(self, bytes raw) except -1
    @cython.locals(relay=Relay, reading=Reading, prepared=Prepared)
    cdef bint _parse_at_once(self, bytes raw) except -1
    @cython.locals(relay=Relay, portal=Portal, running=Running)
    cdef bint _bind_at_once(self, bytes raw) except -1
    @cython.locals(relay=Relay, portal=Portal)
    cdef bint _execute_at_once(self, bytes raw) except -1
    cdef _describe(self, bytes raw)
    cdef _close(self, bytes raw)
    cdef _copy(self, piece)
