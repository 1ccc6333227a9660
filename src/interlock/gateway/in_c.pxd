from interlock.wire.frames_in_c cimport crc_of, crc_prepare, little_endian


cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <stdint.h>
    #include <string.h>
    #include <time.h>
    #include <unistd.h>

    enum { PEN_HANDED, PEN_DONE, PEN_STOPPING, PEN_HANDLE, PEN_END, PEN_ROOM_END, PEN_FILE, PEN_FILE_BYTES,
           PEN_WAKE, PEN_TOLD };
    #define PEN_RING 64

    static void publish(long *state, long handed) {
        __atomic_store_n(&state[PEN_HANDED], handed, __ATOMIC_RELEASE);
    }

    static long look_done(long *state) {
        return __atomic_load_n(&state[PEN_DONE], __ATOMIC_ACQUIRE);
    }

    /* Both are eventfds: one that cannot be counted up was told of already. */
    static void tell(int handle) {
        uint64_t one = 1;
        while (write(handle, &one, sizeof one) < 0 && errno == EINTR);
    }

    static void hear(int handle) {
        uint64_t count;
        while (read(handle, &count, sizeof count) < 0 && errno == EINTR);
    }

    /* The error's number, or 0. */
    static int pen_write(int handle, const char *content, Py_ssize_t size, long at) {
        while (size > 0) {
            ssize_t written = pwrite(handle, content, size, at);
            if (written < 0) {
                if (errno == EINTR) continue;
                return errno;
            }
            content += written;
            size -= written;
            at += written;
        }
        return 0;
    }

    /* One turn of what has gathered. INVARIANT: PEN_DONE moves on only behind a sync that succeeded. */
    static int pen_turn(long *state, long first, long upto, const char **contents, Py_ssize_t *sizes, long *files,
                        long *offsets, double *taken) {
        int handle = (int)state[PEN_HANDLE], failed;
        long at = state[PEN_END];
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        for (long number = first; number < upto; number++) {
            long place = number % PEN_RING;
            failed = pen_write(handle, contents[place], sizes[place], at);
            if (failed) return failed;
            files[place] = state[PEN_FILE];
            offsets[place] = at;
            taken[place] = now.tv_sec + now.tv_nsec / 1e9;
            at += sizes[place];
        }
        if (fdatasync(handle)) return errno ? errno : EIO;
        state[PEN_END] = at;
        __atomic_store_n(&state[PEN_DONE], upto, __ATOMIC_RELEASE);
        return 0;
    }

    /* Turns, one after the other and waiting in between, until one needs the interpreter: 0, or the error's number. */
    static int run_groups(long *state, const char **contents, Py_ssize_t *sizes, long *files, long *offsets,
                          double *taken) {
        int failed = 0;
        uint64_t count, one = 1;
        Py_BEGIN_ALLOW_THREADS
        while (!__atomic_load_n(&state[PEN_STOPPING], __ATOMIC_ACQUIRE)) {
            long first = state[PEN_DONE], upto = __atomic_load_n(&state[PEN_HANDED], __ATOMIC_ACQUIRE), size = 0;
            if (first == upto) {
                if (read((int)state[PEN_WAKE], &count, sizeof count) < 0 && errno != EINTR) break;
                continue;
            }
            if (state[PEN_HANDLE] < 0 || state[PEN_END] >= state[PEN_FILE_BYTES]) break;
            for (long number = first; number < upto; number++) size += sizes[number % PEN_RING];
            /* Room ahead is made by the other way, once in a thousand records or so. */
            if (state[PEN_END] + size > state[PEN_ROOM_END]) break;
            failed = pen_turn(state, first, upto, contents, sizes, files, offsets, taken);
            if (failed) break;
            if (write((int)state[PEN_TOLD], &one, sizeof one) < 0) break;
        }
        Py_END_ALLOW_THREADS
        return failed;
    }

    /* The number of a record as the recorder writes it, or -1. */
    static long number_in(const char *payload, Py_ssize_t size) {
        static const char mark[5] = {',', '"', 'n', '"', ':'};
        const char *found = (const char *)memmem(payload, size, mark, 5), *end = payload + size, *at;
        long number = 0;
        if (!found) return -1;
        for (at = found + 5; at < end && *at >= '0' && *at <= '9' && at - found < 20; at++)
            number = number * 10 + (*at - '0');
        return at == found + 5 ? -1 : number;
    }

    static PyObject *gather_lines(PyObject *content, PyObject *offsets, Py_ssize_t at, long last, Py_ssize_t most) {
        Py_buffer frames, places;
        if (PyObject_GetBuffer(content, &frames, PyBUF_SIMPLE)) return NULL;
        if (PyObject_GetBuffer(offsets, &places, PyBUF_SIMPLE)) {
            PyBuffer_Release(&frames);
            return NULL;
        }
        const unsigned char *base = (const unsigned char *)frames.buf;
        const uint64_t *place = (const uint64_t *)places.buf;
        Py_ssize_t count = places.len / 8, stop = at, need = 0, written = 0;
        long first = 0;
        long long damaged = -1;
        crc_prepare();
        for (; stop < count; stop++) {
            uint64_t offset = place[stop], whole = (uint64_t)frames.len, length = 0x80000000;
            if (whole >= 8 && offset <= whole - 8) length = little_endian(base + offset);
            if (length > 0x7FFFFFFF || length > whole - 8 - offset) {
                damaged = (long long)(offset & INT64_MAX);
                break;
            }
            if (need && need + (Py_ssize_t)length + 1 > most) break;
            need += (Py_ssize_t)length + 1;
        }
        PyObject *lines = PyBytes_FromStringAndSize(NULL, need);
        char *out = lines ? PyBytes_AS_STRING(lines) : NULL;
        if (out && damaged < 0) {
            Py_BEGIN_ALLOW_THREADS
            for (Py_ssize_t number = at; number < stop; number++) {
                const unsigned char *frame = base + place[number];
                uint32_t length = little_endian(frame);
                uint32_t crc = crc_of(crc_of(0xFFFFFFFFu, frame, 4), frame + 8, length) ^ 0xFFFFFFFFu;
                long own = crc == little_endian(frame + 4) ? number_in((const char *)frame + 8, length) : -1;
                if (own < 0) {
                    damaged = (long long)place[number];
                    break;
                }
                if (own <= last) continue;
                if (!first) first = own;
                last = own;
                memcpy(out + written, frame + 8, length);
                written += length;
                out[written++] = 10;  /* a line's end */
            }
            Py_END_ALLOW_THREADS
        }
        PyBuffer_Release(&frames);
        PyBuffer_Release(&places);
        if (!lines || _PyBytes_Resize(&lines, damaged < 0 && written ? written - 1 : 0)) return NULL;
        return Py_BuildValue("(nllNL)", stop, first, last, lines, damaged);
    }
    """
    object gather_lines(object content, object offsets, Py_ssize_t at, long last, Py_ssize_t most)
    void tell(int handle)
    void hear(int handle)
    void publish(long *state, long handed)
    long look_done(long *state)
    int run_groups(
        long *state, const char **contents, Py_ssize_t *sizes, long *files, long *offsets, double *taken
    )
