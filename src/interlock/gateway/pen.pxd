cimport interlock.gateway.in_c as in_c


cdef class Pen:
    cdef object _folder
    cdef object _sync
    cdef bint _in_c
    cdef long _state[10]
    cdef const char *_pointers[64]
    cdef Py_ssize_t _sizes[64]
    cdef long _files[64]
    cdef long _offsets[64]
    cdef double _taken[64]
    cdef list _contents
    cdef long _handed
    cdef long _settled
    cdef list _troubles
    cdef public int told
    cdef object _thread

    cpdef bint has_room(self) except -1
    cpdef hand(self, bytearray content)
    cpdef list hear(self)
    cpdef tuple take_done(self)
