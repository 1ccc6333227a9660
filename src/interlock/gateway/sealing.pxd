cimport interlock.gateway.in_c as in_c
from interlock.wire.frames cimport read_payload
cimport cython

@cython.locals(start=Py_ssize_t, at=Py_ssize_t, number=long)
cpdef long number_of(bytes payload) except? -1
