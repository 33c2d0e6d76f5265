// A group of 32 quantised weights, the common form of all formats.

#ifndef GGUF_BLOCKS_H
#define GGUF_BLOCKS_H

#include "CHostKernels.h"

typedef struct {
    uint8_t values[HK_GROUP];
    /// For inputs 0…15 and 16…31.
    float scale[2];
    float minimum[2];
} hk_group;

/// Reads group `group` of a row of a quantised GGUF element type.
void hk_gguf_group(uint32_t type, const void *row, size_t group, hk_group *out);

#endif
