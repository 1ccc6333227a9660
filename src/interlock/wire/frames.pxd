cimport cython

@cython.locals(size=Py_ssize_t)
cpdef bytes frame(payload)
