/* SPDX-License-Identifier: Apache-2.0
 *
 * outfile.c: a temporary file in the target's own folder, because rename works only
 * within one file system. A target that exists and is no regular file (/dev/null, a
 * pipe) is written in place: renaming onto it would replace the device. A symbolic link
 * stays one: the file it points to is replaced.
 */
#include "base/outfile.h"

#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS_MAX = 1000 };

struct outfile {
    FILE *stream;
    char *name;   /* as the caller wrote it, for messages */
    char *target; /* NULL: written in place */
    char *temp;   /* NULL for stdout and for files written in place */
};

static void outfile_delete(struct outfile *file)
{
    mem_free(file->name);
    mem_free(file->target);
    mem_free(file->temp);
    mem_free(file);
}

/* What the path finally names; a path that names nothing yet stays as it is. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    return real != NULL ? real : mem_strdup(path);
}

/* "folder/.name.PID-N.tmp" beside the target. */
static char *temp_name(const char *target, unsigned attempt)
{
    const char *slash = strrchr(target, '/');
    const int folder_length = slash != NULL ? (int)(slash + 1 - target) : 0;
    struct text name = {NULL, 0, 0};
    /* 200 bytes of the name leave room for the rest within NAME_MAX. */
    text_printf(&name, "%.*s.%.200s.%ld-%u.tmp", folder_length, target,
                target + folder_length, (long)getpid(), attempt);
    return name.bytes;
}

static bool open_temp(struct outfile *file, struct err *err)
{
    int handle = -1;
    for (unsigned attempt = 0; handle < 0 && attempt < ATTEMPTS_MAX; attempt++) {
        mem_free(file->temp);
        file->temp = temp_name(file->target, attempt);
        handle = open(file->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (handle < 0 && errno != EEXIST) {
            break;
        }
    }
    if (handle < 0) {
        return err_set(err, ERR_IO, "%s: cannot be written: %s", file->name,
                       strerror(errno));
    }
    file->stream = fdopen(handle, "w");
    if (file->stream == NULL) {
        (void)err_set(err, ERR_IO, "%s: %s", file->name, strerror(errno));
        (void)close(handle);
        (void)unlink(file->temp);
        return false;
    }
    return true;
}

static bool open_in_place(struct outfile *file, struct err *err)
{
    file->stream = fopen(file->name, "we");
    if (file->stream == NULL) {
        return err_set(err, ERR_IO, "%s: cannot be written: %s", file->name,
                       strerror(errno));
    }
    return true;
}

static bool open_target(struct outfile *file, struct err *err)
{
    struct stat status;
    if (stat(file->name, &status) != 0) {
        file->target = resolve(file->name);
        return open_temp(file, err);
    }
    if (S_ISDIR(status.st_mode)) {
        return err_set(err, ERR_IO, "%s: is a folder; name a file", file->name);
    }
    if (!S_ISREG(status.st_mode)) {
        return open_in_place(file, err);
    }
    /* rename needs the folder's permission only; a read-only file means what it says.
     */
    if (access(file->name, W_OK) != 0) {
        return err_set(err, ERR_IO, "%s: cannot be written: %s", file->name,
                       strerror(errno));
    }
    file->target = resolve(file->name);
    return open_temp(file, err);
}

bool outfile_open(struct outfile **out, const char *path, struct err *err)
{
    struct outfile *file = mem_alloc(1, sizeof *file);
    file->name = mem_strdup(path);
    if (strcmp(path, "-") == 0) {
        file->stream = stdout;
    } else if (path[0] == '\0') {
        outfile_delete(file);
        return err_set(err, ERR_IO, "an output file has an empty name");
    } else if (!open_target(file, err)) {
        outfile_delete(file);
        return false;
    }
    *out = file;
    return true;
}

FILE *outfile_stream(struct outfile *file)
{
    return file->stream;
}

const char *outfile_temp_path(const struct outfile *file)
{
    if (file->temp != NULL) {
        return file->temp;
    }
    return file->stream == stdout ? NULL : file->name;
}

static bool close_stream(struct outfile *file)
{
    FILE *stream = file->stream;
    file->stream = NULL;
    /* An earlier failed write may have left no trace but the flag. */
    const bool written = fflush(stream) == 0 && ferror(stream) == 0;
    if (stream == stdout) {
        return written;
    }
    const bool synced = file->temp == NULL || fsync(fileno(stream)) == 0;
    const int first_errno = errno;
    if (fclose(stream) != 0) {
        return false;
    }
    errno = first_errno;
    return written && synced;
}

bool outfile_commit(struct outfile *file, struct err *err)
{
    errno = 0;
    bool held = close_stream(file);
    if (held && file->temp != NULL) {
        held = rename(file->temp, file->target) == 0;
    }
    if (!held) {
        (void)err_set(err, ERR_IO, "%s: not written: %s", file->name,
                      errno != 0 ? strerror(errno) : "an earlier write failed");
        if (file->temp != NULL) {
            (void)unlink(file->temp);
        }
    }
    outfile_delete(file);
    return held;
}

void outfile_abort(struct outfile *file)
{
    if (file == NULL) {
        return;
    }
    if (file->stream != stdout) {
        (void)fclose(file->stream);
    }
    if (file->temp != NULL) {
        (void)unlink(file->temp);
    }
    outfile_delete(file);
}
