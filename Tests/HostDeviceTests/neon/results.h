// The results of a kernel set on fixed data, as labelled words, so that sets can be compared bit for bit.

#ifndef RESULTS_H
#define RESULTS_H

#include "CHostKernels.h"

/// Everything that a kernel set computed.
typedef struct {
    uint32_t *words;
    /// What each word is from.
    const char **labels;
    size_t count, capacity;
} results;

/// Appends `count` floats; every NaN counts as the same, since processors differ in which one they make.
void keep_floats(results *r, const char *label, const float *values, size_t count);
/// Appends `bytes` bytes, rounded up to words with zeros.
void keep_bytes(results *r, const char *label, const void *data, size_t bytes);

/// The next number of a fixed sequence (SplitMix64), which `start_random` begins again.
uint64_t next_random(void);
void start_random(uint64_t seed);
/// `count` numbers in [−1, 1).
float *random_floats(size_t count);
/// A float of any kind: zero, subnormal, huge, infinite, NaN, few bits set, near f16's limits.
float odd_float(void);
/// `size` bytes at a multiple of 64; the program never frees.
void *allocate(size_t size);
/// Memory for int8 activations.
hk_quantized quantized_rows(size_t rows, size_t width, int32_t peak);

/// Matrix products of every format, with every number of rows from 1 to 14.
void run_products(const hk_kernels *k, results *r);
/// The kernels over rows of activations, on odd numbers too.
void run_rows(const hk_kernels *k, results *r);
/// Storing in the cache and attention, with sizes that fill no vector.
void run_attention(const hk_kernels *k, results *r);

#endif
