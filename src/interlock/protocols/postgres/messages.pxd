cimport cython


cdef class BindMessage:
    cdef public str portal
    cdef public str statement
    cdef public tuple formats
    cdef public tuple parameters
    cdef public bytes raw
    cdef public Py_ssize_t tail_at
    cdef public Py_ssize_t tail_end


cdef class ParseMessage:
    cdef public str name
    cdef public str text


cpdef str decode(bytes raw)
@cython.locals(end=Py_ssize_t)
cdef tuple _cut_string(bytes raw, Py_ssize_t at, str what, Py_ssize_t before=*)
cdef Py_ssize_t _end_of_string(bytes raw, Py_ssize_t at, Py_ssize_t before) except? -1
@cython.locals(count=Py_ssize_t)
cdef Py_ssize_t _after_shorts(bytes raw, Py_ssize_t at, Py_ssize_t end) except -1
@cython.locals(count=Py_ssize_t, place=Py_ssize_t)
cdef tuple _shorts(bytes raw, Py_ssize_t at)
@cython.locals(count=Py_ssize_t, length=long)
cdef Py_ssize_t _after_values(bytes raw, Py_ssize_t at, Py_ssize_t end) except -1
@cython.locals(count=Py_ssize_t, length=Py_ssize_t, values=list)
cdef tuple _values(bytes raw, Py_ssize_t at)
@cython.locals(number=int)
cdef int _short_at(bytes raw, Py_ssize_t at, Py_ssize_t end) except? -1
@cython.locals(number=long)
cdef long _int_at(bytes raw, Py_ssize_t at, Py_ssize_t end) except? -1
@cython.locals(at=Py_ssize_t, tail_at=Py_ssize_t, named=Py_ssize_t, stated=Py_ssize_t, values_at=Py_ssize_t, after=Py_ssize_t, made=BindMessage)
cpdef BindMessage read_bind(bytes raw, Py_ssize_t start=*, Py_ssize_t end=*)
cpdef ParseMessage read_parse(bytes raw)
cpdef tuple read_execute(bytes raw)
cpdef tuple read_named(bytes raw, str what)
cpdef int read_ready(bytes raw) except -1
cpdef str read_tag(bytes raw)
cdef int _SPACE, _ZERO, _NINE, _COUNT_DIGITS
cpdef long long count_changed(str tag) except? -1
@cython.locals(at=Py_ssize_t, count="long long")
cpdef long long count_changed_in(bytes raw, Py_ssize_t start, Py_ssize_t end) except? -1
cpdef long long read_count(str word) except? -1
