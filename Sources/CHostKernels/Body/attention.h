// Paged attention of one query token over one KV head, all query heads of its group together.
//
// Keys lie with the dimensions outermost, so that lanes are positions: a score is one chain over the dimensions. Lanes of
// the output are dimensions: each is one chain over the positions. Blocks only say where a position lies.

#define HK_HEADS 4

HK_INLINE vf load_cached(const void *base, size_t index, const int half) {
    return half ? load_f16((const uint16_t *)base + index) : load((const float *)base + index);
}

// `heads` query heads × `vectors` vectors of positions.
HK_INLINE void score_tile(const int heads, const int vectors, const int half, const void *keys, size_t offset,
                          size_t stride, const float *queries, size_t head_size, float *scores, size_t score_stride) {
    vf sums[HK_HEADS][2];
    HK_UNROLL for (int h = 0; h < heads; h++)
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[h][v] = (vf){};
    for (size_t d = 0; d < head_size; d++)
        HK_UNROLL for (int v = 0; v < vectors; v++) {
            vf key = load_cached(keys, offset + d * stride + v * HK_LANES, half);
            HK_UNROLL for (int h = 0; h < heads; h++)
                sums[h][v] = fused(splat(queries[h * head_size + d]), key, sums[h][v]);
        }
    HK_UNROLL for (int h = 0; h < heads; h++)
        HK_UNROLL for (int v = 0; v < vectors; v++) save(scores + h * score_stride + v * HK_LANES, sums[h][v]);
}

// A block's vectors may reach beyond its last slot: what they write there is overwritten by the next block or masked.
HK_INLINE void score_blocks(const int heads, const int half, const hk_cache *c, size_t head, const hk_attention *a,
                            const float *queries, float *scores) {
    for (size_t start = 0, b = 0; start < a->length; start += c->block_size, b++) {
        size_t base = ((size_t)a->blocks[b] * c->heads + head) * c->head_size * c->padded_block;
        size_t count = a->length - start < c->block_size ? a->length - start : c->block_size;
        size_t slot = 0;
        for (; slot + HK_LANES < count; slot += 2 * HK_LANES)
            score_tile(heads, 2, half, c->keys, base + slot, c->padded_block, queries, c->head_size,
                       scores + start + slot, a->score_stride);
        if (slot < count)
            score_tile(heads, 1, half, c->keys, base + slot, c->padded_block, queries, c->head_size,
                       scores + start + slot, a->score_stride);
    }
}

// Scores to weights, unnormalised; gives 1 / their sum.
static float softmax(float *scores, size_t length, float scale) {
    size_t padded = (length + 15) / 16 * 16;
    for (size_t i = length; i < padded; i++) scores[i] = -0x1p100f;
    v16 greatest = splat16(-0x1p126f);
    for (size_t i = 0; i < padded; i += 16) {
        v16 s = load16(scores + i) * splat16(scale);
        save16(scores + i, s);
        greatest = __builtin_elementwise_max(greatest, s);
    }
    v16 peak = splat16(max16(greatest)), sum = splat16(0);
    for (size_t i = 0; i < padded; i += 16) {
        v16 e = exponential(load16(scores + i) - peak);
        if (i + 16 > length) e = load_first((const float *)&e, length - i);
        save16(scores + i, e);
        sum += e;
    }
    return 1.0f / sum16(sum);
}

// `heads` query heads × `vectors` vectors of dimensions from `first` on.
HK_INLINE void value_tile(const int heads, const int vectors, const int half, const hk_cache *c, size_t head,
                          size_t first, const hk_attention *a, const float *weights, float *out, size_t out_stride) {
    vf sums[HK_HEADS][4];
    HK_UNROLL for (int h = 0; h < heads; h++)
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[h][v] = (vf){};
    for (size_t start = 0, b = 0; start < a->length; start += c->block_size, b++) {
        size_t base = ((size_t)a->blocks[b] * c->heads + head) * c->block_size * c->padded_head + first;
        size_t count = a->length - start < c->block_size ? a->length - start : c->block_size;
        for (size_t slot = 0; slot < count; slot++)
            HK_UNROLL for (int v = 0; v < vectors; v++) {
                vf value = load_cached(c->values, base + slot * c->padded_head + v * HK_LANES, half);
                HK_UNROLL for (int h = 0; h < heads; h++)
                    sums[h][v] = fused(splat(weights[h * a->score_stride + start + slot]), value, sums[h][v]);
            }
    }
    HK_UNROLL for (int h = 0; h < heads; h++)
        HK_UNROLL for (int v = 0; v < vectors; v++) save(out + h * out_stride + first + v * HK_LANES, sums[h][v]);
}

HK_INLINE void attend_heads(const int heads, const int half, const hk_cache *c, size_t head, size_t query,
                            const hk_attention *a) {
    enum { chunk = 64 };
    const float *queries = a->queries + query * c->head_size;
    float *scores = a->scores + query * a->score_stride, total[HK_HEADS], out[HK_HEADS * chunk];
    score_blocks(heads, half, c, head, a, queries, scores);
    for (int h = 0; h < heads; h++) total[h] = softmax(scores + h * a->score_stride, a->length, a->scale);
    for (size_t first = 0; first < c->head_size; first += chunk) {
        size_t end = first + chunk < c->padded_head ? first + chunk : c->padded_head, d = first;
        for (; d + 4 * HK_LANES <= end; d += 4 * HK_LANES)
            value_tile(heads, 4, half, c, head, d, a, scores, out - first, chunk);
        for (; d < end; d += HK_LANES) value_tile(heads, 1, half, c, head, d, a, scores, out - first, chunk);
        size_t count = c->head_size - first < chunk ? c->head_size - first : chunk;
        for (int h = 0; h < heads; h++)
            for (size_t i = 0; i < count; i++)
                a->output[(query + (size_t)h) * c->head_size + first + i] = out[h * chunk + i] * total[h];
    }
}

static void attend(const hk_cache *c, size_t head, const hk_attention *a) {
    for (size_t query = 0; query < a->group; query += HK_HEADS) {
        size_t heads = a->group - query < HK_HEADS ? a->group - query : HK_HEADS;
        switch (heads * 2 + (c->half ? 1 : 0)) {
#define HK_CASE(n) \
    case 2 * n: attend_heads(n, 0, c, head, query, a); break; \
    case 2 * n + 1: attend_heads(n, 1, c, head, query, a); break;
            HK_CASE(1) HK_CASE(2) HK_CASE(3) HK_CASE(4)
#undef HK_CASE
        }
    }
}

static void store(const hk_cache *c, size_t block, size_t slot, const float *keys, const float *values) {
    for (size_t head = 0; head < c->heads; head++, keys += c->head_size, values += c->head_size) {
        size_t k = (block * c->heads + head) * c->head_size * c->padded_block + slot;
        size_t v = ((block * c->heads + head) * c->block_size + slot) * c->padded_head;
        if (c->half) {
            uint16_t *ks = (uint16_t *)c->keys + k, *vs = (uint16_t *)c->values + v;
            for (size_t d = 0; d < c->head_size; d++) {
                ks[d * c->padded_block] = half_bits(keys[d]);
                vs[d] = half_bits(values[d]);
            }
        } else {
            float *ks = (float *)c->keys + k, *vs = (float *)c->values + v;
            for (size_t d = 0; d < c->head_size; d++) {
                ks[d * c->padded_block] = keys[d];
                vs[d] = values[d];
            }
        }
    }
}
