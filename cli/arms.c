/* SPDX-License-Identifier: Apache-2.0
 *
 * arms.c: one runner per policy, one thread per running arm.
 *
 * Arms share no state but the atomics below: how far each is, and that all shall stop.
 * Each reads the workload anew from the same seed, so all meet the same requests
 * (common random numbers) and none waits for another.
 */
#include "cli/arms.h"

#include "base/check.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/interrupt.h"
#include "cli/jobs.h"
#include "cli/progress.h"
#include "reports/run.h"
#include "reports/warmup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define PART_STEPS 1000000 /* a part in [0, 1] as an integer */

struct arm {
    struct runner *runner; /* NULL once its record was taken */
    atomic_uint part;      /* of PART_STEPS */
    struct err err;
};

struct arms {
    size_t count;
    struct arm arm[ARMS_MAX];
    struct run_record *records[ARMS_MAX];
    char *scenario_name;
    struct progress *progress;
    atomic_bool stop;
    const struct arms_keeper *keeper; /* NULL = none */
    pthread_mutex_t lock;             /* guards what follows, and records */
    size_t kept;
    bool keeping; /* a thread of an arm is at it */
};

static bool arm_new(struct arm *arm, const struct runner_setup *setup,
                    const struct policy_choice *choice, struct err *err)
{
    const char *overrides[ARGS_OVERRIDES_MAX + ARM_PARAMS_MAX];
    struct runner_setup own = *setup;
    CHECK(setup->override_count <= ARGS_OVERRIDES_MAX, "%zu overrides",
          setup->override_count);
    for (size_t i = 0; i < setup->override_count; i++) {
        overrides[i] = setup->overrides[i];
    }
    for (size_t i = 0; i < choice->override_count; i++) {
        overrides[own.override_count++] = choice->overrides[i];
    }
    own.overrides = overrides;
    own.policy = choice->policy;
    own.name = choice->name;
    return runner_new(&arm->runner, &own, err);
}

bool arms_new(struct arms **out, const struct runner_setup *setup,
              const struct policy_list *policies, struct err *err)
{
    struct arms *arms = mem_alloc(1, sizeof *arms);
    pthread_mutex_init(&arms->lock, NULL);
    while (arms->count < policies->count) {
        if (!arm_new(&arms->arm[arms->count], setup, &policies->choices[arms->count],
                     err)) {
            arms_delete(arms);
            return false;
        }
        arms->count++;
    }
    arms->scenario_name = mem_strdup(runner_scenario_name(arms->arm[0].runner));
    *out = arms;
    return true;
}

void arms_delete(struct arms *arms)
{
    if (arms == NULL) {
        return;
    }
    for (size_t i = 0; i < arms->count; i++) {
        runner_delete(arms->arm[i].runner);
        run_record_delete(arms->records[i]);
    }
    pthread_mutex_destroy(&arms->lock);
    mem_free(arms->scenario_name);
    mem_free(arms);
}

/* One of the threads that finish an arm keeps what is due, the others go on. */
static void keep_finished(struct arms *arms)
{
    pthread_mutex_lock(&arms->lock);
    const bool mine = arms->keeper != NULL && !arms->keeping;
    arms->keeping = arms->keeping || mine;
    while (mine && arms->kept < arms->count && arms->records[arms->kept] != NULL &&
           !atomic_load(&arms->stop)) {
        struct arm *arm = &arms->arm[arms->kept];
        struct run_record *run = arms->records[arms->kept];
        pthread_mutex_unlock(&arms->lock);
        const bool ok = arms->keeper->keep(arms->keeper->context, run, &arm->err);
        pthread_mutex_lock(&arms->lock);
        arms->kept++;
        if (!ok) {
            atomic_store(&arms->stop, true);
        }
    }
    arms->keeping = arms->keeping && !mine;
    pthread_mutex_unlock(&arms->lock);
}

static void run_arm(void *context, size_t index)
{
    struct arms *arms = context;
    struct arm *arm = &arms->arm[index];
    bool done = false;
    while (!done) {
        if (atomic_load(&arms->stop)) {
            return;
        }
        if (!runner_advance(arm->runner, &done, &arm->err)) {
            atomic_store(&arms->stop, true);
            return;
        }
        atomic_store(&arm->part, (unsigned)(runner_part(arm->runner) * PART_STEPS));
    }
    if (!runner_finish(arm->runner, &arm->err)) {
        atomic_store(&arms->stop, true);
        return;
    }
    pthread_mutex_lock(&arms->lock);
    arms->records[index] = runner_take_record(arm->runner);
    pthread_mutex_unlock(&arms->lock);
    runner_delete(arm->runner);
    arm->runner = NULL;
    keep_finished(arms);
    atomic_store(&arm->part, PART_STEPS);
}

static void watch(void *context)
{
    struct arms *arms = context;
    if (interrupt_came()) {
        atomic_store(&arms->stop, true);
    }
    double sum = 0.0;
    size_t complete = 0;
    for (size_t i = 0; i < arms->count; i++) {
        const unsigned part = atomic_load(&arms->arm[i].part);
        sum += (double)part / PART_STEPS;
        complete += part == PART_STEPS ? 1 : 0;
    }
    char detail[64];
    snprintf(detail, sizeof detail, "%zu of %zu runs done", complete, arms->count);
    progress_show(arms->progress, sum / (double)arms->count, detail);
}

enum arms_end arms_run(struct arms *arms, uint32_t threads, bool quiet,
                       const struct arms_keeper *keeper, struct err *err)
{
    const struct jobs jobs = {
        .count = arms->count,
        .threads_max = threads,
        .context = arms,
        .work = run_arm,
        .watch = watch,
    };
    arms->keeper = keeper;
    arms->kept = 0;
    arms->progress = progress_new(arms->scenario_name, quiet);
    jobs_run(&jobs);
    progress_delete(arms->progress);
    arms->progress = NULL;
    enum arms_end end = ARMS_DONE;
    for (size_t i = 0; i < arms->count; i++) {
        if (arms->arm[i].err.kind != ERR_NONE) {
            *err = arms->arm[i].err;
            return ARMS_FAILED;
        }
        end = arms->records[i] == NULL ? ARMS_INTERRUPTED : end;
    }
    return end;
}

/* A time from the first arrival on, which is the same in all arms, or nothing. */
bool arms_warm_up_alike(const struct arms *arms)
{
    for (size_t i = 0; i < arms->count; i++) {
        const char *text = runner_warmup(arms->arm[i].runner);
        struct warmup_rule rule = {WARMUP_NONE, 0, 0};
        struct err ignored = {0};
        if (text != NULL &&
            (!warmup_parse(text, &rule, &ignored) || rule.kind == WARMUP_AUTO ||
             rule.kind == WARMUP_REQUESTS)) {
            return false;
        }
    }
    return true;
}

struct run_record *const *arms_records(const struct arms *arms)
{
    return arms->records;
}

const char *arms_scenario_name(const struct arms *arms)
{
    return arms->scenario_name;
}
