// Of memory that does not come from malloc the address sanitizer knows no ends, unless it is told. Without it nothing is done.
#include "CHostKernels.h"

#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>

size_t hk_guard_bytes(void) { return 64; }
void hk_guard(void *start, size_t count) { __asan_poison_memory_region(start, count); }
void hk_unguard(void *start, size_t count) { __asan_unpoison_memory_region(start, count); }
#else
size_t hk_guard_bytes(void) { return 0; }
void hk_guard(void *start, size_t count) { (void)start, (void)count; }
void hk_unguard(void *start, size_t count) { (void)start, (void)count; }
#endif
