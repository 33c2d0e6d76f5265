// The value of a record of packed weights with int8 activations, without the activations' scale. A group's sum is an
// exact integer in any order. The value is for I4 the integer Σ scale·Σuq − offset·Σ8q of both groups, for S8
// fma(scale, Σ(u − 128)q, value of the first group), for S7 unit · Σ factor·Σ(u − 64)q, for U7
// fma(minimum, Σ −factor of the minimum·Σq, unit · Σ factor·Σuq), and for U8 fma(scale, Σuq, minimum·Σq) of its one group.

#define HK_TILE_LANES (HK_INT8_COLUMNS * HK_LANES)
// Vectors of a panel.
#define HK_PANEL_VECTORS (HK_PANEL / HK_LANES)

// The kinds of records: of nibbles, or of one group's bytes; of two groups' bytes; and the same with minimums.
enum { HK_SHORT, HK_LONG, HK_LONGEST };

// Words of a record's weights for each lane, and of all of it: with its scales, factors, offsets, minimums and units.
HK_INLINE size_t weight_words(const int kind) { return kind == HK_SHORT ? 8 : 16; }
HK_INLINE size_t record_words(const int kind) { return (weight_words(kind) + (kind == HK_LONGEST ? 4 : 2)) * HK_PANEL; }
HK_INLINE size_t record_lines(const int kind) { return record_words(kind) * 4 / 64; }

// Prefetches, for a row alone, the part of a record of `lines` lines for step `step` of `steps`. All lines at once
// would fill the processor's miss buffers, and the record's own loads would wait. With HK_STREAMED it does nothing: the
// processors for such a set recognise the stream and prefetch it earlier without hints.
HK_INLINE void fetch_record_part(const uint8_t *record, const int lines, const int step, const int steps) {
#ifndef HK_STREAMED
    HK_UNROLL for (int line = lines * step / steps; line < lines * (step + 1) / steps; line++)
        __builtin_prefetch(record + line * 64, 0, 3);
#endif
}

// Adds Σuq of groups `first` to `last` of a block of nibbles, in the set's form, for `rows` rows whose values begin at `values`.
HK_INLINE void nibble_dots(const int rows, const int columns, const int unpacked, const int alone, const int first,
                           const int last, const uint32_t *words, const int8_t *values, const uint8_t *next,
                           vi dots[][HK_INT8_ROWS][HK_PANEL_VECTORS]) {
    HK_UNROLL for (int word = 0; word < 8; word++) {
        if (alone) fetch_record_part(next, (int)record_lines(HK_SHORT), word, 8);
        vi u[2][HK_PANEL_VECTORS];
        HK_UNROLL for (int c = 0; c < columns; c++)
            HK_UNROLL for (int g = first; g <= last; g++)
                u[g][c] = unpacked ? load_words(words + (word * 2 + g) * HK_TILE_LANES + c * HK_LANES)
                                   : nibbles(load_words(words + word * HK_PANEL + c * HK_LANES), g);
        HK_UNROLL for (int r = 0; r < rows; r += HK_ROWS_TOGETHER) {
            const int together = rows - r < HK_ROWS_TOGETHER ? rows - r : HK_ROWS_TOGETHER;
            HK_UNROLL for (int g = first; g <= last; g++)
                add_dots(1, 0, together, columns, dots[g] + r, u[g], values + ((g * 8 + word) * HK_INT8_ROWS + r) * 4);
        }
    }
}

// The value of a block of nibbles, without the activations' scale and the outputs' units.
HK_INLINE void nibble_values(const int rows, const int columns, const int unpacked, const int alone,
                             const uint32_t *words, const uint32_t *scales, const int8_t *values, const int16_t *pairs,
                             const uint8_t *next, vf out[][HK_PANEL_VECTORS]) {
    vi dots[2][HK_INT8_ROWS][HK_PANEL_VECTORS] = {}, scale[HK_PANEL_VECTORS], offset[HK_PANEL_VECTORS];
#ifdef HK_CENTRED_SUMS
    vi sums[HK_INT8_ROWS];
    HK_UNROLL for (int r = 0; r < rows; r++) {
        sums[r] = broadcast4(pairs + 2 * r);
        HK_UNROLL for (int c = 0; c < columns; c++) begin_centred(sums[r], &dots[0][r][c], &dots[1][r][c]);
    }
    nibble_dots(rows, columns, unpacked, alone, 0, 1, words, values, next, dots);
    // A row alone must read a record's words from memory first.
    if (alone) __asm__ volatile("" ::: "memory");
    HK_UNROLL for (int c = 0; c < columns; c++) {
        scale[c] = load_words(scales + c * HK_LANES);
        offset[c] = centred_offset(load_words(scales + HK_PANEL + c * HK_LANES), scale[c]);
    }
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++)
            out[r][c] = floats(centred_total(dots[0][r][c], dots[1][r][c], scale[c], offset[c], sums[r]));
#else
    // A row alone goes through the words once; more rows would need more sums than there are registers.
    vi totals[HK_INT8_ROWS][HK_PANEL_VECTORS];
    nibble_dots(rows, columns, unpacked, alone, 0, alone, words, values, next, dots);
    HK_UNROLL for (int c = 0; c < columns; c++) scale[c] = both_of(load_words(scales + c * HK_LANES), 0);
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) totals[r][c] = nibble_total(dots[0][r][c], scale[c]);
    HK_IN_MEMORY(totals);
    if (!alone) nibble_dots(rows, columns, unpacked, alone, 1, 1, words, values, next, dots);
    HK_UNROLL for (int c = 0; c < columns; c++) {
        scale[c] = both_of(load_words(scales + c * HK_LANES), 1);
        offset[c] = load_words(scales + HK_PANEL + c * HK_LANES);
    }
    HK_UNROLL for (int r = 0; r < rows; r++) {
        vi sum = broadcast4(pairs + 2 * r);
        HK_UNROLL for (int c = 0; c < columns; c++) {
            vi second = sum_of(nibble_total(dots[1][r][c], scale[c]), pair_products(offset[c], sum));
            out[r][c] = floats(sum_of(totals[r][c], second));
        }
    }
#endif
}

// Adds the products of group `group` of a record's bytes.
HK_INLINE void byte_dots(const int rows, const int columns, const int seven, const int alone, const int kind, const int group,
                         const uint32_t *words, const int8_t *values, const uint8_t *next, vi dots[][HK_PANEL_VECTORS]) {
    HK_UNROLL for (int word = group * 8; word < group * 8 + 8; word++) {
        if (alone) fetch_record_part(next, (int)record_lines(kind), word, (int)weight_words(kind));
        vi u[HK_PANEL_VECTORS];
        HK_UNROLL for (int c = 0; c < columns; c++) u[c] = load_words(words + word * HK_PANEL + c * HK_LANES);
        const int8_t *q = values + word * HK_INT8_ROWS * 4;
        HK_UNROLL for (int r = 0; r < rows; r += HK_ROWS_TOGETHER)
            add_dots(0, seven, rows - r < HK_ROWS_TOGETHER ? rows - r : HK_ROWS_TOGETHER, columns, dots + r, u, q + r * 4);
    }
}

// The value of a group of unsigned bytes, without the activations' scale.
HK_INLINE void byte_values(const int rows, const int columns, const int seven, const int alone, const uint32_t *words,
                           const uint32_t *scales, const int8_t *values, const int32_t *sums, const uint8_t *next,
                           vf out[][HK_PANEL_VECTORS]) {
    vi dots[HK_INT8_ROWS][HK_PANEL_VECTORS] = {};
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++)
            if (HK_SIGNED_BYTES(seven)) dots[r][c] -= broadcast4(sums + r);
    byte_dots(rows, columns, seven, alone, HK_SHORT, 0, words, values, next, dots);
    HK_UNROLL for (int r = 0; r < rows; r++) {
        vf sum = splat((float)sums[r] * -0x1p-7f);
        HK_UNROLL for (int c = 0; c < columns; c++) {
            vf scale = load((const float *)scales + c * HK_LANES);
            vf minimum = load((const float *)scales + HK_PANEL + c * HK_LANES);
            out[r][c] = fused(scale, floats(dots[r][c]), minimum * sum);
        }
    }
}

// The value of a block of signed bytes, without the activations' scale.
HK_INLINE void signed_values(const int rows, const int columns, const int seven, const int alone, const uint32_t *words,
                             const uint32_t *scales, const int8_t *values, const int32_t *sums, const uint8_t *next,
                             vf out[][HK_PANEL_VECTORS]) {
    vf first[HK_INT8_ROWS][HK_PANEL_VECTORS];
    HK_UNROLL for (int group = 0; group < 2; group++) {
        vi dots[HK_INT8_ROWS][HK_PANEL_VECTORS] = {};
        HK_UNROLL for (int r = 0; r < rows; r++)
            HK_UNROLL for (int c = 0; c < columns; c++)
                if (!HK_SIGNED_BYTES(seven)) dots[r][c] = broadcast4(sums + group * HK_INT8_ROWS + r);
        byte_dots(rows, columns, seven, alone, HK_LONG, group, words, values, next, dots);
        HK_UNROLL for (int c = 0; c < columns; c++) {
            vf scale = load((const float *)scales + group * HK_PANEL + c * HK_LANES);
            HK_UNROLL for (int r = 0; r < rows; r++)
                if (group) out[r][c] = fused(scale, floats(dots[r][c]), first[r][c]);
                else first[r][c] = scale * floats(dots[r][c]);
        }
        if (!group) HK_IN_MEMORY(first);
    }
}

// Adds factor·Σuq of a quarter of a block, whose words begin at `words`; u is less by 64 if there are no minimums.
HK_INLINE void scaled_dots(const int rows, const int columns, const int minimums, const int alone, const int quarter,
                           const uint32_t *words, const vi *factors, const int8_t *values, const int16_t *quarters,
                           const uint8_t *next, vi totals[][HK_PANEL_VECTORS]) {
#ifndef HK_SCALED_PAIRS
    vi dots[HK_INT8_ROWS][HK_PANEL_VECTORS] = {};
    HK_UNROLL for (int r = 0; r < rows && !minimums; r++) {
        vi pair = broadcast4(quarters + 4 * r + (quarter & ~1));
        vi centred = quarter % 2 ? pair >> 16 << 6 : pair << 16 >> 10;
        HK_UNROLL for (int c = 0; c < columns; c++) dots[r][c] = centred;
    }
#endif
    HK_UNROLL for (int word = quarter * 4; word < quarter * 4 + 4; word++) {
        if (alone) fetch_record_part(next, (int)record_lines(minimums ? HK_LONGEST : HK_LONG), word, 16);
        vi u[HK_PANEL_VECTORS];
        HK_UNROLL for (int c = 0; c < columns; c++) u[c] = load_words(words + word * HK_PANEL + c * HK_LANES);
        HK_UNROLL for (int r = 0; r < rows; r++) {
            vi x = broadcast4(values + (word * HK_INT8_ROWS + r) * 4);
            HK_UNROLL for (int c = 0; c < columns; c++) {
#ifdef HK_SCALED_PAIRS
                totals[r][c] = add_scaled_pairs(totals[r][c], u[c], x, factors[c]);
                HK_IN_ORDER(totals[r][c]);
#else
                dots[r][c] = dot4(dots[r][c], u[c], x);
                if (word % 4 == 0) HK_AFTER_QUARTER(dots[r][c]);
#endif
            }
        }
    }
#ifndef HK_SCALED_PAIRS
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) {
            totals[r][c] += dots[r][c] * factors[c];
            HK_AFTER_QUARTER(totals[r][c]);
        }
#endif
}

// Σ −factor·Σq of a block's quarters.
HK_INLINE vi quarter_totals(vi four, const int16_t *quarters) {
    return pair_products(factor_pair(four, 0), broadcast4(quarters)) +
           pair_products(factor_pair(four, 1), broadcast4(quarters + 2));
}

// The value of a block of bytes with a factor for each quarter, without the activations' scale.
HK_INLINE void scaled_values(const int rows, const int columns, const int minimums, const int alone, const uint32_t *words,
                             const uint32_t *all_factors, const int8_t *values, const int16_t *quarters, const uint8_t *next,
                             vf out[][HK_PANEL_VECTORS]) {
    vi totals[HK_INT8_ROWS][HK_PANEL_VECTORS] = {}, four[HK_PANEL_VECTORS];
    HK_UNROLL for (int c = 0; c < columns; c++) {
        four[c] = load_words(all_factors + c * HK_LANES);
#ifdef HK_SCALED_PAIRS
        HK_UNROLL for (int r = 0; r < rows && !minimums; r++) totals[r][c] = quarter_totals(four[c], quarters + 4 * r) << 6;
#endif
    }
    HK_UNROLL for (int quarter = 0; quarter < 4; quarter++) {
        vi factors[HK_PANEL_VECTORS];
        HK_UNROLL for (int c = 0; c < columns; c++) factors[c] = factor_of(four[c], quarter);
        scaled_dots(rows, columns, minimums, alone, quarter, words, factors, values, quarters, next, totals);
    }
    const float *units = (const float *)words + weight_words(HK_LONG) * HK_PANEL;
    HK_UNROLL for (int c = 0; c < columns; c++) {
        vf unit = load(units + c * HK_LANES);
        HK_UNROLL for (int r = 0; r < rows; r++) out[r][c] = unit * floats(totals[r][c]);
        if (!minimums) continue;
        vi minimum_factors = load_words(all_factors + HK_PANEL + c * HK_LANES);
        vf minimum = load(units + HK_PANEL + c * HK_LANES);
        HK_UNROLL for (int r = 0; r < rows; r++)
            out[r][c] = fused(minimum, floats(quarter_totals(minimum_factors, quarters + 4 * r)), out[r][c]);
    }
}
