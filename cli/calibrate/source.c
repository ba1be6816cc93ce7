/* SPDX-License-Identifier: Apache-2.0
 *
 * source.c: what lies at the path: a folder by the files in it, a file by its
 * beginning.
 */
#include "base/lines.h"
#include "cli/calibrate/calibrate.h"
#include "sim/times/iterations.h"
#include "sim/times/op_table.h"

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
    return err_set(
        err, ERR_USAGE,
        "option --from: '%s'; use profile, ops, iterations, run, bench or closed-loop",
        name);
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
    } else if (op_table_fits(path)) {
        *source = CALIBRATE_OPS;
    } else {
        return unknown(path, "holds no measurements that we know", err);
    }
    return true;
}

/* The first line of a JSON result may be all of it, and longer than any header. */
static bool begins_with_brace(struct lines *lines)
{
    const char *bytes = NULL;
    size_t length = 0;
    if (!lines_peek(lines, &bytes, &length, NULL)) {
        return false;
    }
    size_t at = 0;
    while (at < length && (bytes[at] == ' ' || bytes[at] == '\n')) {
        at++;
    }
    return at < length && bytes[at] == '{';
}

static bool file_look(const char *path, enum calibrate_source *source, struct err *err)
{
    struct lines *lines = NULL;
    char *line = NULL;
    size_t length = 0;
    bool found = true;
    if (!lines_open(&lines, path, LINE_BYTES_MAX, err)) {
        return false;
    }
    if (begins_with_brace(lines)) {
        *source = CALIBRATE_BENCH;
    } else if (lines_next(lines, &line, &length, NULL) == LINES_LINE &&
               strstr(line, "silicon_tpot_ms") != NULL) {
        *source = CALIBRATE_CLOSED_LOOP;
    } else {
        *source = CALIBRATE_ITERATIONS;
        found = iteration_table_fits(path);
    }
    lines_close(lines);
    return found || unknown(path, "is nothing that we know", err);
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
