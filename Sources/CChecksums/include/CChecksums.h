#ifndef MULE_CCHECKSUMS_H
#define MULE_CCHECKSUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The three CRCs that S3 accepts for a whole object: CRC-64/NVME, CRC-32C (Castagnoli) and CRC-32 (IEEE, as in zlib).
//
// `previous` is the value of everything that came before, 0 for nothing, so that
// crc(crc(0, A), B) is the CRC of A followed by B. `bytes` may have any alignment, and may be null when `count` is 0.
// The fastest kernel that this CPU can run is chosen once, before main. Every function may be called from any thread.

uint64_t mule_crc64nvme(uint64_t previous, const void *bytes, size_t count);
uint32_t mule_crc32c(uint32_t previous, const void *bytes, size_t count);
uint32_t mule_crc32(uint32_t previous, const void *bytes, size_t count);

// The CRC of A followed by B, from crc(A), crc(B) and the length of B in bytes; nothing is read again.

uint64_t mule_crc64nvme_combine(uint64_t first, uint64_t second, uint64_t second_count);
uint32_t mule_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_count);
uint32_t mule_crc32_combine(uint32_t first, uint32_t second, uint64_t second_count);

// For tests and benchmarks: each kernel by its number, 0 up to the count of kernels built for this architecture.
// Number 0 is portable and always supported; a kernel that is not supported must not be called.

size_t mule_crc_kernel_count(void);
const char *mule_crc_kernel_name(size_t kernel);
bool mule_crc_kernel_supported(size_t kernel);
size_t mule_crc_kernel_chosen(void);

uint64_t mule_crc64nvme_by(size_t kernel, uint64_t previous, const void *bytes, size_t count);
uint32_t mule_crc32c_by(size_t kernel, uint32_t previous, const void *bytes, size_t count);
uint32_t mule_crc32_by(size_t kernel, uint32_t previous, const void *bytes, size_t count);

#endif
