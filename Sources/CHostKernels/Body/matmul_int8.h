// Matrix products with int8 activations. In a group of 32 inputs the sum of u·q is an exact integer, whatever the order;
// then fma(scale, Σuq, minimum·Σq) is the group's value and enters the row's float sum with the activations' scale.

#include "dots.h"

// How a tile finds its weights: packed as in memory (bytes also for activations of 7 bits), or nibbles that were unpacked to
// bytes for several tiles.
enum { HK_NIBBLES, HK_BYTES, HK_BYTES_BY_7, HK_UNPACKED };

#define HK_TILE_LANES (HK_INT8_COLUMNS * HK_LANES)
// Vectors of a panel.
#define HK_PANEL_VECTORS (HK_PANEL / HK_LANES)
// Groups whose nibbles are unpacked at a time: few enough that they stay in the first cache with their activations.
#define HK_UNPACKED_GROUPS 24

// 32-bit words of a group's weights, and of its record with the scales and minimums.
#define HK_WORDS(four) ((four) ? 4 : 8)
#define HK_RECORD(four) ((HK_WORDS(four) + 2) * HK_PANEL)
// Cache lines of a record.
#define HK_RECORD_LINES(four) (HK_RECORD(four) * 4 / 64)

// Groups of a panel that tiles go through, and what they fetch from memory meanwhile.
typedef struct {
    // Weights of the first group's first lane.
    const uint32_t *words;
    // Scales of the first group's first lane; minimums stand HK_PANEL behind.
    const float *scales;
    size_t first;
    size_t count;
    // Fetched from `next` on, and from `after` on once group `turn` is reached: as much as the tile reads where no other
    // tile goes through its lanes, otherwise `lines` cache lines a group.
    const uint8_t *next;
    const uint8_t *after;
    size_t turn;
    size_t lines;
} group_run;

HK_INLINE const uint8_t *fetch_lines(const uint8_t *next, size_t lines) {
    for (size_t line = 0; line < lines; line++, next += 64) __builtin_prefetch(next, 0, 2);
    return next;
}

// `rows` rows from `row` on, all of one row tile of `x`, × `columns` vectors; sums go on from what stands in `y` where the
// run is not the panel's first. All strides but the results' are constants: run-time ones would cost a sixth of the speed.
HK_INLINE void int8_tile(const int rows, const int columns, const int form, group_run *run, const hk_quantized *x,
                         size_t row, float *y, size_t y_stride) {
    vf sums[HK_INT8_ROWS][HK_PANEL_VECTORS];
    const int four = form == HK_NIBBLES || form == HK_UNPACKED, seven = form == HK_BYTES_BY_7;
    const size_t words = HK_WORDS(form == HK_NIBBLES), record = HK_RECORD(four);
    const size_t stride = form == HK_UNPACKED ? HK_TILE_LANES : HK_PANEL;
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) sums[r][c] = run->first ? load(y + r * y_stride + c * HK_LANES) : (vf){};
    const uint32_t *weights = run->words;
    const float *scales = run->scales;
    const uint8_t *next = run->next;
    // All but one line a group at once: a loop in every group would cost more than it fetches.
    if (form == HK_UNPACKED) next = fetch_lines(next, (run->lines - 1) * run->count);
    size_t block = int8_block(x, row, run->first);
    const int8_t *values = x->values + block * HK_GROUP + row % HK_INT8_ROWS * 4;
    const float *factors = x->scales + block + row % HK_INT8_ROWS, *totals = x->sums + block + row % HK_INT8_ROWS;
    for (size_t g = 0; g < run->count; g++) {
        HK_IN_MEMORY(sums);
        if (run->first + g == run->turn) next = run->after;
        if (form == HK_UNPACKED) next = fetch_lines(next, 1);
        else if (rows == 1 && columns == HK_PANEL_VECTORS) next = fetch_lines(next, HK_RECORD_LINES(form == HK_NIBBLES));
        else next = fetch_lines(next, form == HK_NIBBLES ? HK_RECORD_LINES(1) * columns / HK_PANEL_VECTORS : run->lines);
        vi dots[HK_INT8_ROWS][HK_PANEL_VECTORS];
        HK_UNROLL for (int r = 0; r < rows; r++)
            HK_UNROLL for (int c = 0; c < columns; c++) dots[r][c] = four ? (vi){} : bytes_begin(seven, totals[r]);
        HK_UNROLL for (size_t word = 0; word < words; word++) {
            vi u[HK_PANEL_VECTORS], high[HK_PANEL_VECTORS];
            HK_UNROLL for (int c = 0; c < columns; c++) {
                u[c] = load_words(weights + word * stride + c * HK_LANES);
                if (form != HK_NIBBLES) continue;
                high[c] = (u[c] >> 4) & 0x0f0f0f0f;
                u[c] &= 0x0f0f0f0f;
            }
            const int8_t *q = values + word * (HK_GROUP / words) * HK_INT8_ROWS;
            HK_UNROLL for (int r = 0; r < rows; r += HK_ROWS_TOGETHER) {
                const int together = rows - r < HK_ROWS_TOGETHER ? rows - r : HK_ROWS_TOGETHER;
                add_dots(four, seven, together, columns, dots + r, u, q + r * 4);
                if (form == HK_NIBBLES) add_dots(1, 0, together, columns, dots + r, high, q + (HK_INT8_ROWS + r) * 4);
            }
        }
        HK_UNROLL for (int r = 0; r < rows; r++) {
            vf factor = splat(factors[r]), sum = splat(totals[r]);
            HK_UNROLL for (int c = 0; c < columns; c++) {
                vf scale = load(scales + c * HK_LANES), minimum = load(scales + HK_PANEL + c * HK_LANES);
                vi total = four ? nibble_total(dots[r][c]) : dots[r][c];
                sums[r][c] = fused(factor, fused(scale, floats(total), minimum * sum), sums[r][c]);
            }
        }
        weights += form == HK_UNPACKED ? 8 * HK_TILE_LANES : record;
        scales += record;
        values += HK_GROUP * HK_INT8_ROWS;
        factors += HK_INT8_ROWS;
        totals += HK_INT8_ROWS;
    }
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) save(y + r * y_stride + c * HK_LANES, sums[r][c]);
    run->next = next;
}

// All rows through a run, in tiles of HK_INT8_COLUMNS vectors and up to a row tile of `x`.
HK_INLINE void int8_rows(const int form, group_run *run, const hk_quantized *x, size_t row, size_t rows, float *y,
                         size_t y_stride) {
    for (size_t end = row + rows, tile; row < end; row += tile, y += tile * y_stride) {
        tile = HK_INT8_ROWS - row % HK_INT8_ROWS;
        if (tile > end - row) tile = end - row;
        switch (tile) {
#define HK_CASE(n) \
    case n: int8_tile(n < HK_INT8_ROWS ? n : HK_INT8_ROWS, HK_INT8_COLUMNS, form, run, x, row, y, y_stride); break;
            HK_CASE(1) HK_CASE(2) HK_CASE(3) HK_CASE(4)
#if HK_INT8_ROWS > 4
            HK_CASE(5) HK_CASE(6)
#endif
#undef HK_CASE
        }
    }
}

// Unpacks the nibbles of a run's groups, word after word, to bytes.
HK_INLINE void unpack(const group_run *run, size_t groups, uint32_t *out) {
    for (size_t g = 0; g < groups; g++)
        for (size_t word = 0; word < 4; word++, out += 2 * HK_TILE_LANES)
            HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) {
                vi v = load_words(run->words + g * HK_RECORD(1) + word * HK_PANEL + c * HK_LANES);
                vi low = v & 0x0f0f0f0f, high = (v >> 4) & 0x0f0f0f0f;
                __builtin_memcpy(out + c * HK_LANES, &low, sizeof low);
                __builtin_memcpy(out + HK_TILE_LANES + c * HK_LANES, &high, sizeof high);
            }
}

// Tiles of several rows over the lanes that `run` begins with. Nibbles that more than one tile needs are unpacked once.
HK_INLINE void int8_lanes(const int four, group_run run, const hk_quantized *x, size_t row, size_t rows, size_t groups,
                          float *y, size_t y_stride, const uint8_t **next) {
    if (four && rows > HK_INT8_ROWS) {
        _Alignas(64) uint32_t unpacked[HK_UNPACKED_GROUPS * 8 * HK_TILE_LANES];
        group_run part = run;
        part.words = unpacked;
        for (; part.first < groups; part.first += part.count) {
            part.count = groups - part.first < HK_UNPACKED_GROUPS ? groups - part.first : HK_UNPACKED_GROUPS;
            unpack(&run, part.count, unpacked);
            int8_rows(HK_UNPACKED, &part, x, row, rows, y, y_stride);
            run.words += part.count * HK_RECORD(1);
            part.scales += part.count * HK_RECORD(1);
        }
        *next = part.next;
        return;
    }
    if (four) int8_rows(HK_NIBBLES, &run, x, row, rows, y, y_stride);
    else if (x->peak > HK_INT7_PEAK) int8_rows(HK_BYTES, &run, x, row, rows, y, y_stride);
    else int8_rows(HK_BYTES_BY_7, &run, x, row, rows, y, y_stride);
    *next = run.next;
}

// A panel's groups, packed as in memory.
HK_INLINE group_run whole_panel(const hk_matrix *w, size_t panel) {
    size_t groups = w->inputs / HK_GROUP;
    const uint32_t *words = (const uint32_t *)(w->values + panel * w->panel_bytes);
    const float *scales = (const float *)words + HK_WORDS(w->format == HK_U4) * HK_PANEL;
    return (group_run){.words = words, .scales = scales, .count = groups, .turn = groups};
}

// Records that one row's product fetches ahead: enough for memory's delay, and few beside a panel.
#define HK_RECORDS_AHEAD 8

// One row alone takes all columns of a panel at once, and so reads the weights from memory in their order.
static void int8_row(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, float *y,
                     const void *after) {
    size_t groups = w->inputs / HK_GROUP, record = w->panel_bytes / groups;
    size_t ahead = groups < HK_RECORDS_AHEAD ? groups : HK_RECORDS_AHEAD;
    for (size_t panel = first; panel < last; panel++, y += HK_PANEL) {
        group_run run = whole_panel(w, panel);
        run.next = w->values + panel * w->panel_bytes + ahead * record;
        run.after = after;
        if (panel + 1 == last && after) run.turn = groups - ahead;
        if (w->format == HK_U4) int8_tile(1, HK_PANEL_VECTORS, HK_NIBBLES, &run, x, row, y, 0);
        else if (x->peak > HK_INT7_PEAK) int8_tile(1, HK_PANEL_VECTORS, HK_BYTES, &run, x, row, y, 0);
        else int8_tile(1, HK_PANEL_VECTORS, HK_BYTES_BY_7, &run, x, row, y, 0);
    }
}

static void matmul_int8(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, size_t rows,
                        float *y, size_t y_stride, const void *after) {
    if (rows == 1) return int8_row(w, first, last, x, row, y, after);
    size_t groups = w->inputs / HK_GROUP;
    // The next panel is fetched in equal shares by this one's tiles.
    size_t tiles = (rows + HK_INT8_ROWS - 1) / HK_INT8_ROWS * (HK_PANEL / HK_TILE_LANES);
    size_t share = (w->panel_bytes / 64 + tiles * groups - 1) / (tiles * groups);
    for (size_t panel = first; panel < last; panel++) {
        group_run run = whole_panel(w, panel);
        run.next = panel + 1 < last || !after ? w->values + (panel + 1) * w->panel_bytes : after;
        run.lines = share;
        for (size_t lane = 0; lane < HK_PANEL; lane += HK_TILE_LANES) {
            float *out = y + (panel - first) * HK_PANEL + lane;
            int8_lanes(w->format == HK_U4, run, x, row, rows, groups, out, y_stride, &run.next);
            run.words += HK_TILE_LANES;
            run.scales += HK_TILE_LANES;
        }
    }
}
