from interlock.protocols.postgres.reading cimport Reading


cdef class Running:
    cdef public object number
    cdef public Reading reading
    cdef public object classified
    cdef public object rows
    cdef public object changed
    cdef public object size_bytes
    cdef public object prepared
    cdef public object deallocated
    cdef public str tag
    cdef public str error
    cdef public bint begun
    cdef public bint over
    cdef public bint deferred


cdef class Prepared:
    cdef public str text
    cdef public str shown
    cdef public Reading reading
    cdef public object classified


cdef class Portal:
    cdef public str name
    cdef public Prepared prepared
    cdef public object bound
    cdef public Running running
    cdef public object fence
