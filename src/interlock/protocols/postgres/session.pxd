from interlock.protocols.postgres.framer cimport Framer
from interlock.protocols.postgres.lane cimport Lane
from interlock.protocols.postgres.reading cimport Reader
from interlock.protocols.postgres.relay cimport Relay
from interlock.protocols.postgres.replies cimport Replies
from interlock.protocols.postgres.sink cimport Sink
from interlock.protocols.postgres.steady cimport Steady
cimport cython


cdef class PostgresMachine:
    cdef object _outlet
    cdef Reader _reader
    cdef object _boundary
    cdef object _phase
    cdef Sink _sink
    cdef object _startup
    cdef Framer _client_framer
    cdef Framer _server_framer
    cdef bytearray _early
    cdef object _admission
    cdef object _sign_in
    cdef Relay _relay
    cdef Replies _replies
    cdef Steady _steady
    cdef Lane _lane
    cdef object _reported
    cdef bytes _key
    cdef bint _said_last_words

    @cython.locals(lane=Lane, steady=Steady)
    cpdef client_bytes(self, bytes payload)
    @cython.locals(lane=Lane)
    cpdef upstream_bytes(self, bytes payload)
    @cython.locals(relay=Relay)
    cpdef send_gathered(self)
    cdef _take_from_client(self, bytes payload)
    cdef _take_from_server(self, list pieces)
