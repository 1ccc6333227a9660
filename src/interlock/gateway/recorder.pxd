from interlock.gateway.clock cimport WorkerClock
from interlock.ports.statement cimport Outcome, Statement
cimport cython


cdef class Recording:
    cdef public str session
    cdef public object written
    cdef public object durable
    cdef public object statements
    cdef public dict index
    cdef public bint complete
    cdef public object tally
    cdef object _completed
    cdef object _journal
    cdef WorkerClock _clock
    cdef object _shelf
    cdef str _head
    cdef long _second
    cdef str _second_written
    cdef dict _decided

    @cython.locals(kept=tuple)
    cpdef statement(self, number, Statement statement, decision, then=*)
    cpdef outcome(self, number, Outcome outcome, took_us)
    cdef tuple _write_decided(self, described, decision)
    cdef _write(self, str kind_and_fields, then=*)
    @cython.locals(now_s=double, second=long, micros=long)
    cdef str _now(self)
