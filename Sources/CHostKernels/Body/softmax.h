// Softmax of attention's scores, span by span.

// A mask of the lanes, of 16 positions from `first` on, that are before `length`.
HK_INLINE v16i lanes_before(size_t length, size_t first) {
    const v16i lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return lanes < (int32_t)(length - first);
}

// Converts scores to unnormalised weights, with zeros up to `end`; returns the greatest score and the weights' sum.
static void softmax(float *scores, size_t length, size_t end, float scale, float totals[2]) {
    const size_t last = (length - 1) / 16 * 16;
    const v16i valid = lanes_before(length, last);
    v16 greatest = splat16(-0x1p126f);
    for (size_t i = 0; i <= last; i += 16) {
        v16 s = load16(scores + i) * splat16(scale);
        if (i == last) s = (v16)(((v16i)s & valid) | ((v16i)splat16(-0x1p100f) & ~valid));
        save16(scores + i, s);
        greatest = __builtin_elementwise_max(greatest, s);
    }
    totals[0] = max16(greatest);
    v16 peak = splat16(totals[0]), sum = splat16(0);
    for (size_t i = 0; i <= last; i += 16) {
        v16 e = exponential(load16(scores + i) - peak);
        if (i == last) e = (v16)((v16i)e & valid);
        save16(scores + i, e);
        sum += e;
    }
    for (size_t i = last + 16; i < end; i++) scores[i] = 0;
    totals[1] = sum16(sum);
}

// Adds a span's totals to those of the earlier spans, and returns the factors for the sums of both; after the last span
// the factors also normalise the output.
HK_INLINE void join_totals(float *totals, const float span[2], int is_first, int is_last, float *before, float *now) {
    *before = 0;
    *now = 1;
    float greatest = span[0], sum = span[1];
    if (!is_first) {
        greatest = totals[0] > greatest ? totals[0] : greatest;
        v16 factors = exponential((v16){totals[0] - greatest, span[0] - greatest});
        *before = factors[0];
        *now = factors[1];
        sum = totals[1] * *before + sum * *now;
    }
    totals[0] = greatest;
    totals[1] = sum;
    if (is_last) {
        float inverse = 1.0f / sum;
        *before *= inverse;
        *now *= inverse;
    }
}
