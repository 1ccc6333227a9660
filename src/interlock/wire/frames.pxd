cimport interlock.wire.frames_in_c as frames_in_c
cimport cython

cpdef bytes frame(bytes payload)

@cython.locals(size=Py_ssize_t)
cpdef add_frame(bytearray out, bytes payload)

@cython.locals(high=Py_ssize_t, length=Py_ssize_t)
cpdef Py_ssize_t after_frame(bytearray content, Py_ssize_t offset) except -1

@cython.locals(length=Py_ssize_t, start=Py_ssize_t, payload=bytes)
cpdef bytes read_payload(content, Py_ssize_t offset)
