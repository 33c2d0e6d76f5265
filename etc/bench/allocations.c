// Counts the heap allocations of a whole process: `ttbatch bench` reports them for each step where this is preloaded.
//
//     clang -shared -fPIC -O2 etc/bench/allocations.c -o allocations.so
//     LD_PRELOAD=./allocations.so ttbatch bench ...

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static atomic_long allocations;

// What ttbatch looks for.
long ttbatch_allocation_count(void) { return atomic_load(&allocations); }

void *malloc(size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t items, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(items, size);
}

void *realloc(void *old, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **place, size_t alignment, size_t size) {
    atomic_fetch_add(&allocations, 1);
    *place = __libc_memalign(alignment, size);
    return *place ? 0 : ENOMEM;
}
