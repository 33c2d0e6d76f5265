// Matrix products with int8 activations, record by record. A record's sum is an exact integer, whatever the order, and enters
// the row's float sum with the activations' scale: for I4 Σ scale·Σuq + minimum·Σ8q of its two groups at once, for U8
// fma(scale, Σuq, minimum·Σq) of its one.

// How a tile finds its weights: packed as in memory (bytes also for activations of 7 bits), or nibbles that were unpacked to
// bytes for several tiles. A set has that done for HK_UNPACKED_RECORDS records at a time, few enough to stay in the first cache
// with their activations; without that each tile unpacks for itself, where loads are dearer than logic.
enum { HK_NIBBLES, HK_BYTES, HK_BYTES_BY_7, HK_UNPACKED };

#define HK_TILE_LANES (HK_INT8_COLUMNS * HK_LANES)
// Vectors of a panel.
#define HK_PANEL_VECTORS (HK_PANEL / HK_LANES)

// A record is 8 × HK_PANEL words of weights, and HK_PANEL each of scales and minimums: as many for a block of nibbles as for a
// group of bytes.
#define HK_RECORD (10 * HK_PANEL)
#define HK_RECORD_LINES (HK_RECORD * 4 / 64)

// Records of a panel that tiles go through, and what they fetch from memory meanwhile.
typedef struct {
    // Weights of the first record's first lane.
    const uint32_t *words;
    // Scales of the first record's first lane; minimums stand HK_PANEL behind.
    const uint32_t *scales;
    size_t first;
    size_t count;
    // The first lane's unit, where the sums are complete after the run and have one.
    const float *units;
    // Fetched from `next` on, and from `after` on once record `turn` is reached: `lines` cache lines a record, or by a row
    // alone as many as it reads.
    const uint8_t *next;
    const uint8_t *after;
    size_t turn;
    size_t lines;
    // Fetched besides by several rows; may be null.
    hk_read_ahead *ahead;
} record_run;

// What a row alone fetches in step `step` of the 8 that a record takes: a record's lines. All at once they would hold the
// processor's miss buffers, for which the record's own loads would have to wait. Nothing with HK_STREAMED: the processors that
// such a set is for see the stream by themselves, and fetch it sooner without hints.
HK_INLINE void fetch_record_part(const uint8_t *record, const int step) {
#ifndef HK_STREAMED
    HK_UNROLL for (int line = HK_RECORD_LINES * step / 8; line < HK_RECORD_LINES * (step + 1) / 8; line++)
        __builtin_prefetch(record + line * 64, 0, 3);
#endif
}

// Σuq of group `group` of a block of nibbles, in the set's form, for `rows` rows whose values begin at `values`.
HK_INLINE void nibble_dots(const int rows, const int columns, const int unpacked, const int alone, const int group,
                           const uint32_t *words, const int8_t *values, const uint8_t *next, vi dots[][HK_PANEL_VECTORS]) {
    const size_t stride = unpacked ? HK_TILE_LANES : HK_PANEL;
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) dots[r][c] = (vi){};
    HK_UNROLL for (int word = 0; word < 8; word += unpacked ? 1 : 2) {
        if (alone) fetch_record_part(next, group * 4 + word / 2);
        vi u[HK_PANEL_VECTORS], high[HK_PANEL_VECTORS];
        size_t place = (size_t)(unpacked ? group * 8 + word : group * 4 + word / 2) * stride;
        HK_UNROLL for (int c = 0; c < columns; c++) {
            u[c] = load_words(words + place + c * HK_LANES);
            if (unpacked) continue;
            high[c] = (u[c] >> 4) & 0x0f0f0f0f;
            u[c] &= 0x0f0f0f0f;
        }
        const int8_t *q = values + (group * 8 + word) * HK_INT8_ROWS * 4;
        HK_UNROLL for (int r = 0; r < rows; r += HK_ROWS_TOGETHER) {
            const int together = rows - r < HK_ROWS_TOGETHER ? rows - r : HK_ROWS_TOGETHER;
            add_dots(1, 0, together, columns, dots + r, u, q + r * 4);
            if (!unpacked) add_dots(1, 0, together, columns, dots + r, high, q + (HK_INT8_ROWS + r) * 4);
        }
    }
}

// The value of a block of nibbles, but for the activations' scale and the outputs' units.
HK_INLINE void nibble_values(const int rows, const int columns, const int unpacked, const int alone,
                             const uint32_t *words, const uint32_t *scales, const int8_t *values, const int16_t *sum_pairs,
                             const uint8_t *next, vf out[][HK_PANEL_VECTORS]) {
    vi first[HK_INT8_ROWS][HK_PANEL_VECTORS], dots[HK_INT8_ROWS][HK_PANEL_VECTORS];
    vi pairs[HK_PANEL_VECTORS], minimums[HK_PANEL_VECTORS];
    nibble_dots(rows, columns, unpacked, alone, 0, words, values, next, dots);
    HK_UNROLL for (int c = 0; c < columns; c++) pairs[c] = both_of(load_words(scales + c * HK_LANES), 0);
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) first[r][c] = nibble_total(dots[r][c], pairs[c]);
    HK_IN_MEMORY(first);
    nibble_dots(rows, columns, unpacked, alone, 1, words, values, next, dots);
    HK_UNROLL for (int c = 0; c < columns; c++) {
        pairs[c] = both_of(load_words(scales + c * HK_LANES), 1);
        minimums[c] = load_words(scales + HK_PANEL + c * HK_LANES);
    }
    HK_UNROLL for (int r = 0; r < rows; r++) {
        vi sum = broadcast4(sum_pairs + 2 * r);
        HK_UNROLL for (int c = 0; c < columns; c++) {
            vi second = sum_of(nibble_total(dots[r][c], pairs[c]), pair_products(minimums[c], sum));
            out[r][c] = floats(sum_of(first[r][c], second));
        }
    }
}

// The value of a group of bytes, but for the activations' scale.
HK_INLINE void byte_values(const int rows, const int columns, const int seven, const int alone, const uint32_t *words,
                           const uint32_t *scales, const int8_t *values, const float *sums, const uint8_t *next, vf out[][HK_PANEL_VECTORS]) {
    vi dots[HK_INT8_ROWS][HK_PANEL_VECTORS];
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) dots[r][c] = bytes_begin(seven, sums[r]);
    HK_UNROLL for (int word = 0; word < 8; word++) {
        if (alone) fetch_record_part(next, word);
        vi u[HK_PANEL_VECTORS];
        HK_UNROLL for (int c = 0; c < columns; c++) u[c] = load_words(words + word * HK_PANEL + c * HK_LANES);
        const int8_t *q = values + word * HK_INT8_ROWS * 4;
        HK_UNROLL for (int r = 0; r < rows; r += HK_ROWS_TOGETHER)
            add_dots(0, seven, rows - r < HK_ROWS_TOGETHER ? rows - r : HK_ROWS_TOGETHER, columns, dots + r, u, q + r * 4);
    }
    HK_UNROLL for (int r = 0; r < rows; r++) {
        vf sum = splat(sums[r]);
        HK_UNROLL for (int c = 0; c < columns; c++) {
            vf scale = load((const float *)scales + c * HK_LANES);
            vf minimum = load((const float *)scales + HK_PANEL + c * HK_LANES);
            out[r][c] = fused(scale, floats(dots[r][c]), minimum * sum);
        }
    }
}

// `rows` rows from `row` on, all of one row tile of `x`, × `columns` vectors; sums go on from what stands in `y` where the
// run is not the panel's first. All strides but the results' are constants: run-time ones would cost a sixth of the speed.
//
// A row `alone`, with no other in the product, takes all columns of a panel at once, and so reads the weights from memory in
// their order.
HK_INLINE void int8_tile(const int rows, const int columns, const int form, const int alone, record_run *run,
                         const hk_quantized *x, size_t row, float *y, size_t y_stride) {
    vf sums[HK_INT8_ROWS][HK_PANEL_VECTORS];
    const int four = form == HK_NIBBLES || form == HK_UNPACKED;
    // Groups of a record: a block of activations is one record of nibbles and two of bytes.
    const size_t groups = four ? 2 : 1;
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) sums[r][c] = run->first ? load(y + r * y_stride + c * HK_LANES) : (vf){};
    const uint32_t *words = run->words, *scales = run->scales;
    const uint8_t *next = run->next;
    // The results' lines are mostly in the cache of the thread that read the last ones; they come while the tile is computed.
    if (!alone && !run->first)
        HK_UNROLL for (int r = 0; r < rows; r++)
            HK_UNROLL for (int lane = 0; lane < columns * HK_LANES; lane += 16) __builtin_prefetch(y + r * y_stride + lane, 1, 3);
    // All but one line a record at once: a loop for every record would cost more than it fetches.
    if (form == HK_UNPACKED) next = fetch_lines(next, (run->lines - 1) * run->count);
    size_t group = int8_group(x, row, run->first * groups), within = row % HK_INT8_ROWS;
    const int8_t *values = x->values + group * HK_GROUP + within * 4;
    const float *factors = x->scales + group + within, *totals = x->sums + group + within;
    const int16_t *pairs = x->pairs + group + 2 * within;
    for (size_t i = 0; i < run->count; i++) {
        HK_IN_MEMORY(sums);
        if (run->first + i == run->turn) next = run->after;
        if (form == HK_UNPACKED) next = fetch_lines(next, 1);
        else if (!alone) next = fetch_lines(next, run->lines);
        if (!alone && run->ahead) read_on(run->ahead);
        vf record[HK_INT8_ROWS][HK_PANEL_VECTORS];
        if (four) nibble_values(rows, columns, form == HK_UNPACKED, alone, words, scales, values, pairs, next, record);
        else byte_values(rows, columns, form == HK_BYTES_BY_7, alone, words, scales, values, totals, next, record);
        if (alone) next += HK_RECORD_LINES * 64;
        HK_UNROLL for (int r = 0; r < rows; r++) {
            vf factor = splat(factors[r]);
            HK_UNROLL for (int c = 0; c < columns; c++) sums[r][c] = fused(factor, record[r][c], sums[r][c]);
        }
        words += form == HK_UNPACKED ? 16 * HK_TILE_LANES : HK_RECORD;
        scales += HK_RECORD;
        values += groups * HK_GROUP * HK_INT8_ROWS;
        factors += groups * HK_INT8_ROWS;
        totals += groups * HK_INT8_ROWS;
        pairs += groups * HK_INT8_ROWS;
    }
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) {
            if (run->units) sums[r][c] *= load(run->units + c * HK_LANES);
            save(y + r * y_stride + c * HK_LANES, sums[r][c]);
        }
    run->next = next;
}

// All rows through a run, in tiles of HK_INT8_COLUMNS vectors and up to a row tile of `x`.
HK_INLINE void int8_rows(const int form, record_run *run, const hk_quantized *x, size_t row, size_t rows, float *y,
                         size_t y_stride) {
    for (size_t end = row + rows, tile; row < end; row += tile, y += tile * y_stride) {
        tile = HK_INT8_ROWS - row % HK_INT8_ROWS;
        if (tile > end - row) tile = end - row;
        switch (tile) {
#define HK_CASE(n) \
    case n: int8_tile(n < HK_INT8_ROWS ? n : HK_INT8_ROWS, HK_INT8_COLUMNS, form, 0, run, x, row, y, y_stride); break;
            HK_CASE(1) HK_CASE(2) HK_CASE(3) HK_CASE(4)
#undef HK_CASE
        }
    }
}

#ifdef HK_UNPACKED_RECORDS
// Unpacks the nibbles of a run's records, word after word, to bytes.
HK_INLINE void unpack(const record_run *run, size_t records, uint32_t *out) {
    for (size_t i = 0; i < records; i++)
        for (size_t word = 0; word < 8; word++, out += 2 * HK_TILE_LANES)
            HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) {
                vi v = load_words(run->words + i * HK_RECORD + word * HK_PANEL + c * HK_LANES);
                vi low = v & 0x0f0f0f0f, high = (v >> 4) & 0x0f0f0f0f;
                __builtin_memcpy(out + c * HK_LANES, &low, sizeof low);
                __builtin_memcpy(out + HK_TILE_LANES + c * HK_LANES, &high, sizeof high);
            }
}
#endif

// All rows through a run of nibbles. If more than one tile needs them they are unpacked once, where the set has that done.
HK_INLINE void nibble_rows(record_run *run, const hk_quantized *x, size_t row, size_t rows, float *y, size_t y_stride) {
#ifdef HK_UNPACKED_RECORDS
    if (rows > HK_INT8_ROWS) {
        _Alignas(64) uint32_t unpacked[HK_UNPACKED_RECORDS * 16 * HK_TILE_LANES];
        record_run part = *run;
        part.words = unpacked;
        for (size_t left = run->count; left > 0; left -= part.count, part.first += part.count) {
            part.count = left < HK_UNPACKED_RECORDS ? left : HK_UNPACKED_RECORDS;
            part.units = part.count == left ? run->units : 0;
            unpack(run, part.count, unpacked);
            int8_rows(HK_UNPACKED, &part, x, row, rows, y, y_stride);
            run->words += part.count * HK_RECORD;
            part.scales += part.count * HK_RECORD;
        }
        run->next = part.next;
        return;
    }
#endif
    int8_rows(HK_NIBBLES, run, x, row, rows, y, y_stride);
}

// Tiles of several rows over the lanes that `run` begins with.
HK_INLINE void int8_lanes(const int four, record_run run, const hk_quantized *x, size_t row, size_t rows, float *y,
                          size_t y_stride, const uint8_t **next) {
    if (four) nibble_rows(&run, x, row, rows, y, y_stride);
    else if (x->peak > HK_INT7_PEAK) int8_rows(HK_BYTES, &run, x, row, rows, y, y_stride);
    else int8_rows(HK_BYTES_BY_7, &run, x, row, rows, y, y_stride);
    *next = run.next;
}

// A panel's records, packed as in memory.
HK_INLINE record_run whole_panel(const hk_matrix *w, size_t panel) {
    const uint32_t *words = (const uint32_t *)(w->values + panel * w->panel_bytes);
    size_t records = w->panel_bytes / (HK_RECORD * 4);
    return (record_run){
        .words = words, .scales = words + 8 * HK_PANEL, .count = records, .turn = records,
        .units = w->format == HK_I4 ? (const float *)(words + records * HK_RECORD) : 0,
    };
}

// One row's product fetches one record ahead: enough for memory's delay, and near enough to the loads for the processor to see
// one stream in both, which it fetches on by itself.
static void int8_row(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, float *y,
                     const void *after) {
    for (size_t panel = first; panel < last; panel++, y += HK_PANEL) {
        record_run run = whole_panel(w, panel);
        run.next = (const uint8_t *)(run.words + HK_RECORD);
        run.after = after;
        if (panel + 1 == last && after) run.turn = run.count - 1;
        if (w->format == HK_I4) int8_tile(1, HK_PANEL_VECTORS, HK_NIBBLES, 1, &run, x, row, y, 0);
        else if (x->peak > HK_INT7_PEAK) int8_tile(1, HK_PANEL_VECTORS, HK_BYTES, 1, &run, x, row, y, 0);
        else int8_tile(1, HK_PANEL_VECTORS, HK_BYTES_BY_7, 1, &run, x, row, y, 0);
    }
}

static void matmul_int8(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, size_t rows,
                        float *y, size_t y_stride, const void *after, hk_read_ahead *ahead) {
    if (rows == 1) return int8_row(w, first, last, x, row, y, after);
    // The next panel is fetched in equal shares by this one's tiles.
    size_t tiles = (rows + HK_INT8_ROWS - 1) / HK_INT8_ROWS * (HK_PANEL / HK_TILE_LANES);
    for (size_t panel = first; panel < last; panel++) {
        record_run run = whole_panel(w, panel);
        run.ahead = ahead && !is_through(ahead) ? ahead : 0;
        run.next = panel + 1 < last || !after ? w->values + (panel + 1) * w->panel_bytes : after;
        run.lines = (w->panel_bytes / 64 + tiles * run.count - 1) / (tiles * run.count);
        for (size_t lane = 0; lane < HK_PANEL; lane += HK_TILE_LANES) {
            float *out = y + (panel - first) * HK_PANEL + lane;
            int8_lanes(w->format == HK_I4, run, x, row, rows, out, y_stride, &run.next);
            run.words += HK_TILE_LANES;
            run.scales += HK_TILE_LANES;
            if (run.units) run.units += HK_TILE_LANES;
        }
    }
}
