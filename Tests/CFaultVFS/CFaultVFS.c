#define _GNU_SOURCE

#include "CFaultVFS.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512 };

/// A write or truncation that has not been synced: what was there before.
typedef struct unsynced {
    struct unsynced *earlier;
    char *path;
    int64_t offset;
    int64_t length;      // bytes that were written, or cut off
    int64_t old_size;    // of the file
    int64_t old_length;  // of `old_bytes`: shorter than `length` where the file was
    char *old_bytes;
} unsynced;

/// A file that is new and whose name was not synced.
typedef struct created {
    struct created *next;
    char *path;
} created;

struct faultvfs_disk {
    faultvfs_disk *next;
    char *folder;
    unsigned kinds;
    int64_t nth, count;
    int code, is_persistent;
    int records, is_off;
    int64_t cut_after;  // operations until the power fails
    unsynced *latest;
    created *new_files;
    void (*hook)(void *);
    void *context;
};

typedef struct {
    sqlite3_file base;
    faultvfs_disk *disk;
    char *path;
    sqlite3_file *real;  // behind this struct, in the same allocation
} fault_file;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static faultvfs_disk *disks;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;

static faultvfs_disk *disk_of(const char *path) {
    if (path == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&mutex);
    faultvfs_disk *disk = disks;
    while (disk != NULL && strncmp(path, disk->folder, strlen(disk->folder)) != 0) {
        disk = disk->next;
    }
    pthread_mutex_unlock(&mutex);
    return disk;
}

/// What an operation of `kind` comes to: SQLITE_OK if it may happen.
static int verdict(faultvfs_disk *disk, unsigned kind) {
    if (disk == NULL) {
        return SQLITE_OK;
    }
    int code = SQLITE_OK;
    pthread_mutex_lock(&mutex);
    if (disk->is_off) {
        code = SQLITE_IOERR;
    } else if (disk->kinds & kind) {
        disk->count++;
        if (disk->nth > 0 && (disk->count == disk->nth || (disk->is_persistent && disk->count > disk->nth))) {
            code = disk->code;
        }
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

/// Counts an operation that has happened towards the power cut.
static void happened(faultvfs_disk *disk) {
    if (disk == NULL) {
        return;
    }
    pthread_mutex_lock(&mutex);
    if (disk->cut_after > 0 && --disk->cut_after == 0) {
        disk->is_off = 1;
    }
    pthread_mutex_unlock(&mutex);
}

// MARK: - What was not synced

/// Before `length` bytes at `offset` change: keeps what is there.
static void remember(fault_file *file, int64_t offset, int64_t length) {
    if (file->disk == NULL || !file->disk->records || length <= 0) {
        return;
    }
    unsynced *change = calloc(1, sizeof *change);
    change->path = strdup(file->path);
    change->offset = offset;
    change->length = length;
    sqlite3_int64 size = 0;
    file->real->pMethods->xFileSize(file->real, &size);
    change->old_size = size;
    change->old_length = size <= offset ? 0 : (size - offset < length ? size - offset : length);
    change->old_bytes = calloc(1, (size_t)length);
    if (change->old_length > 0) {
        file->real->pMethods->xRead(file->real, change->old_bytes, (int)change->old_length, offset);
    }
    pthread_mutex_lock(&mutex);
    change->earlier = file->disk->latest;
    file->disk->latest = change;
    pthread_mutex_unlock(&mutex);
}

static void free_change(unsynced *change) {
    free(change->path);
    free(change->old_bytes);
    free(change);
}

/// What was done to the file is durable now, and so is its name.
static void forget(faultvfs_disk *disk, const char *path) {
    if (disk == NULL) {
        return;
    }
    pthread_mutex_lock(&mutex);
    for (unsynced **link = &disk->latest; *link != NULL;) {
        unsynced *change = *link;
        if (strcmp(change->path, path) == 0) {
            *link = change->earlier;
            free_change(change);
        } else {
            link = &change->earlier;
        }
    }
    for (created **link = &disk->new_files; *link != NULL;) {
        created *file = *link;
        if (strcmp(file->path, path) == 0) {
            *link = file->next;
            free(file->path);
            free(file);
        } else {
            link = &file->next;
        }
    }
    pthread_mutex_unlock(&mutex);
}

static void note_created(faultvfs_disk *disk, const char *path) {
    created *file = calloc(1, sizeof *file);
    file->path = strdup(path);
    pthread_mutex_lock(&mutex);
    file->next = disk->new_files;
    disk->new_files = file;
    pthread_mutex_unlock(&mutex);
}

static uint64_t next_random(uint64_t *state) {
    // SplitMix64.
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/// Brings back what was in each lost sector. Changes are undone from the latest: a sector whose earlier change is lost
/// loses the later ones with it, as on a disk that wrote neither.
static int64_t undo(const unsynced *change, uint64_t *random, unsigned loss) {
    int fd = open(change->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    int64_t lost = 0;
    int64_t end = change->offset + change->length;
    int64_t kept_end = change->old_size;
    for (int64_t start = change->offset; start < end;) {
        int64_t stop = (start / SECTOR + 1) * SECTOR;
        stop = stop < end ? stop : end;
        if (next_random(random) % 100 < loss) {
            lost++;
            ssize_t written = pwrite(fd, change->old_bytes + (start - change->offset), (size_t)(stop - start), start);
            (void)written;
        } else if (stop > kept_end) {
            kept_end = stop;
        }
        start = stop;
    }
    // The file is as long as its last sector that was kept.
    struct stat facts;
    if (lost > 0 && fstat(fd, &facts) == 0 && facts.st_size == end && kept_end < end) {
        int code = ftruncate(fd, kept_end);
        (void)code;
    }
    close(fd);
    return lost;
}

int64_t faultvfs_lose_unsynced(faultvfs_disk *disk, uint64_t seed) {
    uint64_t random = seed;
    // Sometimes everything is lost, sometimes little.
    unsigned loss = next_random(&random) % 4 == 0 ? 100 : (unsigned)(next_random(&random) % 100);
    pthread_mutex_lock(&mutex);
    int64_t lost = 0;
    while (disk->latest != NULL) {
        unsynced *change = disk->latest;
        disk->latest = change->earlier;
        lost += undo(change, &random, loss);
        free_change(change);
    }
    while (disk->new_files != NULL) {
        created *file = disk->new_files;
        disk->new_files = file->next;
        if (next_random(&random) % 100 < loss) {
            unlink(file->path);
        }
        free(file->path);
        free(file);
    }
    disk->records = 0;
    disk->is_off = 0;
    disk->cut_after = 0;
    pthread_mutex_unlock(&mutex);
    return lost;
}

// MARK: - Files

#define REAL(file) (((fault_file *)(file))->real)
#define DISK(file) (((fault_file *)(file))->disk)

static int file_close(sqlite3_file *file) {
    int code = REAL(file)->pMethods->xClose(REAL(file));
    free(((fault_file *)file)->path);
    return code;
}

static int file_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    int code = verdict(DISK(file), FAULTVFS_READ);
    return code != SQLITE_OK ? code : REAL(file)->pMethods->xRead(REAL(file), bytes, count, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    int code = verdict(DISK(file), FAULTVFS_WRITE);
    if (code != SQLITE_OK) {
        return code;
    }
    remember((fault_file *)file, offset, count);
    code = REAL(file)->pMethods->xWrite(REAL(file), bytes, count, offset);
    happened(DISK(file));
    return code;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = verdict(DISK(file), FAULTVFS_TRUNCATE);
    if (code != SQLITE_OK) {
        return code;
    }
    sqlite3_int64 old = 0;
    REAL(file)->pMethods->xFileSize(REAL(file), &old);
    remember((fault_file *)file, size, old - size);
    code = REAL(file)->pMethods->xTruncate(REAL(file), size);
    happened(DISK(file));
    return code;
}

static int file_sync(sqlite3_file *file, int flags) {
    int code = verdict(DISK(file), FAULTVFS_SYNC);
    if (code != SQLITE_OK) {
        return code;
    }
    code = REAL(file)->pMethods->xSync(REAL(file), flags);
    if (code == SQLITE_OK) {
        forget(DISK(file), ((fault_file *)file)->path);
    }
    happened(DISK(file));
    return code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    return REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int file_lock(sqlite3_file *file, int lock) {
    return REAL(file)->pMethods->xLock(REAL(file), lock);
}

static int file_unlock(sqlite3_file *file, int lock) {
    return REAL(file)->pMethods->xUnlock(REAL(file), lock);
}

static int file_check_reserved_lock(sqlite3_file *file, int *result) {
    return REAL(file)->pMethods->xCheckReservedLock(REAL(file), result);
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
    return REAL(file)->pMethods->xFileControl(REAL(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file) {
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int file_device_characteristics(sqlite3_file *file) {
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory) {
    int code = verdict(DISK(file), FAULTVFS_SHARED_MEMORY);
    return code != SQLITE_OK ? code : REAL(file)->pMethods->xShmMap(REAL(file), page, size, extend, memory);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return REAL(file)->pMethods->xShmLock(REAL(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file) {
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int file_shm_unmap(sqlite3_file *file, int deletes) {
    return REAL(file)->pMethods->xShmUnmap(REAL(file), deletes);
}

static int file_fetch(sqlite3_file *file, sqlite3_int64 offset, int count, void **memory) {
    return REAL(file)->pMethods->xFetch(REAL(file), offset, count, memory);
}

static int file_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *memory) {
    faultvfs_disk *disk = DISK(file);
    if (disk != NULL && memory == NULL) {
        pthread_mutex_lock(&mutex);
        void (*hook)(void *) = disk->hook;
        disk->hook = NULL;
        pthread_mutex_unlock(&mutex);
        if (hook != NULL) {
            hook(disk->context);
        }
    }
    return REAL(file)->pMethods->xUnfetch(REAL(file), offset, memory);
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
    .xFetch = file_fetch,
    .xUnfetch = file_unfetch,
};

// MARK: - The VFS

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs;
    fault_file *wrapped = (fault_file *)file;
    memset(wrapped, 0, sizeof *wrapped);
    wrapped->real = (sqlite3_file *)(wrapped + 1);
    wrapped->real->pMethods = NULL;
    wrapped->disk = disk_of(path);
    int code = verdict(wrapped->disk, FAULTVFS_OPEN);
    if (code != SQLITE_OK) {
        return code;
    }
    int is_new = wrapped->disk != NULL && wrapped->disk->records && access(path, F_OK) != 0;
    code = real_vfs->xOpen(real_vfs, path, wrapped->real, flags, out_flags);
    if (wrapped->real->pMethods == NULL) {
        return code;
    }
    if (code == SQLITE_OK && is_new) {
        note_created(wrapped->disk, path);
    }
    wrapped->path = strdup(path == NULL ? "" : path);
    wrapped->base.pMethods = &methods;
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int syncs_folder) {
    (void)vfs;
    int code = verdict(disk_of(path), FAULTVFS_DELETE);
    return code != SQLITE_OK ? code : real_vfs->xDelete(real_vfs, path, syncs_folder);
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result) {
    (void)vfs;
    return real_vfs->xAccess(real_vfs, path, flags, result);
}

static int vfs_last_error(sqlite3_vfs *vfs, int count, char *text) {
    (void)vfs;
    return real_vfs->xGetLastError(real_vfs, count, text);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int count, char *out) {
    (void)vfs;
    return real_vfs->xFullPathname(real_vfs, path, count, out);
}

int faultvfs_install(void) {
    pthread_mutex_lock(&mutex);
    int code = SQLITE_OK;
    if (real_vfs == NULL) {
        real_vfs = sqlite3_vfs_find(NULL);
        fault_vfs = *real_vfs;
        fault_vfs.pNext = NULL;
        fault_vfs.zName = "fault";
        fault_vfs.szOsFile = (int)sizeof(fault_file) + real_vfs->szOsFile;
        fault_vfs.xOpen = vfs_open;
        fault_vfs.xDelete = vfs_delete;
        fault_vfs.xAccess = vfs_access;
        fault_vfs.xGetLastError = vfs_last_error;
        fault_vfs.xFullPathname = vfs_full_pathname;
        code = sqlite3_vfs_register(&fault_vfs, 1);
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

faultvfs_disk *faultvfs_disk_create(const char *folder) {
    faultvfs_disk *disk = calloc(1, sizeof *disk);
    disk->folder = strdup(folder);
    pthread_mutex_lock(&mutex);
    disk->next = disks;
    disks = disk;
    pthread_mutex_unlock(&mutex);
    return disk;
}

void faultvfs_fail(faultvfs_disk *disk, unsigned kinds, int64_t nth, int code, int is_persistent) {
    pthread_mutex_lock(&mutex);
    disk->kinds = kinds;
    disk->nth = nth;
    disk->code = code;
    disk->is_persistent = is_persistent;
    disk->count = 0;
    pthread_mutex_unlock(&mutex);
}

int64_t faultvfs_count(faultvfs_disk *disk) {
    pthread_mutex_lock(&mutex);
    int64_t count = disk->count;
    pthread_mutex_unlock(&mutex);
    return count;
}

void faultvfs_cut_power(faultvfs_disk *disk, int64_t nth) {
    pthread_mutex_lock(&mutex);
    disk->records = 1;
    disk->cut_after = nth;
    pthread_mutex_unlock(&mutex);
}

int faultvfs_is_off(faultvfs_disk *disk) {
    pthread_mutex_lock(&mutex);
    int is_off = disk->is_off;
    pthread_mutex_unlock(&mutex);
    return is_off;
}

void faultvfs_on_stale_checkpoint(faultvfs_disk *disk, void (*hook)(void *), void *context) {
    pthread_mutex_lock(&mutex);
    disk->context = context;
    disk->hook = hook;
    pthread_mutex_unlock(&mutex);
}
