// A mapped file may be truncated, or its disk may fail, while it is in use: the next access to a missing page then
// raises SIGBUS, which ends the process. Here such pages become zeros, and the mapping is marked as lost. The reader
// must check that afterwards and discard its results.
#ifndef CMAPPEDFILE_H
#define CMAPPEDFILE_H

#include <stdbool.h>
#include <stddef.h>

/// A mapping that is watched.
typedef struct mapped_file mapped_file;

/// Watches `length` bytes mapped at `start`; the first call installs the handler of SIGBUS. `path` is printed if a page
/// cannot be replaced, so that the process dies. Returns NULL if there is no memory or no handler.
mapped_file *mapped_file_watch(const void *start, size_t length, const char *path);

/// Whether a page could not be read; parts of the mapping are zeros then.
bool mapped_file_is_lost(const mapped_file *file);

/// Ends the watch; must be called before the mapping is removed.
void mapped_file_unwatch(mapped_file *file);

#endif
