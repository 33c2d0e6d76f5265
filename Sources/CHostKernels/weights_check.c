// Finds weights that are no numbers: a file that holds them is damaged, and whatever is computed from it is worthless.

#include "gguf_blocks.h"

// The places of a block's f16 scales; the same twice where there is one.
typedef struct {
    size_t bytes;
    size_t scales[2];
} block_layout;

static block_layout layout_of(uint32_t type) {
    switch (type) {
    case GGUF_Q4_0: case GGUF_IQ4_NL: return (block_layout){18, {0, 0}};
    case GGUF_Q4_1: return (block_layout){20, {0, 2}};
    case GGUF_Q5_0: return (block_layout){22, {0, 0}};
    case GGUF_Q5_1: return (block_layout){24, {0, 2}};
    case GGUF_Q8_0: return (block_layout){34, {0, 0}};
    case GGUF_Q2_K: return (block_layout){84, {80, 82}};
    case GGUF_Q3_K: return (block_layout){110, {108, 108}};
    case GGUF_Q4_K: return (block_layout){144, {0, 2}};
    case GGUF_Q5_K: return (block_layout){176, {0, 2}};
    case GGUF_Q6_K: return (block_layout){210, {208, 208}};
    case GGUF_IQ2_XXS: return (block_layout){66, {0, 0}};
    case GGUF_IQ2_XS: return (block_layout){74, {0, 0}};
    case GGUF_IQ2_S: return (block_layout){82, {0, 0}};
    case GGUF_IQ3_XXS: return (block_layout){98, {0, 0}};
    case GGUF_IQ3_S: return (block_layout){110, {0, 0}};
    case GGUF_IQ1_S: return (block_layout){50, {0, 0}};
    case GGUF_IQ4_XS: return (block_layout){136, {0, 0}};
    case GGUF_TQ1_0: return (block_layout){54, {52, 52}};
    case GGUF_TQ2_0: return (block_layout){66, {64, 64}};
    case GGUF_IQ1_M: return (block_layout){56, {0, 0}};
    case GGUF_MXFP4: return (block_layout){17, {0, 0}};
    default: __builtin_trap();
    }
}

static int is_finite_half(const uint8_t *p) { return (p[1] & 0x7c) != 0x7c; }

static int is_finite(uint32_t type, const uint8_t *block, const block_layout *layout) {
    // The scale's highest bits are the highest ones of its last two words.
    if (type == GGUF_IQ1_M) return (block[55] & 0x70) != 0x70 || (block[53] & 0xc0) != 0xc0;
    // The greatest value is 12 halves of the scale.
    if (type == GGUF_MXFP4) return block[0] <= 252;
    return is_finite_half(block + layout->scales[0]) && is_finite_half(block + layout->scales[1]);
}

// The first of `count` 16-bit words whose exponent's bits are all set, or `count`.
static size_t first_infinite_half(const uint8_t *p, size_t count, uint16_t exponent) {
    for (size_t first = 0; first < count; first += 4096) {
        size_t end = count - first < 4096 ? count : first + 4096;
        uint16_t any = 0;
        for (size_t i = first; i < end; i++) {
            uint16_t word;
            __builtin_memcpy(&word, p + 2 * i, 2);
            any |= (word & exponent) == exponent ? 0xffff : 0;
        }
        for (size_t i = first; any && i < end; i++)
            if ((hk_u16(p + 2 * i) & exponent) == exponent) return i;
    }
    return count;
}

static size_t first_infinite_float(const uint8_t *p, size_t count) {
    for (size_t first = 0; first < count; first += 2048) {
        size_t end = count - first < 2048 ? count : first + 2048;
        uint32_t any = 0;
        for (size_t i = first; i < end; i++) {
            uint32_t word;
            __builtin_memcpy(&word, p + 4 * i, 4);
            any |= (word & 0x7f800000) == 0x7f800000 ? 0xffffffff : 0;
        }
        for (size_t i = first; any && i < end; i++)
            if ((hk_u32(p + 4 * i) & 0x7f800000) == 0x7f800000) return i;
    }
    return count;
}

size_t hk_first_fault(uint32_t type, const void *weights, size_t bytes) {
    if (type == GGUF_F32) return 4 * first_infinite_float(weights, bytes / 4);
    if (type == GGUF_F16) return 2 * first_infinite_half(weights, bytes / 2, 0x7c00);
    if (type == GGUF_BF16) return 2 * first_infinite_half(weights, bytes / 2, 0x7f80);
    const block_layout layout = layout_of(type);
    const uint8_t *p = weights;
    for (size_t at = 0; at < bytes; at += layout.bytes)
        if (!is_finite(type, p + at, &layout)) return at;
    return bytes;
}
