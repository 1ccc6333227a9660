from interlock.ports.statement cimport Outcome, new_outcome
from interlock.protocols.postgres.reading cimport Reading
from interlock.protocols.postgres.row_mask cimport RowMask
cimport cython


cdef long long _MOST_ROWS


cdef class Running:
    cdef public object number
    cdef public Reading reading
    cdef public long long rows
    cdef public long long changed
    cdef public long long size_bytes
    cdef public int prepared
    cdef public int deallocated
    cdef public str tag
    cdef public str error
    cdef public bint begun
    cdef public bint over
    cdef public bint deferred
    cdef public RowMask mask

    cpdef add_changed(self, long long rows)
    cpdef Outcome outcome(self)


@cython.locals(made=Running)
cpdef Running new_running(number, Reading reading)


cdef class Prepared:
    cdef public str text
    cdef public str shown
    cdef public bytes ascii
    cdef public Reading reading
    cdef public object classified


cdef class Portal:
    cdef public str name
    cdef public Prepared prepared
    cdef public object bound
    cdef public Running running
    cdef public object fence


@cython.locals(made=Portal)
cpdef Portal new_portal(str name, Prepared prepared, bound)
