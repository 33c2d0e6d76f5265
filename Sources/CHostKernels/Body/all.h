// All kernels for the instruction set that the including file describes, as the table HK_TABLE.

#include "vector.h"
#include "matmul_float.h"
#include "dots.h"
#include "rows.h"
#include "quantize.h"
#include "cache.h"
#include "read_ahead.h"
#include "record_values.h"
#include "matmul_int8.h"
#include "softmax.h"
#include "attention.h"
#include "sampling.h"
#include "peak.h"

static const hk_kernels HK_TABLE = {
    .name = HK_NAME,
    .row_tile = HK_INT8_ROWS,
    .matmul_float = matmul_float,
    .matmul_int8 = matmul_int8,
    .add_norm = add_norm,
    .normalise = normalise,
    .add_bias = add_bias,
    .add_delta = add_delta,
    .quantize = quantize,
    .activate = activate,
    .activate_quantize = activate_quantize,
    .scale_and_cap = scale_and_cap,
    .rotate = rotate,
    .rotate_halves = rotate_halves,
    .store = store,
    .attend = attend,
    .join = join,
    .mask = mask,
    .summarise = summarise,
    .peak_dot = peak_dot,
    .peak_fma = peak_fma,
    .read_all = read_all,
};
