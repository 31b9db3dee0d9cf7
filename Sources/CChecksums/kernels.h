#ifndef MULE_KERNELS_H
#define MULE_KERNELS_H

#include "polynomial.h"

// A kernel takes the CRC register as it is, without the complement before and after, through `count` bytes.
//
// The folding kernels keep several 16-byte lanes of the message, and move each forward over the bytes that follow with
// two carryless products, which leave its remainder modulo P unchanged; the last remaining lane is then an ordinary
// message of 16 bytes for the table. The method is that of V. Gopal and others, "Fast CRC Computation for Generic
// Polynomials Using PCLMULQDQ Instruction" (Intel, 2009).
typedef uint64_t mule_kernel(
    const struct mule_polynomial *polynomial, uint64_t state, const uint8_t *bytes, size_t count);

mule_kernel mule_kernel_table;

#if defined(__x86_64__)
mule_kernel mule_kernel_pclmulqdq;
mule_kernel mule_kernel_vpclmulqdq;
#endif

#if defined(__AARCH64EL__) && defined(__linux__)
#define MULE_PMULL 1
mule_kernel mule_kernel_pmull;
#endif

#endif
