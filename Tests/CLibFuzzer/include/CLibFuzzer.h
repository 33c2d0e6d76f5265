// libFuzzer's entry, for fuzzers that are ordinary programs: they run it where it is linked in.

#ifndef CLIBFUZZER_H
#define CLIBFUZZER_H

#include <stddef.h>
#include <stdint.h>

/// Tries one input; returns 0, or -1 if the input should not become part of the corpus.
typedef int (*libfuzzer_test)(const uint8_t *bytes, size_t count);

/// Fuzzes as a program of libFuzzer with these arguments does, and returns its exit code; -1 without libFuzzer.
int libfuzzer_run(int argc, char **argv, libfuzzer_test test);

#endif
