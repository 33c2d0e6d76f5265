// Packs weight matrices from GGUF's rows into panels of output channels.

#include "gguf_blocks.h"

// Bytes of a group's words in a record.
static size_t word_bytes(int32_t format) { return (format == HK_U4 ? 16 : 32) * HK_PANEL; }

size_t hk_panel_bytes(int32_t format, int32_t parts, size_t inputs) {
    if (format < HK_U4) return inputs * HK_PANEL * (format == HK_F32 ? 4 : 2);
    return inputs / HK_GROUP * (word_bytes(format) + (size_t)parts * 2 * HK_PANEL * sizeof(float));
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

static void pack_group(const hk_group *group, const hk_matrix *m, uint8_t *record, size_t lane) {
    size_t words = m->format == HK_U4 ? 4 : 8, parts = (size_t)m->parts;
    uint32_t *values = (uint32_t *)record + lane;
    float *scales = (float *)(record + word_bytes(m->format)) + lane, *minimums = scales + parts * HK_PANEL;
    for (size_t w = 0; w < words; w++) {
        const uint8_t *u = group->values + w * (HK_GROUP / words);
        uint32_t word = 0;
        for (int k = 0; k < 4; k++) {
            word |= (uint32_t)u[k] << 8 * k;
            if (words == 4) word |= (uint32_t)u[k + 4] << (8 * k + 4);
        }
        values[w * HK_PANEL] = word;
    }
    for (size_t p = 0; p < parts; p++) {
        scales[p * HK_PANEL] = group->scale[p];
        minimums[p * HK_PANEL] = group->minimum[p];
    }
}

void hk_pack(uint32_t type, const void *tensor, size_t row_bytes, const hk_matrix *m, size_t first, size_t last) {
    size_t groups = m->inputs / HK_GROUP;
    for (size_t panel = first; panel < last; panel++) {
        if (m->format < HK_U4) {
            pack_floats(tensor, row_bytes, m, panel);
            continue;
        }
        for (size_t lane = 0; lane < HK_PANEL; lane++)
            for (size_t g = 0; g < groups; g++) {
                hk_group group = {0};
                size_t output = panel * HK_PANEL + lane;
                if (output < m->outputs)
                    hk_gguf_group(type, (const uint8_t *)tensor + output * row_bytes, g, &group);
                pack_group(&group, m, m->values + panel * m->panel_bytes + g * (m->panel_bytes / groups), lane);
            }
    }
}
