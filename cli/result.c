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

#include <inttypes.h>
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

static struct json *metrics_json(const struct metrics *metrics)
{
    struct json *object = json_object();
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        json_put_f64(object, metric_info((enum metric)i)->name, metrics->value[i]);
    }
    return object;
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
        json_push(array, object);
    }
    return array;
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
    json_put(object, "metrics", metrics_json(&run->metrics));
    json_put(object, "engines", engines_json(run));
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
        print_basis(run, out);
    }
}
