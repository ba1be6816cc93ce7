/* SPDX-License-Identifier: Apache-2.0
 *
 * run.c: plain growing arrays; a record is read far more often than it is changed.
 */
#include "reports/run.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { INFO_STRINGS = 12 };

/* The string fields of an info, for copying and freeing them alike. */
static void info_strings(struct run_info *info, const char **fields[INFO_STRINGS])
{
    const char **const all[INFO_STRINGS] = {
        &info->name,           &info->scenario_name,   &info->scenario_yaml,
        &info->scenario_dir,   &info->policy,          &info->compat,
        &info->cost_model,     &info->workload_origin, &info->notes,
        &info->program_commit, &info->started_utc,     &info->warmup,
    };
    memcpy(fields, all, sizeof all);
}

static char *copy_or_empty(const char *text)
{
    return mem_strdup(text == NULL ? "" : text);
}

/* Strings in a record are ours although the type says const to readers. */
static void string_free(const char *text)
{
    union {
        const char *shown;
        void *owned;
    } const same = {.shown = text};
    mem_free(same.owned);
}

static void info_free(struct run_info *info)
{
    const char **fields[INFO_STRINGS];
    info_strings(info, fields);
    for (size_t i = 0; i < INFO_STRINGS; i++) {
        string_free(*fields[i]);
    }
}

void run_set_info(struct run_record *run, const struct run_info *info)
{
    struct run_info copy = *info;
    const char **fields[INFO_STRINGS];
    info_strings(&copy, fields);
    for (size_t i = 0; i < INFO_STRINGS; i++) {
        *fields[i] = copy_or_empty(*fields[i]);
    }
    info_free(&run->info);
    run->info = copy;
}

struct run_record *run_record_new(const struct run_info *info)
{
    struct run_record *const run = mem_alloc(1, sizeof *run);
    run_set_info(run, info);
    run->totals.load_imbalance = (double)NAN;
    run->totals.fairness_jain = (double)NAN;
    run->warmup =
        (struct run_warmup){.counted_from_ns = RUN_TIME_NONE, .settled = true};
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        run->metrics.value[i] = (double)NAN;
    }
    return run;
}

void run_record_delete(struct run_record *run)
{
    if (run == NULL) {
        return;
    }
    info_free(&run->info);
    for (size_t i = 0; i < run->engine_count; i++) {
        string_free(run->engines[i].pool);
        string_free(run->engines[i].description);
    }
    mem_free(run->engines);
    for (size_t i = 0; i < run->tenant_count; i++) {
        string_free(run->tenants[i].name);
    }
    mem_free(run->tenants);
    for (size_t i = 0; i < run->event_count; i++) {
        string_free(run->events[i].reason);
        string_free(run->events[i].object);
        string_free(run->events[i].message);
    }
    mem_free(run->events);
    for (size_t i = 0; i < run->size_count; i++) {
        string_free(run->sizes[i].pool);
    }
    mem_free(run->sizes);
    mem_free(run->samples);
    mem_free(run->requests);
    mem_free(run->handovers);
    mem_free(run->intervals);
    mem_free(run);
}

/* mem_grow wants a void **; the typed pointer goes through a copy, not a cast. */
#define GROW(array, capacity, need, max)                                               \
    do {                                                                               \
        void *grown = (array);                                                         \
        if (!mem_grow(&grown, &(capacity), (need), sizeof *(array), (max))) {          \
            return false;                                                              \
        }                                                                              \
        (array) = grown;                                                               \
    } while (0)

bool run_add_request(struct run_record *run, const struct request_row *row)
{
    if (run->request_count == run->request_capacity) {
        GROW(run->requests, run->request_capacity, run->request_count + 1,
             RUN_REQUESTS_MAX);
    }
    run->requests[run->request_count++] = *row;
    return true;
}

bool run_add_handover(struct run_record *run, const struct handover_row *row)
{
    if (run->handover_count == run->handover_capacity) {
        GROW(run->handovers, run->handover_capacity, run->handover_count + 1,
             RUN_REQUESTS_MAX);
    }
    run->handovers[run->handover_count++] = *row;
    return true;
}

bool run_add_sample(struct run_record *run, const struct engine_sample_row *row)
{
    if (run->sample_count == run->sample_capacity) {
        GROW(run->samples, run->sample_capacity, run->sample_count + 1,
             RUN_SAMPLES_MAX);
    }
    run->samples[run->sample_count++] = *row;
    return true;
}

bool run_add_engine(struct run_record *run, const struct engine_row *row)
{
    if (run->engine_count == run->engine_capacity) {
        GROW(run->engines, run->engine_capacity, run->engine_count + 1,
             RUN_ENGINES_MAX);
    }
    struct engine_row *const here = &run->engines[run->engine_count++];
    *here = *row;
    here->pool = copy_or_empty(row->pool);
    here->description = copy_or_empty(row->description);
    return true;
}

bool run_add_tenant(struct run_record *run, const struct tenant_row *row)
{
    if (run->tenant_count == run->tenant_capacity) {
        GROW(run->tenants, run->tenant_capacity, run->tenant_count + 1,
             RUN_TENANTS_MAX);
    }
    struct tenant_row *const here = &run->tenants[run->tenant_count++];
    *here = *row;
    here->name = copy_or_empty(row->name);
    return true;
}

void run_want_intervals(struct run_record *run)
{
    if (run->intervals == NULL) {
        run->intervals = mem_alloc(1, sizeof *run->intervals);
    }
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        run->intervals->of[i] = (struct interval){(double)NAN, (double)NAN};
    }
}

bool run_add_event(struct run_record *run, const struct event_row *row)
{
    if (run->event_count == run->event_capacity) {
        GROW(run->events, run->event_capacity, run->event_count + 1, RUN_EVENTS_MAX);
    }
    struct event_row *const here = &run->events[run->event_count++];
    *here = *row;
    here->reason = copy_or_empty(row->reason);
    here->object = copy_or_empty(row->object);
    here->message = copy_or_empty(row->message);
    return true;
}

bool run_add_pool_size(struct run_record *run, const struct pool_size_row *row)
{
    if (run->size_count == run->size_capacity) {
        GROW(run->sizes, run->size_capacity, run->size_count + 1, RUN_SIZES_MAX);
    }
    struct pool_size_row *const here = &run->sizes[run->size_count++];
    *here = *row;
    here->pool = copy_or_empty(row->pool);
    return true;
}

void run_drop_requests(struct run_record *run)
{
    mem_free(run->requests);
    run->requests = NULL;
    run->request_count = 0;
    run->request_capacity = 0;
    mem_free(run->handovers);
    run->handovers = NULL;
    run->handover_count = 0;
    run->handover_capacity = 0;
}

const char *request_status_name(enum request_status status)
{
    static const char *const names[] = {
#define X(id, name, help) name,
        REQUEST_STATUSES(X)
#undef X
    };
    CHECK(status < REQUEST_STATUS_COUNT, "status %d", (int)status);
    return names[status];
}
