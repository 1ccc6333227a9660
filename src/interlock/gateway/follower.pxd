from interlock.gateway.clock cimport WorkerClock
cimport cython


cdef class Follower:
    cdef public WorkerClock clock
    cdef public object snapshot
    cdef public object rules
    cdef tuple _pair
    cdef object _control
    cdef object _build
    cdef object _listener
    cdef set _waiting
    cdef double _lease_s
    cdef double _heard_at
    cdef double _connected_at
    cdef double _deadline
    cdef object _wanted
    cdef str _stopped
    cdef object _building
    cdef str _why
    cdef bint _was_fresh
    cdef double _pause_s

    cpdef tuple known(self)
    @cython.locals(pair=tuple)
    cpdef tuple known_at(self, double steady_s)
