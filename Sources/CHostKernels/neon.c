// The kernels for aarch64 with the dot product instructions.

#include "CHostKernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

#define HK_NAME "neon"
#define HK_TABLE neon_kernels
#define HK_SIGNED_BYTES(seven) 1

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "Body/neon.h"

// The instruction takes signed bytes for both operands; 4-bit weights are at most 15.
static inline __attribute__((always_inline)) hk_words dot4_signed(hk_words sum, hk_words w, hk_words x) {
    return (hk_words)vdotq_s32((int32x4_t)sum, (int8x16_t)w, (int8x16_t)x);
}
#define dot4 dot4_signed

#include "Body/all.h"

#pragma clang attribute pop

const hk_kernels *_Nullable hk_neon(void) { return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? &neon_kernels : 0; }
#else
const hk_kernels *_Nullable hk_neon(void) { return 0; }
#endif
