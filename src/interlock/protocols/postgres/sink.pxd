cdef class Sink:
    cdef object _send
    cdef list _gathered
    cdef list _kept
    cdef Py_ssize_t _kept_bytes
    cdef bint _cut
    cdef list _postponed
    cdef public bint overflowed

    cpdef write(self, payload, bint whole=*)
    cpdef pass_on(self, bytes payload)
    cpdef flush(self)
