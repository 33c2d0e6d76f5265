// Prefetches the next cache blocks, some lines at a time, while products are computed, which leave memory half idle.

HK_INLINE const uint8_t *fetch_lines(const uint8_t *next, size_t lines) {
    for (size_t line = 0; line < lines; line++, next += 64) __builtin_prefetch(next, 0, 2);
    return next;
}

// Lines prefetched with a record of a tile: enough that a device batch's blocks arrive during a layer's products, and
// few enough to leave miss buffers for the tile's weights.
#define HK_AHEAD_LINES (HK_INT8_COLUMNS * HK_LANES / 4)

HK_INLINE int is_through(const hk_read_ahead *a) { return a->lines == 0 && a->at == a->count; }

// Continues with the keys of the next block, or with the values after a block's keys.
HK_INLINE void begin_next(hk_read_ahead *a) {
    const hk_cache *c = a->cache;
    size_t size = element_bytes(c->format) * (a->at_values ? c->block_size * c->padded_head : c->head_size * c->padded_block);
    a->from = (const uint8_t *)(a->at_values ? c->values : c->keys) + cache_page(c, (size_t)a->blocks[a->at], 0) * size;
    a->lines = (c->heads * size + 63) / 64;
    a->at += (size_t)a->at_values;
    a->at_values = !a->at_values;
}

// The state stays in memory: tiles have no registers to spare.
HK_INLINE void read_on(hk_read_ahead *a) {
    if (is_through(a)) return;
    if (a->lines == 0) begin_next(a);
    fetch_lines(a->from, HK_AHEAD_LINES);
    a->from += HK_AHEAD_LINES * 64;
    a->lines -= a->lines < HK_AHEAD_LINES ? a->lines : HK_AHEAD_LINES;
}
