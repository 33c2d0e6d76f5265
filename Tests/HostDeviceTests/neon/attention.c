// The paged cache: storing, and attention of several tokens and heads over odd block and head sizes, and over several spans.

#include <string.h>

#include "results.h"

// A cache with its sizes, of elements of `bytes` bytes.
typedef struct {
    hk_cache view;
    size_t bytes, keys, values, scales;
} sized_cache;

static const char *const formats[] = {"f32", "f16", "int8"};
enum { HEADS = 2 };

static sized_cache make_cache(int32_t format, size_t head_size, size_t block_size, size_t blocks) {
    sized_cache c = {.bytes = (size_t[]){4, 2, 1}[format]};
    hk_cache *v = &c.view;
    *v = (hk_cache){.format = format, .heads = HEADS, .head_size = head_size, .block_size = block_size, .block_pages = HEADS};
    v->padded_head = (head_size + 15) / 16 * 16;
    v->padded_block = (block_size + 15) / 16 * 16;
    c.keys = blocks * HEADS * head_size * v->padded_block;
    c.values = blocks * HEADS * block_size * v->padded_head;
    c.scales = blocks * HEADS * v->padded_block;
    // A vector may begin at any slot, so that the last one reads beyond the keys.
    v->keys = allocate((c.keys + 16) * c.bytes);
    v->values = allocate(c.values * c.bytes);
    v->key_scales = allocate((c.scales + 16) * sizeof(float));
    v->value_scales = allocate((c.scales + 16) * sizeof(float));
    // What was there before must not matter, but it is finite as in a used cache.
    memset(v->keys, 0x3c, (c.keys + 16) * c.bytes);
    memset(v->values, 0x3c, c.values * c.bytes);
    memset(v->key_scales, 0x3c, (c.scales + 16) * sizeof(float));
    memset(v->value_scales, 0x3c, (c.scales + 16) * sizeof(float));
    return c;
}

// Conversion and places: odd numbers in every slot.
static void run_store(const hk_kernels *k, results *r, int32_t format) {
    enum { head_size = 40, block_size = 20, blocks = 30 };
    sized_cache c = make_cache(format, head_size, block_size, blocks);
    for (size_t position = 0; position < blocks * block_size; position++) {
        float keys[HEADS * head_size], values[HEADS * head_size];
        for (int i = 0; i < HEADS * head_size; i++) {
            keys[i] = odd_float();
            values[i] = odd_float();
        }
        // Most scales are finite.
        if (position % 8)
            for (int i = 0; i < HEADS * head_size; i++) {
                keys[i] = keys[i] * 0 == 0 ? keys[i] : 1;
                values[i] = values[i] * 0 == 0 ? values[i] : -1;
            }
        for (size_t head = 0; head < HEADS; head++)
            k->store(&c.view, head, position / block_size, position % block_size, keys + head * head_size,
                     values + head * head_size);
    }
    keep_bytes(r, formats[format], c.view.keys, c.keys * c.bytes);
    keep_bytes(r, formats[format], c.view.values, c.values * c.bytes);
    keep_floats(r, formats[format], c.view.key_scales, c.scales);
    keep_floats(r, formats[format], c.view.value_scales, c.scales);
}

static void run_shape(const hk_kernels *k, results *r, int32_t format, size_t head_size, size_t block_size, size_t tokens,
                      size_t group, size_t length, size_t window) {
    size_t blocks = (length + tokens) / block_size + 2;
    sized_cache c = make_cache(format, head_size, block_size, blocks);
    int32_t ids[blocks];
    for (size_t b = 0; b < blocks; b++) ids[b] = (int32_t)(blocks - 1 - b);
    for (size_t p = 0; p < length + tokens - 1; p++)
        for (size_t head = 0; head < HEADS; head++)
            k->store(&c.view, head, (size_t)ids[p / block_size], p % block_size, random_floats(head_size),
                     random_floats(head_size));
    size_t width = group * head_size + 7, spans = (length + HK_SPAN - 1) / HK_SPAN, rows = tokens * group;
    size_t origin = window < length ? (length - window) / HK_SPAN : 0;
    float *output = random_floats(tokens * width);
    hk_attention work = {
        .tokens = tokens, .group = group, .length = length, .window = window, .origin_span = origin,
        .first_span = origin, .end_span = spans, .blocks = ids,
        .queries = random_floats(tokens * width), .query_stride = width, .output = output, .output_stride = width,
        .scores = random_floats(rows * HK_SPAN_SCORES), .scale = 1.7f, .cap = window < length ? 2.5f : 0,
        .next_length = length, .next_blocks = ids,
    };
    k->attend(&c.view, 1, &work);
    keep_floats(r, formats[format], output, tokens * width);
    work.partials = random_floats(spans * rows * (c.view.padded_head + HK_PARTIAL_TOTALS));
    k->attend(&c.view, 1, &work);
    k->join(&c.view, &work);
    keep_floats(r, formats[format], output, tokens * width);
}

void run_attention(const hk_kernels *k, results *r) {
    static const size_t head_sizes[] = {4, 20, 48, 64, 80, 128}, block_sizes[] = {5, 16, 24};
    for (int32_t format = HK_CACHE_F32; format <= HK_CACHE_INT8; format++) {
        run_store(k, r, format);
        for (size_t h = 0; h < 6; h++)
            for (size_t b = 0; b < 3; b++)
                for (size_t tokens = 1; tokens <= 4; tokens++) {
                    size_t group = 1 + (h + b + tokens) % 5, length = 1 + next_random() % 70;
                    run_shape(k, r, format, head_sizes[h], block_sizes[b], tokens, group, length, SIZE_MAX);
                    run_shape(k, r, format, head_sizes[h], block_sizes[b], tokens, group, length, 1 + next_random() % 70);
                }
        run_shape(k, r, format, 20, 5, 3, 2, HK_SPAN + 1 + next_random() % 300, SIZE_MAX);
        run_shape(k, r, format, 64, 24, 1, 3, 3 * HK_SPAN, SIZE_MAX);
        run_shape(k, r, format, 64, 24, 1, 3, 3 * HK_SPAN, 700);
        run_shape(k, r, format, 48, 16, 1, 2, 2 * HK_SPAN + 9, 100);
    }
}
