// Matrix products with int8 activations. In a group of 32 inputs the sum of u·q is an exact integer, whatever the order;
// then fma(scale, Σuq, minimum·Σq) is the group's value and enters the row's float sum with the activations' scale.

HK_INLINE vi broadcast4(const int8_t *p) {
    int32_t word;
    __builtin_memcpy(&word, p, 4);
    return word - (vi){};
}

// A set has `dot4`, which adds the products of four unsigned and four signed bytes to each word. It may do better for its
// instructions: HK_NIBBLE_SUMS where sums of 4-bit weights have a form of their own within a group (`add_nibbles`,
// `nibble_total`), HK_SIGNED_BYTES where 8-bit weights are taken less 128, as signed bytes (`dot4_signed`).
#ifndef HK_NIBBLE_SUMS
#define add_nibbles dot4
#define nibble_total(sum) (sum)
#endif

// The beginning of a group's sum of 8-bit weights: what is missing where they are taken less 128. Exact, as all sums.
HK_INLINE vi bytes_from(float sum) {
#ifdef HK_SIGNED_BYTES
    return __builtin_convertvector(splat(128 * sum), vi);
#else
    return (vi){};
#endif
}

HK_INLINE vi add_bytes(vi sum, vi u, vi x) {
#ifdef HK_SIGNED_BYTES
    return dot4_signed(sum, u ^ (int32_t)0x80808080, x);
#else
    return dot4(sum, u, x);
#endif
}

// `rows` rows × HK_INT8_COLUMNS vectors of a panel, whose records begin at `w`. Fetches `ahead` lines from `next` a group.
HK_INLINE void int8_tile(const int rows, const int four, const uint8_t *w, size_t groups, const hk_quantized *x, size_t row,
                         float *y, size_t y_stride, const uint8_t *next, size_t ahead) {
    vf sums[HK_INT8_ROWS][HK_INT8_COLUMNS];
    const size_t words = four ? 4 : 8, record = words * HK_PANEL * 4 + 2 * HK_PANEL * 4;
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) sums[r][c] = (vf){};
    for (size_t g = 0; g < groups; g++, w += record) {
        for (size_t line = 0; line < ahead; line++, next += 64) __builtin_prefetch(next, 0, 2);
        const uint32_t *weights = (const uint32_t *)w;
        const float *scales = (const float *)w + words * HK_PANEL, *minimums = scales + HK_PANEL;
        const int8_t *values = x->values + (row * groups + g) * HK_GROUP;
        vi dots[HK_INT8_ROWS][HK_INT8_COLUMNS];
        HK_UNROLL for (int r = 0; r < rows; r++)
            HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++)
                dots[r][c] = four ? (vi){} : bytes_from(x->sums[(row + r) * groups + g]);
        HK_UNROLL for (size_t word = 0; word < words; word++) {
            vi low[HK_INT8_COLUMNS], high[HK_INT8_COLUMNS];
            HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) {
                low[c] = load_words(weights + word * HK_PANEL + c * HK_LANES);
                if (!four) continue;
                high[c] = (low[c] >> 4) & 0x0f0f0f0f;
                low[c] &= 0x0f0f0f0f;
            }
            HK_UNROLL for (int r = 0; r < rows; r++) {
                const int8_t *q = values + r * groups * HK_GROUP + word * (HK_GROUP / words);
                HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) {
                    if (four) {
                        dots[r][c] = add_nibbles(dots[r][c], low[c], broadcast4(q));
                        dots[r][c] = add_nibbles(dots[r][c], high[c], broadcast4(q + 4));
                    } else {
                        dots[r][c] = add_bytes(dots[r][c], low[c], broadcast4(q));
                    }
                }
            }
            HK_UNROLL for (int r = 0; r < rows; r++)
                HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) HK_IN_ORDER(dots[r][c]);
        }
        HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) {
            vf scale = load(scales + c * HK_LANES), minimum = load(minimums + c * HK_LANES);
            HK_UNROLL for (int r = 0; r < rows; r++) {
                size_t block = (row + r) * groups + g;
                if (four) dots[r][c] = nibble_total(dots[r][c]);
                vf value = fused(scale, floats(dots[r][c]), minimum * splat(x->sums[block]));
                sums[r][c] = fused(splat(x->scales[block]), value, sums[r][c]);
            }
        }
    }
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) save(y + r * y_stride + c * HK_LANES, sums[r][c]);
}

HK_INLINE void int8_rows(int rows, const int four, const uint8_t *w, size_t groups, const hk_quantized *x, size_t row,
                         float *y, size_t y_stride, const uint8_t *next, size_t ahead) {
    switch (rows) {
#define HK_CASE(n) \
    case n: \
        int8_tile(n < HK_INT8_ROWS ? n : HK_INT8_ROWS, four, w, groups, x, row, y, y_stride, next, ahead); \
        break;
        HK_CASE(1) HK_CASE(2) HK_CASE(3) HK_CASE(4)
#if HK_INT8_ROWS > 4
        HK_CASE(5) HK_CASE(6)
#endif
#undef HK_CASE
    }
}

static void matmul_int8(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t rows, float *y,
                        size_t y_stride, const void *after) {
    int four = w->format == HK_U4;
    size_t groups = w->inputs / HK_GROUP, lanes = HK_INT8_COLUMNS * HK_LANES;
    // The next panel is fetched in equal shares by this one's tiles. One row alone reads as fast as memory gives: the
    // hardware's own fetching is then quicker without.
    size_t tiles = (rows + HK_INT8_ROWS - 1) / HK_INT8_ROWS * (HK_PANEL / lanes);
    size_t lines = (w->panel_bytes + 63) / 64;
    size_t ahead = rows == 1 ? 0 : (lines + tiles * groups - 1) / (tiles * groups);
    for (size_t panel = first; panel < last; panel++) {
        const uint8_t *weights = w->values + panel * w->panel_bytes;
        const uint8_t *next = panel + 1 < last ? weights + w->panel_bytes : after ? after : weights;
        for (size_t lane = 0; lane < HK_PANEL; lane += lanes)
            for (size_t r = 0, tile; r < rows; r += tile, next += ahead * groups * 64) {
                tile = next_tile(rows - r, HK_INT8_ROWS);
                float *out = y + r * y_stride + (panel - first) * HK_PANEL + lane;
                const uint8_t *words = weights + lane * 4;
                if (four) int8_rows((int)tile, 1, words, groups, x, r, out, y_stride, next, ahead);
                else int8_rows((int)tile, 0, words, groups, x, r, out, y_stride, next, ahead);
            }
    }
}
