#include "polynomial.h"

// All ones if the lowest bit is set, else 0. A mask, because a branch would be mispredicted half of the time.
static uint64_t spread(uint64_t value) {
    return 0 - (value & 1);
}

static uint64_t times_x(const struct mule_polynomial *polynomial, uint64_t value) {
    return (value >> 1) ^ (polynomial->reflected & spread(value));
}

static uint64_t one(const struct mule_polynomial *polynomial) {
    return UINT64_C(1) << (polynomial->width - 1);
}

static uint64_t product(const struct mule_polynomial *polynomial, uint64_t left, uint64_t right) {
    uint64_t sum = 0;
    for (unsigned bit = polynomial->width; bit-- > 0;) {
        sum ^= right & spread(left >> bit);
        right = times_x(polynomial, right);
    }
    return sum;
}

static uint64_t power_of_x(const struct mule_polynomial *polynomial, unsigned exponent) {
    uint64_t power = one(polynomial);
    for (unsigned step = 0; step < exponent; step++) {
        power = times_x(polynomial, power);
    }
    return power;
}

static void prepare_tables(struct mule_polynomial *polynomial) {
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t value = byte;
        for (unsigned bit = 0; bit < 8; bit++) {
            value = times_x(polynomial, value);
        }
        polynomial->tables[0][byte] = value;
    }
    for (unsigned slice = 1; slice < 8; slice++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint64_t shorter = polynomial->tables[slice - 1][byte];
            polynomial->tables[slice][byte] = (shorter >> 8) ^ polynomial->tables[0][shorter & 0xff];
        }
    }
}

void mule_polynomial_prepare(struct mule_polynomial *polynomial) {
    static const unsigned distances[FOLD_DISTANCES] = {
        [FOLD_16_BYTES] = 128, [FOLD_64_BYTES] = 512, [FOLD_256_BYTES] = 2048};

    prepare_tables(polynomial);

    polynomial->powers[0] = power_of_x(polynomial, 8);
    for (unsigned k = 1; k < 64; k++) {
        polynomial->powers[k] = product(polynomial, polynomial->powers[k - 1], polynomial->powers[k - 1]);
    }

    unsigned mirror = 64 - polynomial->width;
    for (unsigned distance = 0; distance < FOLD_DISTANCES; distance++) {
        unsigned bits = distances[distance];
        polynomial->fold[distance][0] = power_of_x(polynomial, bits + 63) << mirror;
        polynomial->fold[distance][1] = power_of_x(polynomial, bits - 1) << mirror;
    }
}

uint64_t mule_polynomial_combine(
    const struct mule_polynomial *polynomial, uint64_t first, uint64_t second, uint64_t second_count) {
    for (unsigned k = 0; second_count != 0; k++, second_count >>= 1) {
        if ((second_count & 1) != 0) {
            first = product(polynomial, polynomial->powers[k], first);
        }
    }
    return first ^ second;
}
