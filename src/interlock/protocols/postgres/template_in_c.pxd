cdef extern from *:
    """
    static PyObject *make_room(Py_ssize_t size) { return PyBytes_FromStringAndSize(NULL, size); }

    /* Only into room that nobody else has seen. */
    static void put(PyObject *room, Py_ssize_t at, int byte) { PyBytes_AS_STRING(room)[at] = (char)byte; }

    static PyObject *take(PyObject *room, Py_ssize_t size) {
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(room), size);
    }
    """
    bytes make_room(Py_ssize_t size)
    void put(bytes room, Py_ssize_t at, int byte)
    bytes take(bytes room, Py_ssize_t size)
