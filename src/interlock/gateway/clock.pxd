cimport interlock.gateway.records_in_c as records_in_c


cdef class WorkerClock:
    cdef public object steady
    cdef object _wall
    cdef double _wall_ahead
    cdef double _ahead

    cpdef double read(self) except? -1
    cpdef double now_s(self) except? -1
    cpdef double at_s(self, double steady_s) except? -1
