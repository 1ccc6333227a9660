cimport cython

cdef int _HEADER_BYTES, _UNKNOWN


cdef class Message:
    cdef public int code
    cdef public bytes raw


cdef class Run:
    cdef public int code
    cdef public object raw
    cdef public Py_ssize_t begun
    cdef public bint whole


cdef class Framer:
    cdef list _limits
    cdef bytes _streamed
    cdef str _peer
    cdef bint _rewrap
    cdef bytearray _pending
    cdef int _code
    cdef Py_ssize_t _rest

    cpdef bint is_clear(self) except -1
    @cython.locals(at=Py_ssize_t)
    cpdef list feed(self, bytes chunk)
    @cython.locals(end=Py_ssize_t, run_from=Py_ssize_t, run_begun=Py_ssize_t, run_code=int, code=int, length=Py_ssize_t, after=Py_ssize_t, limit=Py_ssize_t, limits=list, streamed=bytes)
    cdef _scan(self, bytes chunk, Py_ssize_t at, list pieces)
    cdef _close_run(self, bytes chunk, Py_ssize_t start, Py_ssize_t end, int code, Py_ssize_t begun, list pieces)
    @cython.locals(end=Py_ssize_t)
    cdef _cut_run(self, bytes chunk, Py_ssize_t start, Py_ssize_t at, Py_ssize_t after, Py_ssize_t begun, list pieces)
    @cython.locals(take=Py_ssize_t)
    cdef Py_ssize_t _continue_run(self, bytes chunk, list pieces) except -1
    @cython.locals(at=Py_ssize_t, code=int, length=Py_ssize_t, missing=Py_ssize_t, take=Py_ssize_t, pending=bytearray)
    cdef Py_ssize_t _complete_pending(self, bytes chunk, list pieces) except -1
    cdef _open_run(self, bytes body, int code, Py_ssize_t rest, list pieces)
    cdef _check_code(self, int code)


cdef _stretch(bytes chunk, Py_ssize_t start, Py_ssize_t end)
cdef bytes _wrap(int code, bytes body)
