// Compares the kernel sets that this processor can run with the portable set, bit for bit, and the portable set's fused
// multiply-add with the C library's.
//
// Usage: compare [set…]; fails when a named set cannot run here. Prints a digest of the portable results, which must be
// the same on every processor.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results.h"

static uint64_t random_state;

void start_random(uint64_t seed) { random_state = seed; }

uint64_t next_random(void) {
    uint64_t z = random_state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

void *allocate(size_t size) {
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p) abort();
    return p;
}

hk_quantized quantized_rows(size_t rows, size_t width, int32_t peak) {
    size_t values = (rows + HK_ROW_BLOCK - 1) / HK_ROW_BLOCK * HK_ROW_BLOCK * width;
    size_t floats = values / HK_GROUP * sizeof(float);
    return (hk_quantized){
        allocate(values), allocate(floats), allocate(floats), allocate(floats / 2), allocate(floats), width, peak,
    };
}

float *random_floats(size_t count) {
    float *values = allocate(count * sizeof(float));
    for (size_t i = 0; i < count; i++) values[i] = (float)(int32_t)next_random() * 0x1p-31f;
    return values;
}

float odd_float(void) {
    static const uint32_t special[] = {
        0, 1, 0x7fffff, 0x800000, 0x33000000, 0x33000001, 0x387fdfff, 0x387fe000, 0x38800000, 0x3f7fffff, 0x3f800000,
        0x477fe000, 0x477fefff, 0x477ff000, 0x47800000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fffffff,
    };
    uint64_t random = next_random();
    uint32_t sign = (uint32_t)random & 0x80000000, fraction = (uint32_t)random & 0x7fffff, bits;
    uint32_t shift = random >> 32 & 15;
    switch (random >> 40 & 7) {
    case 0: bits = special[(random >> 43) % (sizeof special / sizeof *special)]; break;
    case 1: bits = fraction >> shift; break;
    case 2: bits = (random >> 43) % 255 << 23 | fraction; break;
    // f16's range and a little more, with the halfway cases of rounding to it.
    case 3: bits = (100 + (random >> 43) % 46) << 23 | (fraction & ~0xfffu); break;
    case 4: bits = (100 + (random >> 43) % 46) << 23 | fraction; break;
    // A single low or high bit: sums and products then lie halfway between two floats or close by.
    case 5: bits = (115 + (random >> 43) % 26) << 23 | 1u << (random >> 51) % 23; break;
    case 6: bits = (115 + (random >> 43) % 26) << 23 | (0x7fffffu << shift & 0x7fffff); break;
    default: bits = (120 + (random >> 43) % 16) << 23 | fraction; break;
    }
    bits |= sign;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static void keep(results *r, const char *label, uint32_t word) {
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? 2 * r->capacity : 1 << 16;
        r->words = realloc(r->words, r->capacity * sizeof *r->words);
        r->labels = realloc(r->labels, r->capacity * sizeof *r->labels);
        if (!r->words || !r->labels) abort();
    }
    r->words[r->count] = word;
    r->labels[r->count++] = label;
}

void keep_floats(results *r, const char *label, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, 4);
        keep(r, label, isnan(values[i]) ? 0x7fc00000 : bits);
    }
}

void keep_bytes(results *r, const char *label, const void *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t word = 0;
        memcpy(&word, (const char *)data + i, bytes - i < 4 ? bytes - i : 4);
        keep(r, label, word);
    }
}

// A product of two inputs is one fused multiply-add, where the first input is 1.
static int fma_faults(const hk_kernels *k) {
    enum { rows = 12, rounds = 20000 };
    int faults = 0;
    float w[2 * HK_PANEL], x[2 * rows], y[rows * HK_PANEL], scratch[HK_SCRATCH_FLOATS];
    hk_matrix m = {
        .format = HK_F32, .parts = 1, .inputs = 2, .outputs = HK_PANEL, .panel_bytes = sizeof w, .values = (uint8_t *)w,
    };
    start_random(1);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 2 * HK_PANEL; i++) w[i] = odd_float();
        for (int i = 0; i < rows; i++) {
            x[2 * i] = 1;
            x[2 * i + 1] = odd_float();
        }
        // Cancellation: what is left is the product's own rounding error, or nothing.
        for (int i = 0; i < 4; i++) w[i] = -(x[2 * i + 1] * w[HK_PANEL + i]);
        // A product just below half the least float, added to a subnormal: a double shows no difference from the half.
        x[1] = 0x1.000002p-75f;
        w[4] = (float)(next_random() % 0x800000) * 0x1p-149f;
        w[HK_PANEL + 4] = 0x1.fffffcp-76f;
        w[5] = -w[4];
        w[HK_PANEL + 5] = -w[HK_PANEL + 4];
        k->matmul_float(&m, 0, 1, x, 2, rows, y, HK_PANEL, scratch);
        for (int r = 0; r < rows; r++)
            for (int o = 0; o < HK_PANEL; o++) {
                float a = x[2 * r + 1], b = w[HK_PANEL + o], c = w[o], want = fmaf(a, b, c + 0.0f);
                float got = y[r * HK_PANEL + o];
                if ((isnan(want) && isnan(got)) || !memcmp(&want, &got, 4)) continue;
                if (faults++ == 0) printf("%s: fma(%a, %a, %a) gives %a, not %a\n", k->name, a, b, c, got, want);
            }
    }
    return faults;
}

static results run(const hk_kernels *k) {
    results r = {0};
    start_random(2);
    run_products(k, &r);
    run_rows(k, &r);
    run_attention(k, &r);
    return r;
}

// Whether the set's results are the portable ones; says where each kernel's differ first.
static int compare(const hk_kernels *k, const results *portable) {
    if (fma_faults(k)) return 0;
    results own = run(k);
    size_t different = 0;
    const char *told = 0;
    for (size_t i = 0; i < own.count; i++) {
        if (own.words[i] == portable->words[i]) continue;
        different++;
        if (own.labels[i] == told) continue;
        told = own.labels[i];
        printf("%s: %s, word %zu: %08x, not %08x\n", k->name, own.labels[i], i, own.words[i], portable->words[i]);
    }
    printf("%s: %zu of %zu words differ from the portable set's\n", k->name, different, own.count);
    return different == 0;
}

int main(int count, char **names) {
    const hk_kernels *sets[] = {hk_avx512(), hk_avx2(), hk_neon_i8mm(), hk_neon()};
    int passed = fma_faults(hk_portable()) == 0;
    results portable = run(hk_portable());
    int own = 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (!sets[i]) continue;
        passed &= compare(sets[i], &portable);
        own = 1;
    }
    if (!own) printf("this processor runs the portable set alone\n");
    for (int n = 1; n < count; n++) {
        int found = 0;
        for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) found |= sets[i] && !strcmp(sets[i]->name, names[n]);
        if (!found) printf("%s: cannot run on this processor\n", names[n]);
        passed &= found;
    }
    uint64_t digest = 14695981039346656037u;
    for (size_t i = 0; i < portable.count; i++) digest = (digest ^ portable.words[i]) * 1099511628211u;
    printf("digest %016llx\n", (unsigned long long)digest);
    return passed ? 0 : 1;
}
