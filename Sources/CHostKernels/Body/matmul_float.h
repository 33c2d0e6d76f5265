// Matrix products with float activations: a panel's weights are expanded to float a few hundred inputs at a time, then
// register tiles of HK_ROWS rows × HK_COLUMNS vectors walk the inputs in order.

// A word's four bytes, less `offset`, times a scale.
HK_INLINE void save_signed(vi word, const int offset, vf scale, float *out) {
    HK_UNROLL for (int k = 0; k < 4; k++) save(out + k * HK_PANEL, scale * floats(((word >> 8 * k) & 255) - offset));
}

// S8 and S7, whose records are blocks; `begin` is a multiple of a block.
HK_INLINE void expand_signed(const int format, const uint8_t *base, size_t begin, size_t end, float *out) {
    enum { block_words = HK_BLOCK / 4, record = (block_words + 2) * HK_PANEL };
    const uint32_t *words = (const uint32_t *)base + begin / HK_BLOCK * record + (format == HK_S7 ? HK_PANEL : 0);
    for (size_t at = begin; at < end; at += HK_BLOCK, words += record) {
        size_t used = end - at < HK_BLOCK ? (end - at) / 4 : block_words;
        const float *scales = (const float *)words + block_words * HK_PANEL;
        for (size_t word = 0; word < used; word++, out += 4 * HK_PANEL)
            for (size_t lane = 0; lane < HK_PANEL; lane += HK_LANES) {
                vi v = load_words(words + word * HK_PANEL + lane);
                if (format == HK_S8) {
                    save_signed(v, 128, load(scales + word / 8 * HK_PANEL + lane), out + lane);
                } else {
                    vi four = load_words(words - HK_PANEL + lane);
                    vf factor = floats(four << (24 - 8 * (int)(word / 4)) >> 24);
                    save_signed(v, 64, load(scales + lane) * factor, out + lane);
                }
            }
    }
}

// U4 and U8.
HK_INLINE void expand_affine(const hk_matrix *w, const uint8_t *base, size_t begin, size_t end, float *out) {
    const int four = w->format == HK_U4;
    size_t words = four ? 4 : 8, each = HK_GROUP / words, parts = (size_t)w->parts, groups = w->inputs / HK_GROUP;
    for (size_t g = begin / HK_GROUP; g < end / HK_GROUP; g++) {
        const uint32_t *values = (const uint32_t *)(base + g * (w->panel_bytes / groups));
        const float *scales = (const float *)(values + words * HK_PANEL), *minimums = scales + parts * HK_PANEL;
        for (size_t word = 0; word < words; word++) {
            size_t part = parts == 2 && word >= words / 2 ? HK_PANEL : 0;
            for (size_t lane = 0; lane < HK_PANEL; lane += HK_LANES) {
                vi v = load_words(values + word * HK_PANEL + lane);
                vf scale = load(scales + part + lane), minimum = load(minimums + part + lane);
                float *o = out + (g * HK_GROUP + word * each - begin) * HK_PANEL + lane;
                for (int k = 0; k < 4; k++) {
                    vi u = four ? (v >> 8 * k) & 15 : (v >> 8 * k) & 255;
                    save(o + k * HK_PANEL, fused(scale, floats(u), minimum));
                    if (four) {
                        vi high = (v >> (8 * k + 4)) & 15;
                        save(o + (k + 4) * HK_PANEL, fused(scale, floats(high), minimum));
                    }
                }
            }
        }
    }
}

// Expands inputs `begin` to `end` − 1 of a panel to float [input][HK_PANEL].
static const float *expand(const hk_matrix *w, size_t panel, size_t begin, size_t end, float *out) {
    const uint8_t *base = w->values + panel * w->panel_bytes;
    size_t count = (end - begin) * HK_PANEL;
    if (w->format == HK_F32) return (const float *)base + begin * HK_PANEL;
    if (w->format == HK_F16 || w->format == HK_BF16) {
        const uint16_t *p = (const uint16_t *)base + begin * HK_PANEL;
        if (w->format == HK_F16)
            for (size_t i = 0; i < count; i += HK_LANES) save(out + i, load_f16(p + i));
        else
            for (size_t i = 0; i < count; i += HK_LANES) save(out + i, load_bf16(p + i));
        return out;
    }
    if (w->format == HK_S8 || w->format == HK_S7) expand_signed(w->format, base, begin, end, out);
    else expand_affine(w, base, begin, end, out);
    return out;
}

// `rows` rows × HK_COLUMNS vectors; the sums so far are in y unless `fresh`.
HK_INLINE void float_tile(const int rows, const float *w, size_t depth, const float *x, size_t x_stride, float *y,
                          size_t y_stride, int fresh) {
    vf sums[HK_ROWS][HK_COLUMNS];
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < HK_COLUMNS; c++)
            sums[r][c] = fresh ? (vf){} : load(y + r * y_stride + c * HK_LANES);
    for (size_t i = 0; i < depth; i++) {
        vf weights[HK_COLUMNS];
        HK_UNROLL for (int c = 0; c < HK_COLUMNS; c++) weights[c] = load(w + i * HK_PANEL + c * HK_LANES);
        HK_UNROLL for (int r = 0; r < rows; r++) {
            vf value = splat(x[r * x_stride + i]);
            HK_UNROLL for (int c = 0; c < HK_COLUMNS; c++) sums[r][c] = fused(value, weights[c], sums[r][c]);
        }
    }
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < HK_COLUMNS; c++) save(y + r * y_stride + c * HK_LANES, sums[r][c]);
}

static void float_rows(int rows, const float *w, size_t depth, const float *x, size_t x_stride, float *y,
                       size_t y_stride, int fresh) {
    switch (rows) {
#define HK_CASE(n) case n: float_tile(n < HK_ROWS ? n : HK_ROWS, w, depth, x, x_stride, y, y_stride, fresh); break;
        HK_CASE(1) HK_CASE(2) HK_CASE(3) HK_CASE(4) HK_CASE(5) HK_CASE(6)
#if HK_ROWS > 6
        HK_CASE(7) HK_CASE(8) HK_CASE(9) HK_CASE(10) HK_CASE(11) HK_CASE(12)
#endif
#undef HK_CASE
    }
}

static void matmul_float(const hk_matrix *w, size_t first, size_t last, const float *x, size_t x_stride, size_t rows,
                         float *y, size_t y_stride, float *scratch) {
    for (size_t panel = first; panel < last; panel++)
        for (size_t begin = 0; begin < w->inputs; begin += HK_DEPTH) {
            size_t end = begin + HK_DEPTH < w->inputs ? begin + HK_DEPTH : w->inputs;
            const float *weights = expand(w, panel, begin, end, scratch);
            for (size_t r = 0, tile; r < rows; r += tile) {
                tile = next_tile(rows - r, HK_ROWS);
                for (size_t lane = 0; lane < HK_PANEL; lane += HK_COLUMNS * HK_LANES)
                    float_rows((int)tile, weights + lane, end - begin, x + r * x_stride + begin, x_stride,
                               y + r * y_stride + (panel - first) * HK_PANEL + lane, y_stride, begin == 0);
            }
        }
}
