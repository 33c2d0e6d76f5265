// Paged attention of adjacent query tokens over one KV head; the query heads of its group share every load.
//
// A row is one token's query head. Keys are stored with the dimensions outermost, so that lanes are positions: a score
// is one chain over the dimensions. Lanes of the output are dimensions: each is one chain over a span's positions, and
// one over the spans (online softmax, arXiv 1805.02867). Blocks only give the address of a position, and tiles of rows
// only share loads: neither changes a row's bits.
//
// Pages are scattered over memory, so hardware cannot prefetch them: scoring a page's keys prefetches its values, and
// summing values prefetches the keys of the next work.

#define HK_TILE 6
#define HK_FEW_ROWS 3

// The state of a tile's rows in a span.
typedef struct {
    const float *queries[HK_TILE];
    float *scores[HK_TILE];
    // The outputs, to which the weighted values are added, and their totals.
    float *output[HK_TILE];
    float *totals[HK_TILE];
    // Positions of the span that the row attends to: from `starts` to `lengths` − 1; later rows have greater ones.
    size_t starts[HK_TILE];
    size_t lengths[HK_TILE];
    float scale, cap;
    // Whether this span is the first, and whether it is the last.
    int is_first, is_last;
} tile_rows;

// The positions of a span, block by block.
typedef struct {
    const hk_cache *cache;
    size_t head;
    // The blocks from the span's first position on, and the block offset of that position.
    const int32_t *blocks;
    size_t offset;
    // The work to prefetch meanwhile.
    size_t next_head;
    const int32_t *next_blocks;
    size_t next_length;
} span_pages;

// A block of a span: its number, the span's position at which it begins, and the first block offset that counts.
typedef struct {
    size_t block, start, first;
} span_block;

// The block of the first position that any of the rows attends to. Blocks before it are not read.
HK_INLINE span_block first_block(const span_pages *s, const tile_rows *t) {
    size_t block = (s->offset + t->starts[0]) / s->cache->block_size;
    if (block == 0) return (span_block){0, 0, s->offset};
    return (span_block){block, block * s->cache->block_size - s->offset, 0};
}

HK_INLINE void score_dimension(const int rows, const int vectors, const int format, const hk_cache *c, const size_t *keys,
                               size_t d, const tile_rows *t, vf sums[][4]) {
    vf key[4];
    HK_UNROLL for (int v = 0; v < vectors; v++) key[v] = load_cached(c->keys, keys[v] + d * c->padded_block, format);
    HK_UNROLL for (int r = 0; r < rows; r++) {
        vf query = splat(t->queries[r][d]);
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = fused(query, key[v], sums[r][v]);
    }
}

// Scores `rows` rows × `vectors` vectors of positions, whose keys, values and key scales begin at `keys`, `values` and
// `scales` and whose scores go to `places`.
HK_INLINE void score_tile(const int rows, const int vectors, const int format, const hk_cache *c, const size_t *keys,
                          const size_t *values, const size_t *scales, const size_t *places, const tile_rows *t) {
    vf sums[HK_TILE][4];
    const size_t bytes = element_bytes(format);
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = (vf){};
    const char *fetch[4];
    HK_UNROLL for (int v = 0; v < vectors; v++) fetch[v] = (const char *)c->values + values[v] * bytes;
    // A cache line holds the values of some dimensions of a vector's offsets.
    const size_t line = 64 / HK_LANES / bytes;
    size_t d = 0;
    for (; d + line <= c->head_size; d += line) {
        HK_UNROLL for (int v = 0; v < vectors; v++) __builtin_prefetch(fetch[v] + d * HK_LANES * bytes, 0, 2);
        // With more rows, unrolling would leave too few registers.
        if (rows <= HK_FEW_ROWS) {
            HK_UNROLL for (size_t i = 0; i < line; i++) score_dimension(rows, vectors, format, c, keys, d + i, t, sums);
        } else {
            HK_LOOP for (size_t i = 0; i < line; i++) score_dimension(rows, vectors, format, c, keys, d + i, t, sums);
        }
    }
    for (; d < c->head_size; d++) score_dimension(rows, vectors, format, c, keys, d, t, sums);
    // In ascending order: a block's last vector may reach beyond its offsets, into the next block's scores.
    HK_UNROLL for (int v = 0; v < vectors; v++) {
        vf scale;
        if (format == HK_CACHE_INT8) scale = load(c->key_scales + scales[v]);
        HK_UNROLL for (int r = 0; r < rows; r++)
            save(t->scores[r] + places[v], format == HK_CACHE_INT8 ? sums[r][v] * scale : sums[r][v]);
    }
}

HK_INLINE void score_span(const int rows, const int format, const span_pages *s, size_t length, const tile_rows *t) {
    const int together = rows < 3 ? 4 : rows == 3 ? 3 : 2;
    const hk_cache *c = s->cache;
    size_t keys[4], values[4], scales[4], places[4], count;
    int pending = 0;
    const span_block from = first_block(s, t);
    for (size_t start = from.start, b = from.block, first = from.first; start < length; start += count, b++, first = 0) {
        size_t page = cache_page(c, (size_t)s->blocks[b], s->head);
        count = c->block_size - first < length - start ? c->block_size - first : length - start;
        for (size_t offset = first; offset < first + count; offset += HK_LANES) {
            keys[pending] = page * c->head_size * c->padded_block + offset;
            values[pending] = (page * c->block_size + offset) * c->padded_head;
            scales[pending] = page * c->padded_block + offset;
            places[pending] = start + offset - first;
            if (++pending < together) continue;
            score_tile(rows, together, format, c, keys, values, scales, places, t);
            pending = 0;
        }
    }
    for (int v = 0; v < pending; v++)
        score_tile(rows, 1, format, c, keys + v, values + v, scales + v, places + v, t);
}

// Sums the values of `rows` rows × `vectors` vectors of dimensions from `first` on. A weight of zero leaves a sum
// unchanged.
// Prefetches the keys of the next span.
HK_INLINE void value_tile(const int rows, const int vectors, const int format, const span_pages *s, size_t first,
                          size_t length, const tile_rows *t, const float *before, const float *now) {
    const hk_cache *c = s->cache;
    const size_t bytes = element_bytes(format);
    vf sums[HK_TILE][4];
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = (vf){};
    size_t count;
    const span_block from = first_block(s, t);
    for (size_t start = from.start, b = from.block, skipped = from.first; start < length; start += count, b++, skipped = 0) {
        size_t base = (cache_page(c, (size_t)s->blocks[b], s->head) * c->block_size + skipped) * c->padded_head + first;
        count = c->block_size - skipped < length - start ? c->block_size - skipped : length - start;
        // These dimensions of a page: for each offset, as many bytes as are read.
        const char *fetch = c->keys;
        if (b * c->block_size < s->next_length) {
            size_t page = cache_page(c, (size_t)s->next_blocks[b], s->next_head);
            fetch += (page * c->head_size + first) * c->padded_block * bytes;
        }
        for (size_t offset = 0; offset < count; offset++) {
            vf value[4];
            __builtin_prefetch(fetch + offset * vectors * HK_LANES * bytes, 0, 2);
            HK_UNROLL for (int v = 0; v < vectors; v++)
                value[v] = load_cached(c->values, base + offset * c->padded_head + v * HK_LANES, format);
            HK_UNROLL for (int r = 0; r < rows; r++) {
                vf weight = splat(t->scores[r][start + offset]);
                HK_UNROLL for (int v = 0; v < vectors; v++) sums[r][v] = fused(weight, value[v], sums[r][v]);
            }
        }
    }
    HK_UNROLL for (int r = 0; r < rows; r++) {
        const size_t whole = (size_t)vectors * HK_LANES;
        size_t left = c->head_size - first < whole ? c->head_size - first : whole;
        float last[4 * HK_LANES] = {0}, *place = t->output[r] + first, *out = left < whole ? last : place;
        if (t->is_first) {
            HK_UNROLL for (int v = 0; v < vectors; v++) save(out + v * HK_LANES, sums[r][v] * splat(now[r]));
        } else {
            if (left < whole) __builtin_memcpy(last, place, left * sizeof(float));
            HK_UNROLL for (int v = 0; v < vectors; v++) {
                vf sum = load(out + v * HK_LANES);
                save(out + v * HK_LANES, fused(sum, splat(before[r]), sums[r][v] * splat(now[r])));
            }
        }
        if (left < whole) __builtin_memcpy(place, last, left * sizeof(float));
    }
}

// Multiplies the weights of int8 values by the values' scales.
HK_INLINE void scale_weights(const int rows, const span_pages *s, size_t length, const tile_rows *t) {
    const hk_cache *c = s->cache;
    size_t count;
    const span_block from = first_block(s, t);
    for (size_t start = from.start, b = from.block, first = from.first; start < length; start += count, b++, first = 0) {
        count = c->block_size - first < length - start ? c->block_size - first : length - start;
        const float *scales = c->value_scales + cache_page(c, (size_t)s->blocks[b], s->head) * c->padded_block + first;
        HK_UNROLL for (int r = 0; r < rows; r++)
            for (size_t offset = 0; offset < count; offset++) t->scores[r][start + offset] *= scales[offset];
    }
}

HK_INLINE void attend_rows(const int rows, const int format, const span_pages *s, const tile_rows *t) {
    const hk_cache *c = s->cache;
    size_t length = t->lengths[rows - 1], d = 0;
    float before[HK_TILE], now[HK_TILE];
    score_span(rows, format, s, length, t);
    const size_t base = first_block(s, t).start;
    for (int r = 0; r < rows; r++) {
        float totals[2];
        softmax(t->scores[r], base, t->starts[r], t->lengths[r], length, t->scale, t->cap, totals);
        join_totals(t->totals[r], totals, t->is_first, t->is_last, before + r, now + r);
    }
    if (format == HK_CACHE_INT8) scale_weights(rows, s, length, t);
    // Vectors of padding only are left out: their outputs would lie beyond the head.
    size_t end = (c->head_size + HK_LANES - 1) / HK_LANES * HK_LANES;
    // Fewer rows leave room for more vectors: enough sums that none waits for its last product.
    const int wide = rows > HK_FEW_ROWS || HK_VALUE_VECTORS > 3 ? HK_VALUE_VECTORS : 3;
    for (; d + wide * HK_LANES <= end; d += wide * HK_LANES)
        value_tile(rows, wide, format, s, d, length, t, before, now);
    for (; d + 2 * HK_LANES <= end; d += 2 * HK_LANES) value_tile(rows, 2, format, s, d, length, t, before, now);
    for (; d < end; d += HK_LANES) value_tile(rows, 1, format, s, d, length, t, before, now);
}

// Attends with the rows of the work, tile by tile, to one span.
HK_INLINE void attend_span(const hk_attention *a, size_t span, const span_pages *s) {
    const hk_cache *c = s->cache;
    size_t rows = a->tokens * a->group, begin = span * HK_SPAN;
    for (size_t first = 0, count; first < rows; first += count) {
        tile_rows t;
        count = next_tile(rows - first, HK_TILE);
        for (size_t i = 0; i < count; i++) {
            size_t row = first + i, token = row / a->group, query = row % a->group * c->head_size;
            t.queries[i] = a->queries + token * a->query_stride + query;
            t.output[i] = a->output + token * a->output_stride + query;
            t.scores[i] = a->scores + row * HK_SPAN_SCORES;
            t.totals[i] = t.scores[i] + HK_SPAN + 16;
            size_t end = a->length + token, length = end - begin;
            t.lengths[i] = length < HK_SPAN ? length : HK_SPAN;
            t.starts[i] = a->window < end && end - a->window > begin ? end - a->window - begin : 0;
            if (!a->partials) continue;
            t.output[i] = a->partials + ((span - a->origin_span) * rows + row) * (c->padded_head + HK_PARTIAL_TOTALS);
            t.totals[i] = t.output[i] + c->padded_head;
        }
        t.scale = a->scale;
        t.cap = a->cap;
        // A partial result does not include earlier spans.
        t.is_first = span == a->origin_span || a->partials;
        t.is_last = (span + 1) * HK_SPAN >= a->length && !a->partials;
        switch (count * 3 + (size_t)c->format) {
#define HK_CASE(n) \
    case 3 * n: attend_rows(n, HK_CACHE_F32, s, &t); break; \
    case 3 * n + 1: attend_rows(n, HK_CACHE_F16, s, &t); break; \
    case 3 * n + 2: attend_rows(n, HK_CACHE_INT8, s, &t); break;
            HK_CASE(1) HK_CASE(2) HK_CASE(3) HK_CASE(4) HK_CASE(5) HK_CASE(6)
#undef HK_CASE
        }
    }
}

static void attend(const hk_cache *c, size_t head, const hk_attention *a) {
    span_pages s = {.cache = c, .head = head};
    for (size_t span = a->first_span; span < a->end_span; span++) {
        s.blocks = a->blocks + span * HK_SPAN / c->block_size;
        s.offset = span * HK_SPAN % c->block_size;
        s.next_head = a->next_head;
        s.next_blocks = a->next_blocks;
        s.next_length = a->next_length;
        if (span + 1 < a->end_span) {
            s.next_head = head;
            s.next_blocks = a->blocks + (span + 1) * HK_SPAN / c->block_size;
            s.next_length = a->length - (span + 1) * HK_SPAN;
        }
        attend_span(a, span, &s);
    }
}

static void join(const hk_cache *c, const hk_attention *a) {
    size_t rows = a->tokens * a->group, stride = c->padded_head + HK_PARTIAL_TOTALS;
    size_t spans = (a->length + HK_SPAN - 1) / HK_SPAN - a->origin_span;
    for (size_t row = 0; row < rows; row++) {
        float *out = a->output + row / a->group * a->output_stride + row % a->group * c->head_size, totals[2];
        for (size_t span = 0; span < spans; span++) {
            const float *part = a->partials + (span * rows + row) * stride;
            float before, now;
            join_totals(totals, part + c->padded_head, span == 0, span + 1 == spans, &before, &now);
            for (size_t d = 0; d < c->head_size; d += 16) {
                size_t count = c->head_size - d < 16 ? c->head_size - d : 16;
                v16 sum = load16(part + d) * splat16(now);
                if (span > 0) sum = fused16(load_first(out + d, count), splat16(before), sum);
                save_first(out + d, sum, count);
            }
        }
    }
}
