/* SPDX-License-Identifier: Apache-2.0
 *
 * arrivals.c: from the workload through the gateway to an engine.
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/outlook.h"
#include "sim/sim_state.h"

#include <inttypes.h>

uint64_t sim_waiting_at_gateway(const struct sim *sim)
{
    uint64_t waiting = sim->in_router;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        waiting += front_waiting(&sim->fronts[i]);
    }
    return waiting;
}

/* The next arrival takes place in its time, or as soon as the client may send. Its
 * event may still be the last one's. */
void sim_arrival_schedule(struct sim *sim)
{
    const uint32_t limit = sim->scenario->in_flight_max;
    sim->arrival_held =
        limit > 0 &&
        sim_requests_live(sim) + sim_waiting_at_gateway(sim) + sim->retries.paused >=
            limit;
    if (sim->arrival_held) {
        evq_clear(sim->events, sim->source_arrival);
    } else {
        const int64_t due_ns = sim->arrival->arrival_ns;
        evq_set(sim->events, sim->source_arrival,
                due_ns > sim->now_ns ? due_ns : sim->now_ns,
                sim_rank(EVENT_ARRIVAL, sim->arrival->id));
    }
}

static uint32_t output_capped(const struct trace_record *record, uint32_t model_len)
{
    uint32_t tokens = record->output_tokens;
    if (record->output_tokens_max > 0 && record->output_tokens_max < tokens) {
        tokens = record->output_tokens_max;
    }
    const uint32_t room = model_len - record->prompt_tokens;
    return tokens < room ? tokens : room;
}

/* Tenants are counted where there is somebody to be fair to them. */
static uint32_t account_of(struct sim *sim, const struct incoming *incoming)
{
    return sim->fronts[incoming->front].admission != NULL
               ? fairness_tenant(sim->fairness, incoming->record->tenant)
               : 0;
}

struct request *sim_request_new(struct sim *sim, const struct incoming *incoming,
                                uint32_t engine, uint32_t model_len)
{
    const struct trace_record *record = incoming->record;
    const struct engine_config *config = &sim->pool_of[engine]->engine;
    const bool fits = record->prompt_tokens < model_len;
    struct request *request = request_table_add(
        sim->table, record, fits ? output_capped(record, model_len) : 0,
        fits && config->prefix_caching ? config->block_tokens : 0);
    if (fits) {
        sim_tiers_chunk(sim, request, record);
    }
    request->arrival_ns = incoming->arrival_ns;
    request->front = incoming->front;
    request->engine = engine;
    request->admitted = sim->fronts[incoming->front].admission != NULL;
    request->account = account_of(sim, incoming);
    request->number = incoming->number;
    request->adapter = record->adapter == NULL
                           ? ADAPTER_NONE
                           : fleet_adapters_find(sim->adapters, record->adapter);
    if (sim->life != NULL) {
        sim_attempt_begin(sim, request, incoming);
    }
    sim_load_add(sim, engine);
    if (!fits) {
        request_move(request, REQUEST_ENDED);
        sim_finish(sim, request, OUTCOME_REFUSED);
        return NULL;
    }
    if (record->cancel_ns > 0) {
        const struct timer timer = {.kind = EVENT_CANCEL, .request = request};
        request->timer = sim_timer_new(sim, &timer);
        evq_set(sim->events, sim->source_timers + request->timer,
                incoming->arrival_ns + record->cancel_ns,
                sim_rank(EVENT_CANCEL, record->id));
    }
    return request;
}

void sim_engine_submit(struct sim *sim, struct request *request, uint32_t engine)
{
    if (sim->life != NULL && !sim_life_serves(sim, engine)) {
        sim_life_refuse(sim, request);
        return;
    }
    if (sim->group_of[engine] != NULL) {
        lockstep_submit(sim->group_of[engine], engine - sim->first_of[engine], request,
                        sim->now_ns);
    } else {
        replica_submit(sim->engines[engine], request, sim->now_ns);
    }
    sim_engine_reschedule(sim, engine);
}

void sim_request_submit(struct sim *sim, const struct incoming *incoming,
                        uint32_t engine)
{
    struct request *request = sim_request_new(
        sim, incoming, engine, sim->pool_of[engine]->engine.max_model_len);
    if (request != NULL) {
        sim_engine_submit(sim, request, engine);
    }
}

void sim_metrics_read(struct sim *sim, const struct front *front)
{
    const bool adapters = (front_needs(front) & NEED_ADAPTERS) != 0;
    for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
        struct engine_sample sample;
        if (sim->life != NULL && !sim_life_serves(sim, engine)) {
            continue; /* nobody answers */
        }
        replica_peek(sim->engines[engine], sim->now_ns, &sample);
        const struct replica_stats *stats = replica_stats(sim->engines[engine]);
        struct endpoint_metrics metrics = {
            .scraped_ns = sim->now_ns,
            .valid = METRIC_RUNNING | METRIC_WAITING | METRIC_KV_USED |
                     METRIC_PREFIX_HITS | METRIC_KV_TOTAL,
            .running_requests = sample.running,
            .waiting_requests = sample.waiting,
            .kv_used_ratio =
                (double)sample.kv_used_blocks / (double)sample.kv_total_blocks,
            .kv_total_blocks = sample.kv_total_blocks,
            .prefix_query_tokens = stats->prefix_query_tokens,
            .prefix_hit_tokens = stats->prefix_hit_tokens,
        };
        if (adapters) {
            const uint32_t index = (uint32_t)(front - sim->fronts);
            metrics.adapters = fleet_adapters_scrape(sim->adapters, index, engine);
            metrics.valid |= metrics.adapters != NULL ? METRIC_ADAPTERS : 0;
        }
        gateway_scraped(front->gateway, engine, &metrics);
        if (front->prefill != NULL) {
            gateway_scraped(front->prefill, engine, &metrics);
        }
    }
}

/* ---- the oracle ------------------------------------------------------------------ */

static uint32_t asked_cut(struct sim *sim, uint32_t block_tokens)
{
    const size_t most = block_runs_max(sim->asked->segment_count);
    void *runs = sim->asked_runs;
    const bool grown = mem_grow(&runs, &sim->asked_capacity, most + 1,
                                sizeof(struct block_run), UINT32_MAX);
    CHECK(grown, "%zu runs of blocks", most);
    sim->asked_runs = runs;
    return (uint32_t)block_runs_cut(front_segments(&sim->fronts[0], sim->asked),
                                    sim->asked->segment_count, block_tokens,
                                    sim->asked_runs);
}

void sim_on_ask(void *context, uint32_t endpoint_id, const struct request_view *request,
                struct oracle_outlook *outlook)
{
    struct sim *sim = context;
    const struct engine_config *config = &sim->pool_of[endpoint_id]->engine;
    CHECK(request->request_id == sim->asked->id, "asked about request %" PRIu64,
          request->request_id);
    *outlook = (struct oracle_outlook){0};
    if (request->prompt_tokens >= config->max_model_len) {
        return; /* every engine of its kind refuses it at once */
    }
    const uint32_t run_count = asked_cut(sim, config->block_tokens);
    const struct outlook_question question = {
        .now_ns = sim->now_ns,
        .prompt_tokens = request->prompt_tokens,
        .output_tokens = output_capped(sim->asked, config->max_model_len),
        .runs = sim->asked_runs,
        .run_count = run_count,
    };
    const struct outlook found = replica_outlook(sim->engines[endpoint_id], &question);
    *outlook = (struct oracle_outlook){
        .first_token_ns = found.first_token_ns,
        .end_ns = found.end_ns,
        .delay_ns = found.delay_ns,
        .cached_tokens = found.cached_tokens,
    };
}

void sim_on_change_unheard(void *context, const struct kv_change *change)
{
    (void)context;
    (void)change;
}

/* NULL: nobody listens, and evictions may be booked late. */
const struct kv_listener *sim_listener_of(struct sim *sim, uint32_t engine)
{
    if (sim->reports != NULL) {
        const struct kv_listener *reports = kv_reports_listener(
            sim->reports, engine, sim->pool_of[engine]->engine.block_tokens);
        if (!sim->scenario->kv_reports_tiers) {
            return reports;
        }
    }
    const unsigned needs = front_needs(&sim->fronts[0]);
    return (needs & NEED_ORACLE) != 0 ? &sim->nobody : NULL;
}

void sim_request_drop(struct sim *sim, const struct incoming *incoming,
                      enum outcome_status status)
{
    struct request *request = request_table_add(sim->table, incoming->record, 0, 0);
    request->arrival_ns = incoming->arrival_ns;
    request->front = incoming->front;
    request->admitted = sim->fronts[incoming->front].admission != NULL &&
                        (status == OUTCOME_REJECTED || status == OUTCOME_FAILED);
    request->account = account_of(sim, incoming);
    request->number = incoming->number;
    request->attempt = incoming->attempt;
    request_move(request, REQUEST_ENDED);
    sim_finish(sim, request, status);
}

void sim_request_unadmit(struct sim *sim, const struct incoming *incoming)
{
    const struct front *front = &sim->fronts[incoming->front];
    if (front->admission != NULL) {
        admission_ended(front->admission, incoming->number, 0);
        evq_set(sim->events, sim->source_admit, sim->now_ns, sim_rank(EVENT_ADMIT, 0));
    }
}

void sim_request_route(struct sim *sim, const struct incoming *incoming)
{
    uint32_t engine = UINT32_MAX;
    sim->asked = incoming->record;
    if (sim->disagg != NULL) {
        sim_disagg_route(sim, incoming);
        return;
    }
    const struct route_decision decision =
        front_route(&sim->fronts[incoming->front], sim->now_ns, incoming->record,
                    incoming->arrival_ns, &engine);
    if (decision.endpoint >= 0) {
        sim_request_submit(sim, incoming, engine);
    } else {
        sim_attempt_unroutable(sim, incoming);
    }
}

static void queue_timeout_reschedule(struct sim *sim)
{
    int64_t deadline_ns = INT64_MAX;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        const int64_t own_ns = admission_deadline_ns(sim->fronts[i].admission);
        deadline_ns = own_ns < deadline_ns ? own_ns : deadline_ns;
    }
    if (deadline_ns == INT64_MAX) {
        evq_clear(sim->events, sim->source_queue_timeout);
    } else {
        evq_set(sim->events, sim->source_queue_timeout, deadline_ns,
                sim_rank(EVENT_QUEUE_TIMEOUT, 0));
    }
}

static struct incoming incoming_of(const struct parked *parked)
{
    return (struct incoming){&parked->record, parked->arrival_ns, parked->number,
                             parked->front, parked->attempt};
}

/* It waits no longer; nor is its client's patience measured by that timer. */
static void parked_wake(struct sim *sim, struct parked *parked)
{
    fairness_leave(sim->fairness, parked->account, sim->now_ns);
    if (parked->timer != UINT32_MAX) {
        sim_timer_give(sim, parked->timer);
        parked->timer = UINT32_MAX;
    }
}

void sim_parked_end(struct sim *sim, struct parked *parked, enum outcome_status status)
{
    parked_wake(sim, parked);
    const struct incoming incoming = incoming_of(parked);
    sim_request_drop(sim, &incoming, status);
    admission_drop(parked);
}

static void visit_tokens(void *context, struct request *request)
{
    struct sim *sim = context;
    const struct replica *engine = sim->engines[request->engine];
    const struct admission *admission = sim->fronts[request->front].admission;
    const bool kept = request->leg == LEG_PREFILL; /* the client sees nothing of it */
    if (!kept && !request->probe && admission_waiting(admission) > 0 &&
        admission_wants_tokens(admission)) {
        admission_saw_tokens(sim->fronts[request->front].admission, request->number,
                             replica_output_tokens(engine, request, sim->now_ns));
    }
}

/* A real gateway sees every chunk of a stream go by. Here it is told when it matters:
 * before somebody's turn is decided. */
static void tokens_tell(struct sim *sim)
{
    bool wanted = false;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        wanted = wanted || (front_waiting(&sim->fronts[i]) > 0 &&
                            admission_wants_tokens(sim->fronts[i].admission));
    }
    for (uint32_t engine = 0; wanted && engine < sim->engine_count; engine++) {
        replica_visit(sim->engines[engine], visit_tokens, sim);
    }
}

void sim_admit_waiting(struct sim *sim)
{
    struct parked *parked = NULL;
    tokens_tell(sim);
    for (uint32_t i = 0; i < sim->front_count; i++) {
        const struct front *front = &sim->fronts[i];
        if (sim->fresh_metrics) {
            sim_metrics_read(sim, front);
        }
        while ((parked = admission_next(front->admission, sim->now_ns)) != NULL) {
            parked_wake(sim, parked);
            fairness_serve(sim->fairness, parked->account, parked->record.prompt_tokens,
                           parked->record.output_tokens);
            const struct incoming incoming = incoming_of(parked);
            sim_request_route(sim, &incoming);
            admission_drop(parked);
        }
    }
    queue_timeout_reschedule(sim);
}

void sim_queue_timeout(struct sim *sim)
{
    struct parked *parked = NULL;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        struct admission *admission = sim->fronts[i].admission;
        while ((parked = admission_expired(admission, sim->now_ns)) != NULL) {
            sim_parked_end(sim, parked, OUTCOME_TIMED_OUT);
        }
    }
    queue_timeout_reschedule(sim);
}

void sim_queue_cancel(struct sim *sim, struct parked *parked)
{
    parked->timer = UINT32_MAX;
    admission_cancel(sim->fronts[parked->front].admission, parked);
    sim_parked_end(sim, parked, OUTCOME_CANCELLED);
    queue_timeout_reschedule(sim);
}

static void request_wait(struct sim *sim, struct parked *parked)
{
    const struct trace_record *record = &parked->record;
    parked->account = fairness_tenant(sim->fairness, record->tenant);
    fairness_wait(sim->fairness, parked->account, sim->now_ns);
    if (record->cancel_ns > 0) {
        const struct timer timer = {.kind = EVENT_CANCEL, .parked = parked};
        parked->timer = sim_timer_new(sim, &timer);
        evq_set(sim->events, sim->source_timers + parked->timer,
                parked->arrival_ns + record->cancel_ns,
                sim_rank(EVENT_CANCEL, record->id));
    }
    sim_admit_waiting(sim);
}

/* A Kubernetes Service draws one for each connection. */
static uint32_t front_draw(struct sim *sim)
{
    return sim->front_count == 1
               ? 0
               : (uint32_t)rng_below(&sim->front_bits, sim->front_count);
}

void sim_router_decide(struct sim *sim, const struct incoming *incoming)
{
    const struct front *front = &sim->fronts[incoming->front];
    if (sim->fresh_metrics) {
        sim_metrics_read(sim, front);
    }
    struct admit_decision decision = {.verdict = ADMIT_PASS};
    struct parked *parked = NULL;
    if (front->admission != NULL) {
        decision = admission_arrive(front->admission, sim->now_ns, incoming->record,
                                    incoming->number, &parked);
    }
    if (decision.verdict == ADMIT_PASS) {
        sim_request_route(sim, incoming);
    } else if (decision.verdict == ADMIT_QUEUE) {
        parked->front = incoming->front;
        parked->arrival_ns = incoming->arrival_ns;
        parked->attempt = incoming->attempt;
        request_wait(sim, parked);
    } else {
        sim_request_drop(sim, incoming, OUTCOME_SHED);
    }
}

/* Counted before anybody looks for an engine. */
static void router_meets(struct sim *sim, const struct incoming *incoming)
{
    if (sim->scaling != NULL) {
        sim_scaling_arrived(sim, incoming->record);
    }
    sim_router_enter(sim, incoming);
}

void sim_arrive(struct sim *sim, const struct trace_record *record)
{
    struct trace_record own;
    if (sim->scenario->aliases.count > 0) {
        own = *record;
        own.model = aliases_find(&sim->scenario->aliases, record->model);
        record = &own;
    }
    sim->injected++;
    if (sim->injected == 1) {
        sim->summary.first_arrival_ns = sim->now_ns;
    }
    const struct incoming incoming = {record, sim->now_ns, sim->injected,
                                      front_draw(sim), NULL};
    if (record->adapter != NULL &&
        fleet_adapters_find(sim->adapters, record->adapter) == ADAPTER_NONE) {
        sim_request_drop(sim, &incoming, OUTCOME_REFUSED); /* no such model */
        return;
    }
    router_meets(sim, &incoming);
}

void sim_arrive_again(struct sim *sim, struct incoming *incoming)
{
    incoming->front = front_draw(sim);
    router_meets(sim, incoming);
}

void sim_arrive_held(struct sim *sim, const struct incoming *incoming)
{
    sim_router_decide(sim, incoming); /* it is in the router's process already */
}

bool sim_arrival_fetch(struct sim *sim, struct err *err)
{
    const enum workload_result result = replay_next(sim->replay, &sim->arrival, err);
    if (result == WORKLOAD_ERROR) {
        return false;
    }
    if (result == WORKLOAD_END) {
        sim->arrival = NULL;
        sim->arrivals_done = true;
        evq_clear(sim->events, sim->source_arrival);
        return true;
    }
    CHECK(sim->scenario->in_flight_max > 0 || sim->arrival->arrival_ns >= sim->now_ns,
          "INV-3: record %" PRIu64 " arrives in the past", sim->arrival->id);
    sim_arrival_schedule(sim);
    return true;
}
