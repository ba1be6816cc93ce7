/* SPDX-License-Identifier: Apache-2.0
 *
 * result.c: a run as text.
 *
 * Wall-clock times stay out: what goes to standard output is the same bytes for the
 * same seed, so that it can be compared and kept.
 */
#include "cli/result.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/unit.h"
#include "reports/compare.h"
#include "reports/warmup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static struct json *totals_json(const struct run_totals *totals)
{
    struct json *object = json_object();
    json_put_u64(object, "requests", totals->requests);
    for (unsigned i = 0; i < REQUEST_STATUS_COUNT; i++) {
        json_put_u64(object, request_status_name((enum request_status)i),
                     totals->status_count[i]);
    }
    json_put_u64(object, "events", totals->events);
    json_put_u64(object, "steps", totals->steps);
    json_put_u64(object, "prompt_tokens", totals->prompt_tokens);
    json_put_u64(object, "output_tokens", totals->output_tokens);
    json_put_u64(object, "prefix_query_tokens", totals->prefix_query_tokens);
    json_put_u64(object, "prefix_hit_tokens", totals->prefix_hit_tokens);
    json_put_u64(object, "preemptions", totals->preemptions);
    json_put_u64(object, "recomputed_tokens", totals->recomputed_tokens);
    json_put_u64(object, "policy_bytes", totals->policy_bytes);
    json_put_i64(object, "first_arrival_ns", totals->first_arrival_ns);
    json_put_i64(object, "end_ns", totals->end_ns);
    return object;
}

static uint64_t counter_sum(const struct run_record *run, enum engine_counter counter)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < run->engine_count; i++) {
        sum += run->engines[i].counters[counter];
    }
    return sum;
}

static struct json *metrics_json(const struct metrics *metrics)
{
    struct json *object = json_object();
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        json_put_f64(object, metric_info((enum metric)i)->name, metrics->value[i]);
    }
    return object;
}

static struct json *intervals_json(const struct metric_intervals *intervals)
{
    struct json *object = json_object();
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        if (!isnan(intervals->of[i].low)) {
            struct json *pair = json_object();
            json_put_f64(pair, "low", intervals->of[i].low);
            json_put_f64(pair, "high", intervals->of[i].high);
            json_put(object, metric_info((enum metric)i)->name, pair);
        }
    }
    return object;
}

static struct json *warmup_json(const struct run_record *run)
{
    const struct run_warmup *warmup = &run->warmup;
    const bool cut = warmup->counted_from_ns != RUN_TIME_NONE;
    struct json *object = json_object();
    json_put_str(object, "rule", run->info.warmup);
    json_put_u64(object, "requests", warmup->requests);
    json_put_i64(object, "time_ns",
                 cut ? warmup->counted_from_ns - run->totals.first_arrival_ns : 0);
    json_put_bool(object, "settled", warmup->settled);
    return object;
}

/* Of the features that the run has. */
static void put_counters(struct json *object, const struct run_record *run,
                         const struct engine_row *engine)
{
    for (unsigned i = 0; i < ENGINE_COUNTER_COUNT; i++) {
        const enum engine_counter counter = (enum engine_counter)i;
        if (counter_sum(run, counter) > 0) {
            json_put_u64(object, engine_counter_name(counter), engine->counters[i]);
        }
    }
}

static struct json *engines_json(const struct run_record *run)
{
    struct json *array = json_array();
    for (size_t i = 0; i < run->engine_count; i++) {
        const struct engine_row *engine = &run->engines[i];
        struct json *object = json_object();
        json_put_u64(object, "engine", i);
        json_put_str(object, "pool", engine->pool);
        json_put_str(object, "description", engine->description);
        json_put_u64(object, "requests", engine->requests);
        json_put_u64(object, "steps", engine->steps);
        json_put_u64(object, "preemptions", engine->preemptions);
        json_put_u64(object, "prefix_query_tokens", engine->prefix_query_tokens);
        json_put_u64(object, "prefix_hit_tokens", engine->prefix_hit_tokens);
        json_put_i64(object, "busy_ns", engine->busy_ns);
        put_counters(object, run, engine);
        json_push(array, object);
    }
    return array;
}

/* What a tenant was let in with per second of waiting, and its mean TTFT; NaN = none.
 */
static double tenant_rate(const struct tenant_row *row)
{
    return row->waited_ns > 0 ? row->let_in_tokens * 1e9 / (double)row->waited_ns
                              : (double)NAN;
}

static double tenant_ttft_ms(const struct tenant_row *row)
{
    return row->completed > 0 ? (double)row->ttft_sum_ns / 1e6 / (double)row->completed
                              : (double)NAN;
}

static struct json *tenants_json(const struct run_record *run)
{
    struct json *array = json_array();
    for (size_t i = 0; i < run->tenant_count; i++) {
        const struct tenant_row *row = &run->tenants[i];
        struct json *object = json_object();
        json_put_str(object, "tenant", row->name);
        json_put_u64(object, "requests", row->requests);
        json_put_u64(object, "completed", row->completed);
        json_put_u64(object, "turned_away", row->turned_away);
        json_put_u64(object, "prompt_tokens", row->prompt_tokens);
        json_put_u64(object, "output_tokens", row->output_tokens);
        json_put_f64(object, "ttft_ms_mean", tenant_ttft_ms(row));
        json_put_f64(object, "waited_s", (double)row->waited_ns / 1e9);
        json_put_f64(object, "let_in_tokens_per_s", tenant_rate(row));
        json_push(array, object);
    }
    return array;
}

/* For people, and only where there are tenants to compare. */
static void print_tenants(const struct run_record *run, struct text *out)
{
    enum { SHOWN_MAX = 20 };
    const struct table_column columns[] = {
        {.name = "tenant", .is_text = true},
        {.name = "requests"},
        {.name = "completed"},
        {.name = "turned_away", .heading = "turned away"},
        {.name = "ttft_ms_mean", .heading = "TTFT mean", .unit = "ms"},
        {.name = "waited_s", .heading = "waited", .unit = "s"},
        {.name = "let_in_tokens_per_s",
         .heading = "let in while waiting",
         .unit = "tok/s"},
    };
    if (run->tenant_count < 2 || run->tenant_count > SHOWN_MAX) {
        return;
    }
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < run->tenant_count; i++) {
        const struct tenant_row *row = &run->tenants[i];
        table_put_text(table, row->name[0] != '\0' ? row->name : "(none)");
        table_put_u64(table, row->requests);
        table_put_u64(table, row->completed);
        table_put_u64(table, row->turned_away);
        table_put_f64(table, tenant_ttft_ms(row), 1, NULL);
        table_put_f64(table, (double)row->waited_ns / 1e9, 1, NULL);
        table_put_f64(table, tenant_rate(row), 0, NULL);
    }
    text_add(out, "\n");
    table_write(table, TABLE_TEXT, out);
    table_delete(table);
}

static void print_json(const struct run_record *run, struct text *out)
{
    char digest[20];
    snprintf(digest, sizeof digest, "%016" PRIx64, run->info.digest);
    struct json *object = json_object();
    json_put_str(object, "name", run->info.name);
    json_put_str(object, "scenario", run->info.scenario_name);
    json_put_str(object, "policy", run->info.policy);
    json_put_str(object, "compat", run->info.compat);
    json_put_u64(object, "seed", run->info.seed);
    json_put_str(object, "digest", digest);
    json_put_str(object, "cost_model", run->info.cost_model);
    json_put_str(object, "workload", run->info.workload_origin);
    json_put_str(object, "notes", run->info.notes);
    json_put(object, "totals", totals_json(&run->totals));
    json_put(object, "warmup", warmup_json(run));
    json_put(object, "metrics", metrics_json(&run->metrics));
    if (run->intervals != NULL) {
        json_put(object, "intervals_95_by_batches", intervals_json(run->intervals));
    }
    json_put(object, "engines", engines_json(run));
    if (run->tenant_count > 0) {
        json_put(object, "tenants", tenants_json(run));
    }
    char *bytes = json_print(object, true);
    text_add(out, bytes);
    text_add(out, "\n");
    mem_free(bytes);
    json_delete(object);
}

/* A line per kind of end other than completed, if there was any. */
static void print_ends(const struct run_totals *totals, struct text *out)
{
    for (unsigned i = 0; i < REQUEST_STATUS_COUNT; i++) {
        if (i != REQUEST_COMPLETED && totals->status_count[i] > 0) {
            text_printf(out, "%" PRIu64 " requests %s\n", totals->status_count[i],
                        request_status_name((enum request_status)i));
        }
    }
}

/* What the fleet cost while it ran, where its GPUs have a price and a power. */
static void print_cost(const struct run_record *run, struct text *out)
{
    const double *value = run->metrics.value;
    if (isnan(value[METRIC_GPU_HOURS])) {
        return;
    }
    text_printf(out, "cost     %.3g GPU-hours", value[METRIC_GPU_HOURS]);
    if (!isnan(value[METRIC_USD_PER_MTOK_LOW])) {
        text_printf(out,
                    ", %.3g to %.3g US dollars per million output tokens at the "
                    "indicative prices of configs/gpus",
                    value[METRIC_USD_PER_MTOK_LOW], value[METRIC_USD_PER_MTOK_HIGH]);
    }
    if (!isnan(value[METRIC_ENERGY_KWH])) {
        text_printf(out,
                    "\nenergy   at most about %.3g kWh, %.3g J per output token: an "
                    "estimate, from data sheets and busy time",
                    value[METRIC_ENERGY_KWH], value[METRIC_JOULES_PER_TOKEN]);
    }
    text_add(out, "\n");
}

static void print_counters(const struct run_record *run, struct text *out)
{
    const uint64_t loads = counter_sum(run, COUNTER_ADAPTER_LOADS);
    const uint64_t asides = counter_sum(run, COUNTER_ADAPTER_ASIDES);
    const uint64_t drafts = counter_sum(run, COUNTER_DRAFTS);
    if (loads > 0 || asides > 0) {
        text_printf(out,
                    "adapters %" PRIu64 " loads (%" PRIu64
                    " not from host memory), engines stood still for %.3f s; set "
                    "aside %" PRIu64 " times, %.3f s in all\n",
                    loads, counter_sum(run, COUNTER_ADAPTER_COLD_LOADS),
                    (double)counter_sum(run, COUNTER_ADAPTER_STALL_NS) / 1e9, asides,
                    (double)counter_sum(run, COUNTER_ADAPTER_ASIDE_NS) / 1e9);
    }
    if (drafts > 0) {
        const double accepted = (double)counter_sum(run, COUNTER_ACCEPTED_TOKENS);
        text_printf(out,
                    "drafts   %" PRIu64 " of %" PRIu64
                    " right (%.1f %%); mean acceptance length %.3f\n",
                    (uint64_t)accepted, counter_sum(run, COUNTER_DRAFT_TOKENS),
                    100 * accepted / (double)counter_sum(run, COUNTER_DRAFT_TOKENS),
                    1 + accepted / (double)drafts);
    }
}

/* Per tier: how many tokens came from it, and what it moved. */
static void print_tiers(const struct run_record *run, struct text *out)
{
    static const struct {
        const char *name;
        enum engine_counter hit_tokens;
        enum engine_counter load_bytes;
        enum engine_counter save_bytes;
    } tiers[] = {
        {"cpu", COUNTER_CPU_HIT_TOKENS, COUNTER_CPU_LOAD_BYTES, COUNTER_CPU_SAVE_BYTES},
        {"disk", COUNTER_DISK_HIT_TOKENS, COUNTER_DISK_LOAD_BYTES,
         COUNTER_DISK_SAVE_BYTES},
        {"remote", COUNTER_REMOTE_HIT_TOKENS, COUNTER_REMOTE_LOAD_BYTES,
         COUNTER_REMOTE_SAVE_BYTES},
    };
    const double asked = (double)counter_sum(run, COUNTER_TIER_QUERY_TOKENS);
    bool first = true;
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        const double loaded = (double)counter_sum(run, tiers[i].load_bytes);
        const double saved = (double)counter_sum(run, tiers[i].save_bytes);
        if (loaded + saved > 0) {
            const double hits = (double)counter_sum(run, tiers[i].hit_tokens);
            text_printf(out,
                        "%s%s %.1f %% of prompt tokens, %.1f GB read, %.1f GB "
                        "written",
                        first ? "tiers    " : "; ", tiers[i].name,
                        asked > 0 ? 100 * hits / asked : 0, loaded / 1e9, saved / 1e9);
            first = false;
        }
    }
    if (!first) {
        text_printf(out, "; engines stood still for %.3f s\n",
                    (double)counter_sum(run, COUNTER_TIER_STALL_NS) / 1e9);
    }
}

/* How much each stage of the engines that have it worked while they had batches under
 * way. */
static void print_stages(const struct run_record *run, struct text *out)
{
    double all_ns = 0; /* stages x time, of all engines with stages */
    const double bubble_ns = (double)counter_sum(run, COUNTER_PIPELINE_BUBBLE_NS);
    for (unsigned i = COUNTER_STAGE_0_BUSY_NS; i <= COUNTER_STAGE_15_BUSY_NS; i++) {
        double busy_ns = 0;
        double under_way_ns = 0;
        for (size_t j = 0; j < run->engine_count; j++) {
            if (run->engines[j].counters[i] > 0) {
                busy_ns += (double)run->engines[j].counters[i];
                under_way_ns += (double)run->engines[j].busy_ns;
            }
        }
        if (under_way_ns > 0) {
            text_printf(out, "%s%.1f %%", all_ns > 0 ? ", " : "stages   busy ",
                        100 * busy_ns / under_way_ns);
            all_ns += under_way_ns;
        }
    }
    if (all_ns > 0) {
        text_printf(out, " of the time with batches under way; bubbles %.1f %%\n",
                    100 * bubble_ns / all_ns);
    }
}

static void print_basis(const struct run_record *run, struct text *out)
{
    text_printf(out, "\nscenario %s, policy %s (%s), seed %" PRIu64 "\n",
                run->info.scenario_name, run->info.policy, run->info.compat,
                run->info.seed);
    text_printf(out, "workload %s: %" PRIu64 " requests, %" PRIu64 " completed\n",
                run->info.workload_origin, run->totals.requests,
                run->totals.status_count[REQUEST_COMPLETED]);
    print_ends(&run->totals, out);
    text_printf(out, "engines  %zu; step times: %s\n", run->engine_count,
                run->info.cost_model);
    print_counters(run, out);
    print_tiers(run, out);
    print_stages(run, out);
    text_add(out, "warm-up  ");
    warmup_describe(run, out);
    text_add(out, "\n");
    warmup_advise(run, out);
    print_cost(run, out);
}

void result_print(const struct run_record *run, enum table_format format,
                  struct text *out)
{
    if (format == TABLE_JSON) {
        print_json(run, out);
        return;
    }
    compare_print(&run, 1, format, out);
    if (format == TABLE_TEXT) {
        print_tenants(run, out);
        print_basis(run, out);
    }
}
