// Kernels over one row of activations: norms, activation functions, rotary embedding, logits' scale and cap.

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

// Adds a vector to each of some rows.
static void add_bias(float *x, size_t stride, size_t rows, size_t count, const float *bias) {
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < count; i++) x[i] += bias[i];
}

static void add_delta(float *residual, const float *delta, float scale, size_t count) {
    for (size_t i = 0; i < count; i++) residual[i] += delta[i] * scale;
}

static void normalise(const float *x, int32_t centred, const float *weight, const float *bias, float epsilon, size_t count,
                      float *out) {
    float mean = 0;
    if (centred) {
        v16 sum = splat16(0);
        for (size_t i = 0; i < count; i += 16) sum += load_first(x + i, count - i < 16 ? count - i : 16);
        mean = sum16(sum) / (float)count;
    }
    v16 squares = splat16(0);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        v16 part = load16(x + i) - splat16(mean);
        squares = fused16(part, part, squares);
    }
    if (i < count) {
        // The lanes beyond the row are not centred.
        float last[16] = {0};
        for (size_t j = i; j < count; j++) last[j - i] = x[j] - mean;
        squares = fused16(load16(last), load16(last), squares);
    }
    float inverse = 1.0f / __builtin_sqrtf(sum16(squares) / (float)count + epsilon);
    if (bias)
        for (i = 0; i < count; i++) out[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
    else
        for (i = 0; i < count; i++) out[i] = (x[i] - mean) * inverse * weight[i];
}

// Activations of gates, times ups if there are any.
HK_INLINE v16 activated(const int activation, v16 gate) {
    if (activation == HK_GELU) {
        v16 cubes = fused16(gate * gate * gate, splat16(0.044715f), gate);
        return splat16(0.5f) * gate * (splat16(1) + hyperbolic_tangent(splat16(0.79788456080286535588f) * cubes));
    }
    if (activation == HK_SQUARED_RELU) {
        v16 positive = __builtin_elementwise_max(gate, splat16(0));
        // The greater of NaN and a number is the number.
        return fused16(gate, splat16(0), positive * positive);
    }
    return gate / (splat16(1) + exponential(-gate));
}

HK_INLINE void activate_rows(const int activation, const float *gate, const float *up, size_t stride, size_t rows,
                             size_t count, float *out, size_t out_stride) {
    for (size_t r = 0; r < rows; r++, gate += stride, out += out_stride) {
        for (size_t i = 0; i < count; i += 16) {
            size_t some = count - i < 16 ? count - i : 16;
            v16 a = activated(activation, load_first(gate + i, some));
            save_first(out + i, up ? a * load_first(up + i, some) : a, some);
        }
        if (up) up += stride;
    }
}

static void activate(int32_t activation, const float *gate, const float *up, size_t stride, size_t rows, size_t count,
                     float *out, size_t out_stride) {
    switch (activation) {
    case HK_GELU: activate_rows(HK_GELU, gate, up, stride, rows, count, out, out_stride); break;
    case HK_SQUARED_RELU: activate_rows(HK_SQUARED_RELU, gate, up, stride, rows, count, out, out_stride); break;
    default: activate_rows(HK_SILU, gate, up, stride, rows, count, out, out_stride); break;
    }
}

static void scale_and_cap(float *x, size_t stride, size_t rows, size_t count, float scale, float cap) {
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < count; i += 16) {
            size_t some = count - i < 16 ? count - i : 16;
            v16 y = load_first(x + i, some) * splat16(scale);
            save_first(x + i, cap > 0 ? capped(y, cap) : y, some);
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

static void rotate_halves(float *heads, size_t head_count, size_t head_size, const float *cosines, const float *sines,
                          size_t pairs) {
    for (size_t h = 0; h < head_count; h++, heads += head_size)
        for (size_t i = 0; i < pairs; i++) {
            float a = heads[i], b = heads[i + pairs];
            heads[i] = a * cosines[i] - b * sines[i];
            heads[i + pairs] = a * sines[i] + b * cosines[i];
        }
}
