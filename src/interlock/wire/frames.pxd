cpdef bytes frame(bytes payload)
