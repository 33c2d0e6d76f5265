#define _GNU_SOURCE

#include "CSQLiteShim.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/vfs.h>
#include <unistd.h>

int csqlite_forbid_checkpoint_on_close(sqlite3 *db) {
    return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}

int csqlite_is_checkpoint_on_close_forbidden(sqlite3 *db) {
    int is_forbidden = 0;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, -1, &is_forbidden);
    return is_forbidden;
}

int csqlite_system_errno(sqlite3 *db) {
    return sqlite3_system_errno(db);
}

static struct flock one_byte(short type, int64_t offset) {
    // l_pid must be zero for the F_OFD_ commands.
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1, .l_pid = 0};
}

static int set_lock(int fd, short type, int64_t offset) {
    struct flock lock = one_byte(type, offset);
    while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EINTR) {
            return errno == EACCES ? EAGAIN : errno;
        }
    }
    return 0;
}

int csqlite_try_lock_byte(int fd, int64_t offset) {
    return set_lock(fd, F_WRLCK, offset);
}

int csqlite_unlock_byte(int fd, int64_t offset) {
    return set_lock(fd, F_UNLCK, offset);
}

int csqlite_is_byte_locked(int fd, int64_t offset) {
    struct flock lock = one_byte(F_WRLCK, offset);
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) {
        return -1;
    }
    return lock.l_type != F_UNLCK;
}

int64_t csqlite_filesystem_type(const char *path) {
    struct statfs facts;
    if (statfs(path, &facts) != 0) {
        return -1;
    }
    return (int64_t)facts.f_type;
}
