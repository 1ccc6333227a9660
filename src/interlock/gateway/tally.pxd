cdef class Tally:
    cdef public str session
    cdef public object rows
    cdef public object refused
    cdef public object told
    cdef object _next_rows
    cdef object _next_refused

    cpdef add_rows(self, rows)
    cpdef add_refusal(self)
