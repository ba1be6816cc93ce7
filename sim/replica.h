/* SPDX-License-Identifier: Apache-2.0
 *
 * replica.h: one vLLM v1 engine: queue, continuous batching, KV blocks, steps.
 *
 * A state machine without a clock: its owner submits requests and calls
 * replica_step_done when the time that replica_next_ns names has come. Between two such
 * calls the engine may run through many equal decode steps (a decode run); an arrival
 * that could be admitted cuts the run at the next step boundary.
 *
 * Follows spec/vllm-engine.md sections 1 and 2. With asynchronous scheduling a second
 * step is formed while the first one runs (step-time.md 3.1): `depth` is 2 instead of
 * 1, and that is all the difference.
 */
#ifndef STACKSIM_SIM_REPLICA_H
#define STACKSIM_SIM_REPLICA_H

#include "sim/adapter_slots.h"
#include "sim/cost.h"
#include "sim/engine_config.h"
#include "sim/observer.h"
#include "sim/request.h"

struct replica;

/* KV blocks of a prompt that another engine will fetch. They belong to no request here
 * and are not free until replica_release. */
struct kv_hold;

/* What the engine tells its owner, always at a step boundary, in this order: first
 * tokens of a step, then requests that ended. on_end lends the request; the engine has
 * forgotten it. */
struct replica_events {
    void *context;
    void (*on_first_token)(void *context, struct request *request, int64_t now_ns);
    void (*on_end)(void *context, struct request *request, int64_t now_ns,
                   enum outcome_status status);
};

/* The same of requests whose legs are at two engines; all NULL where there are none. */
struct replica_leg_events {
    void *context;
    /* In place of on_end for one of LEG_PREFILL, ARRIVED again. hold NULL: its blocks
     * were lost to a preemption. */
    void (*on_prefilled)(void *context, struct request *request, struct kv_hold *hold,
                         int64_t now_ns);
    /* One of LEG_DECODE has got its blocks and waits until `blocks` of them have come
     * (replica_kv_arrived); 0: the cache had them all, it goes on at once. While a step
     * is formed: the engine must not be called. */
    void (*on_load)(void *context, struct request *request, uint32_t blocks,
                    int64_t now_ns);
    /* One waits until here_ns for what it loads from tiers that load beside the steps
     * (replica_kv_arrived). While a step is formed, too. */
    void (*on_tier_load)(void *context, struct request *request, int64_t here_ns);
};

struct replica_setup {
    uint32_t id;
    const struct engine_config *engine;
    const struct cost *cost;
    uint32_t kv_blocks; /* null block included */
    uint64_t seed;      /* of what chance decides here: whether drafts are right */
    const struct request_table *table;
    struct replica_events events;
    struct replica_leg_events legs;
    struct tiers *tiers; /* behind its KV cache; borrowed; NULL = none */
    const struct kv_listener *cache_listener; /* NULL = nobody */
    const struct adapter_costs *adapters;     /* NULL = the base model alone */
    bool step_by_step; /* no decode runs, no aggregates: the oracle */
    bool lockstep;     /* a rank of sim/lockstep.h, which also sets step_by_step */
};

/* As vLLM counts them. */
struct speculation_stats {
    uint64_t drafts; /* requests that were given some, step by step */
    uint64_t draft_tokens;
    uint64_t accepted_tokens; /* that were right, those behind the last output too */
};

static inline void speculation_stats_add(struct speculation_stats *sum,
                                         const struct speculation_stats *stats)
{
    sum->drafts += stats->drafts;
    sum->draft_tokens += stats->draft_tokens;
    sum->accepted_tokens += stats->accepted_tokens;
}

struct replica_stats {
    uint64_t ended;
    uint64_t steps;
    uint64_t preemptions;
    uint64_t prefix_query_tokens;
    uint64_t prefix_hit_tokens;
    uint64_t recomputed_tokens;
    uint64_t tier_hit_tokens; /* loaded instead of computed, at first admissions */
    int64_t busy_ns;          /* stalls for adapters and tiers included */
    struct adapter_stats adapters;
    struct speculation_stats speculation;
};

struct replica *replica_new(const struct replica_setup *setup);
void replica_delete(struct replica *replica);

/* An adapter that is loaded before the first request comes. */
void replica_preload(struct replica *replica, uint32_t adapter);

/* A new request reaches the engine's input queue. prompt + output fit max_model_len. */
void replica_submit(struct replica *replica, struct request *request, int64_t now_ns);

/* The client hung up: the request ends (CANCELLED) at the next step boundary, at once
 * when the engine is idle. */
void replica_cancel(struct replica *replica, struct request *request, int64_t now_ns);

/* The KV that on_load or on_tier_load spoke of is here; the request goes on with the
 * next step that is formed. */
void replica_kv_arrived(struct replica *replica, struct request *request,
                        int64_t now_ns);
/* It cannot be had any more: one that waits and has not asked computes its prompt here.
 */
void replica_kv_lost(struct replica *replica, struct request *request, int64_t now_ns);
/* The KV that it waits for is lost with its engine. recompute: its prompt is computed
 * here; else it fails (FAILED) at the next boundary. */
void replica_kv_failed(struct replica *replica, struct request *request, bool recompute,
                       int64_t now_ns);
/* Steps formed from now on take `factor` times as long. No decode runs meanwhile. */
void replica_slow(struct replica *replica, double factor, int64_t now_ns);
/* The engine goes down: nothing outside is held for this request any more. Then: */
void replica_lose(struct replica *replica, struct request *request);
/* A new engine of the same kind, with an empty cache; counters and factor go on. The
 * old one, and what it held, is gone: its requests belong to the caller. */
struct replica *replica_renew(struct replica *replica);
/* The other engine has what it wanted: the blocks are free from the next boundary on,
 * at once when the engine is idle. */
void replica_release(struct replica *replica, struct kv_hold *hold, int64_t now_ns);

/* When replica_step_done is due; INT64_MAX while idle. */
int64_t replica_next_ns(const struct replica *replica);

/* The step under way has ended, at replica_next_ns(). Delivers, then forms what
 * follows. */
void replica_step_done(struct replica *replica);

/* Books what has happened by now_ns in a decode run that will not be finished: for
 * statistics at the end of a run that its time limit ends. */
void replica_stop(struct replica *replica, int64_t now_ns);

/* As the engine's gauges stand at time_ns, not beyond replica_next_ns(). Steps that end
 * at time_ns itself are not over yet. */
void replica_peek(const struct replica *replica, int64_t time_ns,
                  struct engine_sample *sample);

/* Adapters of running and of waiting requests, as a scrape tells them: ids ascending,
 * none twice, none of the waiting that is active. Needs room for all adapters in each
 * list. The engine has adapters. */
void replica_adapters(const struct replica *replica, const uint64_t *ids,
                      uint64_t *active, uint64_t *waiting,
                      struct endpoint_adapters *adapters);

/* Output tokens of one of its requests that clients have by time_ns, steps that end
 * then included; not beyond replica_next_ns(). Never falls while the engine holds the
 * request, if asked in order of time. */
uint32_t replica_output_tokens(const struct replica *replica, struct request *request,
                               int64_t time_ns);

/* Calls visit for every request that the engine holds, in order of running, then
 * waiting, then tokens on their way. The list must not change meanwhile. */
void replica_visit(const struct replica *replica,
                   void (*visit)(void *context, struct request *request),
                   void *context);

const struct replica_stats *replica_stats(const struct replica *replica);
/* How long a pipeline stage worked on batches that have ended; 0 without stages. */
int64_t replica_stage_busy_ns(const struct replica *replica, uint32_t stage);

/* INV-4, INV-7 and the aggregates against a walk of everything. */
void replica_check(const struct replica *replica);

#endif
