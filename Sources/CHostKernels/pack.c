// Packs weight matrices from GGUF's rows into panels of output channels.

#include "gguf_blocks.h"

#pragma STDC FP_CONTRACT OFF

// Bytes of a group's words in a record.
static size_t word_bytes(int32_t format) { return (format == HK_U8 ? 32 : 16) * HK_PANEL; }

static size_t group_count(size_t inputs) { return inputs / HK_GROUP; }
static size_t block_count(size_t inputs) { return (inputs + HK_BLOCK - 1) / HK_BLOCK; }

// Words per lane in the records of two groups: the weights, and two of scales, offsets, factors or units, or four.
enum { I4_WORDS = 8, I4_RECORD = I4_WORDS + 2, BYTE_WORDS = 16, BYTE_RECORD = BYTE_WORDS + 2, U7_RECORD = BYTE_WORDS + 4 };

size_t hk_panel_bytes(int32_t format, int32_t parts, size_t inputs) {
    if (format < HK_U4) return inputs * HK_PANEL * (format == HK_F32 ? 4 : 2);
    if (format == HK_I4) return (block_count(inputs) * I4_RECORD + 1) * HK_PANEL * 4;
    if (format == HK_S8 || format == HK_S7) return block_count(inputs) * BYTE_RECORD * HK_PANEL * 4;
    if (format == HK_U7) return block_count(inputs) * U7_RECORD * HK_PANEL * 4;
    return group_count(inputs) * (word_bytes(format) + (size_t)parts * 2 * HK_PANEL * sizeof(float));
}

// A panel's rows; null beyond the last output.
typedef struct {
    uint32_t type;
    size_t row_bytes;
    const uint8_t *rows[HK_PANEL];
} panel_rows;

// Groups that are read of a row before the next row's: whole blocks of every type, long enough for the processor to
// recognise 32 streams.
enum { SOME = 8 };

// Fetches a row's bytes for the groups after the next ones.
static void fetch_row(const panel_rows *p, size_t lane, size_t group, size_t groups) {
    size_t each = p->row_bytes * SOME / groups, first = p->row_bytes * group / groups + each;
    for (size_t at = first; at < first + each && at < p->row_bytes; at += 64) __builtin_prefetch(p->rows[lane] + at, 0, 3);
}

// A group's bytes of each lane, and its words [word][HK_PANEL]: four bytes, the first one lowest.
typedef uint8_t lane_bytes[HK_PANEL][HK_GROUP];
typedef uint32_t lane_words[HK_GROUP / 4][HK_PANEL];

typedef uint32_t four_words __attribute__((vector_size(16)));

// Writes the words to `words`.
static void write_words(const lane_bytes bytes, uint32_t *words) {
    for (size_t lane = 0; lane < HK_PANEL; lane += 4)
        for (size_t word = 0; word < HK_GROUP / 4; word += 4) {
            four_words v[4], pairs[4], out[4];
            for (size_t i = 0; i < 4; i++) __builtin_memcpy(&v[i], bytes[lane + i] + 4 * word, 16);
            for (size_t i = 0; i < 2; i++) {
                pairs[2 * i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 4, 1, 5);
                pairs[2 * i + 1] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 2, 6, 3, 7);
            }
            for (size_t i = 0; i < 2; i++) {
                out[2 * i] = __builtin_shufflevector(pairs[i], pairs[i + 2], 0, 1, 4, 5);
                out[2 * i + 1] = __builtin_shufflevector(pairs[i], pairs[i + 2], 2, 3, 6, 7);
            }
            for (size_t i = 0; i < 4; i++) __builtin_memcpy(words + (word + i) * HK_PANEL + lane, &out[i], 16);
        }
}

static void pack_floats(const panel_rows *p, const hk_matrix *m, uint8_t *panel) {
    size_t size = m->format == HK_F32 ? 4 : 2;
    for (size_t lane = 0; lane < HK_PANEL; lane++)
        for (size_t i = 0; i < m->inputs; i++) {
            uint8_t *to = panel + (i * HK_PANEL + lane) * size;
            if (p->rows[lane]) __builtin_memcpy(to, p->rows[lane] + i * size, size);
            else __builtin_memset(to, 0, size);
        }
}

// U4 and U8.
static void pack_affine(const panel_rows *p, const hk_matrix *m, uint8_t *panel) {
    size_t groups = group_count(m->inputs), parts = (size_t)m->parts, record_bytes = m->panel_bytes / groups;
    for (size_t first = 0; first < groups; first += SOME) {
        size_t count = groups - first < SOME ? groups - first : SOME;
        uint8_t *records = panel + first * record_bytes;
        lane_bytes bytes[SOME];
        for (size_t lane = 0; lane < HK_PANEL; lane++) {
            if (p->rows[lane]) fetch_row(p, lane, first, groups);
            for (size_t g = 0; g < count; g++) {
                float *scales = (float *)(records + g * record_bytes + word_bytes(m->format)) + lane;
                hk_affine_group group = {0};
                if (p->rows[lane]) hk_read_affine(p->type, p->rows[lane], first + g, &group);
                __builtin_memcpy(bytes[g][lane], group.values, HK_GROUP);
                for (size_t part = 0; part < parts; part++) {
                    scales[part * HK_PANEL] = group.scales[part];
                    scales[(parts + part) * HK_PANEL] = group.minimums[part];
                }
            }
        }
        for (size_t g = 0; g < count; g++) {
            uint32_t *record = (uint32_t *)(records + g * record_bytes);
            if (m->format == HK_U8) {
                write_words(bytes[g], record);
                continue;
            }
            lane_words words;
            write_words(bytes[g], words[0]);
            for (size_t w = 0; w < 4; w++)
                for (size_t lane = 0; lane < HK_PANEL; lane++)
                    record[w * HK_PANEL + lane] = words[2 * w][lane] | words[2 * w + 1][lane] << 4;
        }
    }
}

static float greater(float a, float b) { return a > b ? a : b; }

// The smallest power of two in units of which a row's scales, minimums and weights fit their ranges; NaN if one is not
// finite.
static float unit_of(uint32_t type, const uint8_t *row, size_t groups) {
    float greatest = 0;
    for (size_t g = 0; g < groups; g++) {
        hk_affine_group group;
        hk_read_affine_scales(type, row, g, &group);
        float scale = group.scales[0], minimum = group.minimums[0];
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

// I4.
static void pack_integers(const panel_rows *p, const hk_matrix *m, uint8_t *panel) {
    size_t groups = group_count(m->inputs), blocks = block_count(m->inputs);
    float *units = (float *)panel + blocks * I4_RECORD * HK_PANEL, inverses[HK_PANEL];
    for (size_t lane = 0; lane < HK_PANEL; lane++) {
        units[lane] = p->rows[lane] ? unit_of(p->type, p->rows[lane], groups) : 1;
        inverses[lane] = units[lane] > 0 ? 1 / units[lane] : 0;
    }
    for (size_t first = 0; first < blocks * 2; first += SOME) {
        size_t count = blocks * 2 - first < SOME ? blocks * 2 - first : SOME;
        uint32_t *records = (uint32_t *)panel + first / 2 * I4_RECORD * HK_PANEL;
        lane_bytes bytes[SOME];
        for (size_t lane = 0; lane < HK_PANEL; lane++)
            for (size_t g = 0; g < count; g++) {
                int16_t *scales = (int16_t *)(records + (g / 2 * I4_RECORD + I4_WORDS) * HK_PANEL + lane) + g % 2;
                hk_affine_group group = {0};
                if (p->rows[lane] && first + g < groups) hk_read_affine(p->type, p->rows[lane], first + g, &group);
                __builtin_memcpy(bytes[g][lane], group.values, HK_GROUP);
                float inverse = inverses[lane];
                scales[0] = inverse > 0 ? nearest(group.scales[0] * inverse) : 0;
                scales[2 * HK_PANEL] = inverse > 0 ? nearest(-group.minimums[0] * inverse / 8) : 0;
            }
        for (size_t g = 0; g < count; g += 2) {
            uint32_t *record = records + g / 2 * I4_RECORD * HK_PANEL;
            lane_words low, high;
            write_words(bytes[g], low[0]);
            write_words(bytes[g + 1], high[0]);
            for (size_t w = 0; w < 8; w++)
                for (size_t lane = 0; lane < HK_PANEL; lane++) record[w * HK_PANEL + lane] = low[w][lane] | high[w][lane] << 4;
        }
    }
}

// S8, and S7, whose records begin with their factors.
static void pack_signed(const panel_rows *p, const hk_matrix *m, uint8_t *panel) {
    const int seven = m->format == HK_S7;
    size_t groups = group_count(m->inputs), padded = block_count(m->inputs) * 2;
    for (size_t first = 0; first < padded; first += SOME) {
        size_t count = padded - first < SOME ? padded - first : SOME;
        uint32_t *records = (uint32_t *)panel + first / 2 * BYTE_RECORD * HK_PANEL, *words = records + (seven ? HK_PANEL : 0);
        lane_bytes bytes[SOME];
        for (size_t lane = 0; lane < HK_PANEL; lane++) {
            if (p->rows[lane]) fetch_row(p, lane, first, groups);
            for (size_t g = 0; g < count; g++) {
                hk_signed_group group = {0};
                if (p->rows[lane] && first + g < groups) hk_read_signed(p->type, p->rows[lane], first + g, &group);
                for (size_t i = 0; i < HK_GROUP; i++) bytes[g][lane][i] = (uint8_t)(group.values[i] + (seven ? 64 : 128));
                size_t record = g / 2 * BYTE_RECORD * HK_PANEL;
                float *scales = (float *)words + record + BYTE_WORDS * HK_PANEL;
                if (seven) {
                    __builtin_memcpy((uint8_t *)(records + record + lane) + g % 2 * 2, group.factors, 2);
                    scales[lane] = group.unit;
                } else {
                    scales[g % 2 * HK_PANEL + lane] = group.unit * (float)group.factors[0];
                }
            }
        }
        for (size_t g = 0; g < count; g++) write_words(bytes[g], words + (g / 2 * BYTE_RECORD + g % 2 * 8) * HK_PANEL);
    }
}

// U7.
static void pack_factored(const panel_rows *p, const hk_matrix *m, uint8_t *panel) {
    size_t groups = group_count(m->inputs);
    for (size_t first = 0; first < groups; first += SOME) {
        uint32_t *records = (uint32_t *)panel + first / 2 * U7_RECORD * HK_PANEL;
        lane_bytes bytes[SOME];
        for (size_t lane = 0; lane < HK_PANEL; lane++) {
            if (p->rows[lane]) fetch_row(p, lane, first, groups);
            for (size_t g = 0; g < SOME; g++) {
                hk_factored_group group = {0};
                if (p->rows[lane]) hk_read_factored(p->rows[lane], first + g, &group);
                __builtin_memcpy(bytes[g][lane], group.values, HK_GROUP);
                uint32_t *factors = records + g / 2 * U7_RECORD * HK_PANEL + lane;
                __builtin_memcpy((uint8_t *)factors + g % 2 * 2, group.factors, 2);
                __builtin_memcpy((uint8_t *)(factors + HK_PANEL) + g % 2 * 2, group.minimum_factors, 2);
                float *units = (float *)factors + (2 + BYTE_WORDS) * HK_PANEL;
                units[0] = group.unit;
                units[HK_PANEL] = group.minimum;
            }
        }
        for (size_t g = 0; g < SOME; g++)
            write_words(bytes[g], records + (g / 2 * U7_RECORD + 2 + g % 2 * 8) * HK_PANEL);
    }
}

void hk_pack(uint32_t type, const void *rows, size_t row_bytes, const hk_matrix *m, size_t first, size_t last) {
    for (size_t panel = first; panel < last; panel++) {
        panel_rows p = {.type = type, .row_bytes = row_bytes};
        for (size_t lane = 0; lane < HK_PANEL && panel * HK_PANEL + lane < m->outputs; lane++)
            p.rows[lane] = (const uint8_t *)rows + ((panel - first) * HK_PANEL + lane) * row_bytes;
        uint8_t *out = m->values + panel * m->panel_bytes;
        if (m->format < HK_U4) pack_floats(&p, m, out);
        else if (m->format == HK_I4) pack_integers(&p, m, out);
        else if (m->format == HK_S7 || m->format == HK_S8) pack_signed(&p, m, out);
        else if (m->format == HK_U7) pack_factored(&p, m, out);
        else pack_affine(&p, m, out);
    }
}
