/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.h: one run of one scenario, from the first arrival to the last token.
 *
 * A sim is one thread's property and touches no state outside itself. Equal scenario,
 * workload and seed give equal outcomes, samples, decisions and digest, on any compiler
 * and in both modes: step_by_step forms every engine step singly and is the oracle of
 * the closed-form decode runs.
 */
#ifndef STACKSIM_SIM_SIM_H
#define STACKSIM_SIM_SIM_H

#include "sim/adapter_slots.h"
#include "sim/fairness.h"
#include "sim/observer.h"
#include "sim/replica.h"
#include "sim/scenario.h"
#include "traces/workload.h"

struct sim;

struct sim_options {
    bool step_by_step;
    bool check_invariants; /* after every event; slow; for dev builds and tests */
};

enum sim_state { SIM_RUNNING, SIM_DONE, SIM_FAILED };

/* Of one engine, over the whole run. */
struct sim_engine_summary {
    uint64_t requests; /* ended here */
    uint64_t steps;
    uint64_t preemptions;
    uint64_t prefix_query_tokens; /* looked up at first admissions */
    uint64_t prefix_hit_tokens;
    int64_t busy_ns; /* a step was running */
    struct adapter_stats adapters;
    struct speculation_stats speculation;
    uint32_t stages;                            /* of its pipeline; 0: it has none */
    int64_t stage_busy_ns[PARALLEL_STAGES_MAX]; /* on batches that have ended */
};

struct sim_summary {
    uint64_t requests; /* ended, any status */
    uint64_t completed;
    uint64_t refused;
    uint64_t rejected;
    uint64_t cancelled;
    uint64_t unfinished;
    uint64_t shed;      /* turned away by admission */
    uint64_t timed_out; /* in the gateway's queue */
    uint64_t failed;    /* with the engine that they were at */
    uint64_t events;
    uint64_t steps;         /* engine steps, skipped ones included */
    uint64_t prompt_tokens; /* of completed requests */
    uint64_t output_tokens;
    uint64_t prefix_query_tokens;
    uint64_t prefix_hit_tokens;
    uint64_t preemptions;
    uint64_t recomputed_tokens;
    uint64_t tier_hit_tokens; /* loaded from tiers at first admissions */
    int64_t first_arrival_ns;
    int64_t end_ns; /* of the last request */
    uint64_t split; /* prompt and output on two engines; ended, any status */
    uint64_t kv_transfers;
    double kv_transfer_bytes;
    uint64_t failovers;     /* attempts that the router made after a failed one */
    uint64_t retries;       /* that clients made */
    uint64_t held;          /* by the router, while there was no engine */
    uint64_t health_checks; /* that reached an engine */
    uint64_t kv_lost;       /* with the engine that had it, before it was read */
    int64_t kv_transfer_ns; /* sum, from asked to here */
    uint64_t kv_expired;    /* leases that ran out before the KV was asked for */
    struct adapter_stats adapters; /* of all engines */
    struct speculation_stats speculation;
    double load_imbalance; /* largest over mean of requests in flight per engine,
                              averaged over the time any request was in flight */
    double fairness_jain;  /* of tenants that waited (sim/fairness.h); NaN: unknown */
    uint64_t digest;       /* of all outcomes in order of their end */
    uint64_t policy_bytes; /* memory of the policy's state at the end */
};

/* Borrows everything but options. The observer may be NULL. */
NODISCARD bool sim_new(struct sim **out, const struct scenario *scenario,
                       struct workload *workload, const struct observer *observer,
                       const struct sim_options *options, struct err *err);
void sim_delete(struct sim *sim);

/* Handles at most events_max events, so that the caller can show progress. */
enum sim_state sim_run(struct sim *sim, uint64_t events_max, struct err *err);

/* With admission: tenants in order of their first request; false past the last,
 * and without admission. */
bool sim_tenant_summarise(const struct sim *sim, uint32_t index,
                          struct tenant_summary *summary);
int64_t sim_now_ns(const struct sim *sim);
uint32_t sim_engine_count(const struct sim *sim);
void sim_summarise(const struct sim *sim, struct sim_summary *summary);
void sim_engine_summarise(const struct sim *sim, uint32_t engine,
                          struct sim_engine_summary *summary);
/* Of its tiers; false when it has none. */
bool sim_tiers_summarise(const struct sim *sim, uint32_t engine,
                         struct tiers_stats *stats);
/* Checks every numbered invariant of DESIGN.md now (CHECK failure when broken). */
void sim_check_invariants(const struct sim *sim);

#endif
