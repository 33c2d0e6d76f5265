// The host device's kernels, one set for each instruction set; all sets compute the same bits.
//
// They guarantee that a row's result depends on the row alone. Every output element is one chain of fused multiply-adds
// in a fixed order (inputs ascending for a matrix product, dimensions or positions ascending for attention); wider
// registers and tiles only process more elements at a time. Sums across elements (norms, softmax) use 16 partial sums,
// with element i in sum i mod 16, combined in a fixed tree.

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

/// The formats of a packed matrix's weights.
enum { HK_F32 = 0, HK_F16 = 1, HK_BF16 = 2, HK_U4 = 3, HK_U8 = 4, HK_I4 = 5, HK_S8 = 6, HK_S7 = 7,
       HK_U7 = 8 };

/// A weight matrix in panels of HK_PANEL output channels, so that neighbouring lanes are neighbouring outputs.
///
/// A float format's values are [panel][input][HK_PANEL]. A quantised weight is fma(scale, u, minimum), u unsigned; its
/// values are records [panel][group], which a product reads from the first byte to the last. A record holds 32-bit words
/// [word][HK_PANEL], four bytes of inputs 4w…4w+3 (U8) or eight nibbles of inputs 8w…8w+7, the first four in the low halves
/// of the bytes (U4); then floats, scales [part][HK_PANEL] and minimums [part][HK_PANEL].
///
/// The records of four formats are [panel][block], of two groups; a missing last group is zeros.
///
/// I4 is for int8 activations only. It has integer scales, so that both groups are one integer sum of int8 products: a weight is
/// (scale · u − 8 · offset) · unit, scale and offset of 16 bits and below 2¹⁸ together; the unit is a power of two, one
/// for each output. The error is at most 2⁻¹³ of the output's greatest weight. A record holds words [8][HK_PANEL] of
/// inputs 4w…4w+3 of both groups, the first group's in the low halves of the bytes; then pairs [HK_PANEL][2] of their
/// scales and of their offsets. A panel's units [HK_PANEL] follow its last record.
///
/// S8 has no minimums: a weight is scale · (u − 128). A record holds U8's words of both groups, then their scales
/// [2][HK_PANEL].
///
/// S7 has scales for 16 inputs, and values of 7 bits, of which two products with int8 activations fit 16 bits: a weight
/// is unit · factor · (u − 64). A record holds four factors of 8 bits for each output, [HK_PANEL][4], then U8's words of
/// both groups, and units [HK_PANEL].
///
/// U7 has minimums too, and is for int8 activations only: a weight is unit · factor · u − minimum · factor of the minimum,
/// u below 128. A record holds both kinds of factors, each [HK_PANEL][4], U8's words of both groups, units and minimums
/// [HK_PANEL].
typedef struct {
    int32_t format;
    /// Scales of a group: 1, or 2 if each half has its own.
    int32_t parts;
    size_t inputs;
    size_t outputs;
    /// Bytes of a panel.
    size_t panel_bytes;
    uint8_t *values;
} hk_matrix;

/// A multiple of every set's row tile; memory for int8 activations is allocated in multiples of this number of rows.
#define HK_ROW_BLOCK 4
/// The greatest activation of 8 bits.
#define HK_INT8_PEAK 127
/// The greatest activation of 7 bits: two products with 8-bit weights fit the 16 bits in which AVX2 sums pairs, which
/// makes products with U8 weights 1.4 times as fast.
#define HK_INT7_PEAK 63

/// Activations as int8: value × scale; the groups of a block of HK_BLOCK have the same scale. `sums` holds −128 times
/// each group's sum of values, `pairs` −8 times the sums of a block's two groups, and `quarters` −1 times the sums of
/// its four times 16 values: the initial values of sums with weights from −128, −8 or −64 on.
///
/// Rows are stored in tiles of a set's `row_tile`, for its products: values [tile][group][word][row of the tile][4],
/// scales and sums [tile][group][row of the tile], pairs [tile][block][row of the tile][2], and quarters
/// [tile][block][row of the tile][4]. Only the set that wrote them can read them.
typedef struct {
    int8_t *values;
    float *scales;
    int32_t *sums;
    int16_t *pairs;
    int16_t *quarters;
    /// Values of a row, a multiple of HK_BLOCK.
    size_t width;
    /// The value of a block's greatest magnitude: HK_INT8_PEAK or HK_INT7_PEAK.
    int32_t peak;
} hk_quantized;

/// The activation functions of a feed-forward: x·σ(x), GELU by the tanh approximation, max(x, 0)².
enum { HK_SILU = 0, HK_GELU = 1, HK_SQUARED_RELU = 2 };

/// The data types of a cache's elements.
enum { HK_CACHE_F32 = 0, HK_CACHE_F16 = 1, HK_CACHE_INT8 = 2 };

/// A layer's paged cache: a page is the part of a block for one of the layer's heads. Keys of a page are
/// [dimension][padded_block], values [offset][padded_head]. The pages of a block's layers are adjacent; a block takes
/// `block_pages` of them.
typedef struct {
    void *keys;
    void *values;
    /// The scales of int8 elements by block offset, for keys and values each [padded_block] per page; otherwise null.
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
    /// Pages from a block's first page of the layer to the next block's: the heads of all layers.
    size_t block_pages;
} hk_cache;

/// Cache blocks that a thread will attend to, prefetched by products: each block's keys, then its values.
typedef struct {
    const hk_cache *_Nullable cache;
    const int32_t *_Nullable blocks;
    size_t count;
    /// The block whose keys, or values, are next.
    size_t at;
    int32_t at_values;
    /// Lines left of the current keys or values.
    size_t lines;
    const uint8_t *_Nullable from;
} hk_read_ahead;

/// Positions of a span, which are attended to at a time. A longer context is always a chain of such spans from its
/// beginning on, for any division among threads.
#define HK_SPAN 512
/// Scratch floats of a query head: a span's scores, room for whole vectors beyond them, and the totals of earlier
/// spans.
#define HK_SPAN_SCORES (HK_SPAN + 32)
/// Floats of a span's result besides the values: its greatest score and the sum of its weights, in their own cache
/// line.
#define HK_PARTIAL_TOTALS 16

/// The attention of adjacent query tokens of one sequence over a KV head.
typedef struct {
    /// Query tokens, in the order of their positions.
    size_t tokens;
    /// Query heads that share the KV head.
    size_t group;
    /// Positions up to the first token's, itself included; each further token has one more, in as many spans.
    size_t length;
    /// Of them, a token attends to this many at the end, or to all if it has fewer; SIZE_MAX for all.
    size_t window;
    /// The first span that any token attends to; the same for all.
    size_t origin_span;
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
    /// If the spans are divided: [span from `origin_span` on][tokens · group][padded_head + HK_PARTIAL_TOTALS], to which `attend` writes its
    /// spans' results, and from which `join` computes the output. Null if all spans are attended to at once.
    float *_Nullable partials;
    /// A score is scale · query · key, and cap · tanh(score / cap) of that if the cap is positive.
    float scale;
    float cap;
    /// Head, blocks and positions of the next work, which are prefetched meanwhile; 0 positions for none.
    size_t next_head;
    size_t next_length;
    const int32_t *next_blocks;
} hk_attention;

/// The summary of a tile of HK_PANEL logits of a row, for sampling.
typedef struct {
    /// The highest logit; NaN if the tile holds a NaN.
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
    /// The same with int8 activations, rows `row` to `row` + `rows` − 1 of `x`, and integer sums in each group; for I4,
    /// S8, S7, U7 and U8. Meanwhile prefetches the weights at `next`, which follow the last panel, so that
    /// memory is never idle, and with several rows continues with `ahead`.
    void (*matmul_int8)(const hk_matrix *w, size_t first, size_t last, const hk_quantized *x, size_t row, size_t rows,
                        float *y, size_t y_stride, const void *_Nullable next, hk_read_ahead *_Nullable ahead);
    /// residual += delta (unless null); out = residual / rms(residual) · weight.
    void (*add_norm)(float *residual, const float *_Nullable delta, const float *weight, float epsilon, size_t count, float *out);
    /// out = x / rms(x) · weight, of x less its mean if `centred`, plus the bias if there is one. `out` may be `x`.
    void (*normalise)(const float *x, int32_t centred, const float *weight, const float *_Nullable bias, float epsilon,
                      size_t count, float *out);
    /// Adds the bias to each of `rows` rows of `count`.
    void (*add_bias)(float *x, size_t stride, size_t rows, size_t count, const float *bias);
    /// residual += delta · scale.
    void (*add_delta)(float *residual, const float *delta, float scale, size_t count);
    /// Converts `rows` rows of `count` floats, a multiple of HK_GROUP, to int8 from `row` and `column`, a multiple of
    /// HK_BLOCK, on; the last block is filled with zeros. A block with NaN or infinity gets the scale NaN, so that the
    /// fault stays visible.
    void (*quantize)(const float *x, size_t x_stride, size_t rows, size_t count, const hk_quantized *out, size_t row,
                     size_t column);
    /// out = activation(gate) · up, for `rows` rows of `count`; without `up` the activation alone.
    void (*activate)(int32_t activation, const float *gate, const float *_Nullable up, size_t stride, size_t rows,
                     size_t count, float *out, size_t out_stride);
    /// The int8 form of `activate`'s results, as `quantize` makes it.
    void (*activate_quantize)(int32_t activation, const float *gate, const float *_Nullable up, size_t stride, size_t rows,
                              size_t count, const hk_quantized *out, size_t row, size_t column);
    /// x = scale · x, and cap · tanh(x / cap) of that if the cap is positive, for `rows` rows of `count`.
    void (*scale_and_cap)(float *x, size_t stride, size_t rows, size_t count, float scale, float cap);
    /// Rotates the pairs (0,1), (2,3) … of each head by the angles whose cosines and sines are given.
    void (*rotate)(float *heads, size_t head_count, size_t head_size, const float *cosines, const float *sines,
                   size_t pairs);
    /// The same for the pairs (0,pairs), (1,pairs+1) ….
    void (*rotate_halves)(float *heads, size_t head_count, size_t head_size, const float *cosines, const float *sines,
                          size_t pairs);
    /// Writes a token's key and value of a head to a block offset.
    void (*store)(const hk_cache *cache, size_t head, size_t block, size_t offset, const float *key, const float *value);
    /// Softmax attention of adjacent tokens over one KV head.
    void (*attend)(const hk_cache *cache, size_t head, const hk_attention *work);
    /// Computes the output from the partial results of all spans, with the same bits as attending to all spans at once.
    void (*join)(const hk_cache *cache, const hk_attention *work);
    /// Excludes tokens of a tile: sets the logits of the bits that are 0 to −∞.
    void (*mask)(float *logits, uint32_t bits);
    /// Summarises one tile of each of `rows` rows: its first `valid` logits, with the row's scale; out[r · out_stride].
    void (*summarise)(const float *logits, size_t stride, size_t rows, size_t valid, const float *scales,
                      hk_logit_tile *out, size_t out_stride);
    /// `matmul_int8`'s register tile for `iterations` groups of 4-bit weights, without their loads, unpacking and scales;
    /// returns the number of multiply-adds. At most 2²⁴ iterations.
    uint64_t (*peak_dot)(size_t iterations);
    /// The same for `matmul_float`'s tile, for at most 2²⁴ iterations.
    uint64_t (*peak_fma)(size_t iterations);
    /// The sum of `count` words, a multiple of 128, read once and sequentially.
    uint32_t (*read_all)(const uint32_t *words, size_t count);
} hk_kernels;

/// The kernels that every machine can run.
const hk_kernels *hk_portable(void);
/// The AVX2+FMA+F16C kernels, or null if they were not built or the processor cannot run them.
const hk_kernels *_Nullable hk_avx2(void);
/// The AVX-512 (F, BW, VL, VNNI) kernels, or null.
const hk_kernels *_Nullable hk_avx512(void);
/// The NEON kernels with the dot product instructions, or null.
const hk_kernels *_Nullable hk_neon(void);
/// The NEON kernels with the int8 matrix extension's dot product of unsigned by signed bytes, or null.
const hk_kernels *_Nullable hk_neon_i8mm(void);

/// Bytes of a panel of `inputs` inputs.
size_t hk_panel_bytes(int32_t format, int32_t parts, size_t inputs);
/// The packed format for a GGUF element type, with the number of scales of a group in `parts`; with `int8`, a format
/// for int8 activations if the type supports them.
int32_t hk_packed_format(uint32_t type, int int8, int32_t *parts);
/// Expands the first `count` weights of a row of a GGUF element type, to the bits of ggml's reference.
void hk_gguf_row(uint32_t type, const void *row, size_t count, float *out);
/// Packs panels `first` to `last` − 1 from GGUF rows, of which `rows` is the first of them; outputs beyond the last are
/// zeros.
void hk_pack(uint32_t type, const void *rows, size_t row_bytes, const hk_matrix *out, size_t first, size_t last);
/// The place of the first weight, or scale of a block of weights, that is no finite number in `bytes` bytes of whole
/// blocks; `bytes` if there is none.
size_t hk_first_fault(uint32_t type, const void *weights, size_t bytes);
/// Quantises a row of `count` finite weights, a multiple of HK_GROUP, from F32, F16 or BF16 to the GGUF type `to`, Q4_0
/// or Q8_0, with the bits of ggml's reference. Returns the index of the first group whose scale is beyond f16's range,
/// in weights; `count` if there is none.
size_t hk_quantize_row(uint32_t type, const void *row, size_t count, uint32_t to, void *out);

/// Bytes to add behind memory that is given out, so that an address sanitizer can guard its end: 0 without one.
size_t hk_guard_bytes(void);
/// Lets an address sanitizer report whoever reads or writes these bytes; without one nothing is done.
void hk_guard(void *start, size_t count);
/// Lets them be used again.
void hk_unguard(void *start, size_t count);

/// Tells the processor that this thread spins on memory.
static inline void hk_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#pragma clang assume_nonnull end

#endif
