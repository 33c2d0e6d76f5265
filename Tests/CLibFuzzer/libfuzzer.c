#include "CLibFuzzer.h"

// Of libFuzzer, if the program is linked with -sanitize=fuzzer.
__attribute__((weak)) int LLVMFuzzerRunDriver(int *argc, char ***argv, libfuzzer_test test);

static libfuzzer_test chosen;

// libFuzzer's own `main` refers to this symbol, though the program has another `main`.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) { return chosen(bytes, count); }

int libfuzzer_run(int argc, char **argv, libfuzzer_test test) {
    chosen = test;
    if (!LLVMFuzzerRunDriver) return -1;
    return LLVMFuzzerRunDriver(&argc, &argv, LLVMFuzzerTestOneInput);
}
