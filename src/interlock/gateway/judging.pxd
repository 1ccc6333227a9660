from interlock.ports.statement cimport Statement
cimport cython


cdef class Judged:
    cdef public object decision
    cdef public bint at_once
    cdef public object yes


cdef class Judge:
    cdef object _shared
    cdef str _session
    cdef object _rights
    cdef object _honours
    cdef object _met
    cdef dict _judged
    cdef tuple _judged_from

    @cython.locals(judged=Judged)
    cpdef Judged find_precedent(self, described, tuple known)
    cpdef meet(self, decision)
    @cython.locals(kept=Judged)
    cpdef Judged judge(self, Statement statement, tuple known)
    cdef _alarmed(self, decision, Statement statement, snapshot)
    cdef _fit(self, decision, statement)
