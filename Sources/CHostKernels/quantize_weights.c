// Quantises float weights when a model is loaded, to the bits of ggml's reference and the gguf package.

#include "gguf_blocks.h"

#pragma STDC FP_CONTRACT OFF

// Rounds to the nearest f16, ties to even; what is beyond its range becomes infinite.
static uint16_t half_of(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits >= 0x47800000) return sign | 0x7c00;
    if (bits < 0x38800000) {
        float shifted = __builtin_fabsf(value) + 0.5f;
        __builtin_memcpy(&bits, &shifted, 4);
        return sign | (uint16_t)(bits - 0x3f000000);
    }
    bits += 0xfff + (bits >> 13 & 1);
    return sign | (uint16_t)((bits - 0x38000000) >> 13);
}

static float inverse_of(float scale) {
    float inverse = 1 / scale;
    // A scale that is zero or too small for an inverse is zero as f16.
    return __builtin_fabsf(inverse) < __builtin_inff() ? inverse : 0;
}

static int put_scale(float scale, uint8_t *block) {
    uint16_t half = half_of(scale);
    block[0] = (uint8_t)half;
    block[1] = (uint8_t)(half >> 8);
    return (half & 0x7c00) != 0x7c00;
}

static int to_q8_0(const float x[HK_GROUP], uint8_t *block) {
    float greatest = 0;
    for (int i = 0; i < HK_GROUP; i++) greatest = __builtin_fabsf(x[i]) > greatest ? __builtin_fabsf(x[i]) : greatest;
    float scale = greatest / 127, inverse = inverse_of(scale);
    for (int i = 0; i < HK_GROUP; i++) {
        // To the nearest integer, ties away from zero.
        float magnitude = __builtin_fabsf(x[i] * inverse);
        int whole = (int)magnitude;
        whole += magnitude - (float)whole >= 0.5f;
        block[2 + i] = (uint8_t)(x[i] < 0 ? -whole : whole);
    }
    return put_scale(scale, block);
}

static int to_q4_0(const float x[HK_GROUP], uint8_t *block) {
    // The first number of the greatest magnitude becomes −8.
    float greatest = x[0];
    for (int i = 1; i < HK_GROUP; i++)
        if (__builtin_fabsf(x[i]) > __builtin_fabsf(greatest)) greatest = x[i];
    float scale = greatest / -8, inverse = inverse_of(scale);
    uint8_t values[HK_GROUP];
    for (int i = 0; i < HK_GROUP; i++) {
        int value = (int)(x[i] * inverse + 8.5f);
        values[i] = (uint8_t)(value < 15 ? value : 15);
    }
    for (int i = 0; i < 16; i++) block[2 + i] = (uint8_t)(values[i] | values[i + 16] << 4);
    return put_scale(scale, block);
}

size_t hk_quantize_row(uint32_t type, const void *row, size_t count, uint32_t to, void *out) {
    const size_t element = type == GGUF_F32 ? 4 : 2, block = to == GGUF_Q8_0 ? 34 : 18;
    for (size_t first = 0; first < count; first += HK_GROUP) {
        float x[HK_GROUP];
        hk_gguf_row(type, (const uint8_t *)row + first * element, HK_GROUP, x);
        uint8_t *to_block = (uint8_t *)out + first / HK_GROUP * block;
        if (!(to == GGUF_Q8_0 ? to_q8_0(x, to_block) : to_q4_0(x, to_block))) return first;
    }
    return count;
}
