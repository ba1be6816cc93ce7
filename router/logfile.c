/* SPDX-License-Identifier: Apache-2.0
 *
 * logfile.c: stdio with a large buffer, flushed by the owner's clock.
 */
#include "router/logfile.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BUFFER_BYTES = 256 * 1024 };

struct logfile {
    FILE *stream;
    char *path;
    bool dirty;
    bool broken;
};

bool logfile_open(struct logfile **out, const char *path, struct err *err)
{
    *out = NULL;
    if (path == NULL) {
        return true;
    }
    FILE *stream = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (stream == NULL) {
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    (void)setvbuf(stream, NULL, _IOFBF, BUFFER_BYTES);
    struct logfile *file = mem_alloc(1, sizeof *file);
    file->stream = stream;
    file->path = mem_strdup(path);
    *out = file;
    return true;
}

static void check(struct logfile *file, bool good)
{
    if (!good && !file->broken) {
        file->broken = true;
        (void)fprintf(stderr, "stackrouter: %s: %s; lines are being lost\n", file->path,
                      strerror(errno));
    }
}

void logfile_write(struct logfile *file, const char *bytes, size_t byte_count)
{
    if (file != NULL) {
        file->dirty = true;
        check(file, fwrite(bytes, 1, byte_count, file->stream) == byte_count);
    }
}

void logfile_flush(struct logfile *file)
{
    if (file != NULL && file->dirty) {
        file->dirty = false;
        check(file, fflush(file->stream) == 0);
    }
}

void logfile_close(struct logfile *file)
{
    if (file != NULL) {
        logfile_flush(file);
        if (file->stream != stdout) {
            (void)fclose(file->stream);
        }
        mem_free(file->path);
        mem_free(file);
    }
}
