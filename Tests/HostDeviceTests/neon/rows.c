// The kernels over rows of activations: lengths around the vectors' ends, and odd numbers.

#include "results.h"

static float *odd_floats(size_t count) {
    float *values = allocate(count * sizeof(float));
    for (size_t i = 0; i < count; i++) values[i] = odd_float();
    return values;
}

// Sets lay rows out differently: compared row by row. Row 0 and the first block stay unwritten.
static void keep_quantized(results *r, const hk_quantized *q, size_t tile, size_t rows, const char *values, const char *scales,
                           const char *sums, const char *pairs, const char *quarters) {
    for (size_t row = 1; row < rows; row++)
        for (size_t group = 2; group < q->width / HK_GROUP; group++) {
            size_t place = row / tile * tile * (q->width / HK_GROUP) + group * tile, within = row % tile;
            for (size_t word = 0; word < HK_GROUP / 4; word++)
                keep_bytes(r, values, q->values + place * HK_GROUP + (word * tile + within) * 4, 4);
            keep_floats(r, scales, q->scales + place + within, 1);
            keep_bytes(r, sums, q->sums + place + within, 4);
            if (group % 2) continue;
            keep_bytes(r, pairs, q->pairs + place + 2 * within, 4);
            keep_bytes(r, quarters, q->quarters + 2 * place + 4 * within, 8);
        }
}

static void run_quantize(const hk_kernels *k, results *r, int32_t peak) {
    // The last block is not whole.
    enum { rows = 400, blocks = 3, width = blocks * HK_BLOCK, count = width - HK_BLOCK - HK_GROUP };
    float *x = random_floats(rows * width);
    for (size_t row = 0; row < rows; row++) {
        // Blocks of tame numbers of some size, subnormal ones and halves too; then some with a few odd numbers.
        float size = row < 300 ? __builtin_ldexpf(1, (int)row - 150) : 1;
        for (size_t i = 0; i < width; i++) x[row * width + i] *= size;
        if (row >= 300) x[row * width + next_random() % count] = odd_float();
        if (row >= 380) x[row * width] = 127;
        if (row >= 380)
            for (size_t i = 1; i < count; i++) x[row * width + i] = (float)((int)(next_random() % 253) - 126) + 0.5f;
    }
    hk_quantized q = quantized_rows(rows, width, peak);
    k->quantize(x, width, rows - 1, count, &q, 1, HK_BLOCK);
    keep_quantized(r, &q, k->row_tile, rows, "quantize values", "quantize scales", "quantize sums", "quantize pairs",
                   "quantize quarters");
    for (int32_t activation = HK_SILU; activation <= HK_SQUARED_RELU; activation++) {
        float *up = activation == HK_SQUARED_RELU ? 0 : random_floats(rows * width);
        k->activate_quantize(activation, x, up, width, rows - 1, count, &q, 1, HK_BLOCK);
        keep_quantized(r, &q, k->row_tile, rows, "activate_quantize values", "activate_quantize scales",
                       "activate_quantize sums", "activate_quantize pairs", "activate_quantize quarters");
    }
}

static void run_lengths(const hk_kernels *k, results *r, size_t count, int odd) {
    float *a = odd ? odd_floats(3 * count) : random_floats(3 * count), *b = random_floats(3 * count);
    float *out = random_floats(3 * count + 20);
    for (int32_t activation = HK_SILU; activation <= HK_SQUARED_RELU; activation++) {
        k->activate(activation, a, activation == HK_SQUARED_RELU ? 0 : b, count, 3, count, out, count + 5);
        keep_floats(r, "activate", out, 3 * count + 20);
    }
    k->normalise(a, count % 2, b, count % 3 ? b + count : 0, 1e-5f, count, out);
    keep_floats(r, "normalise", out, count);
    k->add_bias(out, count, 2, count, b);
    k->add_delta(out, b, 0.22f, count);
    k->scale_and_cap(out, count, 2, count, 0.3f, count % 2 ? 30 : 0);
    keep_floats(r, "bias, scale and cap", out, 2 * count);
    k->add_norm(a, count % 2 ? b : 0, b + count, 1e-5f, count, out);
    keep_floats(r, "add_norm residual", a, count);
    keep_floats(r, "add_norm", out, count);
}

// Tiles of logits of every length and kind, with scales from none to huge.
static void run_summarise(const hk_kernels *k, results *r, int odd) {
    enum { rows = 200, stride = HK_PANEL + 3 };
    float *logits = odd ? odd_floats(rows * stride) : random_floats(rows * stride), *scales = random_floats(rows);
    hk_logit_tile *tiles = (hk_logit_tile *)random_floats(2 * rows);
    for (size_t row = 0; row < rows; row++) scales[row] = row % 5 ? __builtin_ldexpf(scales[row], (int)row - 100) : 0;
    for (size_t valid = 1; valid <= HK_PANEL; valid++) {
        k->summarise(logits, stride, rows, valid, scales, tiles, 1);
        keep_floats(r, "summarise", &tiles->highest, 2 * rows);
    }
}

void run_rows(const hk_kernels *k, results *r) {
    run_quantize(k, r, HK_INT8_PEAK);
    run_quantize(k, r, HK_INT7_PEAK);
    run_summarise(k, r, 0);
    run_summarise(k, r, 1);
    for (size_t count = 1; count <= 70; count++)
        for (int odd = 0; odd < 2; odd++) run_lengths(k, r, count, odd);
    run_lengths(k, r, 40000, 0);
    run_lengths(k, r, 40000, 1);
    // All of the exponential's range.
    float *gate = random_floats(40000), *out = random_floats(40000);
    for (size_t i = 0; i < 40000; i++) gate[i] *= 110;
    for (int32_t activation = HK_SILU; activation <= HK_SQUARED_RELU; activation++) {
        k->activate(activation, gate, gate, 0, 1, 40000, out, 0);
        keep_floats(r, "activate of great numbers", out, 40000);
    }
    for (size_t pairs = 0; pairs <= 20; pairs++) {
        float *heads = random_floats(3 * 40), *angles = random_floats(40);
        k->rotate(heads, 3, 40, angles, angles + 20, pairs);
        keep_floats(r, "rotate", heads, 3 * 40);
        k->rotate_halves(heads, 3, 40, angles, angles + 20, pairs);
        keep_floats(r, "rotate_halves", heads, 3 * 40);
    }
    uint32_t *words = (uint32_t *)random_floats(1280), sum = k->read_all(words, 1280);
    keep_bytes(r, "read_all", &sum, sizeof sum);
}
