cdef class Statement:
    cdef public str text
    cdef public object described
    cdef public tuple parameters
    cdef public tuple formats


cdef class Outcome:
    cdef public object rows
    cdef public object changed
    cdef public object size_bytes
    cdef public str error
    cdef public str tag
