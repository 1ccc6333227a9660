cimport interlock.gateway.records_in_c as records_in_c
from interlock.gateway.clock cimport WorkerClock
from interlock.gateway.journaling cimport FrameOwner, RecordTaker
from interlock.gateway.tally cimport Tally
from interlock.ports.statement cimport Outcome, Statement
cimport cython
from cpython cimport array as arrays


cdef bytes _NO_PARAMETERS


cdef class Recording(FrameOwner):
    cdef public str session
    cdef public long written
    cdef public long durable
    cdef public long statements
    cdef public dict index
    cdef public bint complete
    cdef public Tally tally
    cdef object _completed
    cdef RecordTaker _journal
    cdef WorkerClock _clock
    cdef object _shelf
    cdef bytes _head
    cdef long _second
    cdef long _micros
    cdef bytes _second_written
    cdef long _file
    cdef arrays.array _places
    cdef dict _decided

    @cython.locals(text=bytes)
    cpdef statement(self, long number, Statement statement, decision, then=*, double steady_s=*)
    @cython.locals(kept=tuple, shown=bytes, record=bytes)
    cpdef statement_of(self, long number, described, decision, bytes text, Py_ssize_t start, Py_ssize_t end, bint is_quoted, tuple parameters, tuple formats, double steady_s, then=*)
    @cython.locals(record=bytes)
    cpdef outcome_of(self, long number, long long rows, long long changed, long long size_bytes, bytes tag, Py_ssize_t start, Py_ssize_t end, bint is_quoted, long took_us, double steady_s, bytes error=*)
    @cython.locals(tag=bytes)
    cpdef outcome(self, long number, Outcome outcome, long took_us, double steady_s=*)
    cpdef placed(self, long file, long offset)
    cdef tuple _write_decided(self, described, decision)
    cdef _write(self, str kind_and_fields, then=*)
    @cython.locals(now_s=double, second=long)
    cdef _tick(self, double steady_s)


cdef bytes _quoted(str text)
cpdef bytes write_parameters(tuple parameters, tuple formats)
