/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_metrics.c: see mock_metrics.h. Names that vLLM dropped or renamed come beside
 * the new ones, so that scrapers of any age find theirs.
 */
#include "cli/live/mock_metrics.h"

#include <inttypes.h>

struct buckets {
    size_t count;
    double upper_s[METRIC_BUCKETS_MAX];
};
static const struct buckets TTFT_BUCKETS = {
    22, {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
         1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560}};
static const struct buckets ITL_BUCKETS = {19,
                                           {.01, .025, .05, .075, .1, .15, .2, .3, .4,
                                            .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}};
static const struct buckets E2E_BUCKETS = {21, {.3, .5,  .8,  1,   1.5, 2,    2.5,
                                                5,  10,  15,  20,  30,  40,   50,
                                                60, 120, 240, 480, 960, 1920, 7680}};

static void observe(struct histogram *histogram, const struct buckets *buckets,
                    int64_t time_ns)
{
    const double time_s = (double)time_ns / 1e9;
    size_t at = 0;
    while (at < buckets->count && time_s > buckets->upper_s[at]) {
        at++;
    }
    histogram->counts[at == buckets->count ? METRIC_BUCKETS_MAX : at]++;
    histogram->sum += time_s;
}

void mock_metrics_tokens(struct mock_metrics *metrics, const struct live_tokens *tokens,
                         int64_t gap_ns)
{
    const struct request *request = tokens->request;
    metrics->output_tokens += tokens->tokens;
    if (tokens->before == 0) {
        metrics->prompt_tokens += request->prompt_tokens;
        observe(&metrics->ttft, &TTFT_BUCKETS, tokens->now_ns - request->arrival_ns);
        observe(&metrics->queue, &E2E_BUCKETS,
                request->scheduled_ns - request->queued_ns);
        observe(&metrics->prefill, &E2E_BUCKETS,
                tokens->now_ns - request->scheduled_ns);
    } else {
        observe(&metrics->itl, &ITL_BUCKETS, gap_ns);
    }
}

void mock_metrics_end(struct mock_metrics *metrics, const struct live_tokens *tokens,
                      bool by_length)
{
    const struct request *request = tokens->request;
    const int64_t decode_ns = tokens->now_ns - request->first_token_ns;
    observe(&metrics->e2e, &E2E_BUCKETS, tokens->now_ns - request->arrival_ns);
    observe(&metrics->decode, &E2E_BUCKETS, decode_ns);
    if (request->output_tokens > 1) {
        observe(&metrics->tpot, &ITL_BUCKETS, decode_ns / (request->output_tokens - 1));
    }
    *(by_length ? &metrics->finished_length : &metrics->finished_stop) += 1;
}

/* --- text ------------------------------------------------------------------------- */

struct printer {
    struct text *out;
    const struct mock_gauges *gauges;
};

static void print_type(const struct printer *printer, const char *name,
                       const char *type, const char *help)
{
    text_printf(printer->out, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help,
                name, type);
}

/* extra: further labels, each with a comma behind it, or "". */
static void print_value(const struct printer *printer, const char *name,
                        const char *extra, double value)
{
    text_printf(printer->out, "vllm:%s{%sengine=\"0\",model_name=\"%s\"} %.17g\n", name,
                extra, printer->gauges->model, value);
}

static void print_one(const struct printer *printer, const char *name, const char *type,
                      const char *help, double value)
{
    print_type(printer, name, type, help);
    print_value(printer, name, "", value);
}

static void print_histogram(const struct printer *printer, const char *name,
                            const struct histogram *histogram,
                            const struct buckets *buckets)
{
    struct text series = {0};
    uint64_t below = 0;
    print_type(printer, name, "histogram", "Seconds of engine time.");
    text_printf(&series, "%s_bucket", name);
    for (size_t i = 0; i < buckets->count; i++) {
        char label[40];
        below += histogram->counts[i];
        (void)snprintf(label, sizeof label, "le=\"%.15g\",", buckets->upper_s[i]);
        print_value(printer, text_str(&series), label, (double)below);
    }
    below += histogram->counts[METRIC_BUCKETS_MAX];
    print_value(printer, text_str(&series), "le=\"+Inf\",", (double)below);
    series.length = 0;
    text_printf(&series, "%s_sum", name);
    print_value(printer, text_str(&series), "", histogram->sum);
    series.length = 0;
    text_printf(&series, "%s_count", name);
    print_value(printer, text_str(&series), "", (double)below);
    text_fini(&series);
}

static void print_gauges(const struct printer *printer)
{
    const struct engine_sample *sample = &printer->gauges->sample;
    const double used =
        (double)sample->kv_used_blocks / (double)sample->kv_total_blocks;
    print_one(printer, "num_requests_running", "gauge", "Requests in the batch.",
              sample->running);
    print_one(printer, "num_requests_waiting", "gauge", "Requests in the queue.",
              sample->waiting);
    print_one(printer, "kv_cache_usage_perc", "gauge", "KV blocks in use, 0 to 1.",
              used);
    print_one(printer, "gpu_cache_usage_perc", "gauge", "As kv_cache_usage_perc.",
              used);
}

static void print_counters(const struct printer *printer,
                           const struct mock_metrics *metrics)
{
    const struct replica_stats *stats = printer->gauges->stats;
    const double queries = (double)stats->prefix_query_tokens;
    const double hits = (double)stats->prefix_hit_tokens;
    print_one(printer, "prefix_cache_queries_total", "counter",
              "Prompt tokens looked up.", queries);
    print_one(printer, "prefix_cache_hits_total", "counter", "Prompt tokens found.",
              hits);
    print_one(printer, "gpu_prefix_cache_queries_total", "counter",
              "As prefix_cache_queries.", queries);
    print_one(printer, "gpu_prefix_cache_hits_total", "counter",
              "As prefix_cache_hits.", hits);
    print_one(printer, "num_preemptions_total", "counter", "Requests preempted.",
              (double)stats->preemptions);
    print_one(printer, "prompt_tokens_total", "counter",
              "Prompt tokens of prefills done, cached ones included.",
              (double)metrics->prompt_tokens);
    print_one(printer, "generation_tokens_total", "counter", "Tokens generated.",
              (double)metrics->output_tokens);
    print_type(printer, "request_success_total", "counter", "Requests finished.");
    print_value(printer, "request_success_total", "finished_reason=\"stop\",",
                (double)metrics->finished_stop);
    print_value(printer, "request_success_total", "finished_reason=\"length\",",
                (double)metrics->finished_length);
    print_value(printer, "request_success_total", "finished_reason=\"abort\",",
                (double)metrics->finished_abort);
}

static void print_infos(const struct printer *printer)
{
    char label[160];
    const struct scenario_pool *pool = printer->gauges->pool;
    print_type(printer, "cache_config_info", "gauge", "Of the KV cache.");
    (void)snprintf(label, sizeof label,
                   "block_size=\"%" PRIu32 "\",enable_prefix_caching=\"%s\","
                   "num_gpu_blocks=\"%" PRIu32 "\",",
                   pool->engine.block_tokens,
                   pool->engine.prefix_caching ? "True" : "False", pool->kv_blocks);
    print_value(printer, "cache_config_info", label, 1);
    if (printer->gauges->running_adapters != NULL) {
        struct text labels = {0};
        print_type(printer, "lora_requests_info", "gauge", "Adapters in use.");
        text_printf(&labels,
                    "max_lora=\"64\",waiting_lora_adapters=\"\","
                    "running_lora_adapters=\"%s\",",
                    printer->gauges->running_adapters);
        print_value(printer, "lora_requests_info", text_str(&labels), 1);
        text_fini(&labels);
    }
}

void mock_metrics_print(const struct mock_metrics *metrics,
                        const struct mock_gauges *gauges, struct text *out)
{
    const struct printer printer = {out, gauges};
    print_gauges(&printer);
    print_counters(&printer, metrics);
    print_histogram(&printer, "time_to_first_token_seconds", &metrics->ttft,
                    &TTFT_BUCKETS);
    print_histogram(&printer, "inter_token_latency_seconds", &metrics->itl,
                    &ITL_BUCKETS);
    print_histogram(&printer, "time_per_output_token_seconds", &metrics->itl,
                    &ITL_BUCKETS);
    print_histogram(&printer, "request_time_per_output_token_seconds", &metrics->tpot,
                    &ITL_BUCKETS);
    print_histogram(&printer, "e2e_request_latency_seconds", &metrics->e2e,
                    &E2E_BUCKETS);
    print_histogram(&printer, "request_queue_time_seconds", &metrics->queue,
                    &E2E_BUCKETS);
    print_histogram(&printer, "request_prefill_time_seconds", &metrics->prefill,
                    &E2E_BUCKETS);
    print_histogram(&printer, "request_decode_time_seconds", &metrics->decode,
                    &E2E_BUCKETS);
    print_infos(&printer);
}
