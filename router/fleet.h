/* SPDX-License-Identifier: Apache-2.0
 *
 * fleet.h: the backends, who of them may be chosen, and the one place where decisions
 * are made and recorded.
 *
 * A backend accepts while it is a member, its probes succeed, it is awake and it was
 * not ejected. Ejection is passive: `ejection_failures` transport failures in a row
 * take a backend out for a while that doubles each time, unless it is the last one that
 * accepts its model; "maybe" is better than "no".
 *
 * A new configuration with the same policy changes the members of the running gateway;
 * another policy starts a new gateway, and the old one lives until its last request
 * ended. Objects here are counted where connections or requests outlive membership.
 */
#ifndef STACKSIM_ROUTER_FLEET_H
#define STACKSIM_ROUTER_FLEET_H

#include "policies/gateway.h"
#include "policies/request_stats.h"
#include "router/config.h"
#include "router/engine_events.h"
#include "router/origin.h"

struct fleet;
struct fleet_era; /* one gateway */

struct backend {
    char *url;
    char *model;
    char *label;
    char *name; /* of the endpoint: the url, or url#model of a second model */
    enum model_type type;
    char engine_id[37]; /* a UUID made of url and model: the same after a restart */
    struct origin *origin;
    char *kv_events;              /* where it publishes them, or NULL */
    struct engine_events *events; /* of its cache, in our hashes; NULL = none came */
    char **adapters;              /* LoRA adapters that it listed last */
    size_t adapter_count;
    int64_t added_unix_s;
    uint32_t slot; /* dense; its request statistics */
    uint32_t holders;
    bool member;
    bool joined; /* the current gateway has it */
    bool healthy;
    bool asleep;
    bool accepting;           /* what the gateway was told last */
    bool deaf;                /* we are: its KV events cannot be heard */
    bool babbles;             /* it sent KV events that could not be read */
    bool scraped;             /* the last scrape succeeded; metrics are of it */
    uint32_t failures;        /* of transport, in a row */
    uint32_t ejections;       /* in a row */
    int64_t ejected_until_ns; /* 0 = not ejected */
    int64_t probe_at_ns;      /* next health probe; INT64_MAX while one is under way */
    int64_t scrape_at_ns;
    int64_t list_at_ns; /* next look at its list of models */
    struct endpoint_metrics metrics;
    double prefix_hit_rate; /* of the last scrape; engines that report only the rate */
    uint32_t endpoint_id;   /* in the current era */
    /* Since the backend came. */
    uint64_t requests_total;
    uint64_t failures_total;
    uint64_t ejections_total;
};

struct fleet_sinks {
    void *context;
    /* Lines of the decision log and of the input record; NULL = not wanted. */
    void (*decision)(void *context, const char *line, size_t byte_count);
    void (*record)(void *context, const char *line, size_t byte_count);
    bool wants_scores;
};
struct fleet_setup {
    struct fleet_sinks sinks;
    uint64_t seed;
    uint64_t replica;
    int64_t stats_window_ns;
    uint32_t ejection_failures; /* in a row; 0 = never eject */
    int64_t ejection_ns;        /* the first time; doubles to ejection_ns_max */
    int64_t ejection_ns_max;
    int64_t unix_offset_ns; /* wall clock minus now_ns, for stamps that people see */
};

struct fleet *fleet_new(const struct fleet_setup *setup);
void fleet_delete(struct fleet *fleet);

/* Takes the config on true. On false nothing changed and the caller keeps it. */
NODISCARD bool fleet_apply(struct fleet *fleet, int64_t now_ns, struct config *config,
                           struct err *err);
/* The one in force; NULL before the first. */
const struct config *fleet_config(const struct fleet *fleet);
uint64_t fleet_generation(const struct fleet *fleet); /* configs applied so far */

/* Members in discovery order, healthy or not. */
size_t fleet_count(const struct fleet *fleet);
struct backend *fleet_at(const struct fleet *fleet, size_t index);
struct backend *fleet_by_engine_id(const struct fleet *fleet, const char *engine_id);
/* The first member whose URL has this host; NULL = none. */
struct backend *fleet_by_host(const struct fleet *fleet, const char *host);
void backend_take(struct backend *backend);
void fleet_give(struct fleet *fleet, struct backend *backend);
/* Listed to clients: healthy and awake or not, but a member whose probes succeed. */
bool backend_listed(const struct backend *backend);
unsigned fleet_needs(const struct fleet *fleet); /* bits of enum policy_need */
size_t fleet_policy_bytes(const struct fleet *fleet);
void fleet_stats(const struct fleet *fleet, int64_t now_ns,
                 const struct backend *backend, struct request_stats_row *row);
/* What the backend lists now; names are copied. */
void fleet_set_adapters(struct fleet *fleet, struct backend *backend,
                        const char *const *names, size_t count);
bool backend_has_adapter(const struct backend *backend, const char *name);
/* The model of the first member that lists this adapter; NULL = nobody does. */
const char *fleet_adapter_model(const struct fleet *fleet, const char *name);
bool fleet_serves(const struct fleet *fleet, const char *model);
/* Some configuration had it once. */
bool fleet_knew(const struct fleet *fleet, const char *model);

/* One try of one request at one backend. */
struct attempt {
    struct fleet_era *era; /* NULL = none open */
    struct backend *backend;
    uint64_t request_id;
    uint32_t endpoint_id;
    uint32_t prompt_tokens;
    enum route_reason reason; /* also of a decision for nobody */
    bool had_first_token;
};

enum { FLEET_TRIED_MAX = 16 };
struct fleet_question {
    const struct request_view *view;
    struct backend *const *tried; /* not to be chosen again; NULL entries are skipped */
    size_t tried_count;
};
/* Opens *attempt and returns true, or returns false when nobody accepts (the reason is
 * then NONE) or the policy itself says no. */
bool fleet_route(struct fleet *fleet, int64_t now_ns,
                 const struct fleet_question *question, struct attempt *attempt);
void fleet_first_token(struct fleet *fleet, int64_t now_ns, struct attempt *attempt);
void fleet_end(struct fleet *fleet, int64_t now_ns, struct attempt *attempt,
               enum attempt_how how, uint32_t cached_tokens);

/* A transport answered, or failed to. */
void fleet_praise(struct fleet *fleet, int64_t now_ns, struct backend *backend);
void fleet_blame(struct fleet *fleet, int64_t now_ns, struct backend *backend);
void fleet_probed(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                  bool healthy);
void fleet_slept(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                 bool asleep);
void fleet_scraped(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                   const struct endpoint_metrics *metrics); /* NULL = failed */
void fleet_kv_event(struct fleet *fleet, int64_t now_ns, struct backend *backend,
                    const struct kv_event *event);
/* Ends ejections that are over. */
void fleet_tick(struct fleet *fleet, int64_t now_ns);

#endif
