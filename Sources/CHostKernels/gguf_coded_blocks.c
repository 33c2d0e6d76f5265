// The blocks of ggml's IQ types, whose values are entries of code books, and of its ternary and MXFP4 types.
//
// Eight values, or four, are computed at a time as the bytes of a word, the first one lowest.

#include "gguf_blocks.h"
#include "gguf_codebooks.h"

#define BYTES(x) (0x0101010101010101u * (x))

// The 2-bit indices of an entry as bytes.
static uint64_t eight_indices(uint64_t entry) {
    entry = (entry | entry << 24) & 0x000000ff000000ff;
    entry = (entry | entry << 12) & 0x000f000f000f000f;
    return (entry | entry << 6) & 0x0303030303030303;
}

// The 3-bit indices of an entry as bytes.
static uint32_t four_indices(uint32_t entry) {
    entry = (entry | entry << 10) & 0x003f003f;
    return (entry | entry << 5) & 0x07070707;
}

// Negates the bytes whose bits are set in `signs`; no byte may be 0.
static uint64_t negated(uint64_t bytes, uint8_t signs) {
    uint64_t ones = ((signs * BYTES(1) & 0x8040201008040201) + BYTES(0x7f)) >> 7 & BYTES(1);
    return (bytes ^ ones * 255) + ones;
}

// Seven signs, and the eighth, which makes their number even.
static uint8_t even_signs(uint32_t seven) {
    seven &= 127;
    return (uint8_t)(seven | (uint32_t)__builtin_parity(seven) << 7);
}

static void put(hk_signed_group *out, int eighth, uint64_t bytes) { __builtin_memcpy(out->values + 8 * eighth, &bytes, 8); }

// Values 8, 25, 43.
static uint64_t iq2_values(uint16_t entry) {
    uint64_t indices = eight_indices(entry);
    return indices * 17 + BYTES(8) + (indices >> 1 & BYTES(1));
}

static void iq2(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out) {
    const size_t g = group % 8;
    const uint8_t *block = row + group / 8 * (type == GGUF_IQ2_XXS ? 66 : type == GGUF_IQ2_XS ? 74 : 82);
    out->unit = hk_f16(hk_u16(block)) * 0.125f;
    if (type == GGUF_IQ2_XXS) {
        const uint8_t *entries = block + 2 + 8 * g;
        uint32_t signs = hk_u32(entries + 4);
        out->factors[0] = out->factors[1] = (int8_t)(2 * (signs >> 28) + 1);
        for (int e = 0; e < 4; e++) put(out, e, negated(iq2_values(iq2_xxs_book[entries[e]]), even_signs(signs >> 7 * e)));
        return;
    }
    uint8_t both = block[(type == GGUF_IQ2_XS ? 66 : 74) + g];
    out->factors[0] = (int8_t)(2 * (both & 15) + 1);
    out->factors[1] = (int8_t)(2 * (both >> 4) + 1);
    for (int e = 0; e < 4; e++) {
        if (type == GGUF_IQ2_XS) {
            uint16_t code = hk_u16(block + 2 + 8 * g + 2 * (size_t)e);
            put(out, e, negated(iq2_values(iq2_xs_book[code & 511]), even_signs(code >> 9)));
        } else {
            const uint8_t *low = block + 2 + 4 * g + e;
            put(out, e, negated(iq2_values(iq2_s_book[low[0] | (block[66 + g] >> 2 * e & 3) << 8]), low[32]));
        }
    }
}

static void iq3(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out) {
    const size_t g = group % 8;
    const int large = type == GGUF_IQ3_S;
    const uint8_t *block = row + group / 8 * (large ? 110 : 98), *low = block + 2 + 8 * g;
    uint32_t signs = large ? hk_u32(block + 74 + 4 * g) : hk_u32(block + 66 + 4 * g);
    uint32_t scale = large ? block[106 + g / 2] >> 4 * (g % 2) & 15 : signs >> 28;
    out->unit = hk_f16(hk_u16(block)) * (large ? 1 : 0.25f);
    out->factors[0] = out->factors[1] = (int8_t)(2 * scale + 1);
    for (int e = 0; e < 4; e++) {
        uint32_t values[2];
        for (int half = 0; half < 2; half++) {
            int at = 2 * e + half;
            if (large) {
                values[half] = four_indices(iq3_s_book[low[at] | (block[66 + g] >> at & 1) << 8]) * 2 + 0x01010101;
            } else {
                // 4, 12 … 52, and 62 instead of 60.
                uint32_t indices = four_indices(iq3_xxs_book[low[at]]);
                uint32_t greatest = indices & indices >> 1 & indices >> 2 & 0x01010101;
                values[half] = indices * 8 + 0x04040404 + greatest * 2;
            }
        }
        uint8_t eight = large ? (uint8_t)(signs >> 8 * e) : even_signs(signs >> 7 * e);
        put(out, e, negated(values[0] | (uint64_t)values[1] << 32, eight));
    }
}

// Eight times an entry's values −1, 0, 1, plus or minus 1.
static uint64_t iq1_values(uint16_t entry, int minus) {
    return (eight_indices(entry) * 8 + BYTES(minus ? 0x77 : 0x79)) ^ BYTES(0x80);
}

static void iq1_s(const uint8_t *row, size_t group, hk_signed_group *out) {
    const size_t g = group % 8;
    const uint8_t *block = row + group / 8 * 50;
    uint32_t high = hk_u16(block + 34 + 2 * g);
    out->unit = hk_f16(hk_u16(block)) * 0.125f;
    out->factors[0] = out->factors[1] = (int8_t)(2 * (high >> 12 & 7) + 1);
    for (int e = 0; e < 4; e++)
        put(out, e, iq1_values(iq1_s_book[block[2 + 4 * g + (size_t)e] | (high >> 3 * e & 7) << 8], high >> 15));
}

// The scale's bits are the highest ones of four words.
static void iq1_m(const uint8_t *row, size_t group, hk_signed_group *out) {
    const size_t g = group % 8;
    const uint8_t *block = row + group / 8 * 56, *scales = block + 48;
    uint32_t unit = 0, factors = hk_u16(scales + g / 2 * 2) >> 6 * (g % 2);
    for (int i = 0; i < 4; i++) unit |= (uint32_t)(scales[2 * i + 1] >> 4) << 4 * i;
    out->unit = hk_f16((uint16_t)unit) * 0.125f;
    for (int part = 0; part < 2; part++) out->factors[part] = (int8_t)(2 * (factors >> 3 * part & 7) + 1);
    for (int e = 0; e < 4; e++) {
        size_t at = 4 * g + (size_t)e;
        uint32_t high = block[32 + at / 2] >> 4 * (at % 2) & 15;
        put(out, e, iq1_values(iq1_s_book[block[at] | (high & 7) << 8], high >> 3));
    }
}

static void looked_up(const uint8_t *nibbles, const int8_t table[16], int8_t *out) {
    for (int i = 0; i < 16; i++) {
        out[i] = table[nibbles[i] & 15];
        out[i + 16] = table[nibbles[i] >> 4];
    }
}

static void iq4(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out) {
    static const int8_t table[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    const size_t g = group % 8;
    const uint8_t *block = type == GGUF_IQ4_NL ? row + group * 18 : row + group / 8 * 136;
    out->unit = hk_f16(hk_u16(block));
    out->factors[0] = 1;
    if (type == GGUF_IQ4_XS)
        out->factors[0] = (int8_t)((block[4 + g / 2] >> 4 * (g % 2) & 15) + (hk_u16(block + 2) >> 2 * g & 3) * 16 - 32);
    out->factors[1] = out->factors[0];
    looked_up(type == GGUF_IQ4_NL ? block + 2 : block + 8 + 16 * g, table, out->values);
}

// The scale is a power of two, half of what its exponent says: the values are doubled.
static void mxfp4(const uint8_t *row, size_t group, hk_signed_group *out) {
    static const int8_t table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const uint8_t *block = row + group * 17;
    out->unit = hk_f32(block[0] < 2 ? 0x200000u << block[0] : (uint32_t)(block[0] - 1) << 23);
    out->factors[0] = out->factors[1] = 1;
    looked_up(block + 1, table, out->values);
}

// Digit `digit` of `count` bytes, which are fractions of 256 with five digits to the base 3, or four in a block's end.
static void ternary(const uint8_t *bytes, int count, size_t digit, int8_t *out) {
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    for (int i = 0; i < count; i++) out[i] = (int8_t)(((uint8_t)(bytes[i] * power[digit]) * 3 >> 8) - 1);
}

// Digits 0 to 4 of 32 bytes, of 16 more, and digits 0 to 3 of the last four.
static void tq1_0(const uint8_t *row, size_t group, hk_signed_group *out) {
    const size_t g = group % 8;
    const uint8_t *block = row + group / 8 * 54;
    out->unit = hk_f16(hk_u16(block + 52));
    out->factors[0] = out->factors[1] = 1;
    if (g < 5) {
        ternary(block, 32, g, out->values);
        return;
    }
    ternary(block + 32, 16, 2 * (g - 5), out->values);
    if (g < 7) ternary(block + 32, 16, 2 * (g - 5) + 1, out->values + 16);
    else
        for (size_t digit = 0; digit < 4; digit++) ternary(block + 48, 4, digit, out->values + 16 + 4 * digit);
}

static void tq2_0(const uint8_t *row, size_t group, hk_signed_group *out) {
    const size_t g = group % 8;
    const uint8_t *block = row + group / 8 * 66;
    out->unit = hk_f16(hk_u16(block + 64));
    out->factors[0] = out->factors[1] = 1;
    for (size_t i = 0; i < HK_GROUP; i++) out->values[i] = (int8_t)((block[g / 4 * 32 + i] >> 2 * (g % 4) & 3) - 1);
}

void hk_read_coded(uint32_t type, const uint8_t *row, size_t group, hk_signed_group *out) {
    switch (type) {
    case GGUF_IQ2_XXS: case GGUF_IQ2_XS: case GGUF_IQ2_S: iq2(type, row, group, out); break;
    case GGUF_IQ3_XXS: case GGUF_IQ3_S: iq3(type, row, group, out); break;
    case GGUF_IQ1_S: iq1_s(row, group, out); break;
    case GGUF_IQ1_M: iq1_m(row, group, out); break;
    case GGUF_IQ4_NL: case GGUF_IQ4_XS: iq4(type, row, group, out); break;
    case GGUF_MXFP4: mxfp4(row, group, out); break;
    case GGUF_TQ1_0: tq1_0(row, group, out); break;
    case GGUF_TQ2_0: tq2_0(row, group, out); break;
    default: __builtin_trap();
    }
}
