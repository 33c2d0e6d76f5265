// Packs weight matrices from GGUF's rows into panels of output channels.

#include "gguf_blocks.h"

// Bytes of a group's words in a record.
static size_t word_bytes(int32_t format) { return (format == HK_U8 ? 32 : 16) * HK_PANEL; }

static size_t group_count(size_t inputs) { return inputs / HK_GROUP; }
static size_t block_count(size_t inputs) { return (inputs + HK_BLOCK - 1) / HK_BLOCK; }

// Bytes of an I4 record: two groups, and their pairs of scales and minimums.
#define I4_RECORD (2 * 16 * HK_PANEL + 2 * HK_PANEL * 4)

size_t hk_panel_bytes(int32_t format, int32_t parts, size_t inputs) {
    if (format < HK_U4) return inputs * HK_PANEL * (format == HK_F32 ? 4 : 2);
    if (format == HK_I4) return block_count(inputs) * I4_RECORD + HK_PANEL * sizeof(float);
    return group_count(inputs) * (word_bytes(format) + (size_t)parts * 2 * HK_PANEL * sizeof(float));
}

static void pack_floats(const uint8_t *tensor, size_t row_bytes, const hk_matrix *m, size_t panel) {
    size_t size = m->format == HK_F32 ? 4 : 2, first = panel * HK_PANEL;
    uint8_t *out = m->values + panel * m->panel_bytes;
    for (size_t lane = 0; lane < HK_PANEL; lane++)
        for (size_t i = 0; i < m->inputs; i++) {
            uint8_t *to = out + (i * HK_PANEL + lane) * size;
            if (first + lane < m->outputs) __builtin_memcpy(to, tensor + (first + lane) * row_bytes + i * size, size);
            else __builtin_memset(to, 0, size);
        }
}

// `out` is the lane's first word.
static void pack_words(const hk_group *group, int32_t format, uint32_t *out) {
    size_t words = word_bytes(format) / (4 * HK_PANEL);
    for (size_t w = 0; w < words; w++) {
        const uint8_t *u = group->values + w * (HK_GROUP / words);
        uint32_t word = 0;
        for (int k = 0; k < 4; k++) {
            word |= (uint32_t)u[k] << 8 * k;
            if (format != HK_U8) word |= (uint32_t)u[k + 4] << (8 * k + 4);
        }
        out[w * HK_PANEL] = word;
    }
}

static void pack_group(const hk_group *group, const hk_matrix *m, uint8_t *record, size_t lane) {
    size_t parts = (size_t)m->parts;
    float *scales = (float *)(record + word_bytes(m->format)) + lane, *minimums = scales + parts * HK_PANEL;
    pack_words(group, m->format, (uint32_t *)record + lane);
    for (size_t p = 0; p < parts; p++) {
        scales[p * HK_PANEL] = group->scale[p];
        minimums[p * HK_PANEL] = group->minimum[p];
    }
}

static void pack_row(uint32_t type, const uint8_t *row, const hk_matrix *m, uint8_t *panel, size_t lane) {
    size_t groups = group_count(m->inputs);
    for (size_t g = 0; g < groups; g++) {
        hk_group group = {0};
        if (row) hk_gguf_group(type, row, g, &group);
        pack_group(&group, m, panel + g * (m->panel_bytes / groups), lane);
    }
}

static float greater(float a, float b) { return a > b ? a : b; }

// The smallest power of two of which a row's scales, minimums and weights are few enough; NaN where one is not finite.
static float unit_of(uint32_t type, const uint8_t *row, size_t groups) {
    float greatest = 0;
    for (size_t g = 0; g < groups; g++) {
        hk_group group;
        hk_gguf_group(type, row, g, &group);
        float scale = group.scale[0], minimum = group.minimum[0];
        if (!(__builtin_fabsf(scale) + __builtin_fabsf(minimum) < __builtin_inff())) return __builtin_nanf("");
        // Both ends of a group are at most 2¹⁸ units, a scale and an eighth of a minimum less than 2¹⁵.
        float ends = greater(__builtin_fabsf(minimum), __builtin_fabsf(__builtin_fmaf(scale, 15, minimum)));
        greatest = greater(greatest, greater(ends, 8 * __builtin_fabsf(scale)));
    }
    if (greatest == 0) return 1;
    int exponent;
    // A mantissa of nearly 1 would round up to 2¹⁵.
    if (__builtin_frexpf(greatest, &exponent) > 0x1.fff8p-1f) exponent++;
    return __builtin_ldexpf(1, exponent - 18);
}

// To the nearest integer, ties to even, for |x| < 2²²: the library's function is a call for every number.
static int16_t nearest(float x) { return (int16_t)((x + 0x1.8p23f) - 0x1.8p23f); }

static void pack_integers(uint32_t type, const uint8_t *row, const hk_matrix *m, uint8_t *panel, size_t lane) {
    size_t groups = group_count(m->inputs), blocks = block_count(m->inputs);
    float unit = row ? unit_of(type, row, groups) : 1, inverse = unit > 0 ? 1 / unit : 0;
    for (size_t g = 0; g < blocks * 2; g++) {
        hk_group group = {0};
        if (row && g < groups) hk_gguf_group(type, row, g, &group);
        uint32_t *record = (uint32_t *)(panel + g / 2 * I4_RECORD) + lane;
        pack_words(&group, HK_I4, record + g % 2 * 4 * HK_PANEL);
        int16_t *scales = (int16_t *)(record + 8 * HK_PANEL), *minimums = (int16_t *)(record + 9 * HK_PANEL);
        scales[g % 2] = inverse > 0 ? nearest(group.scale[0] * inverse) : 0;
        minimums[g % 2] = inverse > 0 ? nearest(group.minimum[0] * inverse / 8) : 0;
    }
    ((float *)(panel + blocks * I4_RECORD))[lane] = unit;
}

void hk_pack(uint32_t type, const void *tensor, size_t row_bytes, const hk_matrix *m, size_t first, size_t last) {
    for (size_t panel = first; panel < last; panel++) {
        if (m->format < HK_U4) {
            pack_floats(tensor, row_bytes, m, panel);
            continue;
        }
        for (size_t lane = 0; lane < HK_PANEL; lane++) {
            size_t output = panel * HK_PANEL + lane;
            const uint8_t *row = output < m->outputs ? (const uint8_t *)tensor + output * row_bytes : 0;
            uint8_t *out = m->values + panel * m->panel_bytes;
            if (m->format == HK_I4) pack_integers(type, row, m, out, lane);
            else pack_row(type, row, m, out, lane);
        }
    }
}
