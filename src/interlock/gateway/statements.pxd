from interlock.gateway.clock cimport WorkerClock
from interlock.gateway.follower cimport Follower
from interlock.gateway.journal cimport Journal
from interlock.gateway.judging cimport Judge, Judged
from interlock.gateway.recorder cimport Recording
from interlock.ports.precedents cimport Precedents
from interlock.ports.statement cimport Outcome, Statement
cimport cython


cdef long _NONE


cdef class Pending:
    cdef public object number
    cdef public Statement statement
    cdef public object stage
    cdef public double started_s
    cdef public object decision
    cdef public object hold
    cdef public bint proceeded
    cdef public double parked_until


@cython.locals(made=Pending)
cdef Pending _new_pending(number, Statement statement, double started_s)


cdef class Statements(Precedents):
    cdef public object shared
    cdef public str session
    cdef public object rights
    cdef public Recording recording
    cdef object _teller
    cdef Follower _follower
    cdef Journal _journal
    cdef WorkerClock _clock
    cdef dict _pending
    cdef dict _parked
    cdef bint _over
    cdef Judge _judge
    cdef long _followed
    cdef double _followed_s
    cdef public object on_idle

    @cython.locals(pending=Pending, started_s=double)
    cpdef ask(self, number, Statement statement)
    @cython.locals(judged=Judged, known=tuple, now_s=double)
    cpdef bint follow(self, long number, described, bytes payload, Py_ssize_t start, Py_ssize_t end, tuple parameters, tuple formats) except -1
    @cython.locals(number=long, now_s=double)
    cpdef ended(self, long long rows, long long changed, long long size_bytes, bytes payload, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(pending=Pending, now_s=double)
    cpdef finish(self, number, Outcome outcome)
    @cython.locals(judged=Judged, statement=Statement)
    cdef _decide(self, Pending pending, tuple known, double steady_s)
    cdef long _took_us(self, Pending pending) except? -1
    cdef _forget(self, number)
    cdef _finish_followed(self, Outcome outcome)
    cdef _look_idle(self)
