// The paged cache's elements: f32, f16, or int8 with a scale for each block offset of a head.

HK_INLINE size_t element_bytes(const int format) {
    return format == HK_CACHE_F32 ? 4 : format == HK_CACHE_F16 ? 2 : 1;
}

HK_INLINE size_t cache_page(const hk_cache *c, size_t block, size_t head) { return block * c->block_pages + head; }

// Loads HK_LANES elements; int8 elements without their scales.
HK_INLINE vf load_cached(const void *base, size_t index, const int format) {
    if (format == HK_CACHE_F32) return load((const float *)base + index);
    if (format == HK_CACHE_F16) return load_f16((const uint16_t *)base + index);
    typedef int8_t bytes __attribute__((vector_size(HK_LANES)));
    bytes b;
    __builtin_memcpy(&b, (const int8_t *)base + index, sizeof b);
    return floats(__builtin_convertvector(b, vi));
}

// Rounds numbers to int8 and writes them `step` elements apart; returns their scale, which is NaN if a number is NaN or
// infinite, so that the fault stays visible.
HK_INLINE float store_int8(const float *x, size_t count, int8_t *out, size_t step) {
    int32_t magnitude = 0;
    for (size_t i = 0; i < count; i += 16) {
        v16 part = load_first(x + i, count - i < 16 ? count - i : 16);
        int32_t greatest = __builtin_reduce_max((v16i)part & 0x7fffffff);
        magnitude = greatest > magnitude ? greatest : magnitude;
    }
    float inverse, scale = int8_scale(magnitude, HK_INT8_PEAK, &inverse);
    for (size_t i = 0; i < count; i += 16) {
        size_t some = count - i < 16 ? count - i : 16;
        v16 part = scale == scale ? load_first(x + i, some) : splat16(0);
        v16i whole = rounded(part * splat16(inverse));
        for (size_t j = 0; j < some; j++) out[(i + j) * step] = (int8_t)whole[j];
    }
    return scale;
}

// Values take whole vectors: offsets are padded.
HK_INLINE void store_f16(const float *x, size_t count, uint16_t *out, const size_t step) {
    for (size_t i = 0; i < count; i += 16) {
        size_t some = count - i < 16 ? count - i : 16;
        v16 part = load_first(x + i, some);
        if (step == 1) {
            save_f16(out + i, part);
        } else {
            uint16_t halves[16];
            save_f16(halves, part);
            for (size_t j = 0; j < some; j++) out[(i + j) * step] = halves[j];
        }
    }
}

static void store(const hk_cache *c, size_t head, size_t block, size_t offset, const float *key, const float *value) {
    const size_t size = c->head_size, step = c->padded_block, page = cache_page(c, block, head);
    size_t k = page * size * step + offset, v = (page * c->block_size + offset) * c->padded_head;
    switch (c->format) {
    case HK_CACHE_F32:
        for (size_t d = 0; d < size; d++) ((float *)c->keys)[k + d * step] = key[d];
        __builtin_memcpy((float *)c->values + v, value, size * sizeof(float));
        break;
    case HK_CACHE_F16:
        store_f16(key, size, (uint16_t *)c->keys + k, step);
        store_f16(value, size, (uint16_t *)c->values + v, 1);
        break;
    case HK_CACHE_INT8:
        c->key_scales[page * step + offset] = store_int8(key, size, (int8_t *)c->keys + k, step);
        c->value_scales[page * step + offset] = store_int8(value, size, (int8_t *)c->values + v, 1);
        break;
    }
}
