// GGUF's block-quantised element types (ggml's layouts), read one group of 32 weights at a time.
//
// Every type is read as unsigned integers with a scale and a minimum for each half group: weight = fma(scale, u,
// minimum).
// The products are exact in float, so this rounds once, like the formats' definition.

#include "CHostKernels.h"
#include "gguf_blocks.h"

#pragma STDC FP_CONTRACT OFF

enum {
    GGUF_F32 = 0, GGUF_F16 = 1, GGUF_Q4_0 = 2, GGUF_Q4_1 = 3, GGUF_Q5_0 = 6, GGUF_Q5_1 = 7, GGUF_Q8_0 = 8,
    GGUF_Q2_K = 10, GGUF_Q3_K = 11, GGUF_Q4_K = 12, GGUF_Q5_K = 13, GGUF_Q6_K = 14, GGUF_BF16 = 30,
};

static float half_at(const uint8_t *p) {
    uint16_t h = (uint16_t)(p[0] | p[1] << 8);
    uint32_t bits = (uint32_t)(h & 0x7fff) << 13;
    float magnitude;
    __builtin_memcpy(&magnitude, &bits, 4);
    magnitude *= 0x1p112f;
    if ((h & 0x7c00) == 0x7c00) magnitude = (h & 0x3ff) ? __builtin_nanf("") : __builtin_inff();
    return h & 0x8000 ? -magnitude : magnitude;
}

static void affine(hk_group *out, float scale, float minimum) {
    out->scale[0] = out->scale[1] = scale;
    out->minimum[0] = out->minimum[1] = minimum;
}

// Q4_0, Q4_1, Q5_0, Q5_1: nibbles of inputs 0…15 low and 16…31 high; the fifth bits in one word.
static void small_block(uint32_t type, const uint8_t *row, size_t group, hk_group *out) {
    int offset = type == GGUF_Q4_1 || type == GGUF_Q5_1, five = type == GGUF_Q5_0 || type == GGUF_Q5_1;
    const uint8_t *block = row + group * (18 + (offset ? 2 : 0) + (five ? 4 : 0));
    const uint8_t *p = block + (offset ? 4 : 2);
    float scale = half_at(block);
    affine(out, scale, offset ? half_at(block + 2) : -scale * (five ? 16 : 8));
    uint32_t fifth = 0;
    if (five) {
        fifth = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        p += 4;
    }
    for (int i = 0; i < 16; i++) {
        out->values[i] = (uint8_t)((p[i] & 15) | (fifth >> i & 1) << 4);
        out->values[i + 16] = (uint8_t)(p[i] >> 4 | (fifth >> (i + 16) & 1) << 4);
    }
}

static void q8_0(const uint8_t *row, size_t group, hk_group *out) {
    const uint8_t *block = row + group * 34;
    float scale = half_at(block);
    affine(out, scale, -128 * scale);
    for (int i = 0; i < 32; i++) out->values[i] = block[2 + i] ^ 0x80;
}

// Q4_K, Q5_K: eight groups; six-bit scales and minimums packed in twelve bytes.
static void q45_k(int five, const uint8_t *row, size_t group, hk_group *out) {
    const uint8_t *block = row + group / 8 * (five ? 176 : 144), *s = block + 4;
    const uint8_t *high = block + 16, *low = block + (five ? 48 : 16);
    int g = (int)(group % 8), scale, minimum;
    if (g < 4) {
        scale = s[g] & 63;
        minimum = s[g + 4] & 63;
    } else {
        scale = (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
        minimum = s[g + 4] >> 4 | (s[g] >> 6) << 4;
    }
    affine(out, half_at(block) * (float)scale, -half_at(block + 2) * (float)minimum);
    for (int i = 0; i < 32; i++) {
        uint8_t byte = low[g / 2 * 32 + i];
        out->values[i] = g & 1 ? byte >> 4 : byte & 15;
        if (five) out->values[i] |= (high[i] >> g & 1) << 4;
    }
}

static void q6_k(const uint8_t *row, size_t group, hk_group *out) {
    const uint8_t *block = row + group / 8 * 210;
    int side = (int)(group % 8) / 4, quarter = (int)(group % 4);
    const uint8_t *low = block + side * 64 + (quarter & 1) * 32, *high = block + 128 + side * 32;
    const int8_t *scales = (const int8_t *)block + 192 + side * 8 + quarter * 2;
    for (int part = 0; part < 2; part++) {
        out->scale[part] = half_at(block + 208) * (float)scales[part];
        out->minimum[part] = -32 * out->scale[part];
    }
    for (int i = 0; i < 32; i++) {
        int nibble = quarter < 2 ? low[i] & 15 : low[i] >> 4;
        out->values[i] = (uint8_t)(nibble | (high[i] >> 2 * quarter & 3) << 4);
    }
}

static void q2_k(const uint8_t *row, size_t group, hk_group *out) {
    const uint8_t *block = row + group / 8 * 84;
    int side = (int)(group % 8) / 4, quarter = (int)(group % 4);
    const uint8_t *scales = block + side * 8 + quarter * 2, *values = block + 16 + side * 32;
    for (int part = 0; part < 2; part++) {
        out->scale[part] = half_at(block + 80) * (float)(scales[part] & 15);
        out->minimum[part] = -half_at(block + 82) * (float)(scales[part] >> 4);
    }
    for (int i = 0; i < 32; i++) out->values[i] = values[i] >> 2 * quarter & 3;
}

static void q3_k(const uint8_t *row, size_t group, hk_group *out) {
    const uint8_t *block = row + group / 8 * 110, *s = block + 96;
    int g = (int)(group % 8);
    for (int part = 0; part < 2; part++) {
        int i = g * 2 + part;
        int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4, high = s[8 + i % 4] >> 2 * (i / 4) & 3;
        out->scale[part] = half_at(block + 108) * (float)((low | high << 4) - 32);
        out->minimum[part] = -4 * out->scale[part];
    }
    for (int i = 0; i < 32; i++)
        out->values[i] = (uint8_t)((block[32 + g / 4 * 32 + i] >> 2 * (g % 4) & 3) | (block[i] >> g & 1) << 2);
}

void hk_gguf_group(uint32_t type, const void *row, size_t group, hk_group *out) {
    switch (type) {
    case GGUF_Q4_0: case GGUF_Q4_1: case GGUF_Q5_0: case GGUF_Q5_1: small_block(type, row, group, out); break;
    case GGUF_Q8_0: q8_0(row, group, out); break;
    case GGUF_Q2_K: q2_k(row, group, out); break;
    case GGUF_Q3_K: q3_k(row, group, out); break;
    case GGUF_Q4_K: q45_k(0, row, group, out); break;
    case GGUF_Q5_K: q45_k(1, row, group, out); break;
    case GGUF_Q6_K: q6_k(row, group, out); break;
    default: __builtin_trap();
    }
}

int32_t hk_packed_format(uint32_t type, int int8, int32_t *parts) {
    *parts = type == GGUF_Q2_K || type == GGUF_Q3_K || type == GGUF_Q6_K ? 2 : 1;
    switch (type) {
    case GGUF_F32: return HK_F32;
    case GGUF_F16: return HK_F16;
    case GGUF_BF16: return HK_BF16;
    case GGUF_Q2_K: case GGUF_Q3_K: return HK_U4;
    case GGUF_Q4_0: case GGUF_Q4_1: case GGUF_Q4_K: return int8 ? HK_I4 : HK_U4;
    case GGUF_Q8_0: return int8 ? HK_S8 : HK_U8;
    default: return HK_U8;
    }
}

void hk_gguf_row(uint32_t type, const void *row, size_t count, float *out) {
    if (type == GGUF_F32) {
        __builtin_memcpy(out, row, count * sizeof(float));
    } else if (type == GGUF_F16) {
        for (size_t i = 0; i < count; i++) out[i] = half_at((const uint8_t *)row + 2 * i);
    } else if (type == GGUF_BF16) {
        for (size_t i = 0; i < count; i++) {
            uint16_t bits;
            __builtin_memcpy(&bits, (const uint8_t *)row + 2 * i, 2);
            uint32_t wide = (uint32_t)bits << 16;
            __builtin_memcpy(out + i, &wide, 4);
        }
    } else {
        hk_group group;
        for (size_t i = 0; i < count; i++) {
            if (i % HK_GROUP == 0) hk_gguf_group(type, row, i / HK_GROUP, &group);
            size_t part = i % HK_GROUP / 16;
            out[i] = __builtin_fmaf(group.scale[part], group.values[i % HK_GROUP], group.minimum[part]);
        }
    }
}
