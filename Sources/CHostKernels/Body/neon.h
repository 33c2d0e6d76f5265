// Shared by the NEON sets: tiles for 32 registers of 4 lanes, and f16 conversion to the portable conversion's bits.

#include <arm_neon.h>

#define HK_LANES 4
#define HK_ROWS 6
#define HK_COLUMNS 4
#define HK_INT8_ROWS 4
#define HK_INT8_COLUMNS 2
#define HK_UNPACKED_RECORDS 12
#define HK_VALUE_VECTORS 4
// Prevents the compiler from computing all quarters of a block at once, whose sums would not fit the registers.
#define HK_AFTER_QUARTER(v) __asm__ volatile("" : "+w"(v))
#define HK_LOAD_F16
#define HK_SAVE_F16

typedef int32_t hk_words __attribute__((vector_size(16)));
typedef float hk_floats __attribute__((vector_size(16)));
typedef float hk_floats16 __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) hk_floats load_f16(const uint16_t *p) {
    return (hk_floats)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

// Numbers beyond f16's range become its greatest, infinity stays infinity, and a NaN keeps only its sign.
static inline __attribute__((always_inline)) uint16x4_t halves(float32x4_t x) {
    float32x4_t infinity = vdupq_n_f32(__builtin_inff()), magnitude = vabsq_f32(x);
    float32x4_t cut = vminq_f32(magnitude, vdupq_n_f32(65504.0f));
    cut = vbslq_f32(vceqq_f32(magnitude, infinity), infinity, cut);
    cut = vbslq_f32(vceqq_f32(x, x), cut, vdupq_n_f32(__builtin_nanf("")));
    return vreinterpret_u16_f16(vcvt_f16_f32(vbslq_f32(vdupq_n_u32(0x80000000), x, cut)));
}

static inline __attribute__((always_inline)) void save_f16(uint16_t *p, hk_floats16 v) {
    float32x4_t x[4];
    __builtin_memcpy(x, &v, sizeof x);
    for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, halves(x[i]));
}
