// Loads llguidance's file and looks up its functions.

#include "CLLGuidance.h"

#include <dlfcn.h>
#include <stdio.h>

bool llg_load(const char *path, llg_library *library, char *error, size_t error_length) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(error, error_length, "%s", dlerror());
        return false;
    }
    struct { const char *name; void **place; } functions[] = {
        {"llg_new_tokenizer_v2", (void **)&library->new_tokenizer},
        {"llg_free_tokenizer", (void **)&library->free_tokenizer},
        {"llg_new_matcher", (void **)&library->new_matcher},
        {"llg_clone_matcher", (void **)&library->clone_matcher},
        {"llg_free_matcher", (void **)&library->free_matcher},
        {"llg_matcher_get_error", (void **)&library->get_error},
        {"llg_matcher_compute_mask_into", (void **)&library->compute_mask_into},
        {"llg_matcher_consume_token", (void **)&library->consume_token},
        {"llg_matcher_get_mask_byte_size", (void **)&library->get_mask_byte_size},
        {"llg_matcher_is_accepting", (void **)&library->is_accepting},
        {"llg_matcher_is_stopped", (void **)&library->is_stopped},
        {"llg_constraint_init_set_defaults", (void **)&library->set_defaults},
        {"llg_get_version", (void **)&library->get_version},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        *functions[i].place = dlsym(handle, functions[i].name);
        if (!*functions[i].place) {
            snprintf(error, error_length, "it has no function %s", functions[i].name);
            return false;
        }
    }
    return true;
}

llg_matcher *llg_make_matcher(
    const llg_library *library, const llg_tokenizer *tokenizer, const char *kind, const char *grammar) {
    // `LlgConstraintInit` has no size field, so this is larger than that of any version.
    uint64_t init[512] = {0};
    library->set_defaults(init, tokenizer);
    // log_buffer_level and log_stderr_level, behind the tokenizer.
    ((uint32_t *)init)[2] = ((uint32_t *)init)[3] = 0;
    return library->new_matcher(init, kind, grammar);
}
