from cpython cimport array


cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #include <time.h>

    static double clock_s(clockid_t clock) {
        struct timespec now;
        clock_gettime(clock, &now);
        return now.tv_sec + now.tv_nsec / 1e9;
    }

    static double boot_s(void) { return clock_s(CLOCK_BOOTTIME); }

    static double monotonic_s(void) { return clock_s(CLOCK_MONOTONIC); }

    /* How many bytes stand for each in a JSON string: those that json's own encoder escapes have two or six. */
    static const unsigned char quoted_bytes[256] = {
        6, 6, 6, 6, 6, 6, 6, 6, 2, 2, 2, 6, 2, 2, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 1, 1, 2, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    static Py_ssize_t quoted_size(const unsigned char *at, Py_ssize_t size) {
        Py_ssize_t sum = 2;
        for (Py_ssize_t place = 0; place < size; place++) sum += quoted_bytes[at[place]];
        return sum;
    }

    static char *put(char *out, const char *from, Py_ssize_t size) {
        memcpy(out, from, size);
        return out + size;
    }

    /* ``whole`` is what quoted_size said. */
    static char *put_quoted(char *out, const unsigned char *at, Py_ssize_t size, Py_ssize_t whole) {
        static const char digits[] = "0123456789abcdef";
        *out++ = '"';
        if (whole == size + 2) {
            out = put(out, (const char *)at, size);
        } else {
            for (Py_ssize_t place = 0; place < size; place++) {
                unsigned char byte = at[place];
                if (quoted_bytes[byte] == 1) {
                    *out++ = (char)byte;
                    continue;
                }
                *out++ = '\\\\';
                switch (byte) {
                case 8: *out++ = 'b'; break;
                case 9: *out++ = 't'; break;
                case 10: *out++ = 'n'; break;
                case 12: *out++ = 'f'; break;
                case 13: *out++ = 'r'; break;
                case '"': case 92: *out++ = (char)byte; break;
                default:
                    out = put(out, "u00", 3);
                    *out++ = digits[byte >> 4];
                    *out++ = digits[byte & 15];
                }
            }
        }
        *out++ = '"';
        return out;
    }

    static char *put_number(char *out, long long number) {
        char digits[24];
        int at = 24;
        unsigned long long left = number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
        do digits[--at] = (char)('0' + left % 10); while (left /= 10);
        if (number < 0) digits[--at] = '-';
        return put(out, digits + at, 24 - at);
    }

    #define PUT(text) out = put(out, text, sizeof(text) - 1)
    #define PUT_BYTES(object) out = put(out, PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object))
    /* More than all the words and numbers of a record come to. */
    #define RECORD_FRAME_BYTES 400

    /* What every record begins with, up to its type. */
    static char *put_beginning(char *out, PyObject *head, long n, PyObject *second, long micros) {
        PUT_BYTES(head);
        out = put_number(out, n);
        PUT(",\\"at\\":\\"");
        PUT_BYTES(second);
        *out++ = '.';
        for (long unit = 100000; unit; unit /= 10) *out++ = (char)('0' + micros / unit % 10);
        PUT("Z\\",\\"type\\":\\"");
        return out;
    }

    static PyObject *record_of(PyObject *room, char *out) {
        _PyBytes_Resize(&room, out - PyBytes_AS_STRING(room));
        return room;
    }

    static PyObject *statement_record(PyObject *head, long n, PyObject *second, long micros, long number,
                                      PyObject *text, Py_ssize_t start, Py_ssize_t end, int is_quoted,
                                      PyObject *parameters, PyObject *decided) {
        const unsigned char *said = (const unsigned char *)PyBytes_AS_STRING(text) + start;
        Py_ssize_t size = end - start, whole = is_quoted ? size : quoted_size(said, size);
        PyObject *room = PyBytes_FromStringAndSize(
            NULL, RECORD_FRAME_BYTES + PyBytes_GET_SIZE(head) + PyBytes_GET_SIZE(second) + whole +
                      PyBytes_GET_SIZE(parameters) + PyBytes_GET_SIZE(decided));
        if (!room) return NULL;
        char *out = put_beginning(PyBytes_AS_STRING(room), head, n, second, micros);
        PUT("statement\\",\\"number\\":");
        out = put_number(out, number);
        PUT(",\\"text\\":");
        out = is_quoted ? put(out, (const char *)said, size) : put_quoted(out, said, size, whole);
        PUT(",\\"parameters\\":");
        PUT_BYTES(parameters);
        *out++ = ',';
        PUT_BYTES(decided);
        *out++ = '}';
        return record_of(room, out);
    }

    static PyObject *outcome_record(PyObject *head, long n, PyObject *second, long micros, long number,
                                    long long rows, long long changed, long long size_bytes, PyObject *tag,
                                    Py_ssize_t start, Py_ssize_t end, int is_quoted, PyObject *error, long took_us) {
        const unsigned char *said = (const unsigned char *)PyBytes_AS_STRING(tag) + start;
        Py_ssize_t size = end - start, whole = is_quoted ? size : quoted_size(said, size);
        PyObject *room = PyBytes_FromStringAndSize(
            NULL, RECORD_FRAME_BYTES + PyBytes_GET_SIZE(head) + PyBytes_GET_SIZE(second) + whole +
                      PyBytes_GET_SIZE(error));
        if (!room) return NULL;
        char *out = put_beginning(PyBytes_AS_STRING(room), head, n, second, micros);
        PUT("outcome\\",\\"number\\":");
        out = put_number(out, number);
        PUT(",\\"rows\\":");
        out = put_number(out, rows);
        PUT(",\\"changed\\":");
        out = put_number(out, changed);
        PUT(",\\"size_bytes\\":");
        out = put_number(out, size_bytes);
        PUT(",\\"tag\\":");
        out = is_quoted ? put(out, (const char *)said, size) : put_quoted(out, said, size, whole);
        PUT(",\\"error\\":");
        PUT_BYTES(error);
        PUT(",\\"took_us\\":");
        out = put_number(out, took_us);
        *out++ = '}';
        return record_of(room, out);
    }

    static int is_binary(PyObject *formats, Py_ssize_t place) {
        Py_ssize_t count = PyTuple_GET_SIZE(formats);
        if (count == 1) place = 0;
        return place < count && PyObject_IsTrue(PyTuple_GET_ITEM(formats, place));
    }

    /* None when a value is text of other characters than ASCII. */
    static PyObject *list_values(PyObject *values, PyObject *formats) {
        static const char digits[] = "0123456789abcdef";
        Py_ssize_t count = PyTuple_GET_SIZE(values), need = 2;
        for (Py_ssize_t place = 0; place < count; place++) {
            PyObject *value = PyTuple_GET_ITEM(values, place);
            need += 5;
            if (value == Py_None) continue;
            Py_ssize_t size = PyBytes_GET_SIZE(value);
            const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(value);
            if (is_binary(formats, place)) {
                need += 2 * size + 5;
                continue;
            }
            for (Py_ssize_t byte = 0; byte < size; byte++)
                if (at[byte] >= 128) Py_RETURN_NONE;
            need += quoted_size(at, size);
        }
        PyObject *room = PyBytes_FromStringAndSize(NULL, need);
        if (!room) return NULL;
        char *out = PyBytes_AS_STRING(room);
        *out++ = '[';
        for (Py_ssize_t place = 0; place < count; place++) {
            PyObject *value = PyTuple_GET_ITEM(values, place);
            if (place) *out++ = ',';
            if (value == Py_None) {
                PUT("null");
                continue;
            }
            Py_ssize_t size = PyBytes_GET_SIZE(value);
            const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(value);
            if (!is_binary(formats, place)) {
                out = put_quoted(out, at, size, quoted_size(at, size));
                continue;
            }
            PUT("\\"\\\\\\\\x");
            for (Py_ssize_t byte = 0; byte < size; byte++) {
                *out++ = digits[at[byte] >> 4];
                *out++ = digits[at[byte] & 15];
            }
            *out++ = '"';
        }
        *out++ = ']';
        return record_of(room, out);
    }
    """
    double boot_s()
    double monotonic_s()
    object statement_record(
        object head, long n, object second, long micros, long number, object text, Py_ssize_t start, Py_ssize_t end,
        bint is_quoted, object parameters, object decided
    )
    object outcome_record(
        object head, long n, object second, long micros, long number, long long rows, long long changed,
        long long size_bytes, object tag, Py_ssize_t start, Py_ssize_t end, bint is_quoted, object error, long took_us
    )
    object list_values(object values, object formats)


cdef inline int add_place(array.array places, unsigned long long place) except -1:
    cdef Py_ssize_t count = len(places)
    array.resize_smart(places, count + 1)
    places.data.as_ulonglongs[count] = place
    return 0
