// Peak rates: the register tiles of the products alone, group by group, without loading, unpacking and scaling weights;
// and a stream of reads. Every multiply-add is of ones, so that the sums give the number of operations.

// Hides the value from the compiler, so that no work is moved out of the loop.
#define HK_UNKNOWN(x) __asm__ volatile("" : "+m"(x))

static uint64_t peak_dot(size_t iterations) {
    vi sums[HK_INT8_ROWS][HK_INT8_COLUMNS], u[HK_INT8_COLUMNS], x[HK_INT8_ROWS];
    vi ones = both_of((vi){} + 1, 0);
    HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) u[c] = (vi){} + 0x01010101;
    HK_UNROLL for (int r = 0; r < HK_INT8_ROWS; r++) {
        x[r] = (vi){} + 0x01010101;
        HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) sums[r][c] = (vi){};
    }
    for (size_t i = 0; i < iterations; i++) {
        vi dots[HK_INT8_ROWS][HK_INT8_COLUMNS] = {};
        HK_UNROLL for (int word = 0; word < HK_GROUP / 4; word++) {
            HK_UNKNOWN(u);
            HK_UNKNOWN(x);
            HK_UNROLL for (int r = 0; r < HK_INT8_ROWS; r++)
                HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++)
                    dots[r][c] = nibble_sum(dots[r][c], nibbles_of(dots[r][c], u[c], x[r]));
        }
        HK_UNROLL for (int r = 0; r < HK_INT8_ROWS; r++)
            HK_UNROLL for (int c = 0; c < HK_INT8_COLUMNS; c++) sums[r][c] += nibble_total(dots[r][c], ones);
    }
    uint64_t total = 0;
    for (int r = 0; r < HK_INT8_ROWS; r++)
        for (int c = 0; c < HK_INT8_COLUMNS; c++)
            for (int lane = 0; lane < HK_LANES; lane++) total += (uint32_t)sums[r][c][lane];
    return total;
}

static uint64_t peak_fma(size_t iterations) {
    vf sums[HK_ROWS][HK_COLUMNS], w[HK_COLUMNS], x[HK_ROWS];
    HK_UNROLL for (int c = 0; c < HK_COLUMNS; c++) w[c] = splat(1);
    HK_UNROLL for (int r = 0; r < HK_ROWS; r++) {
        x[r] = splat(1);
        HK_UNROLL for (int c = 0; c < HK_COLUMNS; c++) sums[r][c] = (vf){};
    }
    for (size_t i = 0; i < iterations; i++) {
        HK_UNKNOWN(w);
        HK_UNKNOWN(x);
        HK_UNROLL for (int r = 0; r < HK_ROWS; r++)
            HK_UNROLL for (int c = 0; c < HK_COLUMNS; c++) sums[r][c] = fused(w[c], x[r], sums[r][c]);
    }
    double total = 0;
    for (int r = 0; r < HK_ROWS; r++)
        for (int c = 0; c < HK_COLUMNS; c++)
            for (int lane = 0; lane < HK_LANES; lane++) total += (double)sums[r][c][lane];
    return (uint64_t)total;
}

static uint32_t read_all(const uint32_t *words, size_t count) {
    vu sums[8] = {};
    for (size_t i = 0; i < count; i += 8 * HK_LANES)
        HK_UNROLL for (int s = 0; s < 8; s++) {
            vu v;
            __builtin_memcpy(&v, words + i + s * HK_LANES, sizeof v);
            sums[s] += v;
        }
    uint32_t total = 0;
    for (int s = 0; s < 8; s++)
        for (int lane = 0; lane < HK_LANES; lane++) total += sums[s][lane];
    return total;
}
