/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep_table.c: summaries from the store, grouped by keys.
 *
 * It reads the store and not the records of this call, so that a sweep in pieces prints
 * what it prints in one.
 */
#include "cli/sweep_table.h"

#include "base/mem.h"
#include "reports/run.h"
#include "reports/store.h"
#include "reports/stored_sweep.h"
#include "reports/warmup.h"
#include "stats/replicate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES = 64 };

static const enum metric SHOWN_METRICS[] = {
    METRIC_TTFT_MS_MEAN,     METRIC_TTFT_MS_P99,         METRIC_TPOT_MS_MEAN,
    METRIC_E2E_MS_MEAN,      METRIC_OUTPUT_TOKENS_PER_S, METRIC_GOODPUT_PER_S,
    METRIC_PREFIX_HIT_RATIO,
};
enum { SHOWN_COUNT = sizeof SHOWN_METRICS / sizeof SHOWN_METRICS[0] };

struct arm {
    char *name; /* of its runs, less the seed */
    const struct run_record **runs;
    size_t count;
};

struct arms {
    struct arm *arms;
    size_t count;
    struct run_record **runs;
    size_t run_count;
};

/* Arms of one key lie anywhere among the others when the seed is not the last key. */
static struct arm *find_arm(struct arms *arms, const char *name)
{
    for (size_t i = arms->count; i > 0; i--) {
        if (strcmp(arms->arms[i - 1].name, name) == 0) {
            return &arms->arms[i - 1];
        }
    }
    arms->arms = mem_resize(arms->arms, arms->count + 1, sizeof *arms->arms);
    struct arm *arm = &arms->arms[arms->count++];
    *arm = (struct arm){.name = mem_strdup(name)};
    return arm;
}

static void add_run(struct arms *arms, const struct stored_sweep_run *planned,
                    struct run_record *run)
{
    struct text name = {0};
    stored_sweep_name(planned->keys, planned->key_count, "seed", &name);
    text_add(&name, name.length == 0 ? "all" : "");
    struct arm *arm = find_arm(arms, text_str(&name));
    text_fini(&name);
    arm->runs =
        mem_resize(arm->runs, arm->count + 1, sizeof(const struct run_record *));
    arm->runs[arm->count++] = run;
    arms->runs[arms->run_count++] = run;
}

static bool read_arms(struct arms *arms, struct store_reader *reader,
                      const struct stored_sweep *sweep, struct err *err)
{
    const size_t count = store_run_count(reader);
    arms->runs = mem_alloc(count, sizeof(struct run_record *));
    for (size_t i = 0; i < count; i++) {
        const int64_t run_id = store_run_id(reader, i);
        struct run_record *run = NULL;
        if (run_id > (int64_t)sweep->run_count) {
            continue;
        }
        if (!store_read_summary(reader, i, &run, err)) {
            return false;
        }
        add_run(arms, &sweep->runs[run_id - 1], run);
    }
    return true;
}

static void arms_fini(struct arms *arms)
{
    for (size_t i = 0; i < arms->count; i++) {
        mem_free(arms->arms[i].name);
        mem_free(arms->arms[i].runs);
    }
    for (size_t i = 0; i < arms->run_count; i++) {
        run_record_delete(arms->runs[i]);
    }
    mem_free(arms->arms);
    mem_free(arms->runs);
}

static struct estimate estimate_of(const struct arm *arm, enum metric metric)
{
    double *values = mem_alloc(arm->count, sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < arm->count; i++) {
        const double value = arm->runs[i]->metrics.value[metric];
        if (!isnan(value)) {
            values[count++] = value;
        }
    }
    const struct estimate estimate = estimate_mean(values, count, 0.95);
    mem_free(values);
    return estimate;
}

static void put_estimate(struct table *table, const struct arm *arm, enum metric metric)
{
    const struct estimate estimate = estimate_of(arm, metric);
    const struct metric_info *info = metric_info(metric);
    char shown[SHOWN_BYTES];
    const double value = estimate.count == 0 ? (double)NAN : estimate.mean;
    metric_format(metric, value, shown, sizeof shown);
    if (estimate.count > 1) {
        const double half = (estimate.interval.high - estimate.interval.low) / 2;
        const size_t length = strlen(shown);
        snprintf(shown + length, sizeof shown - length, " ± %.*f", (int)info->decimals,
                 half * (strcmp(info->unit, "%") == 0 ? 100 : 1));
    }
    table_put_f64(table, value, info->decimals, shown);
}

static void print_arms(const struct arms *arms, enum table_format format,
                       struct text *out)
{
    const bool all = format == TABLE_CSV || format == TABLE_JSON;
    const size_t metrics = all ? METRIC_COUNT : SHOWN_COUNT;
    struct table_column columns[METRIC_COUNT + 2] = {
        {.name = "arm", .is_text = true},
        {.name = "runs"},
    };
    for (size_t i = 0; i < metrics; i++) {
        const struct metric_info *info =
            metric_info(all ? (enum metric)i : SHOWN_METRICS[i]);
        columns[2 + i] = (struct table_column){
            .name = info->name, .heading = info->heading, .unit = info->unit};
    }
    struct table *table = table_new(columns, metrics + 2);
    for (size_t i = 0; i < arms->count; i++) {
        table_put_text(table, arms->arms[i].name);
        table_put_u64(table, arms->arms[i].count);
        for (size_t k = 0; k < metrics; k++) {
            put_estimate(table, &arms->arms[i],
                         all ? (enum metric)k : SHOWN_METRICS[k]);
        }
    }
    table_write(table, format, out);
    table_delete(table);
}

/* An arm of several seeds whose runs are all alike. */
static bool seed_changes_nothing(const struct arm *arm)
{
    return arm->count > 1 && estimate_of(arm, METRIC_E2E_MS_MEAN).sd <= 0;
}

static void print_notes(const struct arms *arms, struct text *out)
{
    bool several = false;
    bool alike = false;
    for (size_t i = 0; i < arms->count; i++) {
        several = several || arms->arms[i].count > 1;
        alike = alike || seed_changes_nothing(&arms->arms[i]);
    }
    text_add(out, "\n");
    if (arms->run_count > 0) {
        warmup_describe_all((const struct run_record *const *)arms->runs,
                            arms->run_count, out);
    }
    if (several) {
        text_add(out, "Means over the seeds of each arm ± half of their 95 % "
                      "interval.\n");
    }
    if (alike) {
        text_add(out, "Caution: the seed changes nothing for some arms: the workload "
                      "is recorded. Generate it to vary it.\n");
    }
}

bool sweep_table(const char *store_path, enum table_format format, struct text *out,
                 struct err *err)
{
    struct store_reader *reader = NULL;
    struct stored_sweep *sweep = NULL;
    struct arms arms = {0};
    bool ok =
        store_open(&reader, store_path, err) && store_read_sweep(reader, &sweep, err);
    ok = ok &&
         (sweep != NULL || err_set(err, ERR_INPUT, "%s: holds no sweep", store_path));
    ok = ok && sweep != NULL && read_arms(&arms, reader, sweep, err);
    if (ok) {
        print_arms(&arms, format, out);
        if (format == TABLE_TEXT || format == TABLE_MD) {
            print_notes(&arms, out);
        }
    }
    arms_fini(&arms);
    stored_sweep_delete(sweep);
    store_close(reader);
    return ok;
}
