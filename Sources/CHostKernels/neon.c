// The kernels for aarch64 with the dot product instructions.

#include "CHostKernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

#define HK_NAME "neon"
#define HK_TABLE neon_kernels

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "Body/neon.h"

// The instruction takes signed bytes on both sides: bytes of u are at most 15.
static inline __attribute__((always_inline)) hk_words dot4(hk_words sum, hk_words u, hk_words x) {
    return (hk_words)vdotq_s32((int32x4_t)sum, (int8x16_t)u, (int8x16_t)x);
}

#include "Body/all.h"

#pragma clang attribute pop

const hk_kernels *_Nullable hk_neon(void) { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? &neon_kernels : 0; }
#else
const hk_kernels *_Nullable hk_neon(void) { return 0; }
#endif
