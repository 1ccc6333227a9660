from interlock.gateway.clock cimport WorkerClock
from interlock.gateway.tally cimport Tally
from interlock.ports.statement cimport Outcome, Statement
cimport cython


cdef class Recording:
    cdef public str session
    cdef public long written
    cdef public long durable
    cdef public long statements
    cdef public dict index
    cdef public bint complete
    cdef public Tally tally
    cdef object _completed
    cdef object _journal
    cdef WorkerClock _clock
    cdef object _shelf
    cdef str _head
    cdef long _second
    cdef str _second_written
    cdef dict _decided

    @cython.locals(kept=tuple)
    cpdef statement(self, long number, Statement statement, decision, then=*, double steady_s=*)
    cpdef statement_of(self, long number, described, decision, bytes payload, Py_ssize_t start, Py_ssize_t end, tuple parameters, tuple formats, double steady_s)
    cpdef outcome_of(self, long number, long long rows, long long changed, long long size_bytes, bytes payload, Py_ssize_t start, Py_ssize_t end, long took_us, double steady_s)
    cpdef outcome(self, long number, Outcome outcome, long took_us, double steady_s=*)
    @cython.locals(offsets=object)
    cpdef placed(self, long file, offset)
    cdef tuple _write_decided(self, described, decision)
    cdef _write(self, str kind_and_fields, then=*)
    @cython.locals(now_s=double, second=long, micros=long)
    cdef str _at(self, double steady_s)
