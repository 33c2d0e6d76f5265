// What happens to a row's logits before a token is chosen: masks, and summaries of tiles of HK_PANEL tokens.

typedef uint32_t v16u __attribute__((vector_size(64)));

// 2^x to about 2 ulp for x in [−125, 0]; 0 below and for NaN. Cephes' polynomial by Estrin's scheme, without fused
// multiply-adds: the host's sampler computes the same in Swift.
HK_INLINE v16 power_of_two(v16 x) {
    v16 shifted = x + splat16(0x1.8p23f);
    v16 f = x - (shifted - splat16(0x1.8p23f)), square = f * f;
    v16 low = (splat16(1) + f * splat16(6.931472028550421e-1f)) +
              square * (splat16(2.402264791363012e-1f) + f * splat16(5.550332471162809e-2f));
    v16 high = (splat16(9.618437357674640e-3f) + f * splat16(1.339887440266574e-3f)) +
               square * splat16(1.535336188319500e-4f);
    v16 p = low + (square * square) * high;
    // The integer part is in the low bits of `shifted`.
    v16u power = (v16u)p + ((v16u)shifted << 23);
    return (v16)(power & (v16u)(x >= splat16(-125)));
}

static void mask(float *logits, uint32_t bits) {
    const v16u lanes = {1u << 0, 1u << 1, 1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
                        1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15};
    const v16u excluded = (v16u)splat16(-__builtin_inff());
    for (size_t i = 0; i < HK_PANEL; i += 16, bits >>= 16) {
        v16u kept = (v16u)((lanes & (bits & 0xFFFF)) != 0);
        v16u x = (v16u)load16(logits + i);
        save16(logits + i, (v16)((x & kept) | (excluded & ~kept)));
    }
}

typedef float v8 __attribute__((vector_size(32)));
typedef float v4 __attribute__((vector_size(16)));

// Combines 16 lanes in registers, in the order of `sum16`: lane i with i + 8, i + 4, i + 2 and i + 1.
#define HK_FOLD(v, name, COMBINE) \
    v8 name##8 = COMBINE(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), \
                         __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)); \
    v4 name##4 = COMBINE(__builtin_shufflevector(name##8, name##8, 0, 1, 2, 3), \
                         __builtin_shufflevector(name##8, name##8, 4, 5, 6, 7)); \
    name##4 = COMBINE(name##4, __builtin_shufflevector(name##4, name##4, 2, 3, 0, 1)); \
    name##4 = COMBINE(name##4, __builtin_shufflevector(name##4, name##4, 1, 0, 3, 2)); \
    float name = name##4[0]
#define HK_PLUS(a, b) ((a) + (b))

// NaN if an element is NaN. Adding 0 turns −0 into 0, so that the order of comparisons does not matter.
HK_INLINE float highest32(v16 a, v16 b) {
    int fault = __builtin_reduce_or((a != a) | (b != b));
    v16 greater = __builtin_elementwise_max(a, b);
    HK_FOLD(greater, highest, __builtin_elementwise_max);
    return fault ? __builtin_nanf("") : highest + 0.0f;
}

static void summarise(const float *logits, size_t stride, size_t rows, size_t valid, const float *scales,
                      hk_logit_tile *out, size_t out_stride) {
    for (size_t r = 0; r < rows; r++, logits += stride, out += out_stride) {
        float padded[HK_PANEL];
        const float *tile = logits;
        if (valid < HK_PANEL) {
            for (size_t i = 0; i < HK_PANEL; i++) padded[i] = -__builtin_inff();
            __builtin_memcpy(padded, logits, valid * sizeof(float));
            tile = padded;
        }
        v16 a = load16(tile), b = load16(tile + 16);
        out->highest = highest32(a, b);
        out->weight = 0;
        if (!(scales[r] > 0)) continue;
        v16 highest = splat16(out->highest), scale = splat16(scales[r]);
        v16 weights = power_of_two((a - highest) * scale) + power_of_two((b - highest) * scale);
        HK_FOLD(weights, weight, HK_PLUS);
        out->weight = weight;
    }
}
