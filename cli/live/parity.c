/* SPDX-License-Identifier: Apache-2.0
 *
 * parity.c: see parity.h.
 *
 * The comparison does not depend on how fast anything was: whatever happened, in
 * whatever order, is in the record. The load only has to make the policy's inputs vary.
 */
#include "cli/live/parity.h"

#include "base/lines.h"
#include "base/mem.h"
#include "cli/interrupt.h"
#include "cli/live/client.h"
#include "cli/live/live_workload.h"
#include "cli/live/record_feed.h"
#include "cli/live/server_child.h"
#include "cli/progress.h"
#include "policies/policy_set.h"
#include "traces/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARGUMENTS_MAX = 48 + 2 * PARITY_PLUGINS_MAX };
static const char SESSION_HEADER[] = "x-user-id";
static const int64_t timeout_ns = INT64_C(120000000000);

struct parity {
    struct parity_setup setup;
    struct server_child engines[PARITY_ENGINES_MAX];
    char self[SERVER_PATH_BYTES];
    char router[SERVER_PATH_BYTES];
};

/* --- comparing -------------------------------------------------------------------- */

/* Line by line, as both are; `line` is the router's, `at` our position. */
static bool next_is(const char **at, const char *line, size_t byte_count)
{
    const size_t ours = strcspn(*at, "\n");
    if (ours != byte_count || memcmp(*at, line, byte_count) != 0) {
        return false;
    }
    *at += ours + ((*at)[ours] == '\n' ? 1 : 0);
    return true;
}

static void tell_difference(const char *router, const char *ours,
                            struct text *difference)
{
    text_printf(difference, "  router:    %s\n  simulator: %.*s\n",
                router != NULL ? router : "(no further decision)",
                *ours == '\0' ? 21 : (int)strcspn(ours, "\n"),
                *ours == '\0' ? "(no further decision)" : ours);
}

/* *within: they differ in a decision that both made. */
static bool compare(const char *path, const struct text *ours,
                    struct parity_result *result, bool *within, struct err *err)
{
    struct lines *lines = NULL;
    if (!lines_open(&lines, path, LINE_BYTES_MAX, err)) {
        return false;
    }
    const char *at = text_str(ours);
    char *line = NULL;
    size_t byte_count = 0;
    enum lines_result got = lines_next(lines, &line, &byte_count, err);
    while (got == LINES_LINE && next_is(&at, line, byte_count)) {
        got = lines_next(lines, &line, &byte_count, err);
    }
    result->equal = got == LINES_END && *at == '\0';
    *within = got == LINES_LINE && *at != '\0';
    if (!result->equal && got != LINES_ERROR) {
        tell_difference(got == LINES_LINE ? line : NULL, at, &result->difference);
    }
    lines_close(lines);
    return got != LINES_ERROR;
}

bool parity_compare(const struct parity_files *files, struct parity_result *result,
                    struct err *err)
{
    struct text ours = {0};
    struct err feed_err = {0};
    bool within = false;
    /* With scores: the router is asked for them, too, and says most with them. */
    const struct record_feed_setup feed = {files->record, files->policies, true};
    const bool fed = record_feed(&feed, &ours, &result->decisions, &feed_err);
    bool good = compare(files->decisions, &ours, result, &within, err);
    /* After another decision the rest of a record cannot fit: the decision is the news,
     * and not the line that spoke of an attempt which does not exist here. */
    if (good && !fed && !within) {
        good = err_set(err, feed_err.kind, "%s", feed_err.text);
    }
    text_fini(&ours);
    return good;
}

/* --- engines ---------------------------------------------------------------------- */

static void name_events(const struct parity_setup *setup, uint32_t index,
                        char endpoint[SERVER_PATH_BYTES])
{
    (void)snprintf(endpoint, SERVER_PATH_BYTES, "ipc://%s/engine-%" PRIu32 ".events",
                   setup->folder, index);
}

static bool start_engine(struct parity *parity, uint32_t index, struct err *err)
{
    const struct parity_setup *setup = &parity->setup;
    char scale[32];
    char log[SERVER_PATH_BYTES];
    char events[SERVER_PATH_BYTES];
    (void)snprintf(scale, sizeof scale, "%g", setup->time_scale);
    (void)snprintf(log, sizeof log, "%s/engine-%" PRIu32 ".log", setup->folder, index);
    name_events(setup, index, events);
    const char *argv[] = {
        parity->self,
        "mock-engine",
        "--port",
        "0",
        "--time-scale",
        scale,
        "--kv-events",
        events,
        "--model",
        setup->model,
        "--gpu",
        setup->gpu,
        setup->config_dir != NULL ? "--config-dir" : NULL,
        setup->config_dir,
        NULL,
    };
    return server_child_start(&parity->engines[index], argv, log, err);
}

bool parity_new(struct parity **out, const struct parity_setup *setup, struct err *err)
{
    struct parity *parity = mem_alloc(1, sizeof *parity);
    parity->setup = *setup;
    bool good = server_child_beside("stacksim", parity->self, err);
    if (setup->router != NULL) {
        (void)snprintf(parity->router, sizeof parity->router, "%s", setup->router);
    } else {
        good = good && server_child_beside("stackrouter", parity->router, err);
    }
    for (uint32_t i = 0; good && i < setup->engines; i++) {
        good = start_engine(parity, i, err);
    }
    if (!good) {
        struct err ignored = {0};
        (void)!parity_end(parity, &ignored);
        return false;
    }
    *out = parity;
    return true;
}

bool parity_end(struct parity *parity, struct err *err)
{
    bool good = true;
    for (uint32_t i = 0; i < parity->setup.engines; i++) {
        struct err later = {0};
        good = server_child_stop(&parity->engines[i], good ? err : &later) && good;
    }
    mem_free(parity);
    return good;
}

bool parity_is_disaggregated(const char *name)
{
    return strcmp(name, "disaggregated_prefill") == 0 ||
           strcmp(name, PARITY_DISAGGREGATED) == 0;
}

/* --- one policy ------------------------------------------------------------------- */

struct router_files {
    char record[SERVER_PATH_BYTES];
    char decisions[SERVER_PATH_BYTES];
    char log[SERVER_PATH_BYTES];
};

static void name_files(const struct parity_setup *setup, const char *policy,
                       struct router_files *files)
{
    (void)snprintf(files->record, sizeof files->record, "%s/%s.record.jsonl",
                   setup->folder, policy);
    (void)snprintf(files->decisions, sizeof files->decisions, "%s/%s.decisions.csv",
                   setup->folder, policy);
    (void)snprintf(files->log, sizeof files->log, "%s/%s.router.log", setup->folder,
                   policy);
}

static bool listens(const struct parity_setup *setup, const char *name)
{
    const struct route_policy *policy = policy_set_find(setup->policies, name);
    return policy != NULL && (policy->needs & NEED_KV_EVENTS) != 0;
}

static bool start_router(const struct parity *parity, const char *policy,
                         const struct router_files *files, struct server_child *router,
                         struct err *err)
{
    const struct parity_setup *setup = &parity->setup;
    struct text urls = {0};
    struct text models = {0};
    struct text labels = {0};
    struct text events = {0};
    char seed[24];
    (void)snprintf(seed, sizeof seed, "%" PRIu64, setup->seed);
    for (uint32_t i = 0; i < setup->engines; i++) {
        text_printf(&urls, "%s%s", i == 0 ? "" : ",", parity->engines[i].url);
        text_printf(&models, "%s%s", i == 0 ? "" : ",", setup->model);
        text_add(&labels, i == 0 ? "prefill" : ",decode");
        char endpoint[SERVER_PATH_BYTES];
        name_events(setup, i, endpoint);
        text_printf(&events, "%s%s", i == 0 ? "" : ",", endpoint);
    }
    const char *argv[ARGUMENTS_MAX] = {
        parity->router,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--static-backends",
        text_str(&urls),
        "--static-models",
        text_str(&models),
        "--routing-logic",
        policy,
        "--session-key",
        SESSION_HEADER,
        "--seed",
        seed,
        "--engine-stats-interval",
        "1",
        "--decision-log",
        files->decisions,
        "--decision-scores",
        "--record",
        files->record,
    };
    size_t count = 0;
    while (argv[count] != NULL) {
        count++;
    }
    for (size_t i = 0; i < setup->plugin_count && i < PARITY_PLUGINS_MAX; i++) {
        argv[count++] = "--policy-plugin";
        argv[count++] = setup->plugins[i];
    }
    if (listens(setup, policy)) {
        argv[count++] = "--static-kv-events";
        argv[count++] = text_str(&events);
    }
    if (parity_is_disaggregated(policy)) {
        argv[count++] = "--static-model-labels";
        argv[count++] = text_str(&labels);
        argv[count++] = "--prefill-model-labels=prefill";
        argv[count++] = "--decode-model-labels=decode";
    }
    const bool good = server_child_start(router, argv, files->log, err);
    text_fini(&urls);
    text_fini(&models);
    text_fini(&labels);
    text_fini(&events);
    return good;
}

static bool drive(const struct parity *parity, const char *policy,
                  struct client *client, struct parity_result *result, struct err *err)
{
    const uint64_t most = parity->setup.requests_max;
    struct progress *progress = progress_new(policy, parity->setup.quiet);
    struct client_counts counts = {0};
    bool done = false;
    bool good = true;
    while (good && !done && !result->interrupted) {
        good = client_turn(client, &done, err);
        client_count(client, &counts);
        const double part = most > 0 ? (double)counts.ended / (double)most : 0;
        progress_show(progress, part < 1 ? part : 1, NULL);
        result->interrupted = interrupt_came();
    }
    progress_delete(progress);
    result->requests = counts.ended;
    result->failed = counts.failed;
    return good;
}

static bool replay(const struct parity *parity, const char *policy, const char *url,
                   struct parity_result *result, struct err *err)
{
    const struct parity_setup *setup = &parity->setup;
    struct live_workload source;
    struct client *client = NULL;
    struct run_record *run = run_record_new(&(struct run_info){.name = policy});
    const struct client_setup traffic = {
        .url = url,
        .model = setup->model,
        .session_header = SESSION_HEADER,
        .time_scale = setup->time_scale,
        .timeout_ns = timeout_ns,
        .requests_max = setup->requests_max,
    };
    const bool good =
        live_workload_open(&source, setup->source, setup->config_dir, err) &&
        client_new(&client, &traffic, source.workload, run, err) &&
        drive(parity, policy, client, result, err);
    client_delete(client);
    live_workload_close(&source);
    run_record_delete(run);
    return good;
}

/* Warm engines would tell a new listener of blocks behind ones that it never heard of:
 * for one, engines start anew. */
static bool refresh_engines(struct parity *parity, const char *policy, struct err *err)
{
    bool good = true;
    if (!listens(&parity->setup, policy)) {
        return true;
    }
    for (uint32_t i = 0; good && i < parity->setup.engines; i++) {
        good =
            server_child_stop(&parity->engines[i], err) && start_engine(parity, i, err);
    }
    return good;
}

bool parity_policy(struct parity *parity, const char *policy,
                   struct parity_result *result, struct err *err)
{
    struct router_files files;
    struct server_child router = {0};
    struct err later = {0};
    name_files(&parity->setup, policy, &files);
    if (!refresh_engines(parity, policy, err) ||
        !start_router(parity, policy, &files, &router, err)) {
        return false;
    }
    const bool good = replay(parity, policy, router.url, result, err);
    /* Its logs are complete when it has ended. */
    const bool ended = server_child_stop(&router, good ? err : &later);
    if (!good || !ended || result->interrupted) {
        return good && ended;
    }
    const struct parity_files logs = {files.record, files.decisions,
                                      parity->setup.policies};
    return parity_compare(&logs, result, err);
}
