// f16 conversion with F16C, to the portable conversion's bits.

// Numbers beyond f16's range become its greatest, infinity stays infinity, and a NaN keeps only its sign.
static inline __attribute__((always_inline)) __m128i halves(__m256 x) {
    __m256 sign = _mm256_set1_ps(-0.0f), infinity = _mm256_set1_ps(__builtin_inff()), magnitude = _mm256_andnot_ps(sign, x);
    __m256 cut = _mm256_min_ps(magnitude, _mm256_set1_ps(65504.0f));
    cut = _mm256_blendv_ps(cut, infinity, _mm256_cmp_ps(magnitude, infinity, _CMP_EQ_OQ));
    cut = _mm256_blendv_ps(cut, _mm256_set1_ps(__builtin_nanf("")), _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_cvtps_ph(_mm256_or_ps(cut, _mm256_and_ps(x, sign)), _MM_FROUND_TO_NEAREST_INT);
}

static inline __attribute__((always_inline)) void save_f16(uint16_t *p, hk_floats16 v) {
    __m256 x[2];
    __builtin_memcpy(x, &v, sizeof x);
    _mm_storeu_si128((__m128i *)p, halves(x[0]));
    _mm_storeu_si128((__m128i *)(p + 8), halves(x[1]));
}
