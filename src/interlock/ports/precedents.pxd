cdef class Precedents:
    cpdef bint follow(self, long number, described, bytes payload, Py_ssize_t start, Py_ssize_t end, tuple parameters, tuple formats) except -1
    cpdef ended(self, long long rows, long long changed, long long size_bytes, bytes payload, Py_ssize_t start, Py_ssize_t end)
