// The host device's kernels: loops over numbers, one set of them for each instruction set, all giving the same bits.
//
// The promise that a row's result depends on nothing but the row rests here. Every output element is one chain of fused
// multiply-adds in one fixed order (inputs ascending for a matrix product, dimensions or positions ascending for
// attention); wider registers and tiles only work on more elements at a time. Sums across elements (norms, softmax) use 16
// partial sums, element i going to sum i mod 16, folded in one fixed tree.

#ifndef CHOSTKERNELS_H
#define CHOSTKERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Output channels of a weight panel.
#define HK_PANEL 32
/// Inputs of a weight group that shares scales.
#define HK_GROUP 32
/// Inputs that share the scale of int8 activations: two groups.
#define HK_BLOCK 64
/// Inputs of a panel that are expanded to float at a time.
#define HK_DEPTH 256
/// Floats of the scratch buffer that `matmul_float` needs: HK_DEPTH × HK_PANEL.
#define HK_SCRATCH_FLOATS 8192

#pragma clang assume_nonnull begin

/// How a packed matrix holds its weights.
enum { HK_F32 = 0, HK_F16 = 1, HK_BF16 = 2, HK_U4 = 3, HK_U8 = 4, HK_I4 = 5, HK_S8 = 6 };

/// A weight matrix in panels of HK_PANEL output channels, so that neighbouring lanes are neighbouring outputs.
///
/// A float format's values are [panel][input][HK_PANEL]. A quantised weight is fma(scale, u, minimum), u unsigned; its
/// values are records [panel][group], which a product reads from the first byte to the last. A record holds 32-bit words
/// [word][HK_PANEL], four bytes of inputs 4w…4w+3 (U8) or eight nibbles of inputs 8w…8w+7, the first four in the low halves
/// of the bytes (U4); then floats, scales [part][HK_PANEL] and minimums [part][HK_PANEL].
///
/// Two formats are for int8 activations alone. Their records are [panel][block], of two groups, the last one of zeros where
/// there is none.
///
/// I4 has integers for scales, so that both groups are one integer sum of int8 products: a weight is
/// (scale · u − 8 · offset) · unit, scale and offset of 16 bits and below 2¹⁸ together, the unit a power of two of the
/// output's own. What it is off is at most 2⁻¹³ of the output's greatest weight. A record holds words [8][HK_PANEL] of inputs
/// 4w…4w+3 of both groups, the first one's in the low halves of the bytes; then pairs [HK_PANEL][2] of their scales and of their
/// offsets. Behind a panel's last record stand its units [HK_PANEL].
///
/// S8 has no minimums: a weight is scale · (u − 128). A record holds U8's words of both groups; then their scales [2][HK_PANEL].
typedef struct {
    int32_t format;
    /// Scales of a group: 1, or 2 where each half has its own.
    int32_t parts;
    size_t inputs;
    size_t outputs;
    /// Bytes of a panel.
    size_t panel_bytes;
    uint8_t *values;
} hk_matrix;

/// A multiple of every set's row tile: memory for int8 activations is set aside in so many rows at a time.
#define HK_ROW_BLOCK 4
/// The greatest activation of 8 bits.
#define HK_INT8_PEAK 127
/// The greatest activation of 7 bits: two of them times 8-bit weights fit the 16 bits in which AVX2 adds up pairs, which
/// makes products with U8 weights 1.4 times as fast.
#define HK_INT7_PEAK 63

/// Activations as int8: value × scale, which the groups of a block of HK_BLOCK have in common. Of each group's sum of values
/// `sums` holds −128 times as much, and `pairs` −8 times as much for a block's two groups: what sums with weights from −128 or
/// −8 on begin with.
///
/// Rows lie in tiles of a set's `row_tile`, as its products take them: values [tile][group][word][row of the tile][4],
/// scales and sums [tile][group][row of the tile], pairs [tile][block][row of the tile][2]. Only the set that wrote them can
/// read them.
typedef struct {
    int8_t *values;
    float *scales;
    int32_t *sums;
    int16_t *pairs;
    /// Values of a row, a multiple of HK_BLOCK.
    size_t width;
    /// What a block's greatest magnitude becomes: HK_INT8_PEAK or HK_INT7_PEAK.
    int32_t peak;
} hk_quantized;

/// What the elements of a cache are.
enum { HK_CACHE_F32 = 0, HK_CACHE_F16 = 1, HK_CACHE_INT8 = 2 };

/// A layer's paged cache: a page is what a block holds of one of the layer's heads. Keys of a page are [dimension][padded_block],
/// values [slot][padded_head]. The pages of a block's layers lie side by side, and a block takes `block_pages` of them.
typedef struct {
    void *keys;
    void *values;
    /// What int8 elements of a slot are multiplied by, keys and values each [padded_block] a page; otherwise null.
    float *_Nullable key_scales;
    float *_Nullable value_scales;
    int32_t format;
    size_t heads;
    size_t head_size;
    /// `head_size` rounded up to a multiple of 16.
    size_t padded_head;
    size_t block_size;
    /// `block_size` rounded up to a multiple of 16.
    size_t padded_block;
    /// Pages from a block's first one of the layer to the next block's: those of the heads of all layers.
    size_t block_pages;
} hk_cache;

/// Cache blocks that a thread will attend to, fetched meanwhile by products, each block's keys and then its values.
typedef struct {
    const hk_cache *_Nullable cache;
    const int32_t *_Nullable blocks;
    size_t count;
    /// The block whose keys, or values, come next.
    size_t at;
    int32_t at_values;
    /// What is left of the keys or values before.
    size_t lines;
    const uint8_t *_Nullable from;
} hk_read_ahead;

/// Positions that are attended to at a time. A longer context is a chain of such spans from its beginning on, whoever
/// computes them.
#define HK_SPAN 512
/// Scratch floats of a query head: a span's scores, beyond which whole vectors reach, and what the spans before come to.
#define HK_SPAN_SCORES (HK_SPAN + 32)
/// Floats of a span's result besides the values: its greatest score and the sum of its weights, in a line of their own.
#define HK_PARTIAL_TOTALS 16

/// The attention of neighbouring query tokens of one sequence over a KV head.
typedef struct {
    /// Query tokens, in the order of their positions.
    size_t tokens;
    /// Query heads that share the KV head.
    size_t group;
    /// Positions that the first token attends to; each further token attends to one more, in as many spans.
    size_t length;
    /// The spans to attend to: `first_span` to `end_span` − 1.
    size_t first_span;
    size_t end_span;
    /// The sequence's block ids.
    const int32_t *blocks;
    /// [tokens][group][head_size], `query_stride` floats from token to token.
    const float *queries;
    size_t query_stride;
    /// Like `queries`.
    float *output;
    size_t output_stride;
    /// [tokens · group][HK_SPAN_SCORES]
    float *scores;
    /// Where others attend to the rest of the spans: [span][tokens · group][padded_head + HK_PARTIAL_TOTALS], to which
    /// `attend` writes its spans' results, and from which `join` makes the output. Null where all spans are attended to.
    float *_Nullable partials;
    float scale;
    /// Head, blocks and positions of the work that comes next, to be fetched meanwhile; no positions for none.
    size_t next_head;
    size_t next_length;
    const int32_t *next_blocks;
} hk_attention;

/// What sampling knows of a tile of HK_PANEL logits of a row without looking at them.
typedef struct {
    /// The highest logit; NaN where the tile holds a NaN.
    float highest;
    /// Σ 2^((logit − highest)·scale), as 16 partial sums folded in one fixed tree; 0 for scale 0.
    float weight;
} hk_logit_tile;

/// The kernels of one instruction set.
typedef struct {
    const char *name;
    /// Rows of a tile of int8 activations; divides HK_ROW_BLOCK.
    size_t row_tile;
    /// y[r][o] = Σ x[r][i]·w[o][i] for the outputs of panels `first` to `last` − 1, whole panels; y[0] is the first of them.
    void (*matmul_float)(const hk_matrix *w, size_t first, size_t last, const float *x, size_t x_stride, size_t rows,
                         float *y, size_t y_stride, float *scratch);
    /// The same with int8 activations, rows `row` to `row` + `rows` − 1 of `x`, and integer sums in each group; I4, S8, and
    /// U8 with one part. Meanwhile fetches what comes after the last panel from `next`, so that memory is never idle, and with
    /// several rows goes on with `ahead`.
    void (*matmul_int8)(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, size_t rows,
                        float *y, size_t y_stride, const void *_Nullable next, hk_read_ahead *_Nullable ahead);
    /// residual += delta (unless null); out = residual / rms(residual) · weight.
    void (*add_norm)(float *residual, const float *_Nullable delta, const float *weight, float epsilon, size_t count, float *out);
    /// `rows` rows of `count` floats, a multiple of HK_GROUP, to int8 from `row` and `column`, a multiple of HK_BLOCK, on; what
    /// is missing of the last block is zero. A block with NaN or infinity gets the scale NaN, so that the fault stays visible.
    void (*quantize)(const float *x, size_t x_stride, size_t rows, size_t count, const hk_quantized *out, size_t row,
                     size_t column);
    /// out = gate · sigmoid(gate) · up, for `rows` rows of `count`.
    void (*silu_multiply)(const float *gate, const float *up, size_t stride, size_t rows, size_t count, float *out,
                          size_t out_stride);
    /// The int8 form of `silu_multiply`'s results, as `quantize` makes it.
    void (*silu_quantize)(const float *gate, const float *up, size_t stride, size_t rows, size_t count,
                          const hk_quantized *out, size_t row, size_t column);
    /// Rotates the pairs (0,1), (2,3) … of each head by the angles whose cosines and sines are given.
    void (*rotate)(float *heads, size_t head_count, size_t head_size, const float *cosines, const float *sines,
                   size_t pairs);
    /// Writes a token's key and value of a head to a slot of a block.
    void (*store)(const hk_cache *cache, size_t head, size_t block, size_t slot, const float *key, const float *value);
    /// Softmax attention of neighbouring tokens over one KV head.
    void (*attend)(const hk_cache *cache, size_t head, const hk_attention *work);
    /// The output from the partial results of all spans: the bits that attending to all of them at once gives.
    void (*join)(const hk_cache *cache, const hk_attention *work);
    /// Summarises one tile of each of `rows` rows: its first `valid` logits, with the row's scale; out[r · out_stride].
    void (*summarise)(const float *logits, size_t stride, size_t rows, size_t valid, const float *scales,
                      hk_logit_tile *out, size_t out_stride);
    /// `matmul_int8`'s register tile for `iterations` groups of 4-bit weights, without their loads, unpacking and scales;
    /// returns how many multiply-adds that were. At most 2²⁴ iterations.
    uint64_t (*peak_dot)(size_t iterations);
    /// The same of `matmul_float`'s tile, for at most 2²⁴ iterations.
    uint64_t (*peak_fma)(size_t iterations);
    /// The sum of `count` words, a multiple of 128, read once in their order.
    uint32_t (*read_all)(const uint32_t *words, size_t count);
} hk_kernels;

/// The kernels that every machine can run.
const hk_kernels *hk_portable(void);
/// The AVX2+FMA+F16C kernels, or null where they were not built or the processor lacks them.
const hk_kernels *_Nullable hk_avx2(void);
/// The AVX-512 (F, BW, VL, VNNI) kernels, or null.
const hk_kernels *_Nullable hk_avx512(void);
/// The NEON kernels with the dot product instructions, or null.
const hk_kernels *_Nullable hk_neon(void);
/// The NEON kernels with the int8 matrix extension's dot product of unsigned by signed bytes, or null.
const hk_kernels *_Nullable hk_neon_i8mm(void);

/// Bytes of a panel of `inputs` inputs.
size_t hk_panel_bytes(int32_t format, int32_t parts, size_t inputs);
/// The packed format for a GGUF element type, with the number of scales of a group in `parts`; for int8 activations, where
/// they can be, if `int8`.
int32_t hk_packed_format(uint32_t type, int int8, int32_t *parts);
/// Expands `count` weights from the start of a row of a GGUF element type.
void hk_gguf_row(uint32_t type, const void *row, size_t count, float *out);
/// Packs panels `first` to `last` − 1 of a GGUF tensor; outputs beyond the last are zeros.
void hk_pack(uint32_t type, const void *tensor, size_t row_bytes, const hk_matrix *out, size_t first, size_t last);

/// Bytes to add behind memory that is given out, so that an address sanitizer can guard its end: 0 without one.
size_t hk_guard_bytes(void);
/// Lets an address sanitizer report whoever reads or writes these bytes; without one nothing is done.
void hk_guard(void *start, size_t count);
/// Lets them be used again.
void hk_unguard(void *start, size_t count);

/// Tells the processor that this thread is looking at memory until it changes.
static inline void hk_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#pragma clang assume_nonnull end

#endif
