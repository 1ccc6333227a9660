cimport cython


cdef class TlsEngine:
    cdef object _incoming
    cdef object _outgoing
    cdef object _tls
    cdef object _inner
    cdef public bint secured
    cdef public bint closed

    cpdef bytes outgoing(self)
    cpdef bytes encrypt(self, bytes plain)
    cpdef send(self, plain)
    cpdef bytes receive(self, bytes encrypted=*)
    @cython.locals(most=Py_ssize_t, parts=list)
    cdef bytes _read(self)
