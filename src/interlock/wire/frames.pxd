cimport cython

@cython.locals(size=Py_ssize_t)
cpdef bytes frame(payload)

@cython.locals(length=Py_ssize_t, start=Py_ssize_t, payload=bytes)
cpdef bytes read_payload(content, Py_ssize_t offset)
