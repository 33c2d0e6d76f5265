// Matrix products with int8 activations, record by record: a record's value, times the activations' scale, is added to
// the row's float sum.

// The form of a tile's weights: nibbles, packed as in memory or unpacked to bytes for several tiles, and bytes,
// unsigned or signed, also for activations of 7 bits, or with factors, without and with minimums. A set that defines HK_UNPACKED_RECORDS unpacks nibbles for that
// many records at a time, few enough to stay in the L1 cache with their activations. Otherwise each tile unpacks its
// own, which is faster where loads cost more than logic.
enum { HK_NIBBLES, HK_UNPACKED, HK_BYTES, HK_BYTES_BY_7, HK_SIGNED, HK_SIGNED_BY_7, HK_SCALED,
       HK_SCALED_MINIMUMS };

// Records of a panel that tiles go through, and the memory that they prefetch meanwhile.
typedef struct {
    // Weights of the first record's first lane.
    const uint32_t *words;
    // Scales of the first record's first lane; offsets, minimums or the second group's scales follow HK_PANEL after
    // them. Or the factors of four quarters, and of their minimums, which are before the words.
    const uint32_t *scales;
    size_t first;
    size_t count;
    // The first lane's unit, if the sums have one and are complete after the run.
    const float *units;
    // Prefetched from `next` on, and from `after` on once record `turn` is reached: `lines` cache lines per record; a
    // row alone prefetches as many as it reads.
    const uint8_t *next;
    const uint8_t *after;
    size_t turn;
    size_t lines;
    // Also prefetched by several rows; may be null.
    hk_read_ahead *ahead;
} record_run;

// `rows` rows from `row` on, all of one row tile of `x`, × `columns` vectors; sums continue from those in `y` if the
// run is not the panel's first. All strides but the results' are constants: run-time strides would cost a sixth of the
// speed.
//
// A row `alone`, with no other row in the product, computes all columns of a panel at once, and so reads the weights
// sequentially from memory.
HK_INLINE void int8_tile(const int rows, const int columns, const int form, const int alone, record_run *run,
                         const hk_quantized *x, size_t row, float *y, size_t y_stride) {
    vf sums[HK_INT8_ROWS][HK_PANEL_VECTORS];
    const int four = form == HK_NIBBLES || form == HK_UNPACKED, is_signed = form == HK_SIGNED || form == HK_SIGNED_BY_7;
    const int kind = form == HK_SCALED_MINIMUMS ? HK_LONGEST : is_signed || form == HK_SCALED ? HK_LONG : HK_SHORT;
    // Groups of a record.
    const size_t groups = four || kind != HK_SHORT ? 2 : 1;
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) sums[r][c] = run->first ? load(y + r * y_stride + c * HK_LANES) : (vf){};
    const uint32_t *words = run->words, *scales = run->scales;
    const uint8_t *next = run->next;
    // The results' lines are mostly in the cache of the thread that read the last ones: prefetch them during the tile.
    if (!alone && !run->first)
        HK_UNROLL for (int r = 0; r < rows; r++)
            HK_UNROLL for (int lane = 0; lane < columns * HK_LANES; lane += 16) __builtin_prefetch(y + r * y_stride + lane, 1, 3);
    // All but one line per record at once: a loop in every record would cost more than the prefetch gains.
    if (form == HK_UNPACKED) next = fetch_lines(next, (run->lines - 1) * run->count);
    size_t group = int8_group(x, row, run->first * groups), within = row % HK_INT8_ROWS;
    const int8_t *values = x->values + group * HK_GROUP + within * 4;
    const float *factors = x->scales + group + within;
    const int32_t *totals = x->sums + group + within;
    const int16_t *pairs = x->pairs + group + 2 * within, *quarters = x->quarters + 2 * group + 4 * within;
    for (size_t i = 0; i < run->count; i++) {
        HK_IN_MEMORY(sums);
        if (run->first + i == run->turn) next = run->after;
        if (form == HK_UNPACKED) next = fetch_lines(next, 1);
        else if (!alone) next = fetch_lines(next, run->lines);
        if (!alone && run->ahead) read_on(run->ahead);
        vf record[HK_INT8_ROWS][HK_PANEL_VECTORS];
        if (four) nibble_values(rows, columns, form == HK_UNPACKED, alone, words, scales, values, pairs, next, record);
        else if (is_signed)
            signed_values(rows, columns, form == HK_SIGNED_BY_7, alone, words, scales, values, totals, next, record);
        else if (form == HK_SCALED || form == HK_SCALED_MINIMUMS)
            scaled_values(rows, columns, form == HK_SCALED_MINIMUMS, alone, words, scales, values, quarters, next, record);
        else byte_values(rows, columns, form == HK_BYTES_BY_7, alone, words, scales, values, totals, next, record);
        if (alone) next += record_lines(kind) * 64;
        HK_UNROLL for (int r = 0; r < rows; r++) {
            vf factor = splat(factors[r]);
            HK_UNROLL for (int c = 0; c < columns; c++) sums[r][c] = fused(factor, record[r][c], sums[r][c]);
        }
        words += form == HK_UNPACKED ? 16 * HK_TILE_LANES : record_words(kind);
        scales += record_words(kind);
        values += groups * HK_GROUP * HK_INT8_ROWS;
        factors += groups * HK_INT8_ROWS;
        totals += groups * HK_INT8_ROWS;
        pairs += groups * HK_INT8_ROWS;
        quarters += 2 * groups * HK_INT8_ROWS;
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
// Unpacks the nibbles of a run's records to bytes, word by word.
HK_INLINE void unpack(const record_run *run, size_t records, uint32_t *out) {
    for (size_t i = 0; i < records; i++)
        for (size_t word = 0; word < 8; word++, out += 2 * HK_TILE_LANES)
            HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) {
                vi v = load_words(run->words + i * record_words(HK_SHORT) + word * HK_PANEL + c * HK_LANES);
                vi low = nibbles(v, 0), high = nibbles(v, 1);
                __builtin_memcpy(out + c * HK_LANES, &low, sizeof low);
                __builtin_memcpy(out + HK_TILE_LANES + c * HK_LANES, &high, sizeof high);
            }
}
#endif

// All rows through a run of nibbles. If several tiles need the nibbles, and the set supports it, they are unpacked
// once.
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
            run->words += part.count * record_words(HK_SHORT);
            part.scales += part.count * record_words(HK_SHORT);
        }
        run->next = part.next;
        return;
    }
#endif
    int8_rows(HK_NIBBLES, run, x, row, rows, y, y_stride);
}

// The form of a matrix's weights in memory.
HK_INLINE int form_of(const hk_matrix *w, const hk_quantized *x) {
    if (w->format == HK_I4) return HK_NIBBLES;
    if (w->format == HK_S7) return HK_SCALED;
    if (w->format == HK_U7) return HK_SCALED_MINIMUMS;
    return (w->format == HK_S8 ? HK_SIGNED : HK_BYTES) + (x->peak <= HK_INT7_PEAK);
}

// Tiles of several rows over the lanes that `run` begins with.
HK_INLINE void int8_lanes(const int form, record_run run, const hk_quantized *x, size_t row, size_t rows, float *y,
                          size_t y_stride, const uint8_t **next) {
    switch (form) {
    case HK_NIBBLES: nibble_rows(&run, x, row, rows, y, y_stride); break;
    case HK_BYTES: int8_rows(HK_BYTES, &run, x, row, rows, y, y_stride); break;
    case HK_BYTES_BY_7: int8_rows(HK_BYTES_BY_7, &run, x, row, rows, y, y_stride); break;
    case HK_SIGNED: int8_rows(HK_SIGNED, &run, x, row, rows, y, y_stride); break;
    case HK_SIGNED_BY_7: int8_rows(HK_SIGNED_BY_7, &run, x, row, rows, y, y_stride); break;
    case HK_SCALED: int8_rows(HK_SCALED, &run, x, row, rows, y, y_stride); break;
    default: int8_rows(HK_SCALED_MINIMUMS, &run, x, row, rows, y, y_stride); break;
    }
    *next = run.next;
}

HK_INLINE int record_kind(const hk_matrix *w) {
    if (w->format == HK_U7) return HK_LONGEST;
    return w->format == HK_S8 || w->format == HK_S7 ? HK_LONG : HK_SHORT;
}

// A panel's records, packed as in memory.
HK_INLINE record_run whole_panel(const hk_matrix *w, size_t panel) {
    const uint32_t *record = (const uint32_t *)(w->values + panel * w->panel_bytes);
    const int kind = record_kind(w);
    const size_t factors = w->format == HK_U7 ? 2 : w->format == HK_S7 ? 1 : 0, records = w->panel_bytes / (record_words(kind) * 4);
    return (record_run){
        .words = record + factors * HK_PANEL, .scales = record + (factors ? 0 : weight_words(kind) * HK_PANEL),
        .count = records, .turn = records,
        .units = w->format == HK_I4 ? (const float *)(record + records * record_words(kind)) : 0,
    };
}

// One row's product prefetches one record ahead: enough for the memory's latency, and close enough to the loads for the
// processor to recognise both as one stream, which it then prefetches itself.
static void int8_row(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, float *y,
                     const void *after) {
    for (size_t panel = first; panel < last; panel++, y += HK_PANEL) {
        record_run run = whole_panel(w, panel);
        run.next = (const uint8_t *)(run.words + record_words(record_kind(w)));
        run.after = after;
        if (panel + 1 == last && after) run.turn = run.count - 1;
        switch (form_of(w, x)) {
#define HK_CASE(form) \
    case form: int8_tile(1, HK_PANEL_VECTORS, form, 1, &run, x, row, y, 0); break;
            HK_CASE(HK_NIBBLES) HK_CASE(HK_BYTES) HK_CASE(HK_BYTES_BY_7) HK_CASE(HK_SIGNED) HK_CASE(HK_SIGNED_BY_7)
            HK_CASE(HK_SCALED) HK_CASE(HK_SCALED_MINIMUMS)
#undef HK_CASE
        }
    }
}

static void matmul_int8(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, size_t rows,
                        float *y, size_t y_stride, const void *after, hk_read_ahead *ahead) {
    if (rows == 1) return int8_row(w, first, last, x, row, y, after);
    // The tiles of this panel prefetch the next one in equal shares.
    size_t tiles = (rows + HK_INT8_ROWS - 1) / HK_INT8_ROWS * (HK_PANEL / HK_TILE_LANES);
    for (size_t panel = first; panel < last; panel++) {
        record_run run = whole_panel(w, panel);
        run.ahead = ahead && !is_through(ahead) ? ahead : 0;
        run.next = panel + 1 < last || !after ? w->values + (panel + 1) * w->panel_bytes : after;
        run.lines = (w->panel_bytes / 64 + tiles * run.count - 1) / (tiles * run.count);
        for (size_t lane = 0; lane < HK_PANEL; lane += HK_TILE_LANES) {
            float *out = y + (panel - first) * HK_PANEL + lane;
            int8_lanes(form_of(w, x), run, x, row, rows, out, y_stride, &run.next);
            run.words += HK_TILE_LANES;
            run.scales += HK_TILE_LANES;
            if (run.units) run.units += HK_TILE_LANES;
        }
    }
}
