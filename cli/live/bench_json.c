/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_json.c: see bench_json.h. Times of the detailed lists are seconds, those of the
 * statistics milliseconds, as there.
 */
#include "cli/live/bench_json.h"

#include "base/json.h"
#include "base/mem.h"
#include "stats/summary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Values of one quantity. */
struct column {
    int64_t *values_ns;
    size_t count;
};

static double deviation_ns(const struct column *column, double mean)
{
    double *squares = mem_alloc(column->count, sizeof *squares);
    for (size_t i = 0; i < column->count; i++) {
        const double off = (double)column->values_ns[i] - mean;
        squares[i] = off * off;
    }
    const double result = sqrt(mean_of(squares, column->count));
    mem_free(squares);
    return result;
}

/* mean_, median_, std_ and p99_NAME_ms; sorts the column. */
static void put_statistics(struct json *root, const char *name, struct column *column)
{
    const struct spread spread = spread_of(column->values_ns, column->count);
    const struct {
        const char *prefix;
        double value_ns;
    } figures[] = {
        {"mean", spread.mean},
        {"median", spread.p50},
        {"std", deviation_ns(column, spread.mean)},
        {"p99", spread.p99},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        char key[40];
        (void)snprintf(key, sizeof key, "%s_%s_ms", figures[i].prefix, name);
        json_put_f64(root, key, figures[i].value_ns / 1e6);
    }
}

static bool completed(const struct request_row *row)
{
    return row->status == REQUEST_COMPLETED && row->first_token_ns != RUN_TIME_NONE;
}

static void put_latencies(struct json *root, const struct bench_facts *facts,
                          const struct run_record *run)
{
    struct column ttft = {mem_alloc(run->request_count, sizeof(int64_t)), 0};
    struct column tpot = {mem_alloc(run->request_count, sizeof(int64_t)), 0};
    struct column e2el = {mem_alloc(run->request_count, sizeof(int64_t)), 0};
    struct column itl = {mem_alloc(facts->gap_count, sizeof(int64_t)),
                         facts->gap_count};
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *row = &run->requests[i];
        if (!completed(row)) {
            continue;
        }
        ttft.values_ns[ttft.count++] = row->first_token_ns - row->arrival_ns;
        e2el.values_ns[e2el.count++] = row->end_ns - row->arrival_ns;
        if (row->output_tokens > 1) {
            tpot.values_ns[tpot.count++] =
                (row->end_ns - row->first_token_ns) / (row->output_tokens - 1);
        }
    }
    if (facts->gap_count > 0) {
        memcpy(itl.values_ns, facts->gaps_ns, facts->gap_count * sizeof(int64_t));
    }
    put_statistics(root, "ttft", &ttft);
    put_statistics(root, "tpot", &tpot);
    put_statistics(root, "itl", &itl);
    put_statistics(root, "e2el", &e2el);
    mem_free(ttft.values_ns);
    mem_free(tpot.values_ns);
    mem_free(e2el.values_ns);
    mem_free(itl.values_ns);
}

/* One entry for each request, failed ones with zeros and what became of them. */
static void put_details(struct json *root, const struct run_record *run)
{
    struct json *input_lens = json_array();
    struct json *output_lens = json_array();
    struct json *ttfts = json_array();
    struct json *start_times = json_array();
    struct json *errors = json_array();
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *row = &run->requests[i];
        const bool good = completed(row);
        json_push_f64(input_lens, row->prompt_tokens);
        json_push_f64(output_lens, good ? row->output_tokens : 0);
        json_push_f64(ttfts,
                      good ? (double)(row->first_token_ns - row->arrival_ns) / 1e9 : 0);
        json_push_f64(start_times, (double)row->arrival_ns / 1e9);
        json_push_str(errors, good ? "" : request_status_name(row->status));
    }
    json_put(root, "input_lens", input_lens);
    json_put(root, "output_lens", output_lens);
    json_put(root, "ttfts", ttfts);
    json_put(root, "start_times", start_times);
    json_put(root, "errors", errors);
}

static int64_t last_arrival_ns(const struct run_record *run)
{
    int64_t last_ns = run->totals.first_arrival_ns;
    for (size_t i = 0; i < run->request_count; i++) {
        if (run->requests[i].arrival_ns > last_ns) {
            last_ns = run->requests[i].arrival_ns;
        }
    }
    return last_ns;
}

static void put_totals(struct json *root, const struct run_record *run)
{
    const struct run_totals *totals = &run->totals;
    const double duration_s = (double)(totals->end_ns - totals->first_arrival_ns) / 1e9;
    const double sent_s =
        (double)(last_arrival_ns(run) - totals->first_arrival_ns) / 1e9;
    const double good = (double)totals->status_count[REQUEST_COMPLETED];
    const double prompts = (double)totals->prompt_tokens;
    const double outputs = (double)totals->output_tokens;
    json_put_u64(root, "num_prompts", totals->requests);
    json_put_f64(root, "request_rate", (double)totals->requests / sent_s);
    json_put_f64(root, "max_concurrency", (double)NAN);
    json_put_f64(root, "duration", duration_s);
    json_put_f64(root, "completed", good);
    json_put_f64(root, "failed", (double)totals->requests - good);
    json_put_f64(root, "total_input_tokens", prompts);
    json_put_f64(root, "total_output_tokens", outputs);
    json_put_f64(root, "request_throughput", good / duration_s);
    json_put_f64(root, "request_goodput", run->metrics.value[METRIC_GOODPUT_PER_S]);
    json_put_f64(root, "output_throughput", outputs / duration_s);
    json_put_f64(root, "total_token_throughput", (prompts + outputs) / duration_s);
}

void bench_json_write(const struct bench_facts *facts, const struct run_record *run,
                      struct text *out)
{
    struct json *root = json_object();
    json_put_str(root, "date", facts->date);
    json_put_str(root, "endpoint_type", facts->backend);
    json_put_str(root, "backend", facts->backend);
    json_put_str(root, "label", run->info.name);
    json_put_str(root, "model_id", facts->model);
    json_put_str(root, "tokenizer_id", facts->model);
    put_totals(root, run);
    put_latencies(root, facts, run);
    put_details(root, run);
    char *printed = json_print(root, false);
    text_add(out, printed);
    text_add(out, "\n");
    mem_free(printed);
    json_delete(root);
}
