/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep.c: workers that take runs in order and leave them to the writer.
 */
#include "cli/sweep.h"

#include "base/mem.h"
#include "cli/interrupt.h"
#include "cli/jobs.h"
#include "cli/lock_file.h"
#include "cli/progress.h"
#include "cli/sweep_writer.h"
#include "reports/run.h"
#include "reports/store.h"
#include "reports/stored_sweep.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define PART_STEPS 1000000 /* a part in [0, 1] as an integer */

struct job {
    size_t index;     /* in the plan */
    atomic_uint part; /* of PART_STEPS */
    struct err err;
};

struct sweep {
    struct sweep_setup setup;
    const struct stored_sweep *stored; /* the plan's */
    struct lock_file *lock;
    struct job *jobs; /* of this shard, not done before */
    size_t job_count;
    size_t count;
    struct progress *progress;
    struct sweep_writer *writer;
    atomic_bool stop;
};

/* ---- what is there --------------------------------------------------------------- */

static bool is_same_sweep(const char *path, const struct stored_sweep *found,
                          const struct stored_sweep *wanted, struct err *err)
{
    if (found == NULL) {
        return err_set(err, ERR_INPUT,
                       "%s: holds runs that no sweep made; name another file", path);
    }
    return found->digest == wanted->digest ||
           err_set(err, ERR_INPUT,
                   "%s: holds another sweep ('%s'), or this one before its file, its "
                   "scenario or a --set was changed; name another file or delete it",
                   path, found->name);
}

bool sweep_look(const char *store_path, const struct stored_sweep *stored, bool *done,
                struct err *err)
{
    struct store_reader *reader = NULL;
    struct stored_sweep *found = NULL;
    if (access(store_path, F_OK) != 0) {
        return true;
    }
    bool ok = store_open(&reader, store_path, err) &&
              store_read_sweep(reader, &found, err) &&
              is_same_sweep(store_path, found, stored, err);
    for (size_t i = 0; ok && i < store_run_count(reader); i++) {
        const int64_t run_id = store_run_id(reader, i);
        if (run_id <= (int64_t)stored->run_count) {
            done[run_id - 1] = true;
        }
    }
    stored_sweep_delete(found);
    store_close(reader);
    return ok;
}

static bool make_store(const char *path, const struct stored_sweep *stored,
                       struct err *err)
{
    struct store_writer *store = NULL;
    if (access(path, F_OK) == 0) {
        return true;
    }
    if (!store_create_or_extend(&store, path, err)) {
        return false;
    }
    if (!store_put_sweep(store, stored, err)) {
        store_abort(store);
        return false;
    }
    return store_commit(store, err);
}

/* ---- setting up ------------------------------------------------------------------ */

static void setup_of(const struct sweep_setup *sweep, size_t index,
                     struct runner_setup *setup)
{
    const struct sweep_job *job = sweep_plan_job(sweep->plan, index);
    *setup = sweep->base;
    setup->policy = job->policy;
    setup->overrides = job->overrides;
    setup->override_count = job->override_count;
}

static bool fail_as(const char *name, struct err *err)
{
    const struct err why = *err;
    return err_set(err, why.kind, "run '%s': %s", name, why.text);
}

/* Errors of a key's value are found before any work. */
static bool check_probes(const struct sweep *sweep, const bool *done, struct err *err)
{
    for (size_t i = 0; i < sweep_plan_count(sweep->setup.plan); i++) {
        if (done[i] || !sweep_plan_job(sweep->setup.plan, i)->is_probe) {
            continue;
        }
        struct runner_setup setup;
        struct runner *runner = NULL;
        setup_of(&sweep->setup, i, &setup);
        if (!runner_new(&runner, &setup, err)) {
            return fail_as(sweep->stored->runs[i].name, err);
        }
        runner_delete(runner);
    }
    return true;
}

bool sweep_digest(const struct sweep_setup *setup, const struct stored_sweep **out,
                  struct err *err)
{
    struct runner_setup first;
    struct runner *runner = NULL;
    struct text yaml = {0};
    setup_of(setup, 0, &first);
    if (!runner_new(&runner, &first, err)) {
        return fail_as(sweep_plan_stored(setup->plan, "")->runs[0].name, err);
    }
    runner_print_config(runner, &yaml);
    *out = sweep_plan_stored(setup->plan, text_str(&yaml));
    text_fini(&yaml);
    runner_delete(runner);
    return true;
}

static void list_jobs(struct sweep *sweep, const bool *done)
{
    const struct sweep_setup *setup = &sweep->setup;
    sweep->jobs = mem_alloc(sweep->stored->run_count, sizeof *sweep->jobs);
    for (size_t i = setup->shard; i < sweep->stored->run_count; i += setup->shards) {
        sweep->count++;
        if (!done[i]) {
            sweep->jobs[sweep->job_count++].index = i;
        }
    }
}

/* Looks twice: nothing is made before all is checked, and until the lock is held
 * another sweep may have done what remained. */
static bool open_store(struct sweep *sweep, bool *done, struct err *err)
{
    const char *path = sweep->setup.store_path;
    return sweep_look(path, sweep->stored, done, err) &&
           check_probes(sweep, done, err) && lock_file_take(&sweep->lock, path, err) &&
           make_store(path, sweep->stored, err) &&
           sweep_look(path, sweep->stored, done, err);
}

static bool open_sweep(struct sweep *sweep, struct err *err)
{
    if (!sweep_digest(&sweep->setup, &sweep->stored, err)) {
        return false;
    }
    bool *done = mem_alloc(sweep->stored->run_count, sizeof *done);
    const bool ok = open_store(sweep, done, err);
    if (ok) {
        list_jobs(sweep, done);
    }
    mem_free(done);
    return ok;
}

bool sweep_new(struct sweep **out, const struct sweep_setup *setup, struct err *err)
{
    struct sweep *sweep = mem_alloc(1, sizeof *sweep);
    sweep->setup = *setup;
    sweep->writer =
        sweep_writer_new(setup->store_path, setup->threads, setup->no_requests);
    if (!open_sweep(sweep, err)) {
        sweep_delete(sweep);
        return false;
    }
    *out = sweep;
    return true;
}

void sweep_delete(struct sweep *sweep)
{
    if (sweep == NULL) {
        return;
    }
    lock_file_release(sweep->lock);
    sweep_writer_delete(sweep->writer);
    mem_free(sweep->jobs);
    mem_free(sweep);
}

size_t sweep_count(const struct sweep *sweep)
{
    return sweep->count;
}

size_t sweep_found(const struct sweep *sweep)
{
    return sweep->count - sweep->job_count;
}

size_t sweep_finished(const struct sweep *sweep)
{
    return sweep_found(sweep) + sweep_writer_written(sweep->writer);
}

/* ---- running --------------------------------------------------------------------- */

/* True when the run is over; false when the sweep stops or it failed. */
static bool simulate(struct sweep *sweep, struct job *job, struct runner *runner)
{
    bool done = false;
    while (!done) {
        if (atomic_load(&sweep->stop) || !runner_advance(runner, &done, &job->err)) {
            return false;
        }
        atomic_store(&job->part, (unsigned)(runner_part(runner) * (PART_STEPS - 1)));
    }
    return runner_finish(runner, &job->err);
}

static bool run_job(struct sweep *sweep, struct job *job)
{
    struct runner_setup setup;
    struct runner *runner = NULL;
    setup_of(&sweep->setup, job->index, &setup);
    setup.name = sweep->stored->runs[job->index].name;
    if (!runner_new(&runner, &setup, &job->err)) {
        return false;
    }
    const bool over = simulate(sweep, job, runner);
    struct run_record *run = over ? runner_take_record(runner) : NULL;
    runner_delete(runner);
    if (run == NULL) {
        return false;
    }
    return sweep_writer_put(sweep->writer, (int64_t)job->index + 1, run, &job->err);
}

static void work(void *context, size_t index)
{
    struct sweep *sweep = context;
    struct job *job = &sweep->jobs[index];
    if (atomic_load(&sweep->stop)) {
        return;
    }
    if (run_job(sweep, job)) {
        atomic_store(&job->part, PART_STEPS);
        return;
    }
    /* A store that cannot be written takes no other run either. */
    if (job->err.kind == ERR_IO ||
        (job->err.kind != ERR_NONE && !sweep->setup.keep_going)) {
        atomic_store(&sweep->stop, true);
    }
}

static void watch(void *context)
{
    struct sweep *sweep = context;
    if (interrupt_came()) {
        atomic_store(&sweep->stop, true);
    }
    double sum = 0.0;
    for (size_t i = 0; i < sweep->job_count; i++) {
        sum += (double)atomic_load(&sweep->jobs[i].part) / PART_STEPS;
    }
    char detail[64];
    snprintf(detail, sizeof detail, "%zu of %zu runs done", sweep_finished(sweep),
             sweep->count);
    progress_show(sweep->progress, sum / (double)sweep->job_count, detail);
}

bool sweep_failure(const struct sweep *sweep, size_t *at, struct err *err)
{
    while (*at < sweep->job_count) {
        const struct job *job = &sweep->jobs[(*at)++];
        if (job->err.kind != ERR_NONE) {
            *err = job->err;
            if (err->kind != ERR_IO) { /* of a file, which may hold other runs */
                fail_as(sweep->stored->runs[job->index].name, err);
            }
            return true;
        }
    }
    return false;
}

enum sweep_end sweep_run(struct sweep *sweep)
{
    const struct jobs jobs = {
        .count = sweep->job_count,
        .threads_max = sweep->setup.threads,
        .context = sweep,
        .work = work,
        .watch = watch,
    };
    struct err ignored;
    size_t at = 0;
    sweep->progress = progress_new(sweep->stored->name, sweep->setup.quiet);
    jobs_run(&jobs);
    progress_delete(sweep->progress);
    sweep->progress = NULL;
    if (sweep_failure(sweep, &at, &ignored)) {
        return SWEEP_FAILED;
    }
    return sweep_finished(sweep) == sweep->count ? SWEEP_DONE : SWEEP_INTERRUPTED;
}
