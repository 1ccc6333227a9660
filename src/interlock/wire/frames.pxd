cpdef bytes frame(payload)
