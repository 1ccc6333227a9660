from interlock.ports.precedents cimport Precedents
from interlock.protocols.postgres.framer cimport Framer
from interlock.protocols.postgres.messages cimport BindMessage, count_changed, decode, read_bind
from interlock.protocols.postgres.names cimport Portal, Prepared, Running, new_portal, new_running
from interlock.protocols.postgres.reading cimport Reader, Reading
from interlock.protocols.postgres.relay cimport Relay
from interlock.protocols.postgres.replies cimport Awaited, Replies
from interlock.protocols.postgres.whole cimport is_empty, is_ready, is_string, length_at
cimport cython

cdef int _HEADER_BYTES, _QUERY, _PARSE, _BIND, _PARSED, _BOUND, _ROWS, _NO_ROWS, _ROW, _COMPLETE, _IDLE, _SELECT
cdef int _LONGEST_BYTES, _KEPT_PARSES, _KEPT_PARSE_BYTES
cdef dict _TAILS
cdef tuple _NOTHING


cdef class Lane:
    cdef public bint taken
    cdef public bint asked
    cdef Relay _relay
    cdef Replies _replies
    cdef Reader _reader
    cdef bint _read_only
    cdef object _scripts
    cdef Precedents _precedents
    cdef Framer _client
    cdef Framer _server
    cdef object _statements
    cdef object _portals
    cdef Running _running
    cdef long _number
    cdef Reading _reading
    cdef bytes _payload
    cdef Prepared _prepared
    cdef BindMessage _bound
    cdef Prepared _parsed
    cdef bint _described
    cdef long _batch
    cdef Py_ssize_t _rows
    cdef Py_ssize_t _size_bytes
    cdef dict _parses

    @cython.locals(size=Py_ssize_t, code=int)
    cpdef bint ask(self, bytes payload) except -1
    @cython.locals(relay=Relay, reading=Reading, running=Running, text=str, number=long)
    cdef bint _ask_query(self, bytes payload, Py_ssize_t size) except -1
    @cython.locals(parse_end=Py_ssize_t, raw=bytes, prepared=Prepared, reading=Reading)
    cdef bint _ask_parsed(self, bytes payload, Py_ssize_t size) except -1
    @cython.locals(relay=Relay, size=Py_ssize_t, end=Py_ssize_t, bound=BindMessage, prepared=Prepared, portal=Portal, running=Running, reading=Reading, number=long, waits=bint)
    cdef bint _ask_bound(self, bytes payload, Prepared parsed, Py_ssize_t at) except -1
    @cython.locals(found=Prepared)
    cdef Prepared _find(self, BindMessage bound, Prepared parsed)
    cdef _go_on(self, bytes payload, Prepared parsed, Portal portal, Running running, verdict, Py_ssize_t at, Py_ssize_t end)
    @cython.locals(text=bytes, reading=Reading)
    cdef bint _follow(self, long number, Prepared prepared, BindMessage bound) except -1
    cdef _wait(self, long number, Reading reading, Running running, bytes payload)
    @cython.locals(relay=Relay, reading=Reading, running=Running, payload=bytes)
    cpdef bint decided(self, long number, verdict) except -1
    @cython.locals(relay=Relay)
    cdef _take(self, long number, Reading reading, Running running, bytes payload)
    @cython.locals(at=Py_ssize_t, end=Py_ssize_t, tag_at=Py_ssize_t)
    cpdef bint take_answer(self, bytes payload) except -1
    @cython.locals(described=bint, optional=bint, rows=Py_ssize_t, size=Py_ssize_t, code=int, length=Py_ssize_t, after=Py_ssize_t)
    cdef Py_ssize_t _scan(self, bytes payload, Py_ssize_t at, Py_ssize_t end) except -1
    @cython.locals(replies=Replies, portal=Portal, running=Running, reading=Reading, ends=bint, bound=bint, changed="long long")
    cdef _finish(self, bytes payload, Py_ssize_t tag_at, Py_ssize_t tag_end, int status)
    cdef Running _make_running(self)
    @cython.locals(portal=Portal, prepared=Prepared)
    cdef Portal _make_portal(self, Running running)
    @cython.locals(known=dict, before=Portal)
    cdef _replace_portal(self, Portal portal)
    @cython.locals(running=Running, portal=Portal, parsed=Prepared, replies=Replies, batch=long)
    cpdef unfold(self)
    @cython.locals(running=Running, prepared=Prepared, bound=BindMessage, payload=bytes, end=Py_ssize_t)
    cdef _unfold_asked(self)
