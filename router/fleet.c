/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet.c: keeps the gateway's idea of who accepts equal to ours, and writes down every
 * call that reaches it before the call is made.
 *
 * A retry must not meet the backends that failed it. The gateway knows no such list, so
 * they stop accepting for the length of one decision; the record has these changes,
 * too, and replays exactly.
 */
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "policies/decision_log.h"
#include "router/fleet_state.h"

#include <stdio.h>
#include <string.h>

enum { SEEN_MAX = 4096 };

/* --- logs ------------------------------------------------------------------------- */

static void on_decision(void *context, const struct decision_row *row)
{
    struct fleet *fleet = context;
    fleet->line.length = 0;
    decision_log_row(row, &fleet->line);
    fleet->setup.sinks.decision(fleet->setup.sinks.context, fleet->line.bytes,
                                fleet->line.length);
}

/* NULL when nobody wants a record. */
struct text *fleet_record_begin(struct fleet *fleet)
{
    if (fleet->setup.sinks.record == NULL) {
        return NULL;
    }
    fleet->line.length = 0;
    return &fleet->line;
}

void fleet_record_finish(const struct fleet *fleet)
{
    fleet->setup.sinks.record(fleet->setup.sinks.context, fleet->line.bytes,
                              fleet->line.length);
}

/* --- backends --------------------------------------------------------------------- */

void backend_take(struct backend *backend)
{
    backend->holders++;
}

static void forget_adapters(struct backend *backend)
{
    for (size_t i = 0; i < backend->adapter_count; i++) {
        mem_free(backend->adapters[i]);
    }
    mem_free(backend->adapters);
    backend->adapters = NULL;
    backend->adapter_count = 0;
}

void fleet_give(struct fleet *fleet, struct backend *backend)
{
    if (backend == NULL) {
        return;
    }
    CHECK(backend->holders > 0, "%s was given back too often", backend->url);
    if (--backend->holders > 0) {
        return;
    }
    fleet->slot_used[backend->slot] = false;
    request_stats_forget(fleet->stats, backend->slot);
    origin_give(backend->origin);
    mem_free(backend->url);
    mem_free(backend->model);
    mem_free(backend->label);
    mem_free(backend->name);
    mem_free(backend->kv_events);
    engine_events_delete(backend->events);
    forget_adapters(backend);
    mem_free(backend);
}

static void write_uuid(char out[37], const uint8_t bytes[16], unsigned version)
{
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        unsigned byte = bytes[i];
        byte = i == 6 ? (byte & 0x0FU) | version << 4 : byte;
        byte = i == 8 ? (byte & 0x3FU) | 0x80U : byte;
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        at += (size_t)snprintf(out + at, 37 - at, "%s%02x", dash, byte);
    }
}

/* A name-based UUID of what identifies an engine: of a pod's name in the name space of
 * the DNS (RFC 4122), as the stack has it; else of url and model. */
static void make_engine_id(char out[37], const struct config_backend *config)
{
    static const uint8_t DNS[16] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                    0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
    struct text name = {0};
    uint8_t digest[20];
    if (config->pod != NULL) {
        text_add_bytes(&name, (const char *)DNS, sizeof DNS);
        text_add(&name, config->pod);
        hash_sha1(name.bytes, name.length, digest);
    } else {
        text_printf(&name, "%s\n%s", config->url, config->model);
        hash_md5(name.bytes, name.length, digest);
    }
    text_fini(&name);
    write_uuid(out, digest, config->pod != NULL ? 5 : 3);
}

static uint32_t free_slot(struct fleet *fleet)
{
    for (uint32_t slot = 0; slot < 2 * CONFIG_BACKENDS_MAX; slot++) {
        if (!fleet->slot_used[slot]) {
            fleet->slot_used[slot] = true;
            return slot;
        }
    }
    CHECK(false, "more than %d backends, gone ones included", 2 * CONFIG_BACKENDS_MAX);
    return 0;
}

static struct backend *backend_new(struct fleet *fleet, int64_t now_ns,
                                   const struct config_backend *config)
{
    struct backend *backend = mem_alloc(1, sizeof *backend);
    struct err err = {0};
    const bool parsed = origin_new(&backend->origin, config->url, &err);
    CHECK(parsed, "a checked URL is none: %s", err.text);
    backend->url = mem_strdup(config->url);
    backend->model = mem_strdup(config->model);
    backend->label = mem_strdup(config->label);
    backend->kv_events =
        config->kv_events != NULL ? mem_strdup(config->kv_events) : NULL;
    backend->type = config->type;
    make_engine_id(backend->engine_id, config);
    backend->added_unix_s = (now_ns + fleet->setup.unix_offset_ns) / 1000000000;
    backend->slot = free_slot(fleet);
    backend->holders = 1;
    backend->member = true;
    backend->healthy = true;
    backend->prefix_hit_rate = 0;
    return backend;
}

/* --- eras ------------------------------------------------------------------------- */

static void era_delete(struct fleet *fleet, struct fleet_era *era)
{
    if (era == NULL) {
        return;
    }
    for (uint32_t id = 0; id < CONFIG_BACKENDS_MAX; id++) {
        fleet_give(fleet, era->backend_of[id]);
    }
    gateway_delete(era->gateway);
    mem_free(era->backend_of);
    mem_free(era);
}

static bool era_new(struct fleet *fleet, int64_t now_ns, const struct config *config,
                    struct fleet_era **out, struct err *err)
{
    const struct gateway_setup setup = {
        .policy = config->policy,
        .compat = config->compat,
        .param_names = config->param_names,
        .param_values = config->param_values,
        .param_count = config->param_count,
        .seed = fleet->setup.seed,
        .replica = fleet->setup.replica,
        .stats_window_ns = fleet->setup.stats_window_ns,
        .endpoints_max = CONFIG_BACKENDS_MAX,
    };
    struct gateway *gateway = NULL;
    if (!gateway_new(&gateway, &setup, err)) {
        return false;
    }
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL) {
        record_setup(line, now_ns, &setup);
        fleet_record_finish(fleet);
    }
    if (fleet->setup.sinks.decision != NULL) {
        gateway_log_to(gateway, &fleet->decision_sink);
    }
    struct fleet_era *era = mem_alloc(1, sizeof *era);
    era->gateway = gateway;
    era->backend_of = mem_alloc(CONFIG_BACKENDS_MAX, sizeof(void *));
    *out = era;
    return true;
}

static void retire(struct fleet *fleet, struct fleet_era *era)
{
    if (era != NULL) {
        era->retired = true;
        if (era->open_attempts == 0) {
            era_delete(fleet, era);
        }
    }
}

/* --- membership ------------------------------------------------------------------- */

static bool url_joined(const struct fleet *fleet, const struct backend *backend)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        const struct backend *other = fleet->members[i];
        if (other != backend && other->joined &&
            strcmp(other->url, backend->url) == 0) {
            return true;
        }
    }
    return false;
}

/* One engine under two model names is two endpoints; the second gets a name of its own,
 * since a gateway tells endpoints apart by url. */
static void join(struct fleet *fleet, int64_t now_ns, struct backend *backend)
{
    struct fleet_era *era = fleet->era;
    struct text name = {0};
    text_add(&name, backend->url);
    if (url_joined(fleet, backend)) {
        text_printf(&name, "#%s", backend->model);
    }
    const uint32_t id = gateway_join(era->gateway, name.bytes, backend->model, 1);
    mem_free(backend->name);
    backend->name = name.bytes;
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL) {
        record_join(line, now_ns, id, gateway_endpoint(era->gateway, id));
        fleet_record_finish(fleet);
    }
    if (era->backend_of[id] != backend) {
        fleet_give(fleet, era->backend_of[id]);
        era->backend_of[id] = backend;
        backend_take(backend);
    }
    backend->endpoint_id = id;
    backend->joined = true;
    backend->accepting = true;
}

static void leave(struct fleet *fleet, int64_t now_ns, struct backend *backend)
{
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL) {
        record_leave(line, now_ns, backend->endpoint_id);
        fleet_record_finish(fleet);
    }
    gateway_leave(fleet->era->gateway, backend->endpoint_id);
    backend->member = false;
    backend->joined = false;
    backend->accepting = false;
}

static void tell_accepting(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                           bool accepting)
{
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL) {
        record_accepting(line, now_ns, backend->endpoint_id, accepting);
        fleet_record_finish(fleet);
    }
    gateway_set_accepting(fleet->era->gateway, backend->endpoint_id, accepting);
}

void fleet_update_accepting(struct fleet *fleet, int64_t now_ns,
                            struct backend *backend)
{
    const bool accepting = backend->member && backend->healthy && !backend->asleep &&
                           backend->ejected_until_ns == 0;
    if (backend->member && backend->accepting != accepting) {
        backend->accepting = accepting;
        tell_accepting(fleet, now_ns, backend, accepting);
    }
}

static void remember_model(struct fleet *fleet, const char *model)
{
    void *seen = fleet->seen;
    if (fleet_knew(fleet, model) ||
        !mem_grow(&seen, &fleet->seen_capacity, fleet->seen_count + 1,
                  sizeof *fleet->seen, SEEN_MAX)) {
        return;
    }
    fleet->seen = seen;
    fleet->seen[fleet->seen_count++] = mem_strdup(model);
}

static struct backend *find_member(const struct fleet *fleet,
                                   const struct config_backend *config)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        struct backend *backend = fleet->members[i];
        if (strcmp(backend->url, config->url) == 0 &&
            strcmp(backend->model, config->model) == 0) {
            return backend;
        }
    }
    return NULL;
}

static bool in_list(struct backend *const *list, size_t count,
                    const struct backend *backend)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == backend) {
            return true;
        }
    }
    return false;
}

static void relabel(struct backend *backend, const struct config_backend *config)
{
    mem_free(backend->label);
    backend->label = mem_strdup(config->label);
    backend->type = config->type;
}

/* The members of the new configuration in its order: kept ones as they are. */
static void change_members(struct fleet *fleet, int64_t now_ns,
                           const struct config *config, bool fresh_era)
{
    struct backend **next = mem_alloc(config->backend_count, sizeof(void *));
    for (size_t i = 0; i < config->backend_count; i++) {
        next[i] = find_member(fleet, &config->backends[i]);
        if (next[i] != NULL) {
            relabel(next[i], &config->backends[i]);
        }
    }
    for (size_t i = 0; i < fleet->member_count; i++) {
        struct backend *backend = fleet->members[i];
        if (fresh_era) {
            backend->accepting = false; /* the new gateway knows nobody yet */
            backend->joined = false;
        }
        if (in_list(next, config->backend_count, backend)) {
            continue;
        }
        if (fresh_era) {
            backend->member = false;
        } else {
            leave(fleet, now_ns, backend);
        }
        fleet_give(fleet, backend);
    }
    mem_free(fleet->members);
    fleet->members = next;
    fleet->member_count = 0;
    for (size_t i = 0; i < config->backend_count; i++) {
        const bool kept = next[i] != NULL;
        if (!kept) {
            next[i] = backend_new(fleet, now_ns, &config->backends[i]);
        }
        fleet->member_count = i + 1;
        if (!kept || fresh_era) {
            join(fleet, now_ns, next[i]);
            fleet_update_accepting(fleet, now_ns, next[i]);
        }
        remember_model(fleet, config->backends[i].model);
    }
}

/* Without probes nothing would ever end an earlier probe's verdict. */
static void forget_probes(struct fleet *fleet, int64_t now_ns)
{
    for (size_t i = 0; i < fleet->member_count; i++) {
        fleet->members[i]->healthy = true;
        fleet_update_accepting(fleet, now_ns, fleet->members[i]);
    }
}

bool fleet_apply(struct fleet *fleet, int64_t now_ns, struct config *config,
                 struct err *err)
{
    const bool fresh_era =
        fleet->config == NULL || !config_same_policy(fleet->config, config);
    if (fresh_era) {
        struct fleet_era *era = NULL;
        if (!era_new(fleet, now_ns, config, &era, err)) {
            return false;
        }
        retire(fleet, fleet->era);
        fleet->era = era;
    }
    change_members(fleet, now_ns, config, fresh_era);
    if (!config->health_checks) {
        forget_probes(fleet, now_ns);
    }
    for (size_t i = 0; i < config->alias_count; i++) {
        remember_model(fleet, config->aliases[i].model);
    }
    config_delete(fleet->config);
    fleet->config = config;
    fleet->generation++;
    return true;
}

/* --- making and reading ----------------------------------------------------------- */

struct fleet *fleet_new(const struct fleet_setup *setup)
{
    struct fleet *fleet = mem_alloc(1, sizeof *fleet);
    fleet->setup = *setup;
    fleet->slot_used =
        mem_alloc((size_t)2 * CONFIG_BACKENDS_MAX, sizeof *fleet->slot_used);
    fleet->stats = request_stats_new(&(struct request_stats_setup){
        .window_ns = setup->stats_window_ns,
        .endpoints_max = 2 * CONFIG_BACKENDS_MAX,
    });
    fleet->decision_sink = (struct decision_sink){
        .context = fleet,
        .on_decision = on_decision,
        .wants_scores = setup->sinks.wants_scores,
    };
    return fleet;
}

void fleet_delete(struct fleet *fleet)
{
    if (fleet == NULL) {
        return;
    }
    for (size_t i = 0; i < fleet->member_count; i++) {
        fleet_give(fleet, fleet->members[i]);
    }
    era_delete(fleet, fleet->era);
    for (size_t i = 0; i < fleet->seen_count; i++) {
        mem_free(fleet->seen[i]);
    }
    mem_free(fleet->seen);
    mem_free(fleet->members);
    mem_free(fleet->slot_used);
    request_stats_delete(fleet->stats);
    config_delete(fleet->config);
    text_fini(&fleet->line);
    mem_free(fleet);
}

void fleet_set_adapters(struct fleet *fleet, struct backend *backend,
                        const char *const *names, size_t count)
{
    forget_adapters(backend);
    backend->adapters = mem_alloc(count, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        backend->adapters[backend->adapter_count++] = mem_strdup(names[i]);
        remember_model(fleet, names[i]);
    }
}

/* --- decisions -------------------------------------------------------------------- */

static void hide_tried(struct fleet *fleet, int64_t now_ns,
                       const struct fleet_question *question, bool hidden)
{
    for (size_t i = 0; i < question->tried_count; i++) {
        struct backend *backend = question->tried[i];
        if (backend != NULL && backend->member && backend->accepting &&
            !in_list(question->tried, i, backend)) {
            tell_accepting(fleet, now_ns, backend, !hidden);
        }
    }
}

bool fleet_route(struct fleet *fleet, int64_t now_ns,
                 const struct fleet_question *question, struct attempt *attempt)
{
    struct fleet_era *era = fleet->era;
    const struct request_view *view = question->view;
    uint32_t endpoint_id = 0;
    hide_tried(fleet, now_ns, question, true);
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL) {
        record_route(line, now_ns, view);
        fleet_record_finish(fleet);
    }
    const struct route_decision decision =
        gateway_route(era->gateway, now_ns, view, &endpoint_id);
    hide_tried(fleet, now_ns, question, false);
    attempt->reason = decision.reason;
    if (decision.endpoint < 0) {
        return false;
    }
    struct backend *backend = era->backend_of[endpoint_id];
    *attempt = (struct attempt){
        .era = era,
        .backend = backend,
        .request_id = view->request_id,
        .endpoint_id = endpoint_id,
        .prompt_tokens = view->prompt_tokens,
        .reason = decision.reason,
    };
    era->open_attempts++;
    backend_take(backend);
    backend->requests_total++;
    request_stats_sent(fleet->stats, now_ns, view->request_id, backend->slot);
    return true;
}

void fleet_first_token(struct fleet *fleet, int64_t now_ns, struct attempt *attempt)
{
    if (attempt->era == NULL || attempt->had_first_token) {
        return;
    }
    attempt->had_first_token = true;
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL && attempt->era == fleet->era) {
        record_first_token(line, now_ns, attempt->request_id, attempt->endpoint_id,
                           attempt->prompt_tokens);
        fleet_record_finish(fleet);
    }
    request_stats_first_chunk(fleet->stats, now_ns, attempt->request_id,
                              attempt->backend->slot);
    gateway_first_token(attempt->era->gateway, now_ns, attempt->request_id,
                        attempt->endpoint_id, attempt->prompt_tokens);
}

void fleet_end(struct fleet *fleet, int64_t now_ns, struct attempt *attempt,
               enum attempt_how how, uint32_t cached_tokens)
{
    if (attempt->era == NULL) {
        return;
    }
    struct fleet_era *era = attempt->era;
    const struct attempt_end end = {
        .request_id = attempt->request_id,
        .endpoint_id = attempt->endpoint_id,
        .prompt_tokens = attempt->prompt_tokens,
        .cached_tokens = cached_tokens,
        .how = how,
        .had_first_token = attempt->had_first_token,
    };
    struct text *line = fleet_record_begin(fleet);
    if (line != NULL && era == fleet->era) {
        record_end(line, now_ns, &end);
        fleet_record_finish(fleet);
    }
    request_stats_ended(fleet->stats, now_ns, attempt->request_id,
                        attempt->backend->slot, how == ATTEMPT_COMPLETED);
    gateway_end(era->gateway, now_ns, &end);
    fleet_give(fleet, attempt->backend);
    attempt->era = NULL;
    attempt->backend = NULL;
    era->open_attempts--;
    if (era->retired && era->open_attempts == 0) {
        era_delete(fleet, era);
    }
}
