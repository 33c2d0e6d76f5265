// The blocks of ggml's plain and K types, packed formats, and whole rows of every type.

#include "gguf_blocks.h"

#pragma STDC FP_CONTRACT OFF

static float half_at(const uint8_t *p) { return hk_f16(hk_u16(p)); }

// Nibbles of inputs 0…15 low and of 16…31 high.
static void nibbles(const uint8_t *p, uint8_t *out) {
    for (int i = 0; i < 16; i++) {
        out[i] = p[i] & 15;
        out[i + 16] = p[i] >> 4;
    }
}

// Nibbles whose fifth bits are in one word before them.
static void five_bits(const uint8_t *p, uint8_t *out) {
    uint32_t fifth = hk_u32(p);
    nibbles(p + 4, out);
    for (int i = 0; i < 32; i++) out[i] |= (fifth >> i & 1) << 4;
}

static void less(int offset, int8_t *values) {
    for (int i = 0; i < HK_GROUP; i++) values[i] = (int8_t)(values[i] - offset);
}

static void small_signed(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out) {
    const uint8_t *block = row + group * (type == GGUF_Q4_0 ? 18 : type == GGUF_Q5_0 ? 22 : 34);
    out->unit = half_at(block);
    out->factors[0] = out->factors[1] = 1;
    if (type == GGUF_Q8_0) {
        __builtin_memcpy(out->values, block + 2, HK_GROUP);
    } else if (type == GGUF_Q5_0) {
        five_bits(block + 2, (uint8_t *)out->values);
        less(16, out->values);
    } else {
        nibbles(block + 2, (uint8_t *)out->values);
        less(8, out->values);
    }
}

static void q6_k(const uint8_t *row, size_t group, hk_signed_group *out) {
    const uint8_t *block = row + group / 8 * 210;
    int side = (int)(group % 8) / 4, quarter = (int)(group % 4);
    const uint8_t *low = block + side * 64 + (quarter & 1) * 32, *high = block + 128 + side * 32;
    __builtin_memcpy(out->factors, block + 192 + side * 8 + quarter * 2, 2);
    out->unit = half_at(block + 208);
    for (int i = 0; i < 32; i++)
        out->values[i] = (int8_t)(((low[i] >> (quarter < 2 ? 0 : 4) & 15) | (high[i] >> 2 * quarter & 3) << 4) - 32);
}

static void q3_k(const uint8_t *row, size_t group, hk_signed_group *out) {
    const uint8_t *block = row + group / 8 * 110, *s = block + 96;
    int g = (int)(group % 8);
    out->unit = half_at(block + 108);
    for (int part = 0; part < 2; part++) {
        int i = g * 2 + part;
        int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4, high = s[8 + i % 4] >> 2 * (i / 4) & 3;
        out->factors[part] = (int8_t)((low | high << 4) - 32);
    }
    for (int i = 0; i < 32; i++)
        out->values[i] = (int8_t)(((block[32 + g / 4 * 32 + i] >> 2 * (g % 4) & 3) | (block[i] >> g & 1) << 2) - 4);
}

void hk_read_signed(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out) {
    switch (type) {
    case GGUF_Q4_0: case GGUF_Q5_0: case GGUF_Q8_0: small_signed(type, row, group, out); break;
    case GGUF_Q3_K: q3_k(row, group, out); break;
    case GGUF_Q6_K: q6_k(row, group, out); break;
    default: hk_read_coded(type, row, group, out); break;
    }
}

// Bytes of a block of a type with minimums for whole groups, or of Q4_0, and its groups.
static size_t affine_bytes(uint32_t type, size_t *groups) {
    *groups = type == GGUF_Q4_K || type == GGUF_Q5_K ? 8 : 1;
    switch (type) {
    case GGUF_Q4_0: return 18;
    case GGUF_Q4_1: return 20;
    case GGUF_Q5_1: return 24;
    case GGUF_Q4_K: return 144;
    case GGUF_Q5_K: return 176;
    default: __builtin_trap();
    }
}

// Six-bit scales and minimums of eight groups, packed in twelve bytes.
static void six_bit_scales(const uint8_t *block, int g, hk_affine_group *out) {
    const uint8_t *s = block + 4;
    int scale = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
    int minimum = g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | (s[g] >> 6) << 4;
    out->scales[0] = out->scales[1] = half_at(block) * (float)scale;
    out->minimums[0] = out->minimums[1] = -half_at(block + 2) * (float)minimum;
}

void hk_read_affine_scales(uint32_t type, const uint8_t *row, size_t group, hk_affine_group *out) {
    size_t groups, bytes = affine_bytes(type, &groups);
    const uint8_t *block = row + group / groups * bytes;
    if (type == GGUF_Q4_K || type == GGUF_Q5_K) {
        six_bit_scales(block, (int)(group % 8), out);
    } else {
        float scale = half_at(block);
        out->scales[0] = out->scales[1] = scale;
        out->minimums[0] = out->minimums[1] = type == GGUF_Q4_0 ? -8 * scale : half_at(block + 2);
    }
}

void hk_read_factored(const uint8_t *row, size_t group, hk_factored_group *out) {
    const uint8_t *block = row + group / 8 * 84;
    int g = (int)(group % 8);
    out->unit = half_at(block + 80);
    out->minimum = half_at(block + 82);
    for (int part = 0; part < 2; part++) {
        out->factors[part] = block[2 * g + part] & 15;
        out->minimum_factors[part] = block[2 * g + part] >> 4;
    }
    for (int i = 0; i < 32; i++) out->values[i] = block[16 + g / 4 * 32 + i] >> 2 * (g % 4) & 3;
}

void hk_read_affine(uint32_t type, const uint8_t *row, size_t group, hk_affine_group *out) {
    if (type == GGUF_Q2_K) {
        hk_factored_group factored;
        hk_read_factored(row, group, &factored);
        __builtin_memcpy(out->values, factored.values, HK_GROUP);
        for (int part = 0; part < 2; part++) {
            out->scales[part] = factored.unit * (float)factored.factors[part];
            out->minimums[part] = -factored.minimum * (float)factored.minimum_factors[part];
        }
        return;
    }
    hk_read_affine_scales(type, row, group, out);
    size_t groups, bytes = affine_bytes(type, &groups);
    const uint8_t *block = row + group / groups * bytes;
    int g = (int)(group % groups);
    switch (type) {
    case GGUF_Q4_0: nibbles(block + 2, out->values); break;
    case GGUF_Q4_1: nibbles(block + 4, out->values); break;
    case GGUF_Q5_1: five_bits(block + 4, out->values); break;
    default: {
        const uint8_t *low = block + (type == GGUF_Q5_K ? 48 : 16) + g / 2 * 32;
        for (int i = 0; i < 32; i++) out->values[i] = low[i] >> 4 * (g & 1) & 15;
        if (type == GGUF_Q5_K)
            for (int i = 0; i < 32; i++) out->values[i] |= (block[16 + i] >> g & 1) << 4;
    }
    }
}

int32_t hk_packed_format(uint32_t type, int int8, int32_t *parts) {
    *parts = type == GGUF_Q2_K ? 2 : 1;
    switch (type) {
    case GGUF_F32: return HK_F32;
    case GGUF_F16: return HK_F16;
    case GGUF_BF16: return HK_BF16;
    case GGUF_Q2_K: return int8 ? HK_U7 : HK_U4;
    case GGUF_Q4_0: case GGUF_Q4_1: case GGUF_Q4_K: return int8 ? HK_I4 : HK_U4;
    case GGUF_Q5_1: case GGUF_Q5_K: return HK_U8;
    // Types with scales for 16 inputs; their values are from −64 to 63.
    case GGUF_Q3_K: case GGUF_Q6_K: case GGUF_IQ2_XS: case GGUF_IQ2_S: case GGUF_IQ1_M: return HK_S7;
    default: return HK_S8;
    }
}

static int has_minimums(uint32_t type) {
    return type == GGUF_Q4_1 || type == GGUF_Q5_1 || type == GGUF_Q2_K || type == GGUF_Q4_K || type == GGUF_Q5_K;
}

void hk_gguf_row(uint32_t type, const void *row, size_t count, float *out) {
    if (type == GGUF_F32) {
        __builtin_memcpy(out, row, count * sizeof(float));
    } else if (type == GGUF_F16) {
        for (size_t i = 0; i < count; i++) out[i] = half_at((const uint8_t *)row + 2 * i);
    } else if (type == GGUF_BF16) {
        for (size_t i = 0; i < count; i++) out[i] = hk_f32((uint32_t)hk_u16((const uint8_t *)row + 2 * i) << 16);
    } else if (has_minimums(type)) {
        for (size_t first = 0; first < count; first += HK_GROUP) {
            hk_affine_group group;
            hk_read_affine(type, row, first / HK_GROUP, &group);
            for (size_t i = 0; i < HK_GROUP && first + i < count; i++)
                out[first + i] = __builtin_fmaf(group.scales[i / 16], group.values[i], group.minimums[i / 16]);
        }
    } else {
        for (size_t first = 0; first < count; first += HK_GROUP) {
            hk_signed_group group;
            hk_read_signed(type, row, first / HK_GROUP, &group);
            float scales[2] = {group.unit * (float)group.factors[0], group.unit * (float)group.factors[1]};
            for (size_t i = 0; i < HK_GROUP && first + i < count; i++) out[first + i] = scales[i / 16] * (float)group.values[i];
        }
    }
}
