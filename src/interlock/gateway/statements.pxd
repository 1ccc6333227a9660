from interlock.gateway.recorder cimport Recording
from interlock.ports.statement cimport Outcome, Statement
cimport cython


cdef class Pending:
    cdef public object number
    cdef public Statement statement
    cdef public object stage
    cdef public double started
    cdef public object decision
    cdef public object hold
    cdef public bint proceeded
    cdef public double parked_until


cdef class _Judged:
    cdef public object decision
    cdef public bint at_once
    cdef public object yes


cdef class Statements:
    cdef public object shared
    cdef public str session
    cdef public object rights
    cdef public Recording recording
    cdef object _honours
    cdef object _teller
    cdef object _follower
    cdef object _journal
    cdef dict _pending
    cdef dict _parked
    cdef bint _over
    cdef dict _judged
    cdef tuple _judged_from
    cdef public object on_idle

    @cython.locals(pending=Pending)
    cpdef ask(self, number, Statement statement)
    @cython.locals(pending=Pending)
    cpdef finish(self, number, Outcome outcome)
    @cython.locals(judged=_Judged, statement=Statement)
    cdef _decide(self, Pending pending, tuple known)
    @cython.locals(kept=_Judged)
    cdef _Judged _judge(self, Statement statement, tuple known)
    cdef _alarmed(self, decision, Statement statement, snapshot)
    cdef _fit(self, decision, statement)
    cdef _forget(self, number)
