cdef extern from *:
    """
    #include <errno.h>
    #include <stdint.h>
    #include <time.h>
    #include <unistd.h>

    enum { PEN_HANDED, PEN_DONE, PEN_STOPPING, PEN_HANDLE, PEN_END, PEN_ROOM_END, PEN_FILE, PEN_FILE_BYTES,
           PEN_WAKE, PEN_TOLD };
    #define PEN_RING 64

    static void publish(long *state, long handed) {
        __atomic_store_n(&state[PEN_HANDED], handed, __ATOMIC_RELEASE);
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
    """
    void publish(long *state, long handed)
    int run_groups(
        long *state, const char **contents, Py_ssize_t *sizes, long *files, long *offsets, double *taken
    )
