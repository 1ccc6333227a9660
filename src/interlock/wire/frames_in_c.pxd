cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #if defined(__x86_64__) && defined(__GNUC__)
    #include <immintrin.h>
    #define CRC_CAN_FOLD __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")

    /* Sixteen bytes at a time, by multiplication without carry: V. Gopal and others, Fast CRC Computation for Generic
       Polynomials Using PCLMULQDQ Instruction (Intel, 2009), with its constants for this polynomial, reflected.
       ``size`` is a multiple of 16 and not 0. */
    __attribute__((target("pclmul,sse4.1")))
    static uint32_t crc_folded(uint32_t crc, const unsigned char *at, Py_ssize_t size) {
        const __m128i by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0), by_64 = _mm_set_epi64x(0, 0x163cd6124);
        const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641), low = _mm_set_epi32(0, -1, 0, -1);
        __m128i sum = _mm_xor_si128(_mm_loadu_si128((const __m128i *)at), _mm_cvtsi32_si128((int)crc));
        for (at += 16, size -= 16; size > 0; at += 16, size -= 16)
            sum = _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(sum, by_128, 0x00),
                                              _mm_clmulepi64_si128(sum, by_128, 0x11)),
                                _mm_loadu_si128((const __m128i *)at));
        sum = _mm_xor_si128(_mm_clmulepi64_si128(sum, by_128, 0x10), _mm_srli_si128(sum, 8));
        sum = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(sum, low), by_64, 0x00), _mm_srli_si128(sum, 4));
        __m128i whole = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(sum, low), barrett, 0x10), low);
        return (uint32_t)_mm_extract_epi32(_mm_xor_si128(_mm_clmulepi64_si128(whole, barrett, 0x00), sum), 1);
    }
    #else
    #define CRC_CAN_FOLD 0
    #define crc_folded(crc, at, size) (crc)
    #endif

    /* CRC-32 as zlib's (RFC 1952, 8): what is not folded goes eight bytes at a time. */
    static uint32_t crc_tables[8][256];
    static int crc_folds;

    static void crc_prepare(void) {
        if (crc_tables[7][255]) return;
        crc_folds = CRC_CAN_FOLD;
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t crc = byte;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
            crc_tables[0][byte] = crc;
        }
        for (int table = 1; table < 8; table++)
            for (uint32_t byte = 0; byte < 256; byte++) {
                uint32_t crc = crc_tables[table - 1][byte];
                crc_tables[table][byte] = (crc >> 8) ^ crc_tables[0][crc & 0xFF];
            }
    }

    static uint32_t little_endian(const unsigned char *at) {
        return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    }

    static uint32_t crc_of(uint32_t crc, const unsigned char *at, Py_ssize_t size) {
        if (crc_folds && size >= 16) {
            Py_ssize_t whole = size & ~(Py_ssize_t)15;
            crc = crc_folded(crc, at, whole);
            at += whole;
            size -= whole;
        }
        for (; size >= 8; at += 8, size -= 8) {
            uint32_t low = little_endian(at) ^ crc, high = little_endian(at + 4);
            crc = crc_tables[7][low & 0xFF] ^ crc_tables[6][low >> 8 & 0xFF] ^ crc_tables[5][low >> 16 & 0xFF] ^
                  crc_tables[4][low >> 24] ^ crc_tables[3][high & 0xFF] ^ crc_tables[2][high >> 8 & 0xFF] ^
                  crc_tables[1][high >> 16 & 0xFF] ^ crc_tables[0][high >> 24];
        }
        for (; size > 0; at++, size--) crc = (crc >> 8) ^ crc_tables[0][(crc ^ *at) & 0xFF];
        return crc;
    }

    static int add_frame(PyObject *out, PyObject *payload) {
        Py_ssize_t before = PyByteArray_GET_SIZE(out), size = PyBytes_GET_SIZE(payload);
        if (PyByteArray_Resize(out, before + 8 + size)) return -1;
        unsigned char *frame = (unsigned char *)PyByteArray_AS_STRING(out) + before;
        uint32_t length = (uint32_t)size;
        for (int byte = 0; byte < 4; byte++) frame[byte] = (unsigned char)(length >> (8 * byte));
        memcpy(frame + 8, PyBytes_AS_STRING(payload), size);
        crc_prepare();
        uint32_t crc = crc_of(crc_of(0xFFFFFFFFu, frame, 4), frame + 8, size) ^ 0xFFFFFFFFu;
        for (int byte = 0; byte < 4; byte++) frame[4 + byte] = (unsigned char)(crc >> (8 * byte));
        return 0;
    }
    """
    unsigned int crc_of(unsigned int crc, const unsigned char *at, Py_ssize_t size)
    void crc_prepare()
    unsigned int little_endian(const unsigned char *at)
    int add_frame(object out, object payload) except -1
