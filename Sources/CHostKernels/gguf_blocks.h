// GGUF's quantised element types (ggml's layouts), read a group of 32 weights at a time, and their packed formats.
//
// All types but five have no minimums: a weight is a small integer times a scale that is itself a float times a small
// integer. Nothing but a weight's last multiplication rounds, like the formats' definition.

#ifndef GGUF_BLOCKS_H
#define GGUF_BLOCKS_H

#include "CHostKernels.h"

enum {
    GGUF_F32 = 0, GGUF_F16 = 1, GGUF_Q4_0 = 2, GGUF_Q4_1 = 3, GGUF_Q5_0 = 6, GGUF_Q5_1 = 7, GGUF_Q8_0 = 8,
    GGUF_Q2_K = 10, GGUF_Q3_K = 11, GGUF_Q4_K = 12, GGUF_Q5_K = 13, GGUF_Q6_K = 14, GGUF_IQ2_XXS = 16, GGUF_IQ2_XS = 17,
    GGUF_IQ3_XXS = 18, GGUF_IQ1_S = 19, GGUF_IQ4_NL = 20, GGUF_IQ3_S = 21, GGUF_IQ2_S = 22, GGUF_IQ4_XS = 23,
    GGUF_IQ1_M = 29, GGUF_BF16 = 30, GGUF_TQ1_0 = 34, GGUF_TQ2_0 = 35, GGUF_MXFP4 = 39,
};

/// A weight is unit · factor · value; the factors are for inputs 0…15 and 16…31.
typedef struct {
    int8_t values[HK_GROUP];
    float unit;
    int8_t factors[2];
} hk_signed_group;

/// A weight is fma(scale, value, minimum); scales and minimums are for inputs 0…15 and 16…31.
typedef struct {
    uint8_t values[HK_GROUP];
    float scales[2];
    float minimums[2];
} hk_affine_group;

/// A weight is unit · factor · value − minimum · minimum_factor; factors are for inputs 0…15 and 16…31.
typedef struct {
    uint8_t values[HK_GROUP];
    float unit;
    float minimum;
    int8_t factors[2];
    int8_t minimum_factors[2];
} hk_factored_group;

/// Reads group `group` of a row of a type without minimums: all but Q4_1, Q5_1, Q2_K, Q4_K, Q5_K and the float types.
void hk_read_signed(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out);
/// Reads group `group` of a row of Q4_0 or a type with minimums.
void hk_read_affine(uint32_t type, const uint8_t *row, size_t group, hk_affine_group *out);
/// Reads its scales and minimums alone, but for Q2_K.
void hk_read_affine_scales(uint32_t type, const uint8_t *row, size_t group, hk_affine_group *out);
/// Reads group `group` of a row of Q2_K.
void hk_read_factored(const uint8_t *row, size_t group, hk_factored_group *out);
/// Reads a group of an IQ type, TQ1_0, TQ2_0 or MXFP4.
void hk_read_coded(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out);

static inline uint16_t hk_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t hk_u32(const uint8_t *p) { return (uint32_t)hk_u16(p) | (uint32_t)hk_u16(p + 2) << 16; }

static inline float hk_f32(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

static inline float hk_f16(uint16_t h) {
    float magnitude = hk_f32((uint32_t)(h & 0x7fff) << 13) * 0x1p112f;
    if ((h & 0x7c00) == 0x7c00) magnitude = (h & 0x3ff) ? __builtin_nanf("") : __builtin_inff();
    return h & 0x8000 ? -magnitude : magnitude;
}

#endif
