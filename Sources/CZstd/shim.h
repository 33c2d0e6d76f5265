// Zstandard, to unpack files.
#include <zstd.h>
#include <zstd_errors.h>
