cdef class _Entry:
    cdef public object owner
    cdef public bytes frame
    cdef public object then


cdef class Journal:
    cdef double _durable_s
    cdef double _stall_s
    cdef object _loop
    cdef list _queue
    cdef list _handed
    cdef public Py_ssize_t _unsettled
    cdef public double _oldest
    cdef object _timer
    cdef object _wake
    cdef public bint _asked
    cdef public bint _stopping
    cdef public str failure
    cdef public object on_failure
    cdef public object folder
    cdef object _lock
    cdef public object _writer
    cdef object _thread

    cpdef append(self, object owner, bytes payload, then=*)
    cpdef _settled(self, group)
