// Kernels over one row of activations: norm, SiLU, rotary embedding.

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
