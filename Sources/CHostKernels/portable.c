// The kernels in plain C: the reference for the other sets, and the kernels for processors without their own set.

#include "CHostKernels.h"

#define HK_NAME "portable"
#define HK_LANES 4
#define HK_ROWS 6
#define HK_COLUMNS 2
#define HK_INT8_ROWS 2
#define HK_INT8_COLUMNS 2
#define HK_UNPACKED_RECORDS 12
#define HK_VALUE_VECTORS 2
#define HK_TABLE portable_kernels
#if defined(__x86_64__) && !defined(__FMA__)
#define HK_SOFTWARE_FMA
#endif

typedef int32_t hk_words __attribute__((vector_size(16)));

static inline hk_words dot4(hk_words sum, hk_words u, hk_words x) {
    for (int byte = 0; byte < 32; byte += 8) sum += ((u >> byte) & 255) * ((x << (24 - byte)) >> 24);
    return sum;
}

#include "Body/all.h"

const hk_kernels *hk_portable(void) { return &portable_kernels; }
