#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define PCLMUL __attribute__((target("sse4.1,pclmul")))
#define VPCLMUL __attribute__((target("sse4.1,pclmul,avx512f,vpclmulqdq")))

static inline PCLMUL __m128i load(const uint8_t *bytes) {
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

static inline PCLMUL __m128i multipliers(const struct mule_polynomial *polynomial, enum mule_fold_distance distance) {
    return load((const uint8_t *)polynomial->fold[distance]);
}

// Moves `lane` onto `next`.
static inline PCLMUL __m128i fold(__m128i lane, __m128i by, __m128i next) {
    __m128i head = _mm_clmulepi64_si128(lane, by, 0x00);
    __m128i tail = _mm_clmulepi64_si128(lane, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(head, tail), next);
}

// Reduces the last lane and the bytes after it.
static inline PCLMUL uint64_t finish(
    const struct mule_polynomial *polynomial, __m128i lane, const uint8_t *bytes, size_t count) {
    const __m128i by16 = multipliers(polynomial, FOLD_16_BYTES);
    for (; count >= 16; bytes += 16, count -= 16) {
        lane = fold(lane, by16, load(bytes));
    }
    uint8_t message[16];
    _mm_storeu_si128((__m128i *)(void *)message, lane);
    return mule_kernel_table(polynomial, mule_kernel_table(polynomial, 0, message, 16), bytes, count);
}

PCLMUL uint64_t mule_kernel_pclmulqdq(
    const struct mule_polynomial *polynomial, uint64_t state, const uint8_t *bytes, size_t count) {
    if (count < 64) {
        return mule_kernel_table(polynomial, state, bytes, count);
    }
    const __m128i by64 = multipliers(polynomial, FOLD_64_BYTES);
    const __m128i by16 = multipliers(polynomial, FOLD_16_BYTES);
    __m128i lane0 = _mm_xor_si128(load(bytes), _mm_cvtsi64_si128((long long)state));
    __m128i lane1 = load(bytes + 16);
    __m128i lane2 = load(bytes + 32);
    __m128i lane3 = load(bytes + 48);
    bytes += 64;
    count -= 64;
    for (; count >= 64; bytes += 64, count -= 64) {
        lane0 = fold(lane0, by64, load(bytes));
        lane1 = fold(lane1, by64, load(bytes + 16));
        lane2 = fold(lane2, by64, load(bytes + 32));
        lane3 = fold(lane3, by64, load(bytes + 48));
    }
    lane1 = fold(lane0, by16, lane1);
    lane2 = fold(lane1, by16, lane2);
    lane3 = fold(lane2, by16, lane3);
    return finish(polynomial, lane3, bytes, count);
}

// Four lanes to a register.
static inline VPCLMUL __m512i load4(const uint8_t *bytes) {
    return _mm512_loadu_si512((const void *)bytes);
}

static inline VPCLMUL __m512i fold4(__m512i lanes, __m512i by, __m512i next) {
    __m512i heads = _mm512_clmulepi64_epi128(lanes, by, 0x00);
    __m512i tails = _mm512_clmulepi64_epi128(lanes, by, 0x11);
    // 0x96 is the truth table of a ^ b ^ c.
    return _mm512_ternarylogic_epi64(heads, tails, next, 0x96);
}

VPCLMUL uint64_t mule_kernel_vpclmulqdq(
    const struct mule_polynomial *polynomial, uint64_t state, const uint8_t *bytes, size_t count) {
    if (count < 256) {
        return mule_kernel_pclmulqdq(polynomial, state, bytes, count);
    }
    const __m512i by256 = _mm512_broadcast_i32x4(multipliers(polynomial, FOLD_256_BYTES));
    const __m512i by64 = _mm512_broadcast_i32x4(multipliers(polynomial, FOLD_64_BYTES));
    const __m128i by16 = multipliers(polynomial, FOLD_16_BYTES);
    __m512i start = _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)state));
    __m512i lanes0 = _mm512_xor_si512(load4(bytes), start);
    __m512i lanes1 = load4(bytes + 64);
    __m512i lanes2 = load4(bytes + 128);
    __m512i lanes3 = load4(bytes + 192);
    bytes += 256;
    count -= 256;
    for (; count >= 256; bytes += 256, count -= 256) {
        lanes0 = fold4(lanes0, by256, load4(bytes));
        lanes1 = fold4(lanes1, by256, load4(bytes + 64));
        lanes2 = fold4(lanes2, by256, load4(bytes + 128));
        lanes3 = fold4(lanes3, by256, load4(bytes + 192));
    }
    lanes1 = fold4(lanes0, by64, lanes1);
    lanes2 = fold4(lanes1, by64, lanes2);
    lanes3 = fold4(lanes2, by64, lanes3);
    for (; count >= 64; bytes += 64, count -= 64) {
        lanes3 = fold4(lanes3, by64, load4(bytes));
    }
    __m128i lane = _mm512_castsi512_si128(lanes3);
    lane = fold(lane, by16, _mm512_extracti32x4_epi32(lanes3, 1));
    lane = fold(lane, by16, _mm512_extracti32x4_epi32(lanes3, 2));
    lane = fold(lane, by16, _mm512_extracti32x4_epi32(lanes3, 3));
    return finish(polynomial, lane, bytes, count);
}

#endif
