/* SPDX-License-Identifier: Apache-2.0
 *
 * target.c: replace by renaming.
 *
 * reports/store.h builds a new store whole and extends an old one in one transaction.
 * Replacing is made of the first: the new store is committed beside the old one under a
 * name of its own and then renamed over it. Deleting the old one first was rejected: a
 * failed run would have cost its results.
 */
#include "cli/target.h"

#include "base/mem.h"
#include "reports/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct target {
    struct store_writer *store;
    char *path;
    char *new_path; /* NULL: the store writes to path itself */
};

static void target_delete(struct target *target)
{
    mem_free(target->path);
    mem_free(target->new_path);
    mem_free(target);
}

static bool may_replace(const char *path, struct err *err)
{
    struct store_reader *reader = NULL;
    struct err why = {0};
    if (!store_open(&reader, path, &why)) {
        return err_set(err, ERR_INPUT,
                       "%s: exists and is not a store of this program; choose another "
                       "name or delete it",
                       path);
    }
    store_close(reader);
    return true;
}

bool target_open(struct target **out, const char *path, bool append, struct err *err)
{
    struct target *target = mem_alloc(1, sizeof *target);
    /* A link stays one: the file it points to is replaced. */
    char *real = realpath(path, NULL);
    target->path = mem_strdup(real == NULL ? path : real);
    const bool exists = real != NULL;
    free(real);
    if (!append && exists) {
        if (!may_replace(path, err)) {
            goto fail;
        }
        const size_t bytes = strlen(path) + 32;
        target->new_path = mem_alloc(bytes, 1);
        snprintf(target->new_path, bytes, "%s.%ld.new", path, (long)getpid());
        unlink(target->new_path);
        path = target->new_path;
    }
    if (!store_create_or_extend(&target->store, path, err)) {
        goto fail;
    }
    *out = target;
    return true;
fail:
    target_delete(target);
    return false;
}

bool target_add(struct target *target, const struct run_record *run, bool requests,
                struct err *err)
{
    if (requests) {
        return store_add_run(target->store, run, err);
    }
    return store_begin_run(target->store, err) &&
           store_add_samples(target->store, run->samples, run->sample_count, err) &&
           store_end_run(target->store, run, err);
}

struct store_writer *target_store(struct target *target)
{
    return target->store;
}

bool target_commit(struct target *target, struct err *err)
{
    bool ok = store_commit(target->store, err);
    if (ok && target->new_path != NULL && rename(target->new_path, target->path) != 0) {
        ok = err_set(err, ERR_IO, "%s: %s; the new results were dropped", target->path,
                     strerror(errno));
        unlink(target->new_path);
    }
    target_delete(target);
    return ok;
}

void target_abort(struct target *target)
{
    if (target != NULL) {
        store_abort(target->store);
        target_delete(target);
    }
}

bool target_make_folder(const char *path, struct err *err)
{
    char *copy = mem_strdup(path);
    bool ok = true;
    for (char *at = copy + 1; ok; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        const char end = *at;
        *at = '\0';
        ok = mkdir(copy, 0777) == 0 || errno == EEXIST || errno == EISDIR;
        if (!ok) {
            err_set(err, ERR_IO, "%s: %s; choose another folder with --out", copy,
                    strerror(errno));
        }
        *at = end;
        if (end == '\0') {
            break;
        }
    }
    mem_free(copy);
    return ok;
}
