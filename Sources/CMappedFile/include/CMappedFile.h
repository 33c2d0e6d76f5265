// A mapped file may be cut short, or its disk may fail, while it is in use: the next look at a page that is gone then is a
// SIGBUS, which ends the process. Here such pages become zeros, and the mapping is marked as lost; who reads it asks
// afterwards, and throws away what was made of it.
#ifndef CMAPPEDFILE_H
#define CMAPPEDFILE_H

#include <stdbool.h>
#include <stddef.h>

/// A mapping that is watched.
typedef struct mapped_file mapped_file;

/// Watches `length` bytes mapped at `start`, and from the first call on handles SIGBUS; `path` is named where a page cannot
/// be replaced and the process dies of it. Returns NULL where there is no memory or no handler.
mapped_file *mapped_file_watch(const void *start, size_t length, const char *path);

/// Whether a page could not be read; from then on some of the mapping is zeros.
bool mapped_file_is_lost(const mapped_file *file);

/// Ends the watch; to be called before the mapping is taken away.
void mapped_file_unwatch(mapped_file *file);

#endif
