cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>

    #define RECEIVED_BYTES (256 * 1024)
    #define PIECES_AT_ONCE 64

    typedef struct epoll_event *Room;

    static int failed(void) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }

    static int open_epoll(void) {
        int epoll = epoll_create1(EPOLL_CLOEXEC);
        return epoll < 0 ? failed() : epoll;
    }

    static void close_epoll(int epoll) { close(epoll); }

    static int change(int epoll, int handle, int before, int after) {
        struct epoll_event wanted = {.events = (uint32_t)after, .data = {.fd = handle}};
        int operation = !before ? EPOLL_CTL_ADD : !after ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
        return epoll_ctl(epoll, operation, handle, &wanted) ? failed() : 0;
    }

    static Room make_room(int most) { return (Room)PyMem_Calloc((size_t)most, sizeof(struct epoll_event)); }

    static void give_room_back(Room room) { PyMem_Free(room); }

    static int wait_ready(int epoll, Room room, int most, int timeout_ms) {
        int count;
        Py_BEGIN_ALLOW_THREADS
        count = epoll_wait(epoll, room, most, timeout_ms);
        Py_END_ALLOW_THREADS
        if (count >= 0) return count;
        if (errno == EINTR) return -1;
        failed();
        return -2;
    }

    static void rest_us(int how_long) {
        struct timespec left = {.tv_nsec = how_long * 1000L};
        Py_BEGIN_ALLOW_THREADS
        nanosleep(&left, NULL);
        Py_END_ALLOW_THREADS
    }

    static int handle_at(Room room, int place) { return room[place].data.fd; }

    static int events_at(Room room, int place) { return (int)room[place].events; }

    static PyObject *receive(int handle) {
        /* One for all: the interpreter's lock is held until what came is in an object of its own. */
        static char received[RECEIVED_BYTES];
        ssize_t size;
        do size = recv(handle, received, sizeof received, 0);
        while (size < 0 && errno == EINTR);
        if (size >= 0) return PyBytes_FromStringAndSize(received, size);
        if (errno == EAGAIN) Py_RETURN_NONE;
        return PyErr_SetFromErrno(PyExc_OSError);
    }

    static Py_ssize_t send_one(int handle, PyObject *piece) {
        ssize_t sent;
        do sent = send(handle, PyBytes_AS_STRING(piece), (size_t)PyBytes_GET_SIZE(piece), MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        if (sent >= 0) return sent;
        return errno == EAGAIN ? 0 : failed();
    }

    static Py_ssize_t send_pieces(int handle, PyObject *pieces, Py_ssize_t past) {
        struct iovec parts[PIECES_AT_ONCE];
        struct msghdr message = {.msg_iov = parts};
        Py_ssize_t count = PyList_GET_SIZE(pieces);
        ssize_t sent;
        if (count > PIECES_AT_ONCE) count = PIECES_AT_ONCE;
        for (Py_ssize_t place = 0; place < count; place++) {
            PyObject *piece = PyList_GET_ITEM(pieces, place);
            parts[place].iov_base = PyBytes_AS_STRING(piece) + past;
            parts[place].iov_len = (size_t)(PyBytes_GET_SIZE(piece) - past);
            past = 0;
        }
        message.msg_iovlen = (size_t)count;
        do sent = sendmsg(handle, &message, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        if (sent >= 0) return sent;
        return errno == EAGAIN ? 0 : failed();
    }
    """
    ctypedef void *Room
    int open_epoll() except -1
    void close_epoll(int epoll)
    int change(int epoll, int handle, int before, int after) except -1
    Room make_room(int most)
    void give_room_back(Room room)
    int wait_ready(int epoll, Room room, int most, int timeout_ms) except? -2
    void rest_us(int how_long)
    int handle_at(Room room, int place)
    int events_at(Room room, int place)
    bytes receive(int handle)
    Py_ssize_t send_one(int handle, bytes piece) except -1
    Py_ssize_t send_pieces(int handle, list pieces, Py_ssize_t past) except -1
