// The kernels for x86-64 with AVX-512 F, BW, VL and VNNI.

#include "CHostKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define HK_NAME "avx512"
#define HK_LANES 16
#define HK_ROWS 12
#define HK_COLUMNS 2
#define HK_INT8_ROWS 4
#define HK_INT8_COLUMNS 2
#define HK_TABLE avx512_kernels
#define HK_STREAMED
#define HK_VALUE_VECTORS 4
#define HK_PAIR_PRODUCTS
#define HK_CENTRED_SUMS
// Prevents the compiler from computing all quarters of a block at once, whose sums would not fit the registers.
#define HK_AFTER_QUARTER(v) __asm__ volatile("" : "+v"(v))
#define HK_LOAD_F16
#define HK_SAVE_F16

// PREFETCHW is a hint; processors without it ignore it.
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,prfchw"))), apply_to = function)

typedef int32_t hk_words __attribute__((vector_size(64)));
typedef float hk_floats __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) hk_words dot4(hk_words sum, hk_words u, hk_words x) {
    return (hk_words)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)u, (__m512i)x);
}

static inline __attribute__((always_inline)) hk_words pair_products(hk_words a, hk_words b) {
    return (hk_words)_mm512_madd_epi16((__m512i)a, (__m512i)b);
}

// Four-bit weights less 8: a group's sum fits 16 bits (32 × 8 × 127 < 2¹⁵), and a block's two sums are multiplied by
// their scales together. `pairs` are −8 Σq of both groups. The second group's products are 16 times as large, and only
// the lower 20 bits of their sum count, in which 4 bits of the first group's number stay below the products.
static inline __attribute__((always_inline)) void begin_centred(hk_words pairs, hk_words *first, hk_words *second) {
    *first = pairs;
    *second = pairs >> 12;
}
static inline __attribute__((always_inline)) hk_words centred_offset(hk_words offset, hk_words scale) {
    return (hk_words)_mm512_sub_epi16((__m512i)offset, (__m512i)scale);
}
static inline __attribute__((always_inline)) hk_words centred_total(hk_words first, hk_words second, hk_words scale,
                                                                    hk_words offset, hk_words pairs) {
    __m512i both = _mm512_mask_blend_epi16(0xaaaaaaaa, (__m512i)first, (__m512i)(second << 12));
    return (hk_words)_mm512_dpwssd_epi32((__m512i)pair_products(offset, pairs), both, (__m512i)scale);
}

static inline __attribute__((always_inline)) hk_floats load_f16(const uint16_t *p) {
    return (hk_floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

typedef float hk_floats16 __attribute__((vector_size(64)));
#include "Body/f16c.h"
#include "Body/all.h"

#pragma clang attribute pop

const hk_kernels *_Nullable hk_avx512(void) {
    __builtin_cpu_init();
    int usable = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma") &&
                 __builtin_cpu_supports("f16c");
    return usable ? &avx512_kernels : 0;
}
#else
const hk_kernels *_Nullable hk_avx512(void) { return 0; }
#endif
