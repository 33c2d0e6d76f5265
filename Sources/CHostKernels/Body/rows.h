// Kernels over one row of activations: norm, quantisation, SiLU, rotary embedding.

static void add_norm(float *residual, const float *delta, const float *weight, float epsilon, size_t count, float *out) {
    if (delta)
        for (size_t i = 0; i < count; i++) residual[i] += delta[i];
    v16 squares = splat16(0);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        v16 x = load16(residual + i);
        squares = fused16(x, x, squares);
    }
    if (i < count) {
        v16 x = load_first(residual + i, count - i);
        squares = fused16(x, x, squares);
    }
    float inverse = 1.0f / __builtin_sqrtf(sum16(squares) / (float)count + epsilon);
    for (i = 0; i < count; i++) out[i] = residual[i] * inverse * weight[i];
}

// A row's group of a block: its words stand HK_INT8_ROWS apart. Gives the sum of its values.
HK_INLINE int32_t place_group(int8_t *values, v16i low, v16i high) {
    typedef int8_t v16b __attribute__((vector_size(16)));
    v16b bytes[2] = {__builtin_convertvector(low, v16b), __builtin_convertvector(high, v16b)};
    HK_UNROLL for (int word = 0; word < HK_GROUP / 4; word++)
        __builtin_memcpy(values + word * HK_INT8_ROWS * 4, (char *)bytes + word * 4, 4);
    return __builtin_reduce_add(low + high);
}

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

// One block of a row, `count` floats of it.
HK_INLINE void quantize_block(const float *x, size_t count, const hk_quantized *out, size_t row, size_t index) {
    v16 parts[4] = {load16(x), load16(x + 16)};
    if (count > HK_GROUP) {
        parts[2] = load16(x + 32);
        parts[3] = load16(x + 48);
    }
    v16i magnitudes = {};
    HK_UNROLL for (int i = 0; i < 4; i++)
        magnitudes = __builtin_elementwise_max(magnitudes, (v16i)parts[i] & 0x7fffffff);
    float inverse, scale = int8_scale(__builtin_reduce_max(magnitudes), (float)out->peak, &inverse);
    if (scale != scale) HK_UNROLL for (int i = 0; i < 4; i++) parts[i] = splat16(0);
    size_t first = int8_group(out, row, 2 * index), within = row % HK_INT8_ROWS;
    HK_UNROLL for (int g = 0; g < 2; g++) {
        size_t group = first + g * HK_INT8_ROWS;
        v16i low = rounded(parts[2 * g] * splat16(inverse)), high = rounded(parts[2 * g + 1] * splat16(inverse));
        int32_t sum = place_group(out->values + group * HK_GROUP + within * 4, low, high);
        out->scales[group + within] = scale;
        out->sums[group + within] = (float)sum;
        out->pairs[first + 2 * within + g] = (int16_t)(8 * sum);
    }
}

static void quantize(const float *x, size_t x_stride, size_t rows, size_t count, const hk_quantized *out, size_t row,
                     size_t column) {
    for (size_t end = row + rows; row < end; row++, x += x_stride)
        for (size_t i = 0; i < count; i += HK_BLOCK)
            quantize_block(x + i, count - i, out, row, (column + i) / HK_BLOCK);
}

HK_INLINE v16 silu_product(v16 gate, v16 up) { return gate / (splat16(1) + exponential(-gate)) * up; }

static void silu_multiply(const float *gate, const float *up, size_t stride, size_t rows, size_t count, float *out,
                          size_t out_stride) {
    for (size_t r = 0; r < rows; r++, gate += stride, up += stride, out += out_stride) {
        size_t i = 0;
        for (; i + 16 <= count; i += 16) save16(out + i, silu_product(load16(gate + i), load16(up + i)));
        if (i < count)
            save_first(out + i, silu_product(load_first(gate + i, count - i), load_first(up + i, count - i)), count - i);
    }
}

static void rotate(float *heads, size_t head_count, size_t head_size, const float *cosines, const float *sines,
                   size_t pairs) {
    for (size_t h = 0; h < head_count; h++, heads += head_size)
        for (size_t i = 0; i < pairs; i++) {
            float a = heads[2 * i], b = heads[2 * i + 1];
            heads[2 * i] = a * cosines[i] - b * sines[i];
            heads[2 * i + 1] = a * sines[i] + b * cosines[i];
        }
}
