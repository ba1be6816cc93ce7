/* SPDX-License-Identifier: Apache-2.0
 *
 * lock_file.c: flock, and the file goes away with the lock.
 */
#include "cli/lock_file.h"

#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct lock_file {
    char *path;
    int fd;
};

/* Its holder removes the file before letting go: what we got may have no name left. */
static bool has_its_name(const struct lock_file *lock)
{
    struct stat held;
    struct stat named;
    return fstat(lock->fd, &held) == 0 && stat(lock->path, &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static bool lock_it(struct lock_file *lock, const char *path, struct err *err)
{
    for (;;) {
        lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (lock->fd < 0) {
            return err_set(err, ERR_IO,
                           "%s: %s; check that its folder is there and writable",
                           lock->path, strerror(errno));
        }
        if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
            return errno == EWOULDBLOCK
                       ? err_set(err, ERR_IO,
                                 "%s: another sweep is writing to it; wait for it or "
                                 "name another file",
                                 path)
                       : err_set(err, ERR_IO, "%s: %s; name a file on another disk",
                                 lock->path, strerror(errno));
        }
        if (has_its_name(lock)) {
            return true;
        }
        close(lock->fd);
    }
}

static void lock_delete(struct lock_file *lock)
{
    if (lock->fd >= 0) {
        close(lock->fd);
    }
    mem_free(lock->path);
    mem_free(lock);
}

bool lock_file_take(struct lock_file **out, const char *path, struct err *err)
{
    struct lock_file *lock = mem_alloc(1, sizeof *lock);
    struct text name = {0};
    text_printf(&name, "%s.lock", path);
    lock->path = mem_strdup(text_str(&name));
    lock->fd = -1;
    text_fini(&name);
    if (!lock_it(lock, path, err)) {
        lock_delete(lock);
        return false;
    }
    *out = lock;
    return true;
}

void lock_file_release(struct lock_file *lock)
{
    if (lock != NULL) {
        unlink(lock->path);
        lock_delete(lock);
    }
}
