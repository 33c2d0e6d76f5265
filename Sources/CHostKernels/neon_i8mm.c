// The kernels for aarch64 with the int8 matrix extension, whose dot product takes unsigned bytes by signed ones.

#include "CHostKernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

#define HK_NAME "neon-i8mm"
#define HK_TABLE neon_i8mm_kernels

#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)

#include "Body/neon.h"

static inline __attribute__((always_inline)) hk_words dot4(hk_words sum, hk_words u, hk_words x) {
    return (hk_words)vusdotq_s32((int32x4_t)sum, (uint8x16_t)u, (int8x16_t)x);
}

#include "Body/all.h"

#pragma clang attribute pop

const hk_kernels *_Nullable hk_neon_i8mm(void) {
    return getauxval(AT_HWCAP2) & HWCAP2_I8MM ? &neon_i8mm_kernels : 0;
}
#else
const hk_kernels *_Nullable hk_neon_i8mm(void) { return 0; }
#endif
