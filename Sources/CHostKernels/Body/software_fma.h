// Fused multiply-adds for processors without the instruction, with the same bits; calling libm for every lane is
// several times slower.
//
// The product of two floats is exact in double, so that only the sum is rounded before the result is rounded to float.
// Rounding twice is wrong only if an inexact sum lies halfway between two floats; such sums are rounded to odd instead
// (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).

typedef double vd __attribute__((vector_size(HK_LANES * 8)));
typedef uint64_t vdi __attribute__((vector_size(HK_LANES * 8)));

// a + b rounded to odd, given `sum`, rounded to nearest: if it is inexact and even, its odd neighbour towards the exact
// sum.
static __attribute__((noinline)) vd round_to_odd(vd a, vd b, vd sum) {
    vd part = sum - a, error = (a - (sum - part)) + (b - part);
    // For a sum that is not finite the error is NaN, for which both comparisons are false.
    vdi inexact = (vdi)((error < 0) | (error > 0)) & 1;
    vdi too_great = ((vdi)sum ^ (vdi)error) >> 63 & inexact;
    return (vd)(((vdi)sum - too_great) | inexact);
}

HK_INLINE vf fused(vf a, vf b, vf c) {
    vd product = __builtin_convertvector(a, vd) * __builtin_convertvector(b, vd);
    vd addend = __builtin_convertvector(c, vd), sum = product + addend;
    // A double halfway between two floats, subnormal ones too, ends in 28 zeros.
    vi ends = __builtin_convertvector((vdi)sum, vi) & 0x0fffffff;
    if (__builtin_reduce_or(ends == 0)) sum = round_to_odd(product, addend, sum);
    return __builtin_convertvector(sum, vf);
}

HK_INLINE v16 fused16(v16 a, v16 b, v16 c) {
    vf as[16 / HK_LANES], bs[16 / HK_LANES], cs[16 / HK_LANES];
    __builtin_memcpy(as, &a, sizeof a);
    __builtin_memcpy(bs, &b, sizeof b);
    __builtin_memcpy(cs, &c, sizeof c);
    HK_UNROLL for (int i = 0; i < 16 / HK_LANES; i++) cs[i] = fused(as[i], bs[i], cs[i]);
    __builtin_memcpy(&c, cs, sizeof c);
    return c;
}
