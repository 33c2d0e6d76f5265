// An SQLite VFS that fails when a test wants it to, and that can lose what was not synced. Test only.
//
// It lies in front of SQLite's own VFS as the default one. A *disk* is a folder; files elsewhere are passed through.
#ifndef CFAULTVFS_H
#define CFAULTVFS_H

#include <stdint.h>

/// Kinds of operations, to be or-ed.
enum {
    FAULTVFS_OPEN = 1,
    FAULTVFS_WRITE = 2,
    FAULTVFS_SYNC = 4,
    FAULTVFS_TRUNCATE = 8,
    FAULTVFS_SHARED_MEMORY = 16,
    FAULTVFS_READ = 32,
    FAULTVFS_DELETE = 64,
};

/// Registers the VFS as the default one; further calls do nothing. Returns an SQLite result code.
int faultvfs_install(void);

/// Makes a disk of a folder (with its trailing slash). Disks are few and never freed: only used in tests.
typedef struct faultvfs_disk faultvfs_disk;
faultvfs_disk *faultvfs_disk_create(const char *folder);

/// From now on the `nth` operation (from 1) of one of `kinds` fails with the SQLite result code `code`; with
/// `is_persistent` all such operations after it do so, too. `nth` 0 never fails, and counts.
void faultvfs_fail(faultvfs_disk *disk, unsigned kinds, int64_t nth, int code, int is_persistent);

/// Operations of the given kinds since the last `faultvfs_fail`.
int64_t faultvfs_count(faultvfs_disk *disk);

/// The power fails with the `nth` write, sync or truncation: that one still happens, and nothing after it. What was not
/// synced by then is remembered.
void faultvfs_cut_power(faultvfs_disk *disk, int64_t nth);

/// Whether the power has failed.
int faultvfs_is_off(faultvfs_disk *disk);

/// After all connections are closed: loses what was not synced, sector by sector at random after `seed`, and switches the
/// disk on again. Returns how many sectors were lost.
int64_t faultvfs_lose_unsynced(faultvfs_disk *disk, uint64_t seed);

/// `hook` is called, once, when a connection has read the header of the log in order to checkpoint and found it changed,
/// before it looks how far the log was checkpointed already: the window of the WAL-reset bug.
void faultvfs_on_stale_checkpoint(faultvfs_disk *disk, void (*hook)(void *), void *context);

#endif
