// The handler of SIGBUS and its list of mappings. The handler uses only async-signal-safe operations: atomics and
// system calls.
#define _GNU_SOURCE
#include "CMappedFile.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif

// Entries are never freed, so that the handler can go through them at any time; an entry without a start is reused.
struct mapped_file {
    _Atomic(uintptr_t) start;
    _Atomic(uintptr_t) end;
    _Atomic(char *) path;
    atomic_bool lost;
    struct mapped_file *next;
};

static _Atomic(struct mapped_file *) first;
static pthread_mutex_t changes = PTHREAD_MUTEX_INITIALIZER;
static bool is_installed;
static struct sigaction before;

static void say(const char *text) {
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

static struct mapped_file *file_at(uintptr_t address) {
    for (struct mapped_file *file = atomic_load(&first); file; file = file->next) {
        uintptr_t start = atomic_load(&file->start);
        if (start && address >= start && address < atomic_load(&file->end)) return file;
    }
    return NULL;
}

static void handle(int number, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    // Only signals from the kernel have an address; a code above 0 means an access by this thread.
    uintptr_t address = info->si_code > 0 ? (uintptr_t)info->si_addr : 0;
    struct mapped_file *file = address ? file_at(address) : NULL;
    if (file) {
        atomic_store(&file->lost, true);
        // All following pages too: they are missing from a truncated file, and the results are discarded anyway.
        uintptr_t page = address & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
        void *zeros = mmap((void *)page, atomic_load(&file->end) - page, PROT_READ,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        if (zeros != MAP_FAILED) {
            errno = saved;
            return;
        }
        say("ttbatch: ");
        say(atomic_load(&file->path));
        say(": can no longer be read: it was cut short while it was in use, or its disk fails\n");
    }
    // As without this handler: the access is repeated, or the signal is sent again.
    sigaction(number, &before, NULL);
    if (info->si_code <= 0) raise(number);
    errno = saved;
}

// Behind a file's end its last page reads as zeros, which nobody should: the address sanitizer is told.
static void guard_rest_of_page(uintptr_t end, bool is_guarded) {
#if __has_feature(address_sanitizer)
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t rest = (page - end % page) % page;
    if (is_guarded) __asan_poison_memory_region((void *)end, rest);
    else __asan_unpoison_memory_region((void *)end, rest);
#else
    (void)end, (void)is_guarded;
#endif
}

static bool install(void) {
    if (is_installed) return true;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&action.sa_mask);
    is_installed = sigaction(SIGBUS, &action, &before) == 0;
    return is_installed;
}

static struct mapped_file *unused_entry(void) {
    for (struct mapped_file *file = atomic_load(&first); file; file = file->next) {
        if (!atomic_load(&file->start)) return file;
    }
    struct mapped_file *file = calloc(1, sizeof *file);
    if (!file) return NULL;
    file->next = atomic_load(&first);
    atomic_store(&first, file);
    return file;
}

mapped_file *mapped_file_watch(const void *start, size_t length, const char *path) {
    char *copy = strdup(path);
    if (!copy) return NULL;
    pthread_mutex_lock(&changes);
    struct mapped_file *file = install() ? unused_entry() : NULL;
    if (file) {
        // The path of an ended watch is freed only now, because the handler may have been reading it.
        free(atomic_exchange(&file->path, copy));
        atomic_store(&file->lost, false);
        atomic_store(&file->end, (uintptr_t)start + length);
        atomic_store(&file->start, (uintptr_t)start);
        guard_rest_of_page((uintptr_t)start + length, true);
    } else {
        free(copy);
    }
    pthread_mutex_unlock(&changes);
    return file;
}

bool mapped_file_is_lost(const mapped_file *file) { return atomic_load(&((mapped_file *)file)->lost); }

void mapped_file_unwatch(mapped_file *file) {
    pthread_mutex_lock(&changes);
    atomic_store(&file->start, 0);
    guard_rest_of_page(atomic_load(&file->end), false);
    pthread_mutex_unlock(&changes);
}
