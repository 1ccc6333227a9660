cdef class FrameOwner:
    cpdef placed(self, long file, long offset)


cdef class RecordTaker:
    cpdef append(self, FrameOwner owner, bytes payload, then=*)
