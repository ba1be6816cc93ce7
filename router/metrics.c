/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.c: the stack's gauges for each backend, ours for the router, and the log
 * record of --log-stats.
 *
 * Series of backends are made anew from the members at every call, so one that left is
 * gone from the next scrape on.
 */
#include "base/mem.h"
#include "router/proxy_state.h"

#include <inttypes.h>
#include <stdio.h>

static const double ns_per_s = 1e9;

struct row {
    const struct backend *backend;
    struct request_stats_row stats;
};

static double seconds(double ns)
{
    return ns < 0 ? -1 : ns / ns_per_s;
}

static double running(const struct row *row)
{
    return (double)row->stats.in_prefill + row->stats.in_decode;
}
static double waiting(const struct row *row)
{
    return row->backend->scraped ? row->backend->metrics.waiting_requests : 0;
}
static double qps(const struct row *row)
{
    return row->stats.qps;
}
static double unknown(const struct row *row)
{
    (void)row;
    return -1;
}
static double none(const struct row *row)
{
    (void)row;
    return 0;
}
static double prefill(const struct row *row)
{
    return row->stats.in_prefill;
}
static double decode(const struct row *row)
{
    return row->stats.in_decode;
}
static double latency(const struct row *row)
{
    return seconds(row->stats.latency_ns_mean);
}
static double ttft(const struct row *row)
{
    return seconds(row->stats.ttft_ns_mean);
}
static double listed(const struct row *row)
{
    return backend_listed(row->backend) ? 1 : 0;
}
static double accepting(const struct row *row)
{
    return row->backend->accepting ? 1 : 0;
}
static double hits(const struct row *row)
{
    return (double)row->backend->metrics.prefix_hit_tokens;
}
static double queries(const struct row *row)
{
    return (double)row->backend->metrics.prefix_query_tokens;
}
static double hit_rate(const struct row *row)
{
    const struct endpoint_metrics *metrics = &row->backend->metrics;
    return metrics->prefix_query_tokens > 0 ? (double)metrics->prefix_hit_tokens /
                                                  (double)metrics->prefix_query_tokens
                                            : row->backend->prefix_hit_rate;
}
static double ejections(const struct row *row)
{
    return (double)row->backend->ejections_total;
}
static double failures(const struct row *row)
{
    return (double)row->backend->failures_total;
}
static double requests(const struct row *row)
{
    return (double)row->backend->requests_total;
}

static const struct {
    const char *name;
    const char *type;
    const char *help;
    double (*read)(const struct row *row);
} SERVER_METRICS[] = {
    {"vllm:num_requests_running", "gauge", "Requests in prefill and decode.", running},
    {"vllm:num_requests_waiting", "gauge", "Waiting in the engine, as scraped.",
     waiting},
    {"vllm:current_qps", "gauge", "Requests sent in the window, per second.", qps},
    {"vllm:avg_decoding_length", "gauge", "Always -1, as in the stack.", unknown},
    {"vllm:num_prefill_requests", "gauge", "Requests without a first byte.", prefill},
    {"vllm:num_decoding_requests", "gauge", "Requests with a first byte.", decode},
    {"vllm:healthy_pods_total", "gauge", "1 for a backend that is listed.", listed},
    {"vllm:avg_latency", "gauge", "Mean latency in the window, s; -1 = none.", latency},
    {"vllm:avg_itl", "gauge", "Always -1, as in the stack.", unknown},
    {"vllm:num_requests_swapped", "gauge", "Always 0, as in the stack.", none},
    {"vllm:gpu_prefix_cache_hit_rate", "gauge", "Prefix hits over queries.", hit_rate},
    {"vllm:gpu_prefix_cache_hits_total", "gauge", "Tokens, as scraped.", hits},
    {"vllm:gpu_prefix_cache_queries_total", "gauge", "Tokens, as scraped.", queries},
    {"stackrouter_ttft_seconds", "gauge",
     "Mean time to the first byte in the window, s; -1 = none.", ttft},
    {"stackrouter_backend_accepting", "gauge", "1 while it may be chosen.", accepting},
    {"stackrouter_backend_ejections_total", "counter", "Passive ejections.", ejections},
    {"stackrouter_backend_failures_total", "counter", "Failed tries.", failures},
    {"stackrouter_backend_requests_total", "counter", "Tries.", requests},
};

static void print_server(struct proxy *proxy, int64_t now_ns, size_t metric,
                         struct text *out)
{
    for (size_t i = 0; i < fleet_count(proxy->fleet); i++) {
        struct row row = {.backend = fleet_at(proxy->fleet, i)};
        fleet_stats(proxy->fleet, now_ns, row.backend, &row.stats);
        text_printf(out, "%s{server=\"", SERVER_METRICS[metric].name);
        counters_label(out, row.backend->name);
        text_printf(out, "\"} %.9g\n", SERVER_METRICS[metric].read(&row));
    }
}

static void print_gauge(struct text *out, const char *name, const char *help,
                        double value)
{
    counters_family(out, name, "gauge", help);
    text_printf(out, "%s %.17g\n", name, value);
}

static void print_limits(const struct proxy *proxy, struct text *out)
{
    const struct proxy_limits *limits = &proxy->setup.limits;
    const struct {
        const char *name;
        double value;
    } all[] = {
        {"max_connections", limits->clients_max},
        {"max_requests", limits->requests_max},
        {"max_queue", limits->queue_max},
        {"max_idle_engine_connections", limits->idle_engine_conns_max},
        {"max_header_bytes", (double)limits->head_bytes_max},
        {"max_body_bytes", (double)limits->body_bytes_max},
        {"max_buffer_bytes", (double)limits->buffer_bytes_max},
        {"max_stream_bytes", (double)limits->stream_bytes_max},
        {"header_timeout_seconds", (double)limits->head_ns / ns_per_s},
        {"body_timeout_seconds", (double)limits->body_ns / ns_per_s},
        {"keep_alive_seconds", (double)limits->keep_alive_ns / ns_per_s},
        {"send_timeout_seconds", (double)limits->send_ns / ns_per_s},
        {"queue_timeout_seconds", (double)limits->queue_ns / ns_per_s},
        {"connect_timeout_seconds", (double)limits->connect_ns / ns_per_s},
        {"first_byte_timeout_seconds", (double)limits->first_byte_ns / ns_per_s},
        {"stream_timeout_seconds", (double)limits->stream_gap_ns / ns_per_s},
        {"request_timeout_seconds", (double)limits->request_ns / ns_per_s},
    };
    counters_family(out, "stackrouter_limit", "gauge",
                    "The limits in force; 0 = none where that is possible.");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        text_printf(out, "stackrouter_limit{name=\"%s\"} %.17g\n", all[i].name,
                    all[i].value);
    }
}

/* The series of a backend go when it does. */
static void forget_gone(struct proxy *proxy)
{
    struct counters *counters = &proxy->counters;
    bool *present = mem_alloc(counters->server_count, sizeof *present);
    for (size_t i = 0; i < fleet_count(proxy->fleet); i++) {
        const uint32_t slot = fleet_at(proxy->fleet, i)->slot;
        if (slot < counters->server_count) {
            present[slot] = true;
        }
    }
    for (uint32_t slot = 0; slot < counters->server_count; slot++) {
        if (!present[slot]) {
            counters_forget(counters, slot);
        }
    }
    mem_free(present);
}

static void print_discovery(const struct discovery *discovery, struct text *out)
{
    struct discovery_counters counters;
    discovery_count(discovery, &counters);
    print_gauge(out, "stackrouter_pods", "Pods seen, ready or not.",
                (double)counters.pods);
    counters_family(out, "stackrouter_pod_lists_total", "counter",
                    "Whole lists of pods read.");
    text_printf(out, "stackrouter_pod_lists_total %" PRIu64 "\n", counters.lists);
    counters_family(out, "stackrouter_pod_events_total", "counter",
                    "Events of pods read.");
    text_printf(out, "stackrouter_pod_events_total %" PRIu64 "\n", counters.events);
    counters_family(out, "stackrouter_discovery_failures_total", "counter",
                    "Lists, watches and questions to pods without a good answer.");
    text_printf(out, "stackrouter_discovery_failures_total %" PRIu64 "\n",
                counters.failures);
}

void proxy_metrics(struct proxy *proxy, int64_t now_ns, struct text *out)
{
    forget_gone(proxy);
    for (size_t i = 0; i < sizeof SERVER_METRICS / sizeof SERVER_METRICS[0]; i++) {
        counters_family(out, SERVER_METRICS[i].name, SERVER_METRICS[i].type,
                        SERVER_METRICS[i].help);
        print_server(proxy, now_ns, i, out);
    }
    print_gauge(out, "stackrouter_clients", "Client connections.", proxy->client_count);
    print_gauge(out, "stackrouter_engine_connections", "Connections to engines.",
                proxy->engine_count);
    print_gauge(out, "stackrouter_requests_active", "Requests being proxied.",
                proxy->active_count);
    print_gauge(out, "stackrouter_requests_waiting", "Requests in the router's queue.",
                proxy->queued_count);
    print_gauge(out, "stackrouter_buffer_bytes", "Bytes of request bodies held.",
                (double)proxy->buffered_bytes);
    print_gauge(out, "stackrouter_policy_bytes", "Bytes of the policy's state.",
                (double)fleet_policy_bytes(proxy->fleet));
    print_gauge(out, "stackrouter_config_generation", "Configurations applied.",
                (double)fleet_generation(proxy->fleet));
    print_gauge(out, "stackrouter_uptime_seconds", "Since the start.",
                (double)(now_ns - proxy->started_ns) / ns_per_s);
    if (proxy->setup.sentry != NULL) {
        counters_family(out, "stackrouter_reports_total", "counter",
                        "Errors reported to Sentry, or not.");
        text_printf(out,
                    "stackrouter_reports_total{sent=\"true\"} %" PRIu64
                    "\nstackrouter_reports_total{sent=\"false\"} %" PRIu64 "\n",
                    proxy->setup.sentry->sent, proxy->setup.sentry->dropped);
    }
    if (proxy->setup.discovery != NULL) {
        print_discovery(proxy->setup.discovery, out);
    }
    print_limits(proxy, out);
    counters_print(&proxy->counters, out);
}

/* --- log record ------------------------------------------------------------------- */

static const char LINE_50[] = "==================================================";
static const char DASH_50[] = "--------------------------------------------------";

static void print_backend(struct proxy *proxy, int64_t now_ns, struct text *out,
                          const struct backend *backend)
{
    struct row row = {.backend = backend};
    fleet_stats(proxy->fleet, now_ns, backend, &row.stats);
    text_printf(out, "Server: %s\nModels:\n  - %s\n", backend->url, backend->model);
    if (backend->scraped) {
        text_printf(out,
                    " Engine Stats: Running Requests: %" PRIu32
                    ", Queued Requests: %" PRIu32 ", GPU Cache Hit Rate: %.2f\n",
                    backend->metrics.running_requests,
                    backend->metrics.waiting_requests, hit_rate(&row));
    } else {
        text_add(out, " Engine Stats: No stats available\n");
    }
    if (backend->requests_total > 0) {
        text_printf(
            out,
            " Request Stats: QPS: %.2f, Avg Latency: %.2f, Avg ITL: -1, Prefill "
            "Requests: %" PRIu32 ", Decoding Requests: %" PRIu32
            ", Swapped Requests: 0, Finished: %" PRIu64 ", Uptime: %.2f sec\n",
            row.stats.qps, latency(&row), row.stats.in_prefill, row.stats.in_decode,
            row.stats.finished, (double)(now_ns - proxy->started_ns) / ns_per_s);
    } else {
        text_add(out, " Request Stats: No stats available\n");
    }
    text_printf(out, "%s\n", DASH_50);
}

void metrics_log_stats(struct proxy *proxy, int64_t now_ns)
{
    struct text text = {0};
    text_printf(&text, "%s\n", LINE_50);
    for (size_t i = 0; i < fleet_count(proxy->fleet); i++) {
        const struct backend *backend = fleet_at(proxy->fleet, i);
        if (backend_listed(backend)) {
            print_backend(proxy, now_ns, &text, backend);
        }
    }
    text_printf(&text, "%s\n", LINE_50);
    proxy->rim->log(proxy->rim->context, PROXY_LOG_STATS, text.bytes, text.length);
    text_fini(&text);
}
