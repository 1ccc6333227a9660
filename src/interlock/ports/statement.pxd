cimport cython


cdef class Statement:
    cdef public str text
    cdef public object described
    cdef public tuple parameters
    cdef public tuple formats


@cython.locals(made=Statement)
cpdef Statement new_statement(str text, described, tuple parameters=*, tuple formats=*)


cdef class Outcome:
    cdef public long long rows
    cdef public long long changed
    cdef public long long size_bytes
    cdef public str error
    cdef public str tag


@cython.locals(made=Outcome)
cpdef Outcome new_outcome(long long rows, long long changed, long long size_bytes, str error, str tag)
