// Matrix products: every format, every number of rows, depths and panels that fill no tile.

#include <string.h>

#include "results.h"

// GGUF element types that between them use every packed format, with one part and two.
typedef struct {
    const char *name;
    uint32_t type;
    size_t inputs, block_inputs, block_bytes;
    // Where the high bytes of a block's f16 scales lie; the same twice where there is one.
    size_t scales[2];
} element;

static const element elements[] = {
    {"product f32", 0, 333, 1, 4, {0}},
    {"product f16", 1, 333, 1, 2, {0}},
    {"product bf16", 30, 333, 1, 2, {0}},
    {"product q4_1", 3, 288, 32, 20, {1, 3}},
    {"product q5_1", 7, 288, 32, 24, {1, 3}},
    {"product q8_0", 8, 288, 32, 34, {1, 1}},
    {"product q2_k", 10, 512, 256, 84, {81, 83}},
    {"product q6_k", 14, 512, 256, 210, {209, 209}},
};

static hk_matrix pack(uint32_t type, int int8, const void *rows, size_t row_bytes, size_t inputs, size_t outputs) {
    size_t panels = (outputs + HK_PANEL - 1) / HK_PANEL;
    hk_matrix m = {.inputs = inputs, .outputs = outputs};
    m.format = hk_packed_format(type, int8, &m.parts);
    m.panel_bytes = hk_panel_bytes(m.format, m.parts, inputs);
    m.values = allocate(panels * m.panel_bytes);
    hk_pack(type, rows, row_bytes, &m, 0, panels);
    return m;
}

// A matrix of three panels, the last one not full, whose bits are random but for exponents.
static hk_matrix random_matrix(const element *e, int int8) {
    size_t outputs = 3 * HK_PANEL - 5, row_bytes = e->inputs / e->block_inputs * e->block_bytes;
    size_t bytes = row_bytes * outputs;
    uint8_t *rows = allocate(bytes);
    for (size_t i = 0; i < bytes; i++) rows[i] = (uint8_t)next_random();
    if (e->type == 0) memcpy(rows, random_floats(bytes / sizeof(float)), bytes);
    for (size_t block = 0; block < bytes; block += e->block_bytes) {
        // An exponent without its top bit is below 2; 0x2c.. is about 1/16.
        if (e->block_inputs == 1 && e->type != 0) rows[block + 1] &= 0xbf;
        if (e->block_inputs > 1) rows[block + e->scales[0]] = rows[block + e->scales[1]] = 0x2c;
    }
    // The greatest weights of a block: sums that narrow integers would not hold.
    if (e->type == 3) memset(rows + 4, 0xff, 16), memset(rows + 24, 0xff, 16);
    if (e->type == 8) memset(rows + 2, 0x7f, 32);
    if (e->type == 10) memset(rows, 0xff, 80);
    if (e->type == 14) memset(rows, 0xff, 192), memset(rows + 192, 0x7f, 8), memset(rows + 200, 0x80, 8);
    return pack(e->type, int8, rows, row_bytes, e->inputs, outputs);
}

static void run_float(const hk_kernels *k, results *r, const hk_matrix *m, const char *label) {
    size_t stride = m->inputs + 3, y_stride = 2 * HK_PANEL + 5;
    float *x = random_floats(14 * stride), *y = random_floats(14 * y_stride), scratch[HK_SCRATCH_FLOATS];
    for (size_t rows = 1; rows <= 14; rows++) {
        k->matmul_float(m, 1, 3, x, stride, rows, y, y_stride, scratch);
        keep_floats(r, label, y, 14 * y_stride);
    }
}

static void run_int8(const hk_kernels *k, results *r, const hk_matrix *m, int32_t peak, const char *label) {
    size_t inputs = m->inputs, y_stride = 3 * HK_PANEL + 5;
    float *x = random_floats(14 * inputs), *y = random_floats(14 * y_stride);
    for (size_t i = 0; i < HK_BLOCK; i++) {
        x[i] = 1;
        x[inputs + i] = -1;
    }
    x[13 * inputs] = __builtin_nanf("");
    hk_quantized q = quantized_rows(14, (inputs + HK_BLOCK - 1) / HK_BLOCK * HK_BLOCK, peak);
    k->quantize(x, inputs, 14, inputs, &q, 0, 0);
    // From every place in a tile on, too.
    for (size_t row = 0; row < 14; row++)
        for (size_t rows = 1; row + rows <= 14; rows++) {
            k->matmul_int8(m, 0, 3, &q, row, rows, y, y_stride, x, 0);
            keep_floats(r, label, y, 14 * y_stride);
        }
}

// Each of the 65,536 values of a 16-bit type, times 1.
static void run_expansion(const hk_kernels *k, results *r, uint32_t type, const char *label) {
    enum { outputs = 65536 };
    uint16_t *values = allocate(outputs * sizeof(uint16_t));
    for (size_t i = 0; i < outputs; i++) values[i] = (uint16_t)i;
    hk_matrix m = pack(type, 0, values, sizeof(uint16_t), 1, outputs);
    float one = 1, *y = random_floats(outputs), scratch[HK_SCRATCH_FLOATS];
    k->matmul_float(&m, 0, outputs / HK_PANEL, &one, 1, 1, y, outputs, scratch);
    keep_floats(r, label, y, outputs);
}

void run_products(const hk_kernels *k, results *r) {
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        hk_matrix m = random_matrix(&elements[i], 0);
        run_float(k, r, &m, elements[i].name);
        m = random_matrix(&elements[i], 1);
        if (elements[i].type == 3) run_int8(k, r, &m, HK_INT8_PEAK, "int8 product q4_1");
        if (elements[i].type == 7) run_int8(k, r, &m, HK_INT8_PEAK, "int8 product q5_1");
        if (elements[i].type == 7) run_int8(k, r, &m, HK_INT7_PEAK, "7-bit product q5_1");
        if (elements[i].type == 8) run_int8(k, r, &m, HK_INT8_PEAK, "int8 product q8_0");
        if (elements[i].type == 8) run_int8(k, r, &m, HK_INT7_PEAK, "7-bit product q8_0");
        if (elements[i].type == 10) run_int8(k, r, &m, HK_INT8_PEAK, "int8 product q2_k");
        if (elements[i].type == 14) run_int8(k, r, &m, HK_INT8_PEAK, "int8 product q6_k");
        if (elements[i].type == 14) run_int8(k, r, &m, HK_INT7_PEAK, "7-bit product q6_k");
    }
    run_expansion(k, r, 1, "every f16");
    run_expansion(k, r, 30, "every bf16");
}
