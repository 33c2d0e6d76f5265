// Kernels over one row of activations: norm, quantisation, SiLU, rotary embedding, argmax.

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

static void quantize(const float *x, size_t count, int8_t *values, float *scales, float *sums) {
    typedef int8_t v16b __attribute__((vector_size(16)));
    for (size_t g = 0; g < count / HK_GROUP; g++, x += HK_GROUP, values += HK_GROUP) {
        v16 a = load16(x), b = load16(x + 16), zero = splat16(0);
        v16 peaks = __builtin_elementwise_max(__builtin_elementwise_abs(a), __builtin_elementwise_abs(b));
        float peak = max16(peaks) + sum16(a * zero + b * zero);
        if (!(peak < __builtin_inff())) {
            __builtin_memset(values, 0, HK_GROUP);
            scales[g] = __builtin_nanf("");
            sums[g] = 0;
            continue;
        }
        float inverse = peak > 0 ? 127.0f / peak : 0;
        // A subnormal peak has no inverse: such a block is zero.
        if (!(inverse < __builtin_inff())) inverse = 0;
        v16i p = __builtin_convertvector(HK_ROUND(a * splat16(inverse)), v16i);
        v16i q = __builtin_convertvector(HK_ROUND(b * splat16(inverse)), v16i);
        v16b bytes = __builtin_convertvector(p, v16b);
        __builtin_memcpy(values, &bytes, 16);
        bytes = __builtin_convertvector(q, v16b);
        __builtin_memcpy(values + 16, &bytes, 16);
        int32_t sum = 0;
        for (int i = 0; i < HK_GROUP; i++) sum += values[i];
        scales[g] = peak / 127.0f;
        sums[g] = (float)sum;
    }
}

static void silu_multiply(const float *gate, const float *up, size_t count, float *out) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        v16 g = load16(gate + i);
        save16(out + i, g / (splat16(1) + exponential(-g)) * load16(up + i));
    }
    if (i < count) {
        v16 g = load_first(gate + i, count - i);
        save_first(out + i, g / (splat16(1) + exponential(-g)) * load_first(up + i, count - i), count - i);
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

static ptrdiff_t argmax(const float *x, size_t count) {
    v16 peaks = splat16(-__builtin_inff()), faults = splat16(0);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        v16 v = load16(x + i);
        peaks = __builtin_elementwise_max(peaks, v);
        faults = (v16)((v16i)faults | (v != v));
    }
    float peak = max16(peaks);
    int fault = 0;
    for (int lane = 0; lane < 16; lane++) fault |= ((v16i)faults)[lane];
    for (; i < count; i++) {
        fault |= x[i] != x[i];
        peak = x[i] > peak ? x[i] : peak;
    }
    if (fault) return -1;
    for (i = 0; i < count; i++)
        if (x[i] == peak) break;
    return (ptrdiff_t)i;
}
