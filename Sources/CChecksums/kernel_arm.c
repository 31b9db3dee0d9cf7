#include "kernels.h"

#if MULE_PMULL

#include <arm_neon.h>

#define PMULL __attribute__((target("aes")))

static inline PMULL uint64x2_t load(const uint8_t *bytes) {
    return vreinterpretq_u64_u8(vld1q_u8(bytes));
}

static inline PMULL poly64x2_t multipliers(const struct mule_polynomial *polynomial, enum mule_fold_distance distance) {
    return vreinterpretq_p64_u64(vld1q_u64(polynomial->fold[distance]));
}

// Moves `lane` onto `next`.
static inline PMULL uint64x2_t fold(uint64x2_t lane, poly64x2_t by, uint64x2_t next) {
    poly64x2_t value = vreinterpretq_p64_u64(lane);
    poly128_t head = vmull_p64(vgetq_lane_p64(value, 0), vgetq_lane_p64(by, 0));
    poly128_t tail = vmull_high_p64(value, by);
    return veorq_u64(veorq_u64(vreinterpretq_u64_p128(head), vreinterpretq_u64_p128(tail)), next);
}

PMULL uint64_t mule_kernel_pmull(
    const struct mule_polynomial *polynomial, uint64_t state, const uint8_t *bytes, size_t count) {
    if (count < 64) {
        return mule_kernel_table(polynomial, state, bytes, count);
    }
    const poly64x2_t by64 = multipliers(polynomial, FOLD_64_BYTES);
    const poly64x2_t by16 = multipliers(polynomial, FOLD_16_BYTES);
    uint64x2_t lane0 = veorq_u64(load(bytes), vcombine_u64(vcreate_u64(state), vcreate_u64(0)));
    uint64x2_t lane1 = load(bytes + 16);
    uint64x2_t lane2 = load(bytes + 32);
    uint64x2_t lane3 = load(bytes + 48);
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
    for (; count >= 16; bytes += 16, count -= 16) {
        lane3 = fold(lane3, by16, load(bytes));
    }
    uint8_t message[16];
    vst1q_u8(message, vreinterpretq_u8_u64(lane3));
    return mule_kernel_table(polynomial, mule_kernel_table(polynomial, 0, message, 16), bytes, count);
}

#endif
