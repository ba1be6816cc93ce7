/* SPDX-License-Identifier: Apache-2.0
 *
 * scaling.c: autoscalers joined to pools: what they are told, when they look, and the
 * events that they leave.
 */
#include "sim/scaling.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/sim_state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct scaler {
    const struct scenario_autoscale *config; /* NULL = this pool's size is fixed */
    const struct scenario_pool *pool;
    void *state;
    struct scale_metrics *metrics;
    struct scale_profile profile;
    uint32_t slots;
    struct scale_gauges *gauges; /* by slot */
    struct scale_pod *pods;
    bool of_pods; /* it asks for gauges of pods */
    int64_t next_scrape_ns;
    bool woken;
    bool failed; /* and has said so */
};

struct scaling {
    struct scaler scalers[SCENARIO_POOLS_MAX]; /* by pool */
    uint32_t count;
    bool holds; /* requests while there is no engine */
};

/* ---- a profile of the engine ----------------------------------------------------- */

static double step_s(int64_t fx)
{
    return (double)fx / COST_FX_PER_NS * 1e-9;
}

/* One prompt alone, in the chunks that the engine would make of it. */
static double profile_prefill_s(const void *context, double prompt_tokens)
{
    const struct scenario_pool *pool = context;
    const uint64_t tokens = (uint64_t)fmax(1, prompt_tokens);
    const uint64_t most = pool->engine.max_num_batched_tokens;
    double seconds = 0;
    for (uint64_t done = 0; done < tokens;) {
        const uint64_t chunk = tokens - done < most ? tokens - done : most;
        const struct batch_shape shape = {
            .chunks = 1,
            .chunk_tokens_max = (uint32_t)chunk,
            .chunk_tokens = chunk,
            .chunk_context = done,
            .chunk_pairs_twice = chunk * (2 * done + chunk),
            .chunk_squares = chunk * chunk,
        };
        seconds += step_s(cost_step_fx(pool->cost, &shape));
        done += chunk;
    }
    return seconds;
}

/* Beyond what its KV cache holds a batch of that size does not exist. */
static double profile_itl_s(const void *context, double batch, double context_tokens)
{
    const struct scenario_pool *pool = context;
    const double room = (double)(pool->kv_blocks - 1) * pool->engine.block_tokens;
    if (batch * context_tokens > room && batch > 1) {
        return (double)INFINITY;
    }
    const uint32_t decodes = (uint32_t)fmax(1, batch);
    const uint32_t longest = (uint32_t)fmax(1, context_tokens);
    const uint32_t context_max = cost_needs_context_max(pool->cost) ? longest : 0;
    return step_s(
        cost_decode(pool->cost, decodes, (uint64_t)decodes * longest, context_max)
            .first_fx);
}

/* ---- life ------------------------------------------------------------------------ */

static enum scale_role role_of(const struct scenario_pool *pool)
{
    static const enum scale_role roles[] = {[ROLE_BOTH] = SCALE_BOTH,
                                            [ROLE_PREFILL] = SCALE_PREFILL,
                                            [ROLE_DECODE] = SCALE_DECODE};
    return roles[pool->role];
}

static uint32_t queries_of(const struct scaler *scaler,
                           struct scale_query queries[SCALE_QUERIES_MAX])
{
    return scaler->config->policy->queries(scaler->state, queries);
}

/* Its metrics, kept as long as it asks back. */
static void metrics_new(struct scaler *scaler)
{
    struct scale_query queries[SCALE_QUERIES_MAX];
    struct scale_metrics_setup setup = {.delay_ns = scaler->config->delay_ns,
                                        .scrape_ns = scaler->config->scrape_ns};
    const uint32_t count = queries_of(scaler, queries);
    for (uint32_t i = 0; i < count; i++) {
        setup.keep_ns =
            queries[i].window_ns > setup.keep_ns ? queries[i].window_ns : setup.keep_ns;
        scaler->of_pods |= scale_metric_source(queries[i].metric) == SCALE_POD;
    }
    setup.slots = scaler->of_pods ? scaler->slots : 0;
    scaler->metrics = scale_metrics_new(&setup);
}

static void scaler_new(struct sim *sim, struct scaler *scaler, uint32_t pool)
{
    const struct scenario_control *control = sim->scenario->control;
    const struct scenario_autoscale *config = &control->autoscale[pool];
    if (config->policy == NULL) {
        return;
    }
    scaler->config = config;
    scaler->pool = &sim->scenario->pools[pool];
    scaler->slots = control->pools[pool].slots;
    scaler->gauges = mem_alloc(scaler->slots, sizeof *scaler->gauges);
    scaler->pods = mem_alloc(scaler->slots, sizeof *scaler->pods);
    scaler->profile = (struct scale_profile){
        .context = scaler->pool,
        .prefill_s = profile_prefill_s,
        .itl_s = profile_itl_s,
        .batch_max = scaler->pool->engine.max_num_seqs,
    };
    scaler->state = mem_alloc(1, config->policy->state_bytes);
    const struct scale_setup setup = {
        .values = config->values,
        .min = config->min,
        .max = config->max,
        .targets = config->targets,
        .target_count = config->target_count,
        .role = role_of(scaler->pool),
        .profile = &scaler->profile,
    };
    struct err err = {0};
    const bool fine = config->policy->init(scaler->state, &setup, &err);
    CHECK(fine, "the scenario's reader let it through: %s", err.text);
    metrics_new(scaler);
}

struct scaling *sim_scaling_new(struct sim *sim)
{
    const struct scenario_control *control = sim->scenario->control;
    if (control == NULL || !control->autoscales) {
        return NULL;
    }
    struct scaling *scaling = mem_alloc(1, sizeof *scaling);
    scaling->count = sim->scenario->pool_count;
    for (uint32_t i = 0; i < scaling->count; i++) {
        scaler_new(sim, &scaling->scalers[i], i);
        scaling->holds = scaling->holds || (control->autoscale[i].policy != NULL &&
                                            control->autoscale[i].hold_ns > 0);
    }
    return scaling;
}

void sim_scaling_delete(struct scaling *scaling)
{
    for (uint32_t i = 0; scaling != NULL && i < scaling->count; i++) {
        struct scaler *scaler = &scaling->scalers[i];
        scale_metrics_delete(scaler->metrics);
        mem_free(scaler->gauges);
        mem_free(scaler->pods);
        mem_free(scaler->state);
    }
    mem_free(scaling);
}

/* ---- scrapes --------------------------------------------------------------------- */

/* A pod is one engine, or a group of ranks, which no autoscaler has. */
static void gauges_read(struct sim *sim, struct scaler *scaler, uint32_t first)
{
    for (uint32_t slot = 0; slot < scaler->slots; slot++) {
        const struct control_pod pod = sim_life_pod(sim, first + slot);
        struct scale_gauges *gauges = &scaler->gauges[slot];
        *gauges =
            (struct scale_gauges){.there = pod.ready, .incarnation = pod.incarnation};
        if (!pod.ready) {
            continue;
        }
        struct engine_sample sample;
        replica_peek(sim->engines[sim_life_engine(sim, first + slot)], sim->now_ns,
                     &sample);
        gauges->running = sample.running;
        gauges->waiting = sample.waiting;
        gauges->kv_used =
            (double)sample.kv_used_blocks / (double)sample.kv_total_blocks;
    }
}

static void scrape(struct sim *sim, struct scaler *scaler, uint32_t first)
{
    if (scaler->of_pods) {
        gauges_read(sim, scaler, first);
    }
    const uint64_t queued = sim_waiting_at_gateway(sim) + sim->retries.held;
    scale_metrics_scrape(scaler->metrics, sim->now_ns, scaler->gauges,
                         (uint32_t)queued);
}

/* ---- looks ----------------------------------------------------------------------- */

static void tell(struct sim *sim, const struct scaler *scaler, bool warning,
                 const char *reason, const char *message)
{
    char object[FACT_NAME_BYTES + 64];
    (void)snprintf(object, sizeof object, "%s/%s", scaler->config->policy->object,
                   scaler->pool->name);
    sim_tell(sim, warning, reason, object, message);
}

static void obey(struct sim *sim, struct scaler *scaler, uint32_t pool,
                 const struct scale_decision *decision)
{
    char message[160];
    const struct scenario_autoscale *config = scaler->config;
    const uint32_t before = sim_pool_desired(sim, pool);
    if (decision->failed && !scaler->failed) {
        tell(sim, scaler, true, "FailedComputeMetricsReplicas", decision->reason);
    }
    scaler->failed = decision->failed;
    uint32_t replicas = decision->replicas;
    replicas = replicas < config->min && !decision->idle ? config->min : replicas;
    replicas = replicas > config->max ? config->max : replicas;
    if (decision->failed || replicas == before) {
        return;
    }
    (void)snprintf(message, sizeof message, "New size: %u; reason: %s", replicas,
                   decision->reason);
    tell(sim, scaler, false,
         decision->event != NULL ? decision->event : "SuccessfulRescale", message);
    sim_pool_scale(sim, pool, replicas);
}

static void look(struct sim *sim, struct scaler *scaler, uint32_t pool, uint32_t first)
{
    struct scale_query queries[SCALE_QUERIES_MAX];
    struct scale_reading readings[SCALE_QUERIES_MAX];
    const uint32_t count = queries_of(scaler, queries);
    struct scale_view view = {.now_ns = sim->now_ns,
                              .replicas = sim_pool_desired(sim, pool),
                              .woken = scaler->woken,
                              .readings = readings};
    for (uint32_t slot = 0; slot < scaler->slots; slot++) {
        const struct control_pod pod = sim_life_pod(sim, first + slot);
        scaler->pods[slot] = (struct scale_pod){pod.live, pod.ready, pod.incarnation};
        view.pods += pod.live ? 1 : 0;
        view.ready += pod.ready ? 1 : 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        readings[i] = scale_metrics_read(scaler->metrics, sim->now_ns, view.woken,
                                         &queries[i], scaler->pods);
    }
    scaler->woken = false;
    const struct scale_decision decision =
        scaler->config->policy->decide(scaler->state, &view);
    obey(sim, scaler, pool, &decision);
}

static int64_t look_ns(const struct scaler *scaler)
{
    return scaler->config->policy->next_ns(scaler->state);
}

int64_t sim_scaling_next_ns(const struct sim *sim)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < sim->scaling->count; i++) {
        const struct scaler *scaler = &sim->scaling->scalers[i];
        if (scaler->config == NULL) {
            continue;
        }
        int64_t own_ns = look_ns(scaler);
        own_ns = scaler->next_scrape_ns < own_ns ? scaler->next_scrape_ns : own_ns;
        own_ns = scaler->woken ? sim->now_ns : own_ns;
        next_ns = own_ns < next_ns ? own_ns : next_ns;
    }
    return next_ns;
}

void sim_scaling_due(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->scaling->count; i++) {
        struct scaler *scaler = &sim->scaling->scalers[i];
        if (scaler->config == NULL) {
            continue;
        }
        const uint32_t first = sim_life_first_slot(sim, i);
        const bool scrapes = scaler->next_scrape_ns <= sim->now_ns;
        if (scrapes) {
            scaler->next_scrape_ns = sim->now_ns + scaler->config->scrape_ns;
        }
        if (scrapes || scaler->woken) {
            scrape(sim, scaler, first);
        }
        if (scaler->woken || look_ns(scaler) <= sim->now_ns) {
            look(sim, scaler, i, first);
        }
    }
}

/* ---- what the metrics count ------------------------------------------------------ */

/* The autoscaler's counters of a pool; NULL = it has none. */
static struct scale_counters *counters_of(const struct sim *sim,
                                          const struct scenario_pool *pool)
{
    const size_t index = (size_t)(pool - sim->scenario->pools);
    struct scaler *scaler = &sim->scaling->scalers[index];
    return scaler->config == NULL ? NULL : scale_metrics_counters(scaler->metrics);
}

void sim_scaling_arrived(struct sim *sim, const struct trace_record *record)
{
    for (uint32_t i = 0; i < sim->scaling->count; i++) {
        const struct scenario_pool *pool = &sim->scenario->pools[i];
        struct scale_counters *counters = counters_of(sim, pool);
        if (counters != NULL && (record->adapter != NULL || record->model == NULL ||
                                 strcmp(record->model, pool->model.name) == 0)) {
            counters->requests++;
            counters->asked_tokens += record->prompt_tokens;
        }
    }
}

void sim_scaling_moved(struct sim *sim, uint32_t engine, int change)
{
    const size_t pool = (size_t)(sim->pool_of[engine] - sim->scenario->pools);
    const struct scaler *scaler = &sim->scaling->scalers[pool];
    if (scaler->config != NULL) {
        scale_metrics_move(scaler->metrics, sim->now_ns, change);
    }
}

void sim_scaling_held(struct sim *sim, int change)
{
    for (uint32_t i = 0; sim->scaling != NULL && i < sim->scaling->count; i++) {
        const struct scaler *scaler = &sim->scaling->scalers[i];
        if (scaler->config != NULL) {
            scale_metrics_move(scaler->metrics, sim->now_ns, change);
        }
    }
}

void sim_scaling_first_token(struct sim *sim, const struct request *request)
{
    struct scale_counters *counters = counters_of(sim, sim->pool_of[request->engine]);
    if (counters != NULL) {
        counters->first_tokens++;
        counters->prompt_tokens += request->prompt_tokens;
        counters->ttft_ns += sim->now_ns - request->arrival_ns;
    }
}

void sim_scaling_ended(struct sim *sim, const struct request_outcome *outcome)
{
    struct scale_counters *counters =
        outcome->status == OUTCOME_COMPLETED
            ? counters_of(sim, sim->pool_of[outcome->engine])
            : NULL;
    if (counters != NULL) {
        counters->outputs++;
        counters->output_tokens += outcome->output_tokens;
        counters->itl_gaps += outcome->output_tokens - 1;
        counters->itl_ns += outcome->end_ns - outcome->first_token_ns;
    }
}

bool sim_scaling_unroutable(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->scaling->count; i++) {
        struct scaler *scaler = &sim->scaling->scalers[i];
        if (scaler->config != NULL && scaler->config->policy->wakes &&
            sim_pool_desired(sim, i) == 0) {
            scaler->woken = true;
            sim_life_reschedule(sim);
        }
    }
    return sim->scaling->holds;
}
