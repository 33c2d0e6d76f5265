// Paged attention of neighbouring query tokens over one KV head; the query heads of its group share every load.
//
// A row is one token's query head. Keys lie with the dimensions outermost, so that lanes are positions: a score is one chain
// over the dimensions. Lanes of the output are dimensions: each is one chain over the positions. Blocks only say where a
// position lies, and tiles of rows only share loads: neither changes a row's bits.
//
// Pages are scattered over memory, which no hardware fetches ahead: scoring a page's keys fetches its values, and adding up
// values fetches the keys of the work that comes next.

#define HK_TILE 6
#define HK_FEW_ROWS 3

// What the rows of a tile have.
typedef struct {
    const float *queries[HK_TILE];
    float *scores[HK_TILE];
    float *output[HK_TILE];
    size_t lengths[HK_TILE];
    float scale;
} tile_rows;

HK_INLINE vf load_cached(const void *base, size_t index, const int half) {
    return half ? load_f16((const uint16_t *)base + index) : load((const float *)base + index);
}

HK_INLINE void score_dimension(const int rows, const int vectors, const int half, const hk_cache *c, const size_t *keys,
                               size_t d, const tile_rows *t, vf sums[][4]) {
    vf key[4];
    HK_UNROLL for (int v = 0; v < vectors; v++) key[v] = load_cached(c->keys, keys[v] + d * c->padded_block, half);
    HK_UNROLL for (int r = 0; r < rows; r++) {
        vf query = splat(t->queries[r][d]);
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = fused(query, key[v], sums[r][v]);
    }
}

// `rows` rows × `vectors` vectors of positions, whose keys and values begin at `keys` and `values` and whose scores go to
// `places`.
HK_INLINE void score_tile(const int rows, const int vectors, const int half, const hk_cache *c, const size_t *keys,
                          const size_t *values, const size_t *places, const tile_rows *t) {
    vf sums[HK_TILE][4];
    const size_t bytes = half ? 2 : 4;
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = (vf){};
    const char *fetch[4];
    HK_UNROLL for (int v = 0; v < vectors; v++) fetch[v] = (const char *)c->values + values[v] * bytes;
    // A line holds the values of some dimensions, of as many slots as a vector has.
    const size_t line = 64 / HK_LANES / bytes;
    size_t d = 0;
    for (; d + line <= c->head_size; d += line) {
        HK_UNROLL for (int v = 0; v < vectors; v++) __builtin_prefetch(fetch[v] + d * HK_LANES * bytes, 0, 2);
        // With more rows unrolling would leave too few registers.
        if (rows <= HK_FEW_ROWS) {
            HK_UNROLL for (size_t i = 0; i < line; i++) score_dimension(rows, vectors, half, c, keys, d + i, t, sums);
        } else {
            HK_LOOP for (size_t i = 0; i < line; i++) score_dimension(rows, vectors, half, c, keys, d + i, t, sums);
        }
    }
    for (; d < c->head_size; d++) score_dimension(rows, vectors, half, c, keys, d, t, sums);
    // Ascending places: a block's last vector may reach beyond its slots, into the next block's scores.
    HK_UNROLL for (int v = 0; v < vectors; v++)
        HK_UNROLL for (int r = 0; r < rows; r++) save(t->scores[r] + places[v], sums[r][v]);
}

HK_INLINE void score_blocks(const int rows, const int half, const hk_cache *c, size_t head, const int32_t *blocks,
                            size_t length, const tile_rows *t) {
    const int together = rows < 3 ? 4 : rows == 3 ? 3 : 2;
    size_t keys[4], values[4], places[4];
    int pending = 0;
    for (size_t start = 0, b = 0; start < length; start += c->block_size, b++) {
        size_t page = (size_t)blocks[b] * c->heads + head;
        size_t count = length - start < c->block_size ? length - start : c->block_size;
        for (size_t slot = 0; slot < count; slot += HK_LANES) {
            keys[pending] = page * c->head_size * c->padded_block + slot;
            values[pending] = (page * c->block_size + slot) * c->padded_head;
            places[pending] = start + slot;
            if (++pending < together) continue;
            score_tile(rows, together, half, c, keys, values, places, t);
            pending = 0;
        }
    }
    for (int v = 0; v < pending; v++) score_tile(rows, 1, half, c, keys + v, values + v, places + v, t);
}

// Scores to weights, unnormalised, with zeros up to `end`; gives 1 / their sum.
static float softmax(float *scores, size_t length, size_t end, float scale) {
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
    for (size_t i = padded; i < end; i++) scores[i] = 0;
    return 1.0f / sum16(sum);
}

// `rows` rows × `vectors` vectors of dimensions from `first` on. A weight of zero leaves a sum as it is. Fetches the keys of
// `next`.
HK_INLINE void value_tile(const int rows, const int vectors, const int half, const hk_cache *c, size_t head,
                          size_t first, const int32_t *blocks, size_t length, const tile_rows *t, const float *totals,
                          const hk_attention *next) {
    const size_t bytes = half ? 2 : 4;
    vf sums[HK_TILE][4];
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = (vf){};
    for (size_t start = 0, b = 0; start < length; start += c->block_size, b++) {
        size_t base = ((size_t)blocks[b] * c->heads + head) * c->block_size * c->padded_head + first;
        size_t count = length - start < c->block_size ? length - start : c->block_size;
        // These dimensions of a page: as many bytes for each slot as are read.
        const char *fetch = c->keys;
        if (start < next->next_length) {
            size_t page = (size_t)next->next_blocks[b] * c->heads + next->next_head;
            fetch += (page * c->head_size + first) * c->padded_block * bytes;
        }
        for (size_t slot = 0; slot < count; slot++) {
            vf value[4];
            __builtin_prefetch(fetch + slot * vectors * HK_LANES * bytes, 0, 2);
            HK_UNROLL for (int v = 0; v < vectors; v++)
                value[v] = load_cached(c->values, base + slot * c->padded_head + v * HK_LANES, half);
            HK_UNROLL for (int r = 0; r < rows; r++) {
                vf weight = splat(t->scores[r][start + slot]);
                HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = fused(weight, value[v], sums[r][v]);
            }
        }
    }
    HK_UNROLL for (int r = 0; r < rows; r++) {
        const size_t count = (size_t)vectors * HK_LANES;
        size_t left = c->head_size - first;
        float last[4 * HK_LANES], *out = left < count ? last : t->output[r] + first;
        HK_UNROLL for (int v = 0; v < vectors; v++) save(out + v * HK_LANES, sums[r][v] * splat(totals[r]));
        if (left < count) __builtin_memcpy(t->output[r] + first, last, left * sizeof(float));
    }
}

HK_INLINE void attend_rows(const int rows, const int half, const hk_cache *c, size_t head, const int32_t *blocks,
                           const tile_rows *t, const hk_attention *next) {
    size_t length = t->lengths[rows - 1], d = 0;
    float totals[HK_TILE];
    score_blocks(rows, half, c, head, blocks, length, t);
    for (int r = 0; r < rows; r++) totals[r] = softmax(t->scores[r], t->lengths[r], length, t->scale);
    // Vectors of padding alone are left out: their outputs would lie beyond the head.
    size_t end = (c->head_size + HK_LANES - 1) / HK_LANES * HK_LANES;
    // Fewer rows leave room for more vectors: sums enough that none waits for its last product.
    const int wide = rows > HK_FEW_ROWS || HK_VALUE_VECTORS > 3 ? HK_VALUE_VECTORS : 3;
    for (; d + wide * HK_LANES <= end; d += wide * HK_LANES)
        value_tile(rows, wide, half, c, head, d, blocks, length, t, totals, next);
    for (; d + 2 * HK_LANES <= end; d += 2 * HK_LANES)
        value_tile(rows, 2, half, c, head, d, blocks, length, t, totals, next);
    for (; d < end; d += HK_LANES) value_tile(rows, 1, half, c, head, d, blocks, length, t, totals, next);
}

static void attend(const hk_cache *c, size_t head, const hk_attention *a) {
    size_t rows = a->tokens * a->group;
    for (size_t first = 0, count; first < rows; first += count) {
        tile_rows t;
        count = next_tile(rows - first, HK_TILE);
        for (size_t i = 0; i < count; i++) {
            size_t token = (first + i) / a->group, query = (first + i) % a->group * c->head_size;
            t.queries[i] = a->queries + token * a->query_stride + query;
            t.output[i] = a->output + token * a->output_stride + query;
            t.scores[i] = a->scores + (first + i) * a->score_stride;
            t.lengths[i] = a->length + token;
        }
        t.scale = a->scale;
        switch (count * 2 + (c->half ? 1 : 0)) {
#define HK_CASE(n) \
    case 2 * n: attend_rows(n, 0, c, head, a->blocks, &t, a); break; \
    case 2 * n + 1: attend_rows(n, 1, c, head, a->blocks, &t, a); break;
            HK_CASE(1) HK_CASE(2) HK_CASE(3) HK_CASE(4) HK_CASE(5) HK_CASE(6)
#undef HK_CASE
        }
    }
}

static void store(const hk_cache *c, size_t block, size_t slot, const float *keys, const float *values) {
    for (size_t head = 0; head < c->heads; head++, keys += c->head_size, values += c->head_size) {
        size_t k = (block * c->heads + head) * c->head_size * c->padded_block + slot;
        size_t v = ((block * c->heads + head) * c->block_size + slot) * c->padded_head;
        if (c->half) {
            uint16_t *ks = (uint16_t *)c->keys + k, *vs = (uint16_t *)c->values + v, halves[16];
            for (size_t d = 0; d < c->head_size; d += 16) {
                size_t count = c->head_size - d < 16 ? c->head_size - d : 16;
                save_f16(halves, load_first(keys + d, count));
                for (size_t i = 0; i < count; i++) ks[(d + i) * c->padded_block] = halves[i];
                // A slot's values are padded to whole vectors.
                save_f16(vs + d, load_first(values + d, count));
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
