// Activations to int8, block by block: `hk_quantized` says how they lie. A whole tile's rows are written together.

// To the nearest integer, ties to even, for |x| < 2²²: what adding 1.5·2²³ leaves in the last bits.
HK_INLINE v16i rounded(v16 x) { return (v16i)(x + splat16(0x1.8p23f)) - (v16i)splat16(0x1.8p23f); }

// The scale that makes numbers as great as `limit` of those whose greatest has the bits `magnitude`, and its inverse. Floats
// without sign compare as their bits do, and NaN and infinity, for which the scale is NaN, are the greatest of them.
HK_INLINE float int8_scale(int32_t magnitude, float limit, float *inverse) {
    float peak;
    __builtin_memcpy(&peak, &magnitude, 4);
    *inverse = limit / peak;
    // A peak of zero and a subnormal one have no inverse: the numbers become zero.
    if (!(*inverse < __builtin_inff())) *inverse = 0;
    return magnitude >= 0x7f800000 ? __builtin_nanf("") : peak * (1 / limit);
}

typedef int8_t v16b __attribute__((vector_size(16)));

// `count` floats, up to a block of them; zeros for its second group where there is none.
HK_INLINE void load_block(const float *x, size_t count, v16 parts[4]) {
    HK_UNROLL for (int i = 0; i < 4; i++) parts[i] = i < 2 || count > HK_GROUP ? load16(x + 16 * i) : splat16(0);
}

HK_INLINE v16i block_magnitudes(const v16 parts[4]) {
    v16i magnitudes = {};
    HK_UNROLL for (int i = 0; i < 4; i++)
        magnitudes = __builtin_elementwise_max(magnitudes, (v16i)parts[i] & 0x7fffffff);
    return magnitudes;
}

// One block of a row, `count` floats of it. Its words stand HK_INT8_ROWS apart.
HK_INLINE void quantize_block(const float *x, size_t count, const hk_quantized *out, size_t row, size_t index) {
    v16 parts[4];
    load_block(x, count, parts);
    float inverse, scale = int8_scale(__builtin_reduce_max(block_magnitudes(parts)), (float)out->peak, &inverse);
    if (scale != scale) HK_UNROLL for (int i = 0; i < 4; i++) parts[i] = splat16(0);
    size_t first = int8_group(out, row, 2 * index), within = row % HK_INT8_ROWS;
    HK_UNROLL for (int g = 0; g < 2; g++) {
        size_t group = first + g * HK_INT8_ROWS;
        v16i low = rounded(parts[2 * g] * splat16(inverse)), high = rounded(parts[2 * g + 1] * splat16(inverse));
        v16b bytes[2] = {__builtin_convertvector(low, v16b), __builtin_convertvector(high, v16b)};
        HK_UNROLL for (int word = 0; word < HK_GROUP / 4; word++)
            __builtin_memcpy(out->values + group * HK_GROUP + (word * HK_INT8_ROWS + within) * 4, (char *)bytes + word * 4, 4);
        int32_t sum = __builtin_reduce_add(low + high);
        out->scales[group + within] = scale;
        out->sums[group + within] = -128 * sum;
        out->pairs[first + 2 * within + g] = (int16_t)(-8 * sum);
    }
}

// The same of a tile's rows from `row` on, to the same bits: sums and scales of all rows in one vector.
#if HK_INT8_ROWS == 4
typedef int32_t v8i __attribute__((vector_size(32)));
typedef int32_t v4i __attribute__((vector_size(16)));
typedef float v4 __attribute__((vector_size(16)));
#define HK_PICK __builtin_shufflevector

HK_INLINE v16i joined(const int sum, v16i a, v16i b) { return sum ? a + b : __builtin_elementwise_max(a, b); }

// The sum, or the greatest, of the words of each of four rows' vectors.
HK_INLINE v4i joined_rows(const int sum, const v16i v[4]) {
    v16i pairs[2];
    HK_UNROLL for (int i = 0; i < 2; i++)
        pairs[i] = joined(sum, HK_PICK(v[2 * i], v[2 * i + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
                          HK_PICK(v[2 * i], v[2 * i + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
    v16i all = joined(sum, HK_PICK(pairs[0], pairs[1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
                      HK_PICK(pairs[0], pairs[1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
    all = joined(sum, all, HK_PICK(all, all, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
    all = joined(sum, all, HK_PICK(all, all, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
    return HK_PICK(all, all, 0, 4, 8, 12);
}

// The words of a group of four rows, [row][word], as [word][row].
HK_INLINE void place_group(int8_t *values, const v8i w[4]) {
    v8i low[2], high[2];
    HK_UNROLL for (int i = 0; i < 2; i++) {
        low[i] = HK_PICK(w[2 * i], w[2 * i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        high[i] = HK_PICK(w[2 * i], w[2 * i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    // Words 0 and 4, 1 and 5 …
    v8i words[4] = {
        HK_PICK(low[0], low[1], 0, 1, 8, 9, 4, 5, 12, 13), HK_PICK(low[0], low[1], 2, 3, 10, 11, 6, 7, 14, 15),
        HK_PICK(high[0], high[1], 0, 1, 8, 9, 4, 5, 12, 13), HK_PICK(high[0], high[1], 2, 3, 10, 11, 6, 7, 14, 15)};
    HK_UNROLL for (int i = 0; i < 2; i++) {
        v8i first = HK_PICK(words[2 * i], words[2 * i + 1], 0, 1, 2, 3, 8, 9, 10, 11);
        v8i second = HK_PICK(words[2 * i], words[2 * i + 1], 4, 5, 6, 7, 12, 13, 14, 15);
        __builtin_memcpy(values + 32 * i, &first, 32);
        __builtin_memcpy(values + 64 + 32 * i, &second, 32);
    }
}

HK_INLINE void quantize_tile(const float *x, size_t x_stride, size_t count, const hk_quantized *out, size_t row, size_t index) {
    v16 parts[4][4];
    v16i magnitudes[4];
    HK_UNROLL for (int r = 0; r < 4; r++) {
        load_block(x + r * x_stride, count, parts[r]);
        magnitudes[r] = block_magnitudes(parts[r]);
    }
    v4i greatest = joined_rows(0, magnitudes), finite = greatest < 0x7f800000;
    const float limit = (float)out->peak;
    v4 inverse = limit / (v4)greatest;
    inverse = (v4)((v4i)inverse & (inverse < __builtin_inff()));
    v4 scale = (v4)(((v4i)((v4)greatest * (1 / limit)) & finite) | (0x7fc00000 & ~finite));
    size_t first = int8_group(out, row, 2 * index);
    v4i sums[2];
    HK_UNROLL for (int g = 0; g < 2; g++) {
        size_t group = first + g * 4;
        v16i both[4];
        v8i words[4];
        HK_UNROLL for (int r = 0; r < 4; r++) {
            v16i low = rounded(parts[r][2 * g] * splat16(inverse[r])) & finite[r];
            v16i high = rounded(parts[r][2 * g + 1] * splat16(inverse[r])) & finite[r];
            v16b bytes[2] = {__builtin_convertvector(low, v16b), __builtin_convertvector(high, v16b)};
            __builtin_memcpy(&words[r], bytes, 32);
            both[r] = low + high;
        }
        place_group(out->values + group * HK_GROUP, words);
        sums[g] = joined_rows(1, both);
        v4i total = -128 * sums[g];
        __builtin_memcpy(out->scales + group, &scale, 16);
        __builtin_memcpy(out->sums + group, &total, 16);
    }
    v4i pairs = (-8 * sums[0] & 0xffff) | -8 * sums[1] << 16;
    __builtin_memcpy(out->pairs + first, &pairs, 16);
}
#else
HK_INLINE void quantize_tile(const float *x, size_t x_stride, size_t count, const hk_quantized *out, size_t row, size_t index) {
    for (size_t r = 0; r < HK_INT8_ROWS; r++) quantize_block(x + r * x_stride, count, out, row + r, index);
}
#endif

static void quantize(const float *x, size_t x_stride, size_t rows, size_t count, const hk_quantized *out, size_t row,
                     size_t column) {
    for (size_t end = row + rows, some; row < end; row += some, x += some * x_stride) {
        some = row % HK_INT8_ROWS == 0 && end - row >= HK_INT8_ROWS ? HK_INT8_ROWS : 1;
        for (size_t i = 0, index = column / HK_BLOCK; i < count; i += HK_BLOCK, index++)
            if (some == 1) quantize_block(x + i, count - i, out, row, index);
            else quantize_tile(x + i, x_stride, count - i, out, row, index);
    }
}
