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

// A row's block of a group: its words stand HK_INT8_ROWS apart.
HK_INLINE void place_block(const hk_quantized *out, size_t row, size_t group, v16i low, v16i high, float scale) {
    typedef int8_t v16b __attribute__((vector_size(16)));
    size_t block = int8_block(out, row, group), within = row % HK_INT8_ROWS;
    v16b bytes[2] = {__builtin_convertvector(low, v16b), __builtin_convertvector(high, v16b)};
    int8_t *values = out->values + block * HK_GROUP + within * 4;
    HK_UNROLL for (int word = 0; word < HK_GROUP / 4; word++)
        __builtin_memcpy(values + word * HK_INT8_ROWS * 4, (char *)bytes + word * 4, 4);
    out->scales[block + within] = scale;
    out->sums[block + within] = (float)__builtin_reduce_add(low + high);
}

// Floats without sign compare as their bits do, and NaN and infinity are the greatest of them.
static void quantize(const float *x, size_t x_stride, size_t rows, size_t count, const hk_quantized *out, size_t row,
                     size_t column) {
    for (size_t end = row + rows; row < end; row++, x += x_stride)
        for (size_t g = 0; g < count / HK_GROUP; g++) {
            size_t group = column / HK_GROUP + g;
            v16 a = load16(x + g * HK_GROUP), b = load16(x + g * HK_GROUP + 16);
            v16i magnitudes = __builtin_elementwise_max((v16i)a & 0x7fffffff, (v16i)b & 0x7fffffff);
            int32_t bits = __builtin_reduce_max(magnitudes);
            if (bits >= 0x7f800000) {
                place_block(out, row, group, (v16i){}, (v16i){}, __builtin_nanf(""));
                continue;
            }
            float peak, limit = (float)out->peak;
            __builtin_memcpy(&peak, &bits, 4);
            float inverse = peak > 0 ? limit / peak : 0;
            // A subnormal peak has no inverse: such a block is zero.
            if (!(inverse < __builtin_inff())) inverse = 0;
            v16i p = __builtin_convertvector(HK_ROUND(a * splat16(inverse)), v16i);
            v16i q = __builtin_convertvector(HK_ROUND(b * splat16(inverse)), v16i);
            place_block(out, row, group, p, q, peak / limit);
        }
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
