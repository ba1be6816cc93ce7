/* SPDX-License-Identifier: Apache-2.0
 *
 * source.c: what lies at the path: a folder by the files in it, a file by its
 * beginning.
 */
#include "cli/calibrate/calibrate.h"
#include "sim/iterations.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *calibrate_source_name(enum calibrate_source source)
{
    static const char *const names[] = {
#define X(id, name, help) name,
        CALIBRATE_SOURCES(X)
#undef X
    };
    return names[source];
}

static bool source_named(const char *name, enum calibrate_source *source,
                         struct err *err)
{
    for (int i = 0; i < CALIBRATE_SOURCE_COUNT; i++) {
        if (strcmp(name, calibrate_source_name((enum calibrate_source)i)) == 0) {
            *source = (enum calibrate_source)i;
            return true;
        }
    }
    return err_set(err, ERR_USAGE,
                   "option --from: '%s'; use profile, iterations or run", name);
}

static bool unknown(const char *path, const char *what, struct err *err)
{
    return err_set(err, ERR_INPUT,
                   "%s: %s; a source is "
#define X(id, name, help) help "; "
                   CALIBRATE_SOURCES(X)
#undef X
                       "give one of these",
                   path, what);
}

static bool holds(const char *folder, const char *name)
{
    char path[PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length < PATH_MAX && access(path, F_OK) == 0;
}

static bool folder_look(const char *path, enum calibrate_source *source,
                        struct err *err)
{
    if (holds(path, "vllm_requests.jsonl") || holds(path, "vllm_requests.jsonl.gz")) {
        *source = CALIBRATE_RUN;
    } else if (holds(path, "attention.csv") || holds(path, "attention.csv.gz")) {
        *source = CALIBRATE_PROFILE;
    } else {
        return unknown(path, "holds no measurements that we know", err);
    }
    return true;
}

static bool file_look(const char *path, enum calibrate_source *source, struct err *err)
{
    *source = CALIBRATE_ITERATIONS;
    return iteration_table_fits(path) || unknown(path, "is nothing that we know", err);
}

bool calibrate_source_find(const struct calibrate_args *args, const char *path,
                           enum calibrate_source *source, struct err *err)
{
    struct stat about;
    if (args->from != NULL) {
        return source_named(args->from, source, err);
    }
    if (stat(path, &about) != 0) {
        return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    return S_ISDIR(about.st_mode) ? folder_look(path, source, err)
                                  : file_look(path, source, err);
}
