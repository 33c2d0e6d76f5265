// The part of llguidance 1.9.1's C interface that is used, loaded from its file when first needed. `etc/fetch-llguidance`
// prepares the file.
//
// Source: parser/llguidance.h of guidance-ai/llguidance.

#ifndef CLLGUIDANCE_H
#define CLLGUIDANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct llg_tokenizer llg_tokenizer;
typedef struct llg_matcher llg_matcher;

/// `LlgTokenizerInitV2`.
typedef struct {
    size_t struct_size;
    uint32_t vocab_size;
    uint32_t tok_eos;
    const uint32_t *token_lens;
    const uint8_t *token_bytes;
    const char *tokenizer_json;
    bool tokenize_assumes_string;
    void *tokenize_fn;
    bool use_approximate_greedy_tokenize_fn;
    const void *tokenize_user_data;
    const char *const *slices;
    const uint32_t *tok_eos_extra;
    uint32_t tok_eos_extra_count;
} llg_tokenizer_init;

/// The functions of the library.
typedef struct {
    llg_tokenizer *(*new_tokenizer)(const llg_tokenizer_init *init, char *error, size_t error_length);
    void (*free_tokenizer)(llg_tokenizer *tokenizer);
    /// A matcher for a grammar of `kind` (`json`, `regex`, `lark`); never null. Its error says why it cannot be used.
    llg_matcher *(*new_matcher)(const void *init, const char *kind, const char *grammar);
    llg_matcher *(*clone_matcher)(const llg_matcher *matcher);
    void (*free_matcher)(llg_matcher *matcher);
    const char *(*get_error)(llg_matcher *matcher);
    /// 0, or −1 if there is an error.
    int32_t (*compute_mask_into)(llg_matcher *matcher, uint32_t *mask, size_t mask_bytes);
    int32_t (*consume_token)(llg_matcher *matcher, uint32_t token);
    size_t (*get_mask_byte_size)(const llg_matcher *matcher);
    bool (*is_accepting)(llg_matcher *matcher);
    bool (*is_stopped)(const llg_matcher *matcher);
    void (*set_defaults)(void *init, const llg_tokenizer *tokenizer);
    const char *(*get_version)(void);
} llg_library;

/// Loads the library at `path` and looks up its functions. It stays loaded as long as the process.
///
/// Returns whether it succeeded; otherwise writes why to `error`.
bool llg_load(const char *path, llg_library *library, char *error, size_t error_length);

/// A matcher for a grammar, without any log; see `new_matcher`.
llg_matcher *llg_make_matcher(
    const llg_library *library, const llg_tokenizer *tokenizer, const char *kind, const char *grammar);

#ifdef __cplusplus
}
#endif

#endif
