/* SPDX-License-Identifier: Apache-2.0
 *
 * sim_state.h: the inside of a run, shared by the files that make it up: sim.c (the
 * event loop, life and results), arrivals.c (from the workload to an engine),
 * outcomes.c (the end of a request), disagg.c (requests with two legs), probes.c
 * (health checks) and timers.c.
 * Nobody else includes it.
 */
#ifndef STACKSIM_SIM_SIM_STATE_H
#define STACKSIM_SIM_SIM_STATE_H

#include "base/hash.h"
#include "policies/oracle.h"
#include "sim/evq.h"
#include "sim/fairness.h"
#include "sim/fleet_adapters.h"
#include "sim/front.h"
#include "sim/kv_reports.h"
#include "sim/life.h"
#include "sim/load.h"
#include "sim/lockstep.h"
#include "sim/probes.h"
#include "sim/replay.h"
#include "sim/replica.h"
#include "sim/retries.h"
#include "sim/scale_metrics.h"
#include "sim/scaling.h"
#include "sim/sim.h"

/* Order at equal times: what frees resources comes first. */
#define EVENT_KINDS(X)                                                                 \
    X(STEP_DONE, "an engine ended a step")                                             \
    X(KV_ARRIVED, "KV has come to another engine")                                     \
    X(TIER_LOADED, "KV has come from a tier")                                          \
    X(KV_FREED, "nobody wants to read a prompt's KV any more")                         \
    X(KV_EXPIRED, "a prompt's KV has waited for its reader as long as it may")         \
    X(HANDOVER, "a prompt has been computed: to the engine that decodes")              \
    X(KV_POSTED, "an engine's reads of another one's KV begin")                        \
    X(KV_REPORT, "what an engine tells about its cache reaches the gateway")           \
    X(ADAPTER, "the router learns of an adapter")                                      \
    X(CONTROL, "engines come, go and fail")                                            \
    X(ATTEMPT_LOST, "a request's attempt at an engine has failed")                     \
    X(ADMIT, "there may be room for those who wait at the gateway")                    \
    X(RELEASE, "a request's parents have ended and its client has thought")            \
    X(RETRY, "a client tries again")                                                   \
    X(ROUTED, "the router's process has dealt with a request")                         \
    X(ARRIVAL, "the next request of the workload")                                     \
    X(CANCEL, "a client hangs up")                                                     \
    X(QUEUE_TIMEOUT, "somebody has waited at the gateway as long as it may")           \
    X(SCRAPE, "the gateway reads the engines' metrics")                                \
    X(TIME_LIMIT, "the run's time is up")

enum event_kind {
#define X(name, help) EVENT_##name,
    EVENT_KINDS(X)
#undef X
};

struct timer {
    enum event_kind kind;
    uint32_t index;          /* RELEASE: record; ADAPTER */
    struct request *request; /* CANCEL, TIER_LOADED */
    struct parked *parked;   /* CANCEL of one that waits at the gateway; ROUTED */
    struct split *split;     /* of two legs: KV_EXPIRED, HANDOVER, KV_POSTED */
    struct kv_hold *hold;    /* KV_FREED, at engine `index`; NULL in unused ones */
    struct attempt *attempt; /* ATTEMPT_LOST, RETRY */
    uint32_t next_unused;
};

struct sim {
    const struct scenario *scenario;
    struct sim_options options;
    struct observer observer;
    struct front *fronts;      /* replicas of the router */
    struct fairness *fairness; /* over all of them */
    uint32_t front_count;
    struct rng front_bits; /* which replica a request meets */
    uint32_t source_admit;
    uint32_t source_queue_timeout;
    struct decision_sink sink;
    struct replay_queue *replay;
    struct kv_reports *reports; /* NULL unless the policy listens */
    struct oracle oracle;
    struct kv_listener nobody;        /* for pools that only an oracle looks at */
    const struct trace_record *asked; /* the oracle about: being routed */
    struct block_run *asked_runs;     /* of its prompt, room for asked_capacity */
    size_t asked_capacity;
    struct request_table *table;
    struct evq *events;
    struct load load;
    uint32_t engine_count;
    struct replica **engines;
    const struct scenario_pool **pool_of; /* by engine */
    struct disagg *disagg;                /* NULL: no request has two legs */
    struct fleet_adapters *adapters;      /* NULL: the base model alone */
    struct fleet_tiers *tiers;            /* NULL: no engine has any */
    struct life *life;                    /* NULL: the fleet never changes */
    struct scaling *scaling;              /* NULL: nobody scales it */
    struct retries retries;               /* of interest where it does */
    uint64_t parts;             /* legs that prefill for pushed requests, under way */
    struct probes probes;       /* the same */
    struct lockstep **group_of; /* by engine; NULL = on its own */
    uint32_t *first_of;         /* by engine: source of its step events */
    uint32_t source_arrival;
    uint32_t source_limit;
    uint32_t source_scrape; /* of the first replica of the router */
    uint32_t source_reports;
    uint32_t source_links;
    uint32_t source_life;
    uint32_t source_timers; /* the first one */
    bool fresh_metrics;     /* read at every arrival instead of at scrapes */
    struct timer *timers;
    size_t timer_capacity;
    size_t timer_high;
    uint32_t timer_unused;              /* UINT32_MAX = none */
    const struct trace_record *arrival; /* the next one, lent */
    uint64_t releases;                  /* timers of kind RELEASE */
    bool arrivals_done;
    uint64_t in_router; /* requests that its processes have, or will have, in hand */
    bool arrival_held;  /* the client has as many requests in flight as it may */
    enum sim_state state;
    int64_t now_ns;
    int64_t sample_ns;  /* next tick; INT64_MAX = none */
    int64_t stalled_ns; /* since when; while `stalled` */
    uint64_t injected;
    uint32_t stalled; /* events in a row that could bring nobody on */
    uint32_t touched; /* engine of the last event; none: UINT32_MAX */
    struct digest digest;
    struct sim_summary summary;
};

/* A request on its way: who wants what since when, and which replica of the router has
 * it. */
struct incoming {
    const struct trace_record *record;
    int64_t arrival_ns;
    uint64_t number; /* of its arrival */
    uint32_t front;
    struct attempt *attempt; /* earlier ones; NULL = none */
};

/* Health checks and parts of requests are none. */
static inline size_t sim_requests_live(const struct sim *sim)
{
    return request_table_live(sim->table) - sim->probes.live - sim->parts;
}

static inline uint64_t sim_rank(enum event_kind kind, uint64_t identity)
{
    return (uint64_t)kind << 56 | (identity & SEGMENT_ID_MAX);
}

/* ---- timers.c ---- */

/* Its event is source_timers + the slot; the caller sets it. */
uint32_t sim_timer_new(struct sim *sim, const struct timer *timer);
void sim_timer_give(struct sim *sim, uint32_t slot);
/* replay_ended's callback: a record's parents have ended, it arrives at time_ns. */
void sim_on_release(void *context, int64_t time_ns, uint32_t index);

/* ---- outcomes.c ---- */

/* Every request passes here exactly once; it is gone on return. */
void sim_finish(struct sim *sim, struct request *request, enum outcome_status status);

/* A request's attempt has failed and its engine knows it no more: gateways, load and
 * admission are told, and it is gone. routed_on: the router tries another engine, it
 * stays admitted. */
void sim_attempt_close(struct sim *sim, struct request *request, bool routed_on);

/* ---- arrivals.c ---- */

void sim_arrive(struct sim *sim, const struct trace_record *record);
/* Its client tries again. */
void sim_arrive_again(struct sim *sim, struct incoming *incoming);
/* One that the router has held meets it again, where it was. */
void sim_arrive_held(struct sim *sim, const struct incoming *incoming);
/* Behind admission: to an engine, if there is one. */
void sim_request_route(struct sim *sim, const struct incoming *incoming);
/* It was let in and comes back later: its place is free. */
void sim_request_unadmit(struct sim *sim, const struct incoming *incoming);
NODISCARD bool sim_arrival_fetch(struct sim *sim, struct err *err);
/* The next arrival takes place in its time, or as soon as the client may send. Its
 * event may still be the last one's. */
void sim_arrival_schedule(struct sim *sim);
uint64_t sim_waiting_at_gateway(const struct sim *sim);
void sim_admit_waiting(struct sim *sim);
void sim_queue_timeout(struct sim *sim);
void sim_queue_cancel(struct sim *sim, struct parked *parked);
void sim_parked_end(struct sim *sim, struct parked *parked, enum outcome_status status);
void sim_metrics_read(struct sim *sim, const struct front *front);
/* The oracle's answer about the request that is being routed. */
void sim_on_ask(void *context, uint32_t endpoint_id, const struct request_view *request,
                struct oracle_outlook *outlook);
/* Of the engine's cache; NULL: nobody listens, and evictions may be booked late. */
const struct kv_listener *sim_listener_of(struct sim *sim, uint32_t engine);
void sim_on_change_unheard(void *context, const struct kv_change *change);

/* Its engine is chosen: whoever may come in. */
struct request *sim_request_new(struct sim *sim, const struct incoming *incoming,
                                uint32_t engine, uint32_t model_len);
void sim_engine_submit(struct sim *sim, struct request *request, uint32_t engine);
/* To this engine for the whole of it. */
void sim_request_submit(struct sim *sim, const struct incoming *incoming,
                        uint32_t engine);
/* It ends without having met an engine. */
void sim_request_drop(struct sim *sim, const struct incoming *incoming,
                      enum outcome_status status);

/* ---- disagg.c: prompt and output on two engines ---- */

/* NULL when the scenario has nothing of it. Engines are made. */
struct disagg *sim_disagg_new(struct sim *sim);
void sim_disagg_delete(struct disagg *disagg);
/* In place of a route to one engine. */
void sim_disagg_route(struct sim *sim, const struct incoming *incoming);
/* What engines tell (sim/replica.h). */
void sim_on_prefilled(void *context, struct request *request, struct kv_hold *hold,
                      int64_t now_ns);
void sim_on_load(void *context, struct request *request, uint32_t blocks,
                 int64_t now_ns);
/* A timer of one of its kinds has fired and is given. */
void sim_disagg_timer(struct sim *sim, const struct timer *timer);
/* KV_ARRIVED: the next flow has ended. */
void sim_disagg_arrived(struct sim *sim);
/* Requests that are between their engines in this instant. */
uint64_t sim_disagg_between(const struct disagg *disagg);
/* That of the leg which a request with two legs is in. */
struct gateway *sim_disagg_gateway(const struct sim *sim,
                                   const struct request *request);
/* A request with two legs ends: what its outcome says of them; gateways, timers, KV. */
void sim_disagg_outcome(const struct request *request, struct request_outcome *outcome);
/* Record id of the request that a part belongs to. */
uint64_t sim_disagg_whole(const struct request *part);
/* The prefill leg of a pushed request has ended without a result. */
void sim_part_end(struct sim *sim, struct request *part, enum outcome_status status);
void sim_disagg_end(struct sim *sim, struct request *request,
                    const struct attempt_end *end);
/* No engine knows the request any more: nobody reads KV for it. */
void sim_disagg_hang(struct sim *sim, struct request *request);
/* The engine goes down, with the KV that waits there for others. */
void sim_disagg_lose(struct sim *sim, uint32_t engine);
/* Its network card is so much slower; infinite: nothing goes. */
void sim_disagg_slow(struct sim *sim, uint32_t engine, double factor);

/* ---- sim_tiers.c: tiers behind KV caches ---- */

/* NULL when the scenario has none. Before the engines are made; they are counted. */
struct fleet_tiers *sim_tiers_new(struct sim *sim);
void sim_tiers_delete(struct fleet_tiers *fleet, uint32_t engine_count);
/* Those of one engine, made; NULL when its pool has none. */
struct tiers *sim_tiers_of(struct sim *sim, uint32_t engine,
                           const struct scenario_pool *pool);
/* A new request gets the chunks that tiers know it by. */
void sim_tiers_chunk(struct sim *sim, struct request *request,
                     const struct trace_record *record);
/* What engines tell (sim/replica.h), and its end. */
void sim_on_tier_load(void *context, struct request *request, int64_t here_ns);
void sim_tiers_loaded(struct sim *sim, struct request *request);

/* Admission, and the policy's choice. */
void sim_router_decide(struct sim *sim, const struct incoming *incoming);

/* ---- router_process.c ---- */

/* A request reaches a replica of the router, which has the others before it to deal
 * with first. At once, when its process takes no time. */
void sim_router_enter(struct sim *sim, const struct incoming *incoming);
/* A timer of kind ROUTED has fired and is given. */
void sim_router_done(struct sim *sim, struct parked *parked);
/* The run ends. */
void sim_router_stop(struct sim *sim);

/* ---- stall.c ---- */

/* Before each event. True: requests wait at the gateway, and have waited through so
 * many scrapes and health checks of a fleet in which nothing changes that they will
 * wait for ever. */
bool sim_stalled(struct sim *sim); /* once arrivals are done */

/* ---- life.c ---- */

/* A row of the fleet's events, of now. */
void sim_tell(struct sim *sim, bool warning, const char *reason, const char *object,
              const char *message);

/* ---- sim.c ---- */

void sim_engine_reschedule(struct sim *sim, uint32_t engine);
/* New ones in the place of those that went down, with empty caches; their numbers go
 * on. Of ranks the whole group. */
void sim_engines_renew(struct sim *sim, uint32_t first, uint32_t count);
/* One more is on its way to this engine; one has ended there. */
void sim_load_add(struct sim *sim, uint32_t engine);
void sim_load_remove(struct sim *sim, uint32_t engine);

#endif
