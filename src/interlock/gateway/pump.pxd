cimport interlock.gateway.records_in_c as records_in_c
cimport interlock.gateway.sockets_in_c as sockets_in_c
cimport cython

cdef int _IN
cdef int _OUT
cdef int _BROKEN
cdef int _MOST
cdef Py_ssize_t _AT_ONCE_BYTES
cdef Py_ssize_t _FLOOD_BYTES
cdef Py_ssize_t _FLOOD_TURNS
cdef int _REST_US


cdef class Receiver:
    cpdef data_received(self, bytes data)


cdef class Watcher:
    cdef bint due
    cdef Watcher next

    cpdef ready(self, int events)
    cpdef turn_over(self)


cdef class Pipe(Watcher):
    cdef public object sock
    cdef Pump _pump
    cdef Receiver _receiver
    cdef int _handle
    cdef int _interest
    cdef bytes _only
    cdef list _pieces
    cdef Py_ssize_t _past
    cdef Py_ssize_t _size
    cdef Py_ssize_t _high
    cdef Py_ssize_t _low
    cdef bint _reading
    cdef bint _finished
    cdef bint _stuck
    cdef bint _pressed
    cdef bint _closing
    cdef bint _ended
    cdef object _why

    cpdef write(self, bytes payload)
    cpdef turn_over(self)
    @cython.locals(only=bytes, sent=Py_ssize_t)
    cpdef flush(self)
    cdef _gather(self)
    cdef _drop_pieces(self)
    @cython.locals(count=Py_ssize_t)
    cdef _take_off(self, Py_ssize_t sent)
    cpdef ready(self, int events)
    @cython.locals(payload=bytes)
    cdef _read(self)
    @cython.locals(reads=bint, wanted=int)
    cdef _attend(self)


cdef class Pump:
    cdef object _loop
    cdef public int handle
    cdef sockets_in_c.Room _room
    cdef list _watchers
    cdef Watcher _first_due
    cdef Watcher _last_due
    cdef list _ended
    cdef int _inner
    cdef bint _attached
    cdef bint _turning
    cdef bint _scheduled
    cdef Py_ssize_t _floods
    cdef public bint asked

    cdef note_read(self, Py_ssize_t size_bytes)
    cpdef bint is_flooded(self) except -1
    cpdef call_after_turn(self, Watcher watcher)
    cdef end_soon(self, Pipe pipe)
    cdef _schedule(self)
    @cython.locals(until=double, left_s=double, timeout_ms=int, inner=bint)
    cpdef bint work(self, timeout_s) except? -1
    @cython.locals(place=int, count=int, handle=int, inner=bint, watcher=Watcher)
    cpdef bint turn(self, int timeout_ms) except? -1
    @cython.locals(watcher=Watcher, pipe=Pipe)
    cpdef settle(self)
