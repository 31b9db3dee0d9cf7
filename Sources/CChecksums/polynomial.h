#ifndef MULE_POLYNOMIAL_H
#define MULE_POLYNOMIAL_H

#include <stddef.h>
#include <stdint.h>

// A reflected CRC is arithmetic on polynomials over GF(2) modulo P, with the bits of every value mirrored: in a CRC of
// width w the coefficient of x^0 is bit w-1 and that of x^(w-1) is bit 0. A CRC of 32 bits lives in the low half of a
// uint64_t, so that one set of functions serves all three.

// How far a kernel moves a 16-byte lane of the message at one step.
enum mule_fold_distance { FOLD_16_BYTES, FOLD_64_BYTES, FOLD_256_BYTES, FOLD_DISTANCES };

struct mule_polynomial {
    unsigned width;
    // P without its leading term, reflected.
    uint64_t reflected;
    // tables[k][b] is the CRC, from state 0, of byte b followed by k zero bytes ("slicing by 8").
    uint64_t tables[8][256];
    // powers[k] is x^(8 * 2^k) mod P: what multiplies a CRC when 2^k bytes follow.
    uint64_t powers[64];
    // Multipliers that move the first and the last eight bytes of a lane forward by a distance of d bits. A carryless
    // product of two mirrored 64-bit values comes out divided by x, so they are x^(d+63) mod P and x^(d-1) mod P,
    // mirrored within 64 bits for every width.
    uint64_t fold[FOLD_DISTANCES][2];
};

// Fills in everything that follows from width and reflected.
void mule_polynomial_prepare(struct mule_polynomial *polynomial);

// The value of A followed by B.
uint64_t mule_polynomial_combine(
    const struct mule_polynomial *polynomial, uint64_t first, uint64_t second, uint64_t second_count);

#endif
