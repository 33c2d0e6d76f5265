// The kernels for x86-64 with AVX2, FMA and F16C.

#include "CHostKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define HK_NAME "avx2"
#define HK_LANES 8
#define HK_ROWS 6
#define HK_COLUMNS 2
#define HK_INT8_ROWS 4
#define HK_INT8_COLUMNS 2
#define HK_UNPACKED_RECORDS 12
#define HK_TABLE avx2_kernels
#define HK_VALUE_VECTORS 2
#define HK_NIBBLE_SUMS
#define HK_PAIR_PRODUCTS
#define HK_SCALED_PAIRS
#define HK_SIGNED_BYTES(seven) !(seven)
#define HK_LOAD_F16
#define HK_SAVE_F16
// Prevents the compiler from reordering a tile, which would spill all activations, and keeps the sums of a tile and a
// block's first totals out of the few registers.
#define HK_IN_ORDER(v) __asm__ volatile("" : "+x"(v))
#define HK_IN_MEMORY(v) __asm__ volatile("" : "+m"(v))

// PREFETCHW is a hint; processors without it ignore it.
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,prfchw"))), apply_to = function)

typedef int32_t hk_words __attribute__((vector_size(32)));
typedef float hk_floats __attribute__((vector_size(32)));

// Four-bit weights: the sum of a group's pairs of products fits 16 bits (8 × 2 × 15 × 127 < 2¹⁵).
static inline __attribute__((always_inline)) hk_words nibble_products(hk_words u, hk_words x) {
    return (hk_words)_mm256_maddubs_epi16((__m256i)u, (__m256i)x);
}
static inline __attribute__((always_inline)) hk_words nibble_sum(hk_words sum, hk_words products) {
    return (hk_words)_mm256_add_epi16((__m256i)sum, (__m256i)products);
}
static inline __attribute__((always_inline)) hk_words pair_products(hk_words a, hk_words b) {
    return (hk_words)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}
// One of each word's two numbers, in both halves, to multiply the two sums of a word.
static inline __attribute__((always_inline)) hk_words both_of(hk_words pairs, int second) {
    const __m256i first = _mm256_set1_epi64x(0x0504050401000100), other = _mm256_set1_epi64x(0x0706070603020302);
    const __m256i lanes = _mm256_set_epi64x(0x0808080808080808, 0, 0x0808080808080808, 0);
    return (hk_words)_mm256_shuffle_epi8((__m256i)pairs, _mm256_add_epi8(second ? other : first, lanes));
}
#define nibble_total pair_products

// Eight-bit weights as signed bytes: the instruction multiplies unsigned by signed bytes, so the sign of w goes to x.
// No pair of products overflows 16 bits (2 × 128 × 127 < 2¹⁵).
static inline __attribute__((always_inline)) hk_words dot4_signed(hk_words sum, hk_words w, hk_words x) {
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)w), _mm256_sign_epi8((__m256i)x, (__m256i)w));
    return sum + (hk_words)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
// With activations of 7 bits, no pair overflows with unsigned bytes either (2 × 255 × 63 < 2¹⁵).
static inline __attribute__((always_inline)) hk_words dot4(hk_words sum, hk_words u, hk_words x) {
    __m256i pairs = _mm256_maddubs_epi16((__m256i)u, (__m256i)x);
    return sum + (hk_words)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

// Weights of 7 bits: no pair of products overflows 16 bits (2 × 127 × 127 < 2¹⁵), and multiplying the pairs' sums costs no
// more than widening them. A factor is in both halves of its word.
static inline __attribute__((always_inline)) hk_words high_bytes(hk_words four, int first, int second) {
    const int both = (0x80 | first << 8 | 0x80 << 16 | second << 24), four_more = 0x04000400;
    __m256i places = _mm256_set_epi32(both + 3 * four_more, both + 2 * four_more, both + four_more, both,
                                      both + 3 * four_more, both + 2 * four_more, both + four_more, both);
    return (hk_words)_mm256_srai_epi16(_mm256_shuffle_epi8((__m256i)four, places), 8);
}
static inline __attribute__((always_inline)) hk_words factor_of(hk_words four, int quarter) {
    return high_bytes(four, quarter, quarter);
}
static inline __attribute__((always_inline)) hk_words factor_pair(hk_words four, int second) {
    return high_bytes(four, 2 * second, 2 * second + 1);
}
static inline __attribute__((always_inline)) hk_words add_scaled_pairs(hk_words sum, hk_words u, hk_words x,
                                                                       hk_words factor) {
    return sum + (hk_words)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)u, (__m256i)x), (__m256i)factor);
}

static inline __attribute__((always_inline)) hk_floats load_f16(const uint16_t *p) {
    return (hk_floats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

typedef float hk_floats16 __attribute__((vector_size(64)));
#include "Body/f16c.h"
#include "Body/all.h"

#pragma clang attribute pop

const hk_kernels *_Nullable hk_avx2(void) {
    __builtin_cpu_init();
    int usable = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    return usable ? &avx2_kernels : 0;
}
#else
const hk_kernels *_Nullable hk_avx2(void) { return 0; }
#endif
