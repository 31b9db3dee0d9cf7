#include "kernels.h"

// Assembled byte by byte, so that neither alignment nor byte order matters; compilers turn it into one load.
static uint64_t little_endian_word(const uint8_t *bytes) {
    return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24 |
           (uint64_t)bytes[4] << 32 | (uint64_t)bytes[5] << 40 | (uint64_t)bytes[6] << 48 | (uint64_t)bytes[7] << 56;
}

uint64_t mule_kernel_table(
    const struct mule_polynomial *polynomial, uint64_t state, const uint8_t *bytes, size_t count) {
    const uint64_t(*tables)[256] = polynomial->tables;
    for (; count >= 8; bytes += 8, count -= 8) {
        uint64_t word = little_endian_word(bytes) ^ state;
        state = tables[7][word & 0xff] ^ tables[6][word >> 8 & 0xff] ^ tables[5][word >> 16 & 0xff] ^
                tables[4][word >> 24 & 0xff] ^ tables[3][word >> 32 & 0xff] ^ tables[2][word >> 40 & 0xff] ^
                tables[1][word >> 48 & 0xff] ^ tables[0][word >> 56];
    }
    for (; count > 0; bytes++, count--) {
        state = (state >> 8) ^ tables[0][(state ^ *bytes) & 0xff];
    }
    return state;
}
