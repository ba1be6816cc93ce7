/* SPDX-License-Identifier: Apache-2.0
 *
 * counters.c: Prometheus text 0.0.4. Names with "vllm:" are the stack's, the others
 * start with "stackrouter_".
 */
#include "router/counters.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum { SERVERS_MAX = 16384 };

static const double BUCKETS_S[COUNTER_BUCKETS - 1] = {0.05, 0.1, 0.25, 0.5, 1,  2.5,
                                                      5,    10,  30,   60,  120};

void counters_fini(struct counters *counters)
{
    for (size_t i = 0; i < counters->model_count; i++) {
        mem_free(counters->models[i].model);
    }
    for (size_t i = 0; i < counters->server_count; i++) {
        mem_free(counters->servers[i].server);
        mem_free(counters->servers[i].model);
    }
    mem_free(counters->servers);
    *counters = (struct counters){0};
}

static struct counter_model *find_model(struct counters *counters, const char *model)
{
    for (size_t i = 0; i < counters->model_count; i++) {
        if (strcmp(counters->models[i].model, model) == 0) {
            return &counters->models[i];
        }
    }
    return NULL;
}

void counters_incoming(struct counters *counters, const char *model)
{
    struct counter_model *found = find_model(counters, model);
    if (found == NULL && counters->model_count + 1 >= COUNTER_MODELS_MAX) {
        model = "other"; /* its place is kept free until it is needed */
        found = find_model(counters, model);
    }
    if (found == NULL) {
        found = &counters->models[counters->model_count++];
        *found = (struct counter_model){.model = mem_strdup(model)};
    }
    found->requests++;
}

void counters_forget(struct counters *counters, uint32_t slot)
{
    if (slot < counters->server_count) {
        mem_free(counters->servers[slot].server);
        mem_free(counters->servers[slot].model);
        counters->servers[slot] = (struct counter_server){0};
    }
}

struct counter_server *counters_server(struct counters *counters, uint32_t slot,
                                       const char *server, const char *model)
{
    void *servers = counters->servers;
    const bool grown = mem_grow(&servers, &counters->server_capacity, (size_t)slot + 1,
                                sizeof *counters->servers, SERVERS_MAX);
    CHECK(grown, "backend slot %u", slot);
    counters->servers = servers;
    while (counters->server_count <= slot) {
        counters->servers[counters->server_count++] = (struct counter_server){0};
    }
    struct counter_server *found = &counters->servers[slot];
    if (found->server == NULL || strcmp(found->server, server) != 0 ||
        strcmp(found->model, model) != 0) {
        counters_forget(counters, slot);
        found->server = mem_strdup(server);
        found->model = mem_strdup(model);
    }
    return found;
}

/* The last place takes all statuses that found none. */
void counters_latency(struct counter_server *server, unsigned status, double seconds)
{
    size_t at = 0;
    while (at + 1 < COUNTER_STATUSES && server->statuses[at].count > 0 &&
           server->statuses[at].status != status) {
        at++;
    }
    server->statuses[at].status = status;
    server->statuses[at].count++;
    server->statuses[at].sum_s += seconds;
    size_t bucket = 0;
    while (bucket < COUNTER_BUCKETS - 1 && seconds > BUCKETS_S[bucket]) {
        bucket++;
    }
    server->statuses[at].buckets[bucket]++;
}

void counters_label(struct text *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n') {
            text_add(out, "\\n");
        } else if (*value == '"' || *value == '\\') {
            text_printf(out, "\\%c", *value);
        } else {
            text_add_bytes(out, value, 1);
        }
    }
}

void counters_family(struct text *out, const char *name, const char *type,
                     const char *help)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_labels(struct text *out, const struct counter_server *server)
{
    text_add(out, "{server=\"");
    counters_label(out, server->server);
    text_add(out, "\",model=\"");
    counters_label(out, server->model);
    text_add(out, "\"");
}

static void print_latency(struct text *out, const struct counter_server *server,
                          size_t at)
{
    static const char NAME[] = "vllm:request_latency_seconds";
    const unsigned status = server->statuses[at].status;
    uint64_t below = 0;
    for (size_t bucket = 0; bucket < COUNTER_BUCKETS; bucket++) {
        below += server->statuses[at].buckets[bucket];
        text_printf(out, "%s_bucket", NAME);
        print_labels(out, server);
        if (bucket < COUNTER_BUCKETS - 1) {
            text_printf(out, ",status=\"%u\",le=\"%g\"} %" PRIu64 "\n", status,
                        BUCKETS_S[bucket], below);
        } else {
            text_printf(out, ",status=\"%u\",le=\"+Inf\"} %" PRIu64 "\n", status,
                        below);
        }
    }
    text_printf(out, "%s_sum", NAME);
    print_labels(out, server);
    text_printf(out, ",status=\"%u\"} %.9g\n%s_count", status,
                server->statuses[at].sum_s, NAME);
    print_labels(out, server);
    text_printf(out, ",status=\"%u\"} %" PRIu64 "\n", status,
                server->statuses[at].count);
}

static void print_tokens(struct text *out, const struct counters *counters,
                         const char *name, const char *help, bool output)
{
    counters_family(out, name, "counter", help);
    for (size_t i = 0; i < counters->server_count; i++) {
        const struct counter_server *server = &counters->servers[i];
        if (server->server == NULL) {
            continue;
        }
        text_add(out, name);
        print_labels(out, server);
        text_printf(out, "} %" PRIu64 "\n",
                    output ? server->output_tokens : server->input_tokens);
    }
}

static void print_errors(struct text *out, const struct counters *counters)
{
    static const char NAME[] = "vllm:request_errors_total";
    counters_family(out, NAME, "counter", "Tries that failed, by kind.");
    for (size_t i = 0; i < counters->server_count; i++) {
        const struct counter_server *server = &counters->servers[i];
        if (server->server == NULL) {
            continue;
        }
        const struct {
            const char *kind;
            uint64_t count;
        } errors[] = {{"connect", server->errors_connect},
                      {"timeout", server->errors_timeout},
                      {"cut", server->errors_cut}};
        for (size_t k = 0; k < sizeof errors / sizeof errors[0]; k++) {
            text_add(out, NAME);
            print_labels(out, server);
            text_printf(out, ",error_type=\"%s\"} %" PRIu64 "\n", errors[k].kind,
                        errors[k].count);
        }
    }
}

void counters_print(const struct counters *counters, struct text *out)
{
#define X(name, help)                                                                  \
    counters_family(out, "stackrouter_" #name "_total", "counter", help);              \
    text_printf(out, "stackrouter_" #name "_total %" PRIu64 "\n", counters->name);
    COUNTERS(X)
#undef X
    counters_family(out, "vllm:num_incoming_requests_total", "counter",
                    "Requests by the model they name, before any check.");
    for (size_t i = 0; i < counters->model_count; i++) {
        text_add(out, "vllm:num_incoming_requests_total{model=\"");
        counters_label(out, counters->models[i].model);
        text_printf(out, "\"} %" PRIu64 "\n", counters->models[i].requests);
    }
    print_tokens(out, counters, "vllm:input_tokens_total",
                 "Prompt tokens, as engines reported them.", false);
    print_tokens(out, counters, "vllm:output_tokens_total",
                 "Generated tokens, as engines reported them.", true);
    print_errors(out, counters);
    counters_family(out, "vllm:request_latency_seconds", "histogram",
                    "From a request's last byte read to its answer's last byte.");
    for (size_t i = 0; i < counters->server_count; i++) {
        for (size_t at = 0; at < COUNTER_STATUSES; at++) {
            if (counters->servers[i].statuses[at].count > 0) {
                print_latency(out, &counters->servers[i], at);
            }
        }
    }
}
