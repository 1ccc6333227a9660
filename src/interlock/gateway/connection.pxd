from interlock.gateway.pump cimport Pipe, Receiver
from interlock.wire.tls cimport TlsEngine
cimport cython


cdef class Connection(Receiver):
    cdef object _owner
    cdef tuple _bounds
    cdef Pipe _pipe
    cdef TlsEngine _tls
    cdef list _waiting
    cdef bint _over
    cdef bint _closing
    cdef bint _finished
    cdef public bint high
    cdef public bint paused
    cdef public str peer
    cdef public bint local

    cpdef data_received(self, bytes data)
    cpdef send(self, payload)
    @cython.locals(tls=TlsEngine, pipe=Pipe, was_secured=bint, plain=bytes, outgoing=bytes)
    cpdef _go_on(self, bytes encrypted)
