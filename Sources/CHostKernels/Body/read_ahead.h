// What is fetched from memory while products are computed, which leave it half idle: some lines at a time, and the cache blocks
// that come next.

HK_INLINE const uint8_t *fetch_lines(const uint8_t *next, size_t lines) {
    for (size_t line = 0; line < lines; line++, next += 64) __builtin_prefetch(next, 0, 2);
    return next;
}

// Lines that are fetched with a record of a tile: enough for a device batch's blocks to come in during a layer's products, and
// few enough that the tile's weights find room among the processor's pending misses.
#define HK_AHEAD_LINES (HK_INT8_COLUMNS * HK_LANES / 4)

HK_INLINE int is_through(const hk_read_ahead *a) { return a->lines == 0 && a->at == a->count; }

// Goes on to the keys of the next block, or from a block's keys to its values.
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
