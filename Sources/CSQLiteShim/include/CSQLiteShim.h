// C functions that Swift cannot call directly: SQLite's variadic sqlite3_db_config, Linux's open-file-description locks
// (_GNU_SOURCE) and the magic number of a filesystem. There is no state.
#ifndef CSQLITESHIM_H
#define CSQLITESHIM_H

#include <stdint.h>

struct sqlite3;

/// Forbids the checkpoint that SQLite runs when the last connection closes. Returns an SQLite result code.
int csqlite_forbid_checkpoint_on_close(struct sqlite3 *db);

/// 1 if the checkpoint on close is forbidden on this connection, 0 if it is not.
int csqlite_is_checkpoint_on_close_forbidden(struct sqlite3 *db);

/// The errno behind the latest I/O error of this connection, 0 if there is none.
int csqlite_system_errno(struct sqlite3 *db);

/// Takes an exclusive open-file-description lock on one byte, without waiting. Returns 0, or an errno
/// (EAGAIN: another open file description holds it). The byte need not exist. The kernel frees the lock with the last
/// descriptor of this open file description, also when the process is killed.
int csqlite_try_lock_byte(int fd, int64_t offset);

/// Frees the lock taken by csqlite_try_lock_byte. Returns 0, or an errno.
int csqlite_unlock_byte(int fd, int64_t offset);

/// 1 if another open file description holds a lock on the byte, 0 if none does, -1 with errno set. Takes no lock.
int csqlite_is_byte_locked(int fd, int64_t offset);

/// f_type of statfs(2) for the filesystem that holds `path`, or -1 with errno set.
int64_t csqlite_filesystem_type(const char *path);

#endif
