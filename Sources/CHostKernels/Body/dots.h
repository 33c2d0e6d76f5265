// Sums of u·q within a group, u unsigned weights and q signed activations, four products per 32-bit word at a time.
//
// A set has `dot4`, which adds the products of four unsigned and four signed bytes to each word. It may use better
// instructions: HK_NIBBLE_SUMS if sums of 4-bit weights have their own form within a group (`nibble_products`,
// `nibble_sum`, `nibble_total`, which takes its scale in the form of `both_of`), HK_PAIR_PRODUCTS if it has sums of
// products of pairs of 16 bits, HK_CENTRED_SUMS if it keeps both sums of a block of nibbles, less 8 each, in the halves
// of one word (`begin_centred`, `centred_offset`, `centred_total`), HK_SIGNED_BYTES if it takes 8-bit weights less 128,
// as signed bytes (`dot4_signed`), with activations of any size or of more than 7 bits, HK_SCALED_PAIRS if it multiplies
// sums of pairs of 16 bits by their factor as it adds them (`add_scaled_pairs`, which takes a factor in the form of
// its `factor_of`; its `factor_pair` has two factors in a word).

// Parts of a sum may overflow 32 bits although the whole does not.
typedef uint32_t vu __attribute__((vector_size(HK_LANES * 4)));
HK_INLINE vi sum_of(vi a, vi b) { return (vi)((vu)a + (vu)b); }
HK_INLINE vi product_of(vi a, vi b) { return (vi)((vu)a * (vu)b); }

// One of the two 16-bit numbers of each word.
HK_INLINE vi one_of(vi pairs, const int second) { return (second ? pairs : pairs << 16) >> 16; }
#ifndef HK_PAIR_PRODUCTS
HK_INLINE vi pair_products(vi a, vi b) {
    return sum_of(product_of(one_of(a, 0), one_of(b, 0)), product_of(one_of(a, 1), one_of(b, 1)));
}
#endif
#ifndef HK_NIBBLE_SUMS
#define both_of one_of
#define nibble_total product_of
#define nibble_sum(sum, products) (products)
#endif
#ifndef HK_SIGNED_BYTES
#define HK_SIGNED_BYTES(seven) 0
#define dot4_signed dot4
#endif

// One of the four 8-bit numbers of each word, to multiply sums, and two of them as numbers of 16 bits.
#ifndef HK_SCALED_PAIRS
HK_INLINE vi factor_of(vi four, const int quarter) { return four << (24 - 8 * quarter) >> 24; }
HK_INLINE vi factor_pair(vi four, const int second) {
    return (factor_of(four, 2 * second) & 0xffff) | factor_of(four, 2 * second + 1) << 16;
}
#endif

// The weights of one of a block's groups: the low or the high halves of the bytes; centred sums use the high ones
// unshifted, 16 times as large.
HK_INLINE vi nibbles(vi words, const int group) {
#ifdef HK_CENTRED_SUMS
    return words & (group ? (int32_t)0xf0f0f0f0 : 0x0f0f0f0f);
#else
    return (group ? words >> 4 : words) & 0x0f0f0f0f;
#endif
}

// Rows whose products are computed before they are summed: 2 × 2 products keep all vector units busy.
#define HK_ROWS_TOGETHER 2

// The beginning of group `group` of a row tile, counted in groups.
HK_INLINE size_t int8_group(const hk_quantized *x, size_t row, size_t group) {
    return row / HK_INT8_ROWS * HK_INT8_ROWS * (x->width / HK_GROUP) + group * HK_INT8_ROWS;
}

HK_INLINE vi broadcast4(const void *p) {
    int32_t word;
    __builtin_memcpy(&word, p, 4);
    return word - (vi){};
}

// The operand of `nibble_sum`.
HK_INLINE vi nibbles_of(vi sum, vi u, vi x) {
#ifdef HK_NIBBLE_SUMS
    return nibble_products(u, x);
#else
    return dot4(sum, u, x);
#endif
}

HK_INLINE vi add_bytes(const int seven, vi sum, vi u, vi x) {
    return HK_SIGNED_BYTES(seven) ? dot4_signed(sum, u ^ (int32_t)0x80808080, x) : dot4(sum, u, x);
}

// Adds the products of one word of `columns` vectors of weights and the activations of `rows` adjacent rows at `q`.
HK_INLINE void add_dots(const int four, const int seven, const int rows, const int columns, vi dots[][HK_PANEL / HK_LANES], const vi *u,
                        const int8_t *q) {
    vi products[HK_ROWS_TOGETHER][HK_PANEL / HK_LANES];
    HK_UNROLL for (int r = 0; r < rows; r++) {
        vi x = broadcast4(q + r * 4);
        HK_UNROLL for (int c = 0; c < columns; c++) {
            if (four) products[r][c] = nibbles_of(dots[r][c], u[c], x);
            else dots[r][c] = add_bytes(seven, dots[r][c], u[c], x);
        }
    }
    if (four) {
        HK_UNROLL for (int r = 0; r < rows; r++)
            HK_UNROLL for (int c = 0; c < columns; c++) HK_IN_ORDER(products[r][c]);
        HK_UNROLL for (int r = 0; r < rows; r++)
            HK_UNROLL for (int c = 0; c < columns; c++) dots[r][c] = nibble_sum(dots[r][c], products[r][c]);
    }
    HK_UNROLL for (int r = 0; r < rows; r++)
        HK_UNROLL for (int c = 0; c < columns; c++) HK_IN_ORDER(dots[r][c]);
}
