from interlock.gateway.pen cimport Pen
from interlock.wire.frames cimport frame
cimport cython


cdef class _Batch:
    cdef public list owners
    cdef public list frames
    cdef public list thens


cdef class Journal:
    cdef double _durable_s
    cdef double _stall_s
    cdef object _loop
    cdef _Batch _queue
    cdef object _under_way
    cdef public Py_ssize_t _unsettled
    cdef public double _oldest
    cdef object _timer
    cdef public bint _asked
    cdef object _emptied
    cdef long _file
    cdef public str failure
    cdef public object on_failure
    cdef public object folder
    cdef object _lock
    cdef Pen _pen

    cpdef bint is_stalled(self) except -1
    @cython.locals(queue=_Batch, framed=bytes)
    cpdef append(self, object owner, bytes payload, then=*)
    @cython.locals(batch=_Batch)
    cpdef _hand_over(self)
    @cython.locals(framed=bytes)
    cpdef _settled(self, _Batch batch, long file, long offset, double taken_at)
