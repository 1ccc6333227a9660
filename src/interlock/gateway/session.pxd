from interlock.gateway.connection cimport Connection
from interlock.ports.statement cimport Outcome, Statement
from interlock.gateway.statements cimport Statements
cimport cython


cdef class Session:
    cdef public str id
    cdef public object stage
    cdef object _sides
    cdef public Connection client
    cdef object _shared
    cdef object _adapter
    cdef bint _clear_text
    cdef Connection _upstream
    cdef object _machine
    cdef object _standing
    cdef object _recording
    cdef Statements _statements
    cdef str _described
    cdef object _timers
    cdef object _signals
    cdef Py_ssize_t _said_bytes
    cdef bint _client_finished
    cdef bint _parting
    cdef str _why
    cdef object __weakref__

    cpdef received(self, Connection connection, bytes payload)
    @cython.locals(upstream=Connection)
    cpdef to_upstream(self, payload)
    cpdef to_client(self, payload)
    cpdef ask(self, number, Statement statement)
    cpdef finish(self, number, Outcome outcome)
