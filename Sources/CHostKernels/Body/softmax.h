// Softmax of attention's scores, span by span.

// A mask of the lanes, of 16 positions from `first` on, that are before `length`.
HK_INLINE v16i lanes_before(size_t length, size_t first) {
    const v16i lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return lanes < (int32_t)(length - first);
}

// Converts scores to unnormalised weights: those from `start` to `length`, with zeros from `base` on and up to `end`.
// Returns the greatest score and the weights' sum.
static void softmax(float *scores, size_t base, size_t start, size_t length, size_t end, float scale, float cap,
                    float totals[2]) {
    const size_t first = start / 16 * 16, last = (length - 1) / 16 * 16;
    const v16i before_end = lanes_before(length, last), from_start = ~lanes_before(start, first);
    v16 greatest = splat16(-0x1p126f);
    for (size_t i = first; i <= last; i += 16) {
        v16 s = load16(scores + i) * splat16(scale);
        if (cap > 0) s = capped(s, cap);
        if (i == last) s = (v16)(((v16i)s & before_end) | ((v16i)splat16(-0x1p100f) & ~before_end));
        if (i < start) s = (v16)(((v16i)s & from_start) | ((v16i)splat16(-0x1p100f) & ~from_start));
        save16(scores + i, s);
        greatest = __builtin_elementwise_max(greatest, s);
    }
    totals[0] = max16(greatest);
    v16 peak = splat16(totals[0]), sum = splat16(0);
    for (size_t i = first; i <= last; i += 16) {
        v16 e = exponential(load16(scores + i) - peak);
        if (i == last) e = (v16)((v16i)e & before_end);
        if (i < start) e = (v16)((v16i)e & from_start);
        save16(scores + i, e);
        sum += e;
    }
    for (size_t i = base; i < first; i++) scores[i] = 0;
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
