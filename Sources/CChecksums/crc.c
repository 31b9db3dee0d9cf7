#include "CChecksums.h"
#include "kernels.h"

#if MULE_PMULL
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

// Written by prepare() before main, and only read afterwards.
static struct mule_polynomial crc64nvme = {.width = 64, .reflected = UINT64_C(0x9A6C9329AC4BC9B5)};
static struct mule_polynomial crc32c = {.width = 32, .reflected = UINT64_C(0x82F63B78)};
static struct mule_polynomial crc32 = {.width = 32, .reflected = UINT64_C(0xEDB88320)};
static size_t chosen = 0;

static bool always(void) {
    return true;
}

#if defined(__x86_64__)
static bool has_pclmulqdq(void) {
    return __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("pclmul");
}

static bool has_vpclmulqdq(void) {
    return has_pclmulqdq() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
}
#endif

#if MULE_PMULL
static bool has_pmull(void) {
    return (getauxval(AT_HWCAP) & HWCAP_PMULL) != 0;
}
#endif

// From the slowest to the fastest.
static const struct {
    const char *name;
    bool (*supported)(void);
    mule_kernel *run;
} kernels[] = {
    {"table", always, mule_kernel_table},
#if defined(__x86_64__)
    {"pclmulqdq", has_pclmulqdq, mule_kernel_pclmulqdq},
    {"vpclmulqdq", has_vpclmulqdq, mule_kernel_vpclmulqdq},
#endif
#if MULE_PMULL
    {"pmull", has_pmull, mule_kernel_pmull},
#endif
};

static const size_t kernel_count = sizeof kernels / sizeof kernels[0];

static __attribute__((constructor)) void prepare(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    mule_polynomial_prepare(&crc64nvme);
    mule_polynomial_prepare(&crc32c);
    mule_polynomial_prepare(&crc32);
    for (size_t kernel = 0; kernel < kernel_count; kernel++) {
        if (kernels[kernel].supported()) {
            chosen = kernel;
        }
    }
}

size_t mule_crc_kernel_count(void) {
    return kernel_count;
}

const char *mule_crc_kernel_name(size_t kernel) {
    return kernels[kernel].name;
}

bool mule_crc_kernel_supported(size_t kernel) {
    return kernels[kernel].supported();
}

size_t mule_crc_kernel_chosen(void) {
    return chosen;
}

uint64_t mule_crc64nvme_by(size_t kernel, uint64_t previous, const void *bytes, size_t count) {
    return ~kernels[kernel].run(&crc64nvme, ~previous, bytes, count);
}

uint32_t mule_crc32c_by(size_t kernel, uint32_t previous, const void *bytes, size_t count) {
    return ~(uint32_t)kernels[kernel].run(&crc32c, ~previous, bytes, count);
}

uint32_t mule_crc32_by(size_t kernel, uint32_t previous, const void *bytes, size_t count) {
    return ~(uint32_t)kernels[kernel].run(&crc32, ~previous, bytes, count);
}

uint64_t mule_crc64nvme(uint64_t previous, const void *bytes, size_t count) {
    return mule_crc64nvme_by(chosen, previous, bytes, count);
}

uint32_t mule_crc32c(uint32_t previous, const void *bytes, size_t count) {
    return mule_crc32c_by(chosen, previous, bytes, count);
}

uint32_t mule_crc32(uint32_t previous, const void *bytes, size_t count) {
    return mule_crc32_by(chosen, previous, bytes, count);
}

uint64_t mule_crc64nvme_combine(uint64_t first, uint64_t second, uint64_t second_count) {
    return mule_polynomial_combine(&crc64nvme, first, second, second_count);
}

uint32_t mule_crc32c_combine(uint32_t first, uint32_t second, uint64_t second_count) {
    return (uint32_t)mule_polynomial_combine(&crc32c, first, second, second_count);
}

uint32_t mule_crc32_combine(uint32_t first, uint32_t second, uint64_t second_count) {
    return (uint32_t)mule_polynomial_combine(&crc32, first, second, second_count);
}
