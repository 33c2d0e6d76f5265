// Packs weight matrices from GGUF's rows into panels of output channels.

#include "gguf_blocks.h"

// Bytes of a group's words in a record.
static size_t word_bytes(int32_t format) { return (format == HK_U8 ? 32 : 16) * HK_PANEL; }

static size_t group_count(size_t inputs) { return inputs / HK_GROUP; }
static size_t block_count(size_t inputs) { return (inputs + HK_BLOCK - 1) / HK_BLOCK; }

// Words per lane in the records of two groups: the weights, and two of scales and offsets.
enum { I4_WORDS = 8, I4_RECORD = I4_WORDS + 2, S8_WORDS = 16, S8_RECORD = S8_WORDS + 2 };

size_t hk_panel_bytes(int32_t format, int32_t parts, size_t inputs) {
    if (format < HK_U4) return inputs * HK_PANEL * (format == HK_F32 ? 4 : 2);
    if (format == HK_I4) return (block_count(inputs) * I4_RECORD + 1) * HK_PANEL * 4;
    if (format == HK_S8) return block_count(inputs) * S8_RECORD * HK_PANEL * 4;
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

// Four weights, the first one lowest.
static uint32_t word_of(const uint8_t *u) {
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

// `out` is the lane's first word.
static void pack_words(const hk_group *group, int32_t format, uint32_t *out) {
    for (size_t w = 0; w < 8; w++) {
        uint32_t word = word_of(group->values + 4 * w);
        if (format == HK_U8) out[w * HK_PANEL] = word;
        else if (w % 2 == 0) out[w / 2 * HK_PANEL] = word;
        else out[w / 2 * HK_PANEL] |= word << 4;
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

// The smallest power of two in units of which a row's scales, minimums and weights fit their ranges; NaN if one is not
// finite.
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

// Rounds to the nearest integer, ties to even, for |x| < 2²²; the library's function would be a call for every number.
static int16_t nearest(float x) { return (int16_t)((x + 0x1.8p23f) - 0x1.8p23f); }

static void pack_integers(uint32_t type, const uint8_t *row, const hk_matrix *m, uint8_t *panel, size_t lane) {
    size_t groups = group_count(m->inputs), blocks = block_count(m->inputs);
    float unit = row ? unit_of(type, row, groups) : 1, inverse = unit > 0 ? 1 / unit : 0;
    for (size_t g = 0; g < blocks * 2; g++) {
        hk_group group = {0};
        if (row && g < groups) hk_gguf_group(type, row, g, &group);
        uint32_t *record = (uint32_t *)panel + g / 2 * I4_RECORD * HK_PANEL + lane, *scales = record + I4_WORDS * HK_PANEL;
        for (size_t w = 0; w < 8; w++) {
            uint32_t word = word_of(group.values + 4 * w);
            record[w * HK_PANEL] = g % 2 ? record[w * HK_PANEL] | word << 4 : word;
        }
        ((int16_t *)scales)[g % 2] = inverse > 0 ? nearest(group.scale[0] * inverse) : 0;
        ((int16_t *)(scales + HK_PANEL))[g % 2] = inverse > 0 ? nearest(-group.minimum[0] * inverse / 8) : 0;
    }
    ((float *)panel)[blocks * I4_RECORD * HK_PANEL + lane] = unit;
}

static void pack_signed(uint32_t type, const uint8_t *row, const hk_matrix *m, uint8_t *panel, size_t lane) {
    for (size_t g = 0; g < block_count(m->inputs) * 2; g++) {
        hk_group group = {0};
        if (row && g < group_count(m->inputs)) hk_gguf_group(type, row, g, &group);
        uint32_t *record = (uint32_t *)panel + g / 2 * S8_RECORD * HK_PANEL + lane;
        pack_words(&group, HK_U8, record + g % 2 * 8 * HK_PANEL);
        ((float *)record)[(S8_WORDS + g % 2) * HK_PANEL] = group.scale[0];
    }
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
            if (m->format == HK_S8) pack_signed(type, row, m, out, lane);
            else if (m->format == HK_I4) pack_integers(type, row, m, out, lane);
            else pack_row(type, row, m, out, lane);
        }
    }
}
