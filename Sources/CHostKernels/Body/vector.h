// Vector types of HK_LANES floats, and the operations that the kernels use.

#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wpsabi"

#ifndef HK_IN_ORDER
#define HK_IN_ORDER(v)
#define HK_IN_MEMORY(v)
#endif
#ifndef HK_AFTER_QUARTER
#define HK_AFTER_QUARTER(v)
#endif
#define HK_INLINE static inline __attribute__((always_inline, unused))
#define HK_UNROLL _Pragma("clang loop unroll(full)")
#define HK_LOOP _Pragma("clang loop unroll(disable)")

typedef float vf __attribute__((vector_size(HK_LANES * 4)));
typedef int32_t vi __attribute__((vector_size(HK_LANES * 4)));
typedef uint16_t vh __attribute__((vector_size(HK_LANES * 2)));
typedef uint8_t vb __attribute__((vector_size(HK_LANES * 4)));

// The 16 partial sums of a reduction, whatever the register width.
typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

HK_INLINE vf load(const float *p) { vf v; __builtin_memcpy(&v, p, sizeof v); return v; }
HK_INLINE vi load_words(const uint32_t *p) { vi v; __builtin_memcpy(&v, p, sizeof v); return v; }
HK_INLINE void save(float *p, vf v) { __builtin_memcpy(p, &v, sizeof v); }
HK_INLINE vf splat(float x) { return x - (vf){}; }
HK_INLINE vf floats(vi v) { return __builtin_convertvector(v, vf); }

HK_INLINE vf load_bf16(const uint16_t *p) {
    vh h;
    __builtin_memcpy(&h, p, sizeof h);
    return (vf)(__builtin_convertvector(h, vi) << 16);
}

#ifndef HK_LOAD_F16
HK_INLINE vf load_f16(const uint16_t *p) {
    vh h;
    __builtin_memcpy(&h, p, sizeof h);
    vi w = __builtin_convertvector(h, vi);
    vf magnitude = (vf)((w & 0x7fff) << 13) * 0x1p112f;
    vi infinite = (w & 0x7c00) == 0x7c00;
    return (vf)((vi)magnitude | (infinite & 0x7f800000) | ((w & 0x8000) << 16));
}
#endif

#ifndef HK_SAVE_F16
// Rounds to the nearest f16, ties to even. Finite numbers stay finite: an infinite key would turn a row's scores into NaN.
HK_INLINE uint16_t half_bits(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits >= 0x477ff000) return sign | (bits > 0x7f800000 ? 0x7e00 : bits == 0x7f800000 ? 0x7c00 : 0x7bff);
    if (bits < 0x38800000) {
        float shifted = __builtin_fabsf(value) + 0.5f;
        __builtin_memcpy(&bits, &shifted, 4);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    bits += 0xfff + (bits >> 13 & 1);
    return sign | (uint16_t)((bits - 0x38000000) >> 13);
}
HK_INLINE void save_f16(uint16_t *p, v16 v) {
    for (int i = 0; i < 16; i++) p[i] = half_bits(v[i]);
}
#endif

// Rows of the next register tile when `rows` rows are left: tiles are of nearly equal height, since low ones cost more
// per row.
HK_INLINE size_t next_tile(size_t rows, size_t most) {
    size_t tiles = (rows + most - 1) / most;
    return (rows + tiles - 1) / tiles;
}

HK_INLINE v16 load16(const float *p) { v16 v; __builtin_memcpy(&v, p, sizeof v); return v; }
HK_INLINE void save16(float *p, v16 v) { __builtin_memcpy(p, &v, sizeof v); }
HK_INLINE v16 splat16(float x) { return x - (v16){}; }

#ifdef HK_SOFTWARE_FMA
#include "software_fma.h"
#else
HK_INLINE vf fused(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
HK_INLINE v16 fused16(v16 a, v16 b, v16 c) { return __builtin_elementwise_fma(a, b, c); }
#endif

// Loads the first `count` of 16 floats, and zeros. Whole vectors are a separate case: a copy of unknown length is a
// call.
HK_INLINE v16 load_first(const float *p, size_t count) {
    if (count == 16) return load16(p);
    float padded[16] = {0};
    __builtin_memcpy(padded, p, count * sizeof(float));
    return load16(padded);
}
HK_INLINE void save_first(float *p, v16 v, size_t count) {
    if (count == 16) return save16(p, v);
    float padded[16];
    save16(padded, v);
    __builtin_memcpy(p, padded, count * sizeof(float));
}

HK_INLINE float sum16(v16 v) {
    float s[16];
    save16(s, v);
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}
HK_INLINE float max16(v16 v) {
    float m[16];
    save16(m, v);
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; i++) m[i] = m[i + width] > m[i] ? m[i + width] : m[i];
    return m[0];
}

// Adding 1.5·2²³ leaves no fraction bits: rounds to nearest, ties to even, for |x| < 2²².
#define HK_ROUND(x) (((x) + 0x1.8p23f) - 0x1.8p23f)

// e^x to about 1 ulp on [−87, 88], clamped there; NaN stays NaN. Cody-Waite reduction, Cephes' polynomial.
HK_INLINE v16 exponential(v16 x) {
    v16 c = __builtin_elementwise_min(__builtin_elementwise_max(x, splat16(-87.0f)), splat16(88.0f));
    v16 n = HK_ROUND(c * splat16(0x1.715476p0f));
    v16 r = fused16(n, splat16(-0x1.62e4p-1f), c);
    r = fused16(n, splat16(-0x1.7f7d1cp-20f), r);
    v16 p = splat16(1.9875691500e-4f);
    p = fused16(p, r, splat16(1.3981999507e-3f));
    p = fused16(p, r, splat16(8.3334519073e-3f));
    p = fused16(p, r, splat16(4.1665795894e-2f));
    p = fused16(p, r, splat16(1.6666665459e-1f));
    p = fused16(p, r, splat16(5.0000001201e-1f));
    p = fused16(p, r * r, r) + splat16(1.0f);
    v16 power = (v16)((__builtin_convertvector(n, v16i) + 127) << 23);
    return fused16(x, splat16(0.0f), p * power);
}

// tanh x to about 2 ulp; NaN stays NaN. Near zero Cephes' polynomial, since 1 − 2/(e^2x + 1) cancels there.
HK_INLINE v16 hyperbolic_tangent(v16 x) {
    v16 magnitude = (v16)((v16i)x & 0x7fffffff), square = x * x;
    v16 far = splat16(1) - splat16(2) / (exponential(magnitude + magnitude) + splat16(1));
    far = (v16)((v16i)far | ((v16i)x & (int32_t)0x80000000));
    v16 p = splat16(-5.70498872745e-3f);
    p = fused16(p, square, splat16(2.06390887954e-2f));
    p = fused16(p, square, splat16(-5.37397155531e-2f));
    p = fused16(p, square, splat16(1.33314422036e-1f));
    p = fused16(p, square, splat16(-3.33332819422e-1f));
    v16 near = fused16(p * square, x, x);
    v16i is_near = magnitude < splat16(0.625f);
    return (v16)(((v16i)near & is_near) | ((v16i)far & ~is_near));
}

// c·tanh(x / c).
HK_INLINE v16 capped(v16 x, float cap) { return splat16(cap) * hyperbolic_tangent(x / splat16(cap)); }
