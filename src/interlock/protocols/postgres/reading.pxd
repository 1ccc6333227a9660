from interlock.protocols.postgres.template cimport find_template
cimport cython


cdef class Reading:
    cdef public object classified
    cdef public bint unsettles
    cdef public bint ends_transaction
    cdef public bint changes
    cdef public bint takes_reserved
    cdef public bint runs_names
    cdef public bint plain
    cdef public bint steady
    cdef object _never
    cdef object _at_commit
    cdef object _now

    cpdef described(self, effect)
    cdef _describe(self, effect)


cdef class Reader:
    cdef dict _reading
    cdef dict _writing
    cdef tuple _parses

    @cython.locals(kept=dict, found=Reading)
    cpdef Reading find_in(self, bytes raw, Py_ssize_t start, Py_ssize_t end, bint read_only)
    cpdef Reading find(self, str text, bint read_only)
