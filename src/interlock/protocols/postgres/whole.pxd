cimport cython

cdef int _READY


@cython.locals(highest=Py_ssize_t)
cpdef Py_ssize_t length_at(bytes raw, Py_ssize_t at) except -1
cpdef bint is_empty(bytes raw, Py_ssize_t at, Py_ssize_t end, int code) except -1
cpdef bint is_ready(bytes raw, Py_ssize_t at, Py_ssize_t end) except -1
cpdef bint is_string(bytes raw, Py_ssize_t at, Py_ssize_t end) except -1
