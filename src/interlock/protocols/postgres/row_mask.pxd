cimport cython

cdef int _KEPT, _AS_TEXT, _AS_NULL, _ROW


cdef class RowMask:
    cdef bytes _description
    cdef bytes _how
    cdef public bint covers
    cdef bytes _rest

    cpdef check(self, bytes description)
    @cython.locals(whole=bytes, covered=list, at=Py_ssize_t, end=Py_ssize_t, after=Py_ssize_t)
    cpdef bytes take(self, bytes raw)
    @cython.locals(how=bytes, parts=list, size=Py_ssize_t, count=int, at=Py_ssize_t, kept_from=Py_ssize_t, column=int,
                   length=Py_ssize_t, after=Py_ssize_t, part=bytes)
    cdef _cover(self, bytes whole, Py_ssize_t start, Py_ssize_t end, list covered)


@cython.locals(highest=Py_ssize_t)
cdef Py_ssize_t _number_at(bytes raw, Py_ssize_t at) except? -1
