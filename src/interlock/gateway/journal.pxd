cimport interlock.gateway.records_in_c as records_in_c
from interlock.gateway.journaling cimport FrameOwner, RecordTaker
from interlock.gateway.pen cimport Pen
from interlock.gateway.pump cimport Pump, Watcher
from interlock.wire.frames cimport add_frame, after_frame
cimport cython


cdef class _Batch:
    cdef public list owners
    cdef public bytearray frames
    cdef public list thens


cdef class _Ear(Watcher):
    cdef Journal _journal


cdef class Journal(RecordTaker):
    cdef double _durable_s
    cdef double _stall_s
    cdef object _loop
    cdef _Batch _queue
    cdef object _under_way
    cdef public Py_ssize_t _unsettled
    cdef public double _oldest
    cdef object _timer
    cdef public bint _asked
    cdef object _emptied
    cdef long _file
    cdef public str failure
    cdef public object on_failure
    cdef public object folder
    cdef object _lock
    cdef Pen _pen
    cdef _Ear _ear
    cdef Pump _pump

    cpdef bint is_stalled(self) except -1
    @cython.locals(queue=_Batch)
    cpdef append(self, FrameOwner owner, bytes payload, then=*)
    @cython.locals(batch=_Batch)
    cpdef hand_over(self)
    cpdef hear(self)
    @cython.locals(frames=bytearray, at=Py_ssize_t, owner=FrameOwner)
    cpdef _settled(self, _Batch batch, long file, long offset, double taken_at)
