/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_merge.c: `stacksim merge`: several stores as one.
 *
 * Runs of shards keep the ids of their plan, so the merged store has the rows of a
 * sweep that was never cut up. Runs of other stores are numbered anew in the order
 * given. One run at a time is in memory.
 */
#include "base/mem.h"
#include "cli/command.h"
#include "cli/lock_file.h"
#include "cli/pages.h"
#include "cli/paths.h"
#include "cli/say.h"
#include "cli/target.h"
#include "reports/run.h"
#include "reports/store.h"
#include "reports/stored_sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct merge_args {
    bool no_requests;
    bool quiet;
};

static const struct opt MERGE_OPTIONS[] = {
    {"--no-requests", NULL, OPT_FLAG, offsetof(struct merge_args, no_requests), "off",
     "Leave the rows of single requests behind. Example: --no-requests"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct merge_args, quiet), "off",
     "Do not say what was merged. Example: --quiet"},
    {0},
};

struct part {
    const char *path;
    struct store_reader *reader;
    struct stored_sweep *sweep; /* NULL = none */
};

/* A run of a part, and where it belongs. */
struct piece {
    size_t part;
    size_t index;
    int64_t run_id; /* of the plan; 0 = the next free one */
};

struct merge {
    const struct merge_args *args;
    struct part parts[OPT_POSITIONAL_MAX];
    size_t part_count;
    struct piece *pieces;
    size_t piece_count;
    size_t copied;
    size_t planned_done; /* of them, runs of the plan */
    struct target *target;
};

/* ---- what there is --------------------------------------------------------------- */

static bool same_sweep(const struct merge *merge, const struct part *part,
                       struct err *err)
{
    const struct part *first = &merge->parts[0];
    if ((first->sweep == NULL) != (part->sweep == NULL)) {
        return err_set(err, ERR_INPUT,
                       "%s holds a sweep and %s does not; merge shards of one sweep, "
                       "or stores without any",
                       first->sweep == NULL ? part->path : first->path,
                       first->sweep == NULL ? first->path : part->path);
    }
    return part->sweep == NULL || part->sweep->digest == first->sweep->digest ||
           err_set(err, ERR_INPUT,
                   "%s and %s hold different sweeps ('%s' and '%s'), or one whose "
                   "file, scenario or --set was changed between them; merge shards of "
                   "one sweep",
                   first->path, part->path, first->sweep->name, part->sweep->name);
}

static bool open_part(struct merge *merge, const char *path, struct err *err)
{
    struct part *part = &merge->parts[merge->part_count++];
    part->path = path;
    return store_open(&part->reader, path, err) &&
           store_read_sweep(part->reader, &part->sweep, err) &&
           same_sweep(merge, part, err);
}

static void list_pieces(struct merge *merge)
{
    const struct stored_sweep *sweep = merge->parts[0].sweep;
    const int64_t planned = sweep == NULL ? 0 : (int64_t)sweep->run_count;
    for (size_t i = 0; i < merge->part_count; i++) {
        const size_t count = store_run_count(merge->parts[i].reader);
        merge->pieces = mem_resize(merge->pieces, merge->piece_count + count + 1,
                                   sizeof *merge->pieces);
        for (size_t k = 0; k < count; k++) {
            const int64_t run_id = store_run_id(merge->parts[i].reader, k);
            merge->pieces[merge->piece_count++] = (struct piece){
                .part = i, .index = k, .run_id = run_id <= planned ? run_id : 0};
        }
    }
}

/* Planned runs by their id, then the others as they came. */
static int by_place(const void *left, const void *right)
{
    const struct piece *a = left;
    const struct piece *b = right;
    if ((a->run_id == 0) != (b->run_id == 0)) {
        return a->run_id == 0 ? 1 : -1;
    }
    if (a->run_id != b->run_id) {
        return a->run_id < b->run_id ? -1 : 1;
    }
    if (a->part != b->part) {
        return a->part < b->part ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

/* ---- copying --------------------------------------------------------------------- */

static bool add_rows(struct store_writer *store, const struct run_record *run,
                     bool requests, struct err *err)
{
    return store_add_requests(store, run->requests, requests ? run->request_count : 0,
                              err) &&
           store_add_samples(store, run->samples, run->sample_count, err) &&
           store_end_run(store, run, err);
}

static bool copy_piece(struct merge *merge, const struct piece *piece, struct err *err)
{
    struct store_writer *store = target_store(merge->target);
    struct run_record *run = NULL;
    if (!store_read_run(merge->parts[piece->part].reader, piece->index, &run, err)) {
        return false;
    }
    const bool begun = piece->run_id == 0
                           ? store_begin_run(store, err)
                           : store_begin_run_as(store, piece->run_id, err);
    const bool ok = begun && add_rows(store, run, !merge->args->no_requests, err);
    run_record_delete(run);
    return ok;
}

/* The same run in two parts is fine when it has the same outcomes. */
static bool same_outcome(const struct merge *merge, const struct piece *a,
                         const struct piece *b, struct err *err)
{
    struct run_record *left = NULL;
    struct run_record *right = NULL;
    const struct part *parts = merge->parts;
    bool ok = store_read_summary(parts[a->part].reader, a->index, &left, err) &&
              store_read_summary(parts[b->part].reader, b->index, &right, err);
    if (ok && left->info.digest != right->info.digest) {
        ok = err_set(err, ERR_RUN,
                     "run '%s' has other results in %s than in %s; were they made by "
                     "the same program (%s, %s)?",
                     left->info.name, parts[b->part].path, parts[a->part].path,
                     right->info.program_commit, left->info.program_commit);
    }
    run_record_delete(left);
    run_record_delete(right);
    return ok;
}

static bool copy_all(struct merge *merge, struct err *err)
{
    const struct stored_sweep *sweep = merge->parts[0].sweep;
    if (sweep != NULL && !store_put_sweep(target_store(merge->target), sweep, err)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < merge->piece_count; i++) {
        const struct piece *piece = &merge->pieces[i];
        if (i > 0 && piece->run_id != 0 && piece->run_id == piece[-1].run_id) {
            ok = same_outcome(merge, &piece[-1], piece, err);
            continue;
        }
        ok = copy_piece(merge, piece, err);
        merge->copied++;
        merge->planned_done += piece->run_id != 0 ? 1 : 0;
    }
    return ok;
}

/* ---- the command ----------------------------------------------------------------- */

static const char *first_missing(const struct merge *merge)
{
    const struct stored_sweep *sweep = merge->parts[0].sweep;
    int64_t next = 1;
    for (size_t i = 0; i < merge->piece_count; i++) {
        next += merge->pieces[i].run_id == next ? 1 : 0;
    }
    return sweep->runs[next - 1].name;
}

/* A part of a sweep is a result all the same, but no script should take it for all. */
static bool is_complete(const struct merge *merge, const char *path, struct err *err)
{
    const struct stored_sweep *sweep = merge->parts[0].sweep;
    return sweep == NULL || merge->planned_done == sweep->run_count ||
           err_set(err, ERR_RUN,
                   "%s holds %zu of the sweep's %zu runs; the first that is missing is "
                   "'%s'; 'stacksim sweep' with --out %s does the rest",
                   path, merge->planned_done, sweep->run_count, first_missing(merge),
                   path);
}

static bool merge_into(struct merge *merge, const char *path, struct err *err)
{
    struct text folder = {0};
    pages_folder(path, &folder);
    bool ok = target_make_folder(text_str(&folder), err) &&
              target_open(&merge->target, path, false, err) && copy_all(merge, err);
    text_fini(&folder);
    if (ok) {
        struct target *target = merge->target;
        merge->target = NULL;
        ok = target_commit(target, err);
    }
    if (ok && !merge->args->quiet) {
        fprintf(stderr, "wrote %s, %zu runs of %zu stores\n", path, merge->copied,
                merge->part_count);
    }
    return ok && is_complete(merge, path, err);
}

static bool check_paths(const struct opt_result *result, struct err *err)
{
    struct path_use uses[OPT_POSITIONAL_MAX];
    for (size_t i = 0; i < result->positional_count; i++) {
        uses[i] = (struct path_use){
            .name = i == 0 ? "the merged store" : "a store to merge",
            .path = result->positional[i],
            .written = i == 0,
        };
    }
    return paths_check(uses, result->positional_count, err);
}

static bool execute(struct merge *merge, const struct opt_result *result,
                    struct err *err)
{
    struct lock_file *lock = NULL;
    bool ok = check_paths(result, err);
    for (size_t i = 1; ok && i < result->positional_count; i++) {
        ok = open_part(merge, result->positional[i], err);
    }
    if (ok) {
        list_pieces(merge);
        qsort(merge->pieces, merge->piece_count, sizeof *merge->pieces, by_place);
        ok = lock_file_take(&lock, result->positional[0], err) &&
             merge_into(merge, result->positional[0], err);
    }
    lock_file_release(lock);
    return ok;
}

static int merge_run(int argc, char *const *argv)
{
    struct merge_args args = {0};
    struct command_call call = {0};
    struct err err = {0};
    if (!command_parse(&command_merge, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct merge *merge = mem_alloc(1, sizeof *merge);
    merge->args = &args;
    const bool ok = execute(merge, &call.result, &err);
    target_abort(merge->target);
    for (size_t i = 0; i < merge->part_count; i++) {
        stored_sweep_delete(merge->parts[i].sweep);
        store_close(merge->parts[i].reader);
    }
    mem_free(merge->pieces);
    mem_free(merge);
    return ok ? EXIT_DONE : say_error(&err);
}

const struct command command_merge = {
    .options =
        {
            .name = "merge",
            .usage = "OUT.db IN.db... [OPTIONS]",
            .summary = "join the stores of a sweep's shards, or any others, into one",
            .description =
                "The shards of a sweep become the store that the sweep gives in one "
                "piece; when runs are\nmissing, what there is is merged and the exit "
                "code is 1. Runs of stores without a sweep\nare numbered anew, in the "
                "order given. OUT.db is replaced.\n\n"
                "Examples:\n"
                "  stacksim merge out/rates.db out/rates-*.db\n"
                "  stacksim merge week.db monday.db tuesday.db",
            .options = MERGE_OPTIONS,
            .positional_min = 2,
            .positional_max = OPT_POSITIONAL_MAX,
        },
    .run = merge_run,
};
