cimport interlock.protocols.postgres.template_in_c as template_in_c
cimport cython

cdef int _NUMBER, _DECIMAL, _STRING, _LONGEST_NUMBER, _QUOTE, _DOUBLE_QUOTE, _AMPERSAND, _DOT, _SPACE
cdef bytes _PLAIN

@cython.locals(at=Py_ssize_t, size=Py_ssize_t, after=Py_ssize_t, previous=int, char=int, kind=int, out=bytes, plain=bytes)
cpdef find_template(bytes text, list places=*, Py_ssize_t start=*, Py_ssize_t end=*)

@cython.locals(following=int)
cdef bint _is_doubtful(bytes text, Py_ssize_t at, Py_ssize_t end, int char, int previous)
cdef bint _is_digit(int char)
cdef bint _continues_word(int char)
cdef Py_ssize_t _end_of_number(bytes text, Py_ssize_t at, Py_ssize_t end)
@cython.locals(at=Py_ssize_t, points=int)
cdef int _kind_of_number(bytes text, Py_ssize_t start, Py_ssize_t after, Py_ssize_t end)
@cython.locals(char=int)
cdef Py_ssize_t _end_of_string(bytes text, Py_ssize_t at, Py_ssize_t end)
