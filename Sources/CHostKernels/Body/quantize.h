// Converts activations to int8, block by block; `hk_quantized` has the layout. The rows of a whole tile are written
// together.
// The results of gate and up are converted from registers.

// Rounds to the nearest integer, ties to even, for |x| < 2²²: adding 1.5·2²³ leaves it in the last bits, of which the
// lowest 8 are the byte.
HK_INLINE v16i last_bits(v16 x) { return (v16i)(x + splat16(0x1.8p23f)); }
HK_INLINE v16i rounded(v16 x) { return last_bits(x) - (v16i)splat16(0x1.8p23f); }

// The scale, and its inverse, that maps numbers to at most `limit` if the greatest magnitude has the bits `magnitude`.
// Floats without sign compare like their bits; NaN and infinity, for which the scale is NaN, are the greatest.
HK_INLINE float int8_scale(int32_t magnitude, float limit, float *inverse) {
    float peak;
    __builtin_memcpy(&peak, &magnitude, 4);
    *inverse = limit / peak;
    // A peak that is zero or subnormal has no inverse: the numbers become zero.
    if (!(*inverse < __builtin_inff())) *inverse = 0;
    return magnitude >= 0x7f800000 ? __builtin_nanf("") : peak * (1 / limit);
}

typedef int8_t v16b __attribute__((vector_size(16)));

// Rows of floats, of gates if there is an activation, with ups unless `up` is null.
typedef struct {
    const float *x;
    const float *up;
    size_t stride;
    int activation;
} block_source;

// Values as they are.
#define HK_NO_ACTIVATION -1

// Loads a row's `count` floats from `column` on, at most a block; zeros for a missing second group.
HK_INLINE void load_block(const block_source *from, size_t row, size_t column, size_t count, v16 parts[4]) {
    size_t first = row * from->stride + column;
    HK_UNROLL for (int i = 0; i < 4; i++) {
        parts[i] = splat16(0);
        if (i >= 2 && count <= HK_GROUP) continue;
        parts[i] = load16(from->x + first + 16 * i);
        if (from->activation == HK_NO_ACTIVATION) continue;
        parts[i] = activated(from->activation, parts[i]);
        if (from->up) parts[i] *= load16(from->up + first + 16 * i);
    }
}

HK_INLINE v16i block_magnitudes(const v16 parts[4]) {
    v16i magnitudes = {};
    HK_UNROLL for (int i = 0; i < 4; i++)
        magnitudes = __builtin_elementwise_max(magnitudes, (v16i)parts[i] & 0x7fffffff);
    return magnitudes;
}

// Converts one row's part of a block. Its words are HK_INT8_ROWS apart.
HK_INLINE void quantize_row(const block_source *from, size_t at, size_t column, size_t count, const hk_quantized *out, size_t row,
                            size_t index) {
    v16 parts[4];
    load_block(from, at, column, count, parts);
    float inverse, scale = int8_scale(__builtin_reduce_max(block_magnitudes(parts)), (float)out->peak, &inverse);
    const int32_t finite = scale == scale ? -1 : 0;
    size_t first = int8_group(out, row, 2 * index), within = row % HK_INT8_ROWS;
    HK_UNROLL for (int g = 0; g < 2; g++) {
        size_t group = first + g * HK_INT8_ROWS;
        v16i low = rounded(parts[2 * g] * splat16(inverse)) & finite;
        v16i high = rounded(parts[2 * g + 1] * splat16(inverse)) & finite;
        v16b bytes[2] = {__builtin_convertvector(low, v16b), __builtin_convertvector(high, v16b)};
        HK_UNROLL for (int word = 0; word < HK_GROUP / 4; word++)
            __builtin_memcpy(out->values + group * HK_GROUP + (word * HK_INT8_ROWS + within) * 4, (char *)bytes + word * 4, 4);
        int32_t first_sum = __builtin_reduce_add(low), second_sum = __builtin_reduce_add(high);
        int32_t sum = first_sum + second_sum;
        out->scales[group + within] = scale;
        out->sums[group + within] = -128 * sum;
        out->pairs[first + 2 * within + g] = (int16_t)(-8 * sum);
        out->quarters[2 * first + 4 * within + 2 * g] = (int16_t)-first_sum;
        out->quarters[2 * first + 4 * within + 2 * g + 1] = (int16_t)-second_sum;
    }
}

// Converts a tile's rows from `row` on, to the same bits: sums and scales of all rows are in one vector.
#if HK_INT8_ROWS == 4
typedef int8_t v64b __attribute__((vector_size(64)));
typedef int32_t v4i __attribute__((vector_size(16)));
typedef float v4 __attribute__((vector_size(16)));
#define HK_PICK __builtin_shufflevector

// The greatest word of each of four rows' vectors.
HK_INLINE v4i greatest_of_rows(const v16i v[4]) {
    v16i pairs[2];
    HK_UNROLL for (int i = 0; i < 2; i++)
        pairs[i] = __builtin_elementwise_max(
            HK_PICK(v[2 * i], v[2 * i + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
            HK_PICK(v[2 * i], v[2 * i + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
    v16i all = __builtin_elementwise_max(
        HK_PICK(pairs[0], pairs[1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
        HK_PICK(pairs[0], pairs[1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
    all = __builtin_elementwise_max(all, HK_PICK(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    all = __builtin_elementwise_max(all, HK_PICK(all, all, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    return HK_PICK(all, all, 0, 4, 8, 12);
}

// The lowest bytes of four words side by side, as word `to` of the same four.
#define HK_WORD(four, word, to) \
    (word) == (to) ? 16 * (four) : 64, (word) == (to) ? 16 * (four) + 4 : 64, (word) == (to) ? 16 * (four) + 8 : 64, \
        (word) == (to) ? 16 * (four) + 12 : 64
#define HK_WORDS(four, to) HK_WORD(four, 0, to), HK_WORD(four, 1, to), HK_WORD(four, 2, to), HK_WORD(four, 3, to)
#define HK_LOW_BYTES(v, to) \
    HK_PICK((v64b)(v), (v64b){}, HK_WORDS(0, to), HK_WORDS(1, to), HK_WORDS(2, to), HK_WORDS(3, to))

// Two numbers of 16 bits as a word.
HK_INLINE v4i pair_of(v4i low, v4i high) { return (low & 0xffff) | high << 16; }

// Each row's sum of the bytes of four words, [word][row].
HK_INLINE v4i row_sums(v64b words) {
    vi parts[16 / HK_LANES], total = {};
    __builtin_memcpy(parts, &words, 64);
    HK_UNROLL for (int i = 0; i < 16 / HK_LANES; i++) total = dot4(total, (vi){} + 0x01010101, parts[i]);
    v4i rows[HK_LANES / 4], sums = {};
    __builtin_memcpy(rows, &total, sizeof total);
    HK_UNROLL for (int i = 0; i < HK_LANES / 4; i++) sums += rows[i];
    return sums;
}

HK_INLINE void quantize_tile(const block_source *from, size_t at, size_t column, size_t count, const hk_quantized *out, size_t row,
                             size_t index) {
    v16 parts[4][4];
    v16i magnitudes[4];
    HK_UNROLL for (int r = 0; r < 4; r++) {
        load_block(from, at + r, column, count, parts[r]);
        magnitudes[r] = block_magnitudes(parts[r]);
    }
    v4i greatest = greatest_of_rows(magnitudes), finite = greatest < 0x7f800000;
    const float limit = (float)out->peak;
    v4 inverse = limit / (v4)greatest;
    inverse = (v4)((v4i)inverse & (inverse < __builtin_inff()));
    v4 scale = (v4)(((v4i)((v4)greatest * (1 / limit)) & finite) | (0x7fc00000 & ~finite));
    if (!__builtin_reduce_and(finite))
        HK_UNROLL for (int r = 0; r < 4; r++)
            HK_UNROLL for (int i = 0; i < 4; i++) parts[r][i] = (v16)((v16i)parts[r][i] & finite[r]);
    size_t first = int8_group(out, row, 2 * index);
    v4i sums[2][2];
    HK_UNROLL for (int g = 0; g < 2; g++) {
        size_t group = first + g * 4;
        HK_UNROLL for (int half = 0; half < 2; half++) {
            v16i x[4];
            HK_UNROLL for (int r = 0; r < 4; r++) x[r] = last_bits(parts[r][2 * g + half] * splat16(inverse[r]));
            v64b words = HK_LOW_BYTES(x[0], 0) | HK_LOW_BYTES(x[1], 1) | HK_LOW_BYTES(x[2], 2) | HK_LOW_BYTES(x[3], 3);
            __builtin_memcpy(out->values + group * HK_GROUP + 64 * half, &words, 64);
            sums[g][half] = row_sums(words);
        }
        v4i total = -128 * (sums[g][0] + sums[g][1]);
        __builtin_memcpy(out->scales + group, &scale, 16);
        __builtin_memcpy(out->sums + group, &total, 16);
    }
    v4i pairs = pair_of(-8 * (sums[0][0] + sums[0][1]), -8 * (sums[1][0] + sums[1][1]));
    __builtin_memcpy(out->pairs + first, &pairs, 16);
    v4i halves[2] = {pair_of(-sums[0][0], -sums[0][1]), pair_of(-sums[1][0], -sums[1][1])};
    v4i quarters[2] = {HK_PICK(halves[0], halves[1], 0, 4, 1, 5), HK_PICK(halves[0], halves[1], 2, 6, 3, 7)};
    __builtin_memcpy(out->quarters + 2 * first, quarters, 32);
}
#else
HK_INLINE void quantize_tile(const block_source *from, size_t at, size_t column, size_t count, const hk_quantized *out, size_t row,
                             size_t index) {
    for (size_t r = 0; r < HK_INT8_ROWS; r++) quantize_row(from, at + r, column, count, out, row + r, index);
}
#endif

HK_INLINE void quantize_rows(block_source from, size_t rows, size_t count, hk_quantized out, size_t row, size_t column) {
    for (size_t at = 0, some; at < rows; at += some, row += some) {
        some = row % HK_INT8_ROWS == 0 && rows - at >= HK_INT8_ROWS ? HK_INT8_ROWS : 1;
        for (size_t i = 0, index = column / HK_BLOCK; i < count; i += HK_BLOCK, index++) {
            if (some == 1) quantize_row(&from, at, i, count - i, &out, row, index);
            else quantize_tile(&from, at, i, count - i, &out, row, index);
        }
    }
}

static void quantize(const float *x, size_t stride, size_t rows, size_t count, const hk_quantized *out, size_t row,
                     size_t column) {
    quantize_rows((block_source){x, 0, stride, HK_NO_ACTIVATION}, rows, count, *out, row, column);
}

static void activate_quantize(int32_t activation, const float *gate, const float *up, size_t stride, size_t rows,
                              size_t count, const hk_quantized *out, size_t row, size_t column) {
    switch (activation) {
    case HK_GELU: quantize_rows((block_source){gate, up, stride, HK_GELU}, rows, count, *out, row, column); break;
    case HK_SQUARED_RELU:
        quantize_rows((block_source){gate, up, stride, HK_SQUARED_RELU}, rows, count, *out, row, column);
        break;
    default: quantize_rows((block_source){gate, up, stride, HK_SILU}, rows, count, *out, row, column); break;
    }
}
