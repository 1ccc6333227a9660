cdef long long _FEWEST_ROWS, _MOST_ROWS


cdef class Tally:
    cdef public str session
    cdef public long long rows
    cdef public object refused
    cdef public object told
    cdef long long _next_rows
    cdef object _next_refused

    cpdef add_rows(self, long long rows)
    cpdef add_refusal(self)
