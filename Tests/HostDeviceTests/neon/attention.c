// The paged cache: storing, and attention of several tokens and heads over odd block and head sizes.

#include <string.h>

#include "results.h"

static hk_cache make_cache(int half, size_t heads, size_t head_size, size_t block_size, size_t blocks) {
    hk_cache c = {.half = half, .heads = heads, .head_size = head_size, .block_size = block_size};
    c.padded_head = (head_size + 15) / 16 * 16;
    c.padded_block = (block_size + 15) / 16 * 16;
    // A vector may begin at any slot, so that the last one reads beyond the keys.
    size_t size = half ? 2 : 4, keys = blocks * heads * head_size * c.padded_block + 16;
    size_t values = blocks * heads * block_size * c.padded_head;
    c.keys = allocate(keys * size);
    c.values = allocate(values * size);
    // What was there before must not matter, but it is finite as in a used cache.
    memset(c.keys, 0x3c, keys * size);
    memset(c.values, 0x3c, values * size);
    return c;
}

// f16 conversion and places: odd numbers in every slot.
static void run_store(const hk_kernels *k, results *r, int half) {
    enum { heads = 2, head_size = 40, block_size = 20, blocks = 30 };
    hk_cache c = make_cache(half, heads, head_size, block_size, blocks);
    for (size_t position = 0; position < blocks * block_size; position++) {
        float keys[heads * head_size], values[heads * head_size];
        for (int i = 0; i < heads * head_size; i++) {
            keys[i] = odd_float();
            values[i] = odd_float();
        }
        k->store(&c, position / block_size, position % block_size, keys, values);
    }
    size_t size = half ? 2 : 4, keys = blocks * heads * head_size * c.padded_block;
    size_t values = blocks * heads * block_size * c.padded_head;
    keep_bytes(r, half ? "stored f16 keys" : "stored f32 keys", c.keys, keys * size);
    keep_bytes(r, half ? "stored f16 values" : "stored f32 values", c.values, values * size);
}

static void run_shape(const hk_kernels *k, results *r, int half, size_t head_size, size_t block_size, size_t tokens,
                      size_t group, size_t length) {
    enum { heads = 2, blocks = 32 };
    hk_cache c = make_cache(half, heads, head_size, block_size, blocks);
    int32_t ids[blocks];
    for (int b = 0; b < blocks; b++) ids[b] = (b * 11 + 5) % blocks;
    for (size_t p = 0; p < length + tokens - 1; p++)
        k->store(&c, (size_t)ids[p / block_size], p % block_size, random_floats(heads * head_size),
                 random_floats(heads * head_size));
    size_t width = group * head_size + 7, stride = (length + tokens + c.padded_block + 31) / 16 * 16;
    float *output = random_floats(tokens * width);
    hk_attention work = {
        .tokens = tokens, .group = group, .length = length, .blocks = ids,
        .queries = random_floats(tokens * width), .query_stride = width, .output = output, .output_stride = width,
        .scores = random_floats(tokens * group * stride), .score_stride = stride, .scale = 1.7f,
        .next_length = length, .next_blocks = ids,
    };
    k->attend(&c, 1, &work);
    keep_floats(r, half ? "attend f16" : "attend f32", output, tokens * width);
}

void run_attention(const hk_kernels *k, results *r) {
    static const size_t head_sizes[] = {4, 20, 48, 64, 80, 128}, block_sizes[] = {5, 16, 24};
    for (int half = 0; half < 2; half++) {
        run_store(k, r, half);
        for (size_t h = 0; h < 6; h++)
            for (size_t b = 0; b < 3; b++)
                for (size_t tokens = 1; tokens <= 4; tokens++) {
                    size_t group = 1 + (h + b + tokens) % 5, length = 1 + next_random() % 70;
                    run_shape(k, r, half, head_sizes[h], block_sizes[b], tokens, group, length);
                }
    }
}
