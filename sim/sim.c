/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c: the event loop: arrivals meet the gateway, engines meet their step boundaries.
 *
 * Sources of events: one per engine, one for arrivals, one for the end of the run, one
 * for scrapes of engine metrics, and timers for releases and cancellations. Sample
 * ticks are no events: they are taken on the way from one event to the next, so that
 * watching changes nothing.
 */
#include "sim/sim.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "policies/oracle.h"
#include "sim/evq.h"
#include "sim/fairness.h"
#include "sim/front.h"
#include "sim/kv_reports.h"
#include "sim/load.h"
#include "sim/lockstep.h"
#include "sim/outlook.h"
#include "sim/replay.h"
#include "sim/replica.h"

#include <inttypes.h>
#include <stdio.h>

/* Order at equal times: what frees resources comes first. */
#define EVENT_KINDS(X)                                                                 \
    X(STEP_DONE, "an engine ended a step")                                             \
    X(KV_REPORT, "what an engine tells about its cache reaches the gateway")           \
    X(ADMIT, "there may be room for those who wait at the gateway")                    \
    X(RELEASE, "a request's parents have ended and its client has thought")            \
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

enum { IDLE_TICKS_MAX = 100000 };
enum { URL_BYTES = 128 };

struct timer {
    enum event_kind kind;
    uint32_t index;          /* RELEASE: record */
    struct request *request; /* CANCEL */
    struct parked *parked;   /* CANCEL of one that waits at the gateway */
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
    struct lockstep **group_of;           /* by engine; NULL = on its own */
    uint32_t *first_of;                   /* by engine: source of its step events */
    uint32_t source_arrival;
    uint32_t source_limit;
    uint32_t source_scrape; /* of the first replica of the router */
    uint32_t source_reports;
    uint32_t source_timers; /* the first one */
    bool fresh_metrics;     /* read at every arrival instead of at scrapes */
    struct timer *timers;
    size_t timer_capacity;
    size_t timer_high;
    uint32_t timer_unused;              /* UINT32_MAX = none */
    const struct trace_record *arrival; /* the next one, lent */
    uint64_t releases;                  /* timers of kind RELEASE */
    bool arrivals_done;
    bool arrival_held; /* the client has as many requests in flight as it may */
    enum sim_state state;
    int64_t now_ns;
    int64_t sample_ns; /* next tick; INT64_MAX = none */
    uint64_t injected;
    uint32_t touched; /* engine of the last event; none: UINT32_MAX */
    struct digest digest;
    struct sim_summary summary;
};

static uint64_t rank_of(enum event_kind kind, uint64_t identity)
{
    return (uint64_t)kind << 56 | (identity & SEGMENT_ID_MAX);
}

const char *outcome_status_name(enum outcome_status status)
{
    static const char *const names[] = {"completed", "refused",    "rejected",
                                        "cancelled", "unfinished", "shed",
                                        "timed_out"};
    CHECK((size_t)status < sizeof(names) / sizeof(names[0]), "status %d", (int)status);
    return names[status];
}

/* ---- timers ---------------------------------------------------------------------- */

static uint32_t timer_new(struct sim *sim, const struct timer *timer)
{
    uint32_t slot = sim->timer_unused;
    if (slot != UINT32_MAX) {
        sim->timer_unused = sim->timers[slot].next_unused;
    } else {
        void *array = sim->timers;
        const bool grown = mem_grow(&array, &sim->timer_capacity, sim->timer_high + 1,
                                    sizeof(struct timer), UINT32_MAX / 2);
        CHECK(grown, "%zu timers", sim->timer_high);
        sim->timers = array;
        evq_grow(sim->events, sim->source_timers + (uint32_t)sim->timer_capacity);
        slot = (uint32_t)sim->timer_high++;
    }
    sim->timers[slot] = *timer;
    return slot;
}

static void timer_give(struct sim *sim, uint32_t slot)
{
    evq_clear(sim->events, sim->source_timers + slot);
    sim->timers[slot].next_unused = sim->timer_unused;
    sim->timer_unused = slot;
}

static void on_release(void *context, int64_t time_ns, uint32_t index)
{
    struct sim *sim = context;
    const struct timer timer = {.kind = EVENT_RELEASE, .index = index};
    const uint32_t slot = timer_new(sim, &timer);
    sim->releases++;
    evq_set(sim->events, sim->source_timers + slot, time_ns,
            rank_of(EVENT_RELEASE, replay_record(sim->replay, index)->id));
}

/* ---- outcomes ---------------------------------------------------------------------
 */

static void digest_outcome(struct sim *sim, const struct request_outcome *outcome)
{
    const uint64_t words[] = {
        outcome->request_id,
        (uint64_t)outcome->engine << 32 | (uint64_t)outcome->status,
        (uint64_t)outcome->arrival_ns,
        (uint64_t)outcome->queued_ns,
        (uint64_t)outcome->scheduled_ns,
        (uint64_t)outcome->first_token_ns,
        (uint64_t)outcome->end_ns,
        (uint64_t)outcome->prompt_tokens << 32 | outcome->output_tokens,
        (uint64_t)outcome->cached_tokens << 32 | outcome->preemptions,
        outcome->recomputed_tokens,
    };
    digest_record(&sim->digest, words, sizeof(words) / sizeof(words[0]));
}

static void check_order(const struct request_outcome *outcome)
{
    const int64_t times[] = {outcome->arrival_ns, outcome->queued_ns,
                             outcome->scheduled_ns, outcome->first_token_ns,
                             outcome->end_ns};
    int64_t last_ns = times[0];
    for (size_t i = 1; i < sizeof(times) / sizeof(times[0]); i++) {
        if (times[i] == OUTCOME_TIME_NONE) {
            continue;
        }
        CHECK(times[i] >= last_ns, "INV-5: request %" PRIu64 " goes back in time",
              outcome->request_id);
        last_ns = times[i];
    }
}

static void summarise_outcome(struct sim_summary *summary,
                              const struct request_outcome *outcome)
{
    summary->requests++;
    summary->end_ns = outcome->end_ns;
    switch (outcome->status) {
    case OUTCOME_COMPLETED:
        summary->completed++;
        summary->prompt_tokens += outcome->prompt_tokens;
        summary->output_tokens += outcome->output_tokens;
        break;
    case OUTCOME_REFUSED:
        summary->refused++;
        break;
    case OUTCOME_REJECTED:
        summary->rejected++;
        break;
    case OUTCOME_CANCELLED:
        summary->cancelled++;
        break;
    case OUTCOME_UNFINISHED:
        summary->unfinished++;
        break;
    case OUTCOME_SHED:
        summary->shed++;
        break;
    case OUTCOME_TIMED_OUT:
        summary->timed_out++;
        break;
    }
}

static enum attempt_how how_it_ended(enum outcome_status status)
{
    if (status == OUTCOME_COMPLETED) {
        return ATTEMPT_COMPLETED;
    }
    return status == OUTCOME_REFUSED ? ATTEMPT_REFUSED : ATTEMPT_ABORTED;
}

static uint64_t waiting_at_gateway(const struct sim *sim)
{
    uint64_t waiting = 0;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        waiting += front_waiting(&sim->fronts[i]);
    }
    return waiting;
}

/* The next arrival takes place in its time, or as soon as the client may send. Its
 * event may still be the last one's. */
static void arrival_schedule(struct sim *sim)
{
    const uint32_t limit = sim->scenario->in_flight_max;
    sim->arrival_held =
        limit > 0 && request_table_live(sim->table) + waiting_at_gateway(sim) >= limit;
    if (sim->arrival_held) {
        evq_clear(sim->events, sim->source_arrival);
    } else {
        const int64_t due_ns = sim->arrival->arrival_ns;
        evq_set(sim->events, sim->source_arrival,
                due_ns > sim->now_ns ? due_ns : sim->now_ns,
                rank_of(EVENT_ARRIVAL, sim->arrival->id));
    }
}

/* One that was let in has ended: those who wait are looked at when all steps that end
 * now have ended, so that in both modes they meet the same fleet. */
static void admission_free(struct sim *sim, const struct request *request,
                           const struct request_outcome *outcome)
{
    const uint32_t seen = request->seen_tokens;
    const uint32_t tokens =
        outcome->output_tokens > seen ? outcome->output_tokens : seen;
    const struct front *front = &sim->fronts[request->front];
    admission_ended(front->admission, request->number, tokens);
    if (front_waiting(front) > 0) {
        evq_set(sim->events, sim->source_admit, sim->now_ns, rank_of(EVENT_ADMIT, 0));
    }
}

/* Every request passes here exactly once. */
static void request_finish(struct sim *sim, struct request *request,
                           enum outcome_status status)
{
    const struct request_outcome outcome = {
        .request_id = request->record_id,
        .session = request->session,
        .turn = request->turn,
        .status = status,
        .arrival_ns = request->arrival_ns,
        .queued_ns =
            request->queued_ns <= sim->now_ns ? request->queued_ns : OUTCOME_TIME_NONE,
        .scheduled_ns = request->scheduled_ns,
        .first_token_ns = request->first_token_ns,
        .end_ns = sim->now_ns,
        .engine = request->engine,
        .prompt_tokens = request->prompt_tokens,
        .output_tokens = status == OUTCOME_COMPLETED ? request->output_tokens : 0,
        .cached_tokens = request->cached_tokens,
        .preemptions = request->preemptions,
        .recomputed_tokens = request->recomputed_tokens,
    };
    check_order(&outcome);
    digest_outcome(sim, &outcome);
    summarise_outcome(&sim->summary, &outcome);
    if (request->engine != UINT32_MAX) {
        const struct attempt_end end = {
            .request_id = request->record_id,
            .endpoint_id = request->engine,
            .prompt_tokens = request->prompt_tokens,
            .cached_tokens = request->cached_tokens,
            .how = how_it_ended(status),
            .had_first_token = request->first_token_ns != OUTCOME_TIME_NONE,
            .output_tokens = outcome.output_tokens,
        };
        gateway_end(sim->fronts[request->front].gateway, sim->now_ns, &end);
        load_remove(&sim->load, request->engine, sim->now_ns);
    }
    if (request->admitted) {
        admission_free(sim, request, &outcome);
    }
    if (sim->fronts[request->front].admission != NULL) {
        fairness_ended(sim->fairness, request->account, &outcome);
    }
    if (sim->observer.on_outcome != NULL) {
        sim->observer.on_outcome(sim->observer.context, &outcome);
    }
    if (request->timer != UINT32_MAX) {
        timer_give(sim, request->timer);
    }
    replay_ended(sim->replay, request->record_id, sim->now_ns, on_release, sim);
    request_table_remove(sim->table, request);
    if (sim->arrival_held) {
        arrival_schedule(sim);
    }
}

static void on_first_token(void *context, struct request *request, int64_t now_ns)
{
    struct sim *sim = context;
    gateway_first_token(sim->fronts[request->front].gateway, now_ns, request->record_id,
                        request->engine, request->prompt_tokens);
}

static void on_end(void *context, struct request *request, int64_t now_ns,
                   enum outcome_status status)
{
    struct sim *sim = context;
    CHECK(now_ns == sim->now_ns, "an engine's clock is off by %" PRId64 " ns",
          now_ns - sim->now_ns);
    request_finish(sim, request, status);
}

/* ---- arrivals ----------------------------------------------------------------------
 */

static uint32_t output_capped(const struct trace_record *record,
                              const struct engine_config *engine)
{
    uint32_t tokens = record->output_tokens;
    if (record->output_tokens_max > 0 && record->output_tokens_max < tokens) {
        tokens = record->output_tokens_max;
    }
    const uint32_t room = engine->max_model_len - record->prompt_tokens;
    return tokens < room ? tokens : room;
}

static void engine_reschedule(struct sim *sim, uint32_t engine)
{
    const struct lockstep *group = sim->group_of[engine];
    const uint32_t source = sim->first_of[engine];
    const int64_t next_ns =
        group != NULL ? lockstep_next_ns(group) : replica_next_ns(sim->engines[engine]);
    sim->touched = engine;
    if (next_ns == INT64_MAX) {
        evq_clear(sim->events, source);
    } else {
        evq_set(sim->events, source, next_ns, rank_of(EVENT_STEP_DONE, source));
    }
}

/* A request on its way: who wants what since when, and which replica of the router has
 * it. */
struct incoming {
    const struct trace_record *record;
    int64_t arrival_ns;
    uint64_t number; /* of its arrival */
    uint32_t front;
};

/* Tenants are counted where there is somebody to be fair to them. */
static uint32_t account_of(struct sim *sim, const struct incoming *incoming)
{
    return sim->fronts[incoming->front].admission != NULL
               ? fairness_tenant(sim->fairness, incoming->record->tenant)
               : 0;
}

static void request_submit(struct sim *sim, const struct incoming *incoming,
                           uint32_t engine)
{
    const struct trace_record *record = incoming->record;
    const struct engine_config *config = &sim->pool_of[engine]->engine;
    const bool fits = record->prompt_tokens < config->max_model_len;
    struct request *request =
        request_table_add(sim->table, record, fits ? output_capped(record, config) : 0,
                          fits && config->prefix_caching ? config->block_tokens : 0);
    request->arrival_ns = incoming->arrival_ns;
    request->front = incoming->front;
    request->engine = engine;
    request->admitted = sim->fronts[incoming->front].admission != NULL;
    request->account = account_of(sim, incoming);
    request->number = incoming->number;
    load_add(&sim->load, engine, sim->now_ns);
    if (!fits) {
        request_move(request, REQUEST_ENDED);
        request_finish(sim, request, OUTCOME_REFUSED);
        return;
    }
    if (record->cancel_ns > 0) {
        const struct timer timer = {.kind = EVENT_CANCEL, .request = request};
        request->timer = timer_new(sim, &timer);
        evq_set(sim->events, sim->source_timers + request->timer,
                incoming->arrival_ns + record->cancel_ns,
                rank_of(EVENT_CANCEL, record->id));
    }
    if (sim->group_of[engine] != NULL) {
        lockstep_submit(sim->group_of[engine], engine - sim->first_of[engine], request,
                        sim->now_ns);
    } else {
        replica_submit(sim->engines[engine], request, sim->now_ns);
    }
    engine_reschedule(sim, engine);
}

static void metrics_read(struct sim *sim, const struct front *front)
{
    for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
        struct engine_sample sample;
        replica_peek(sim->engines[engine], sim->now_ns, &sample);
        const struct replica_stats *stats = replica_stats(sim->engines[engine]);
        const struct endpoint_metrics metrics = {
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
        gateway_scraped(front->gateway, engine, &metrics);
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
    return (uint32_t)block_runs_cut(sim->asked->segments, sim->asked->segment_count,
                                    block_tokens, sim->asked_runs);
}

static void on_ask(void *context, uint32_t endpoint_id,
                   const struct request_view *request, struct oracle_outlook *outlook)
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
        .output_tokens = output_capped(sim->asked, config),
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

static void on_change_unheard(void *context, const struct kv_change *change)
{
    (void)context;
    (void)change;
}

/* NULL: nobody listens, and evictions may be booked late. */
static const struct kv_listener *listener_of(struct sim *sim, uint32_t engine)
{
    if (sim->reports != NULL) {
        return kv_reports_listener(sim->reports, engine,
                                   sim->pool_of[engine]->engine.block_tokens);
    }
    const unsigned needs = gateway_needs(sim->fronts[0].gateway);
    return (needs & NEED_ORACLE) != 0 ? &sim->nobody : NULL;
}

/* It ends without having met an engine. */
static void request_drop(struct sim *sim, const struct incoming *incoming,
                         enum outcome_status status)
{
    struct request *request = request_table_add(sim->table, incoming->record, 0, 0);
    request->arrival_ns = incoming->arrival_ns;
    request->front = incoming->front;
    request->admitted =
        sim->fronts[incoming->front].admission != NULL && status == OUTCOME_REJECTED;
    request->account = account_of(sim, incoming);
    request->number = incoming->number;
    request_move(request, REQUEST_ENDED);
    request_finish(sim, request, status);
}

/* Behind admission: to an engine, if there is one. */
static void request_route(struct sim *sim, const struct incoming *incoming)
{
    uint32_t engine = UINT32_MAX;
    sim->asked = incoming->record;
    const struct route_decision decision =
        front_route(&sim->fronts[incoming->front], sim->now_ns, incoming->record,
                    incoming->arrival_ns, &engine);
    if (decision.endpoint >= 0) {
        request_submit(sim, incoming, engine);
    } else {
        request_drop(sim, incoming, OUTCOME_REJECTED);
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
                rank_of(EVENT_QUEUE_TIMEOUT, 0));
    }
}

static struct incoming incoming_of(const struct parked *parked)
{
    return (struct incoming){&parked->record, parked->arrival_ns, parked->number,
                             parked->front};
}

/* It waits no longer; nor is its client's patience measured by that timer. */
static void parked_wake(struct sim *sim, struct parked *parked)
{
    fairness_leave(sim->fairness, parked->account, sim->now_ns);
    if (parked->timer != UINT32_MAX) {
        timer_give(sim, parked->timer);
        parked->timer = UINT32_MAX;
    }
}

static void parked_end(struct sim *sim, struct parked *parked,
                       enum outcome_status status)
{
    parked_wake(sim, parked);
    const struct incoming incoming = incoming_of(parked);
    request_drop(sim, &incoming, status);
    admission_drop(parked);
}

static void visit_tokens(void *context, struct request *request)
{
    struct sim *sim = context;
    const struct replica *engine = sim->engines[request->engine];
    const struct admission *admission = sim->fronts[request->front].admission;
    if (admission_waiting(admission) > 0 && admission_wants_tokens(admission)) {
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

static void admit_waiting(struct sim *sim)
{
    struct parked *parked = NULL;
    tokens_tell(sim);
    for (uint32_t i = 0; i < sim->front_count; i++) {
        const struct front *front = &sim->fronts[i];
        if (sim->fresh_metrics) {
            metrics_read(sim, front);
        }
        while ((parked = admission_next(front->admission, sim->now_ns)) != NULL) {
            parked_wake(sim, parked);
            fairness_serve(sim->fairness, parked->account, parked->record.prompt_tokens,
                           parked->record.output_tokens);
            const struct incoming incoming = incoming_of(parked);
            request_route(sim, &incoming);
            admission_drop(parked);
        }
    }
    queue_timeout_reschedule(sim);
}

static void queue_timeout(struct sim *sim)
{
    struct parked *parked = NULL;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        struct admission *admission = sim->fronts[i].admission;
        while ((parked = admission_expired(admission, sim->now_ns)) != NULL) {
            parked_end(sim, parked, OUTCOME_TIMED_OUT);
        }
    }
    queue_timeout_reschedule(sim);
}

static void queue_cancel(struct sim *sim, struct parked *parked)
{
    parked->timer = UINT32_MAX;
    admission_cancel(sim->fronts[parked->front].admission, parked);
    parked_end(sim, parked, OUTCOME_CANCELLED);
    queue_timeout_reschedule(sim);
}

static void request_wait(struct sim *sim, struct parked *parked)
{
    const struct trace_record *record = &parked->record;
    parked->account = fairness_tenant(sim->fairness, record->tenant);
    fairness_wait(sim->fairness, parked->account, sim->now_ns);
    if (record->cancel_ns > 0) {
        const struct timer timer = {.kind = EVENT_CANCEL, .parked = parked};
        parked->timer = timer_new(sim, &timer);
        evq_set(sim->events, sim->source_timers + parked->timer,
                sim->now_ns + record->cancel_ns, rank_of(EVENT_CANCEL, record->id));
    }
    admit_waiting(sim);
}

/* A Kubernetes Service draws one for each connection. */
static uint32_t front_draw(struct sim *sim)
{
    return sim->front_count == 1
               ? 0
               : (uint32_t)rng_below(&sim->front_bits, sim->front_count);
}

static void request_arrive(struct sim *sim, const struct trace_record *record)
{
    sim->injected++;
    if (sim->injected == 1) {
        sim->summary.first_arrival_ns = sim->now_ns;
    }
    const struct incoming incoming = {record, sim->now_ns, sim->injected,
                                      front_draw(sim)};
    const struct front *front = &sim->fronts[incoming.front];
    if (sim->fresh_metrics) {
        metrics_read(sim, front);
    }
    struct admit_decision decision = {.verdict = ADMIT_PASS};
    struct parked *parked = NULL;
    if (front->admission != NULL) {
        decision = admission_arrive(front->admission, sim->now_ns, record,
                                    incoming.number, &parked);
    }
    if (decision.verdict == ADMIT_PASS) {
        request_route(sim, &incoming);
    } else if (decision.verdict == ADMIT_QUEUE) {
        parked->front = incoming.front;
        request_wait(sim, parked);
    } else {
        request_drop(sim, &incoming, OUTCOME_SHED);
    }
}

static bool arrival_fetch(struct sim *sim, struct err *err)
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
    arrival_schedule(sim);
    return true;
}

/* ---- events ------------------------------------------------------------------------
 */

/* A fleet that stands idle for very long (a trace in absolute time, a month's break) is
 * not sampled at every tick of it: rows would grow with time instead of with work. */
static void idle_skip(struct sim *sim, int64_t until_ns)
{
    const int64_t interval_ns = sim->scenario->sample_interval_ns;
    const int64_t ticks = (until_ns - sim->sample_ns) / interval_ns;
    if (ticks > IDLE_TICKS_MAX && request_table_live(sim->table) == 0) {
        sim->sample_ns += ticks * interval_ns;
    }
}

static void samples_take(struct sim *sim, int64_t until_ns)
{
    while (sim->sample_ns <= until_ns) {
        for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
            struct engine_sample sample;
            replica_peek(sim->engines[engine], sim->sample_ns, &sample);
            sim->observer.on_sample(sim->observer.context, &sample);
        }
        sim->sample_ns += sim->scenario->sample_interval_ns;
        idle_skip(sim, until_ns);
    }
}

static void scrape(struct sim *sim, uint32_t index)
{
    const struct front *front = &sim->fronts[index];
    metrics_read(sim, front);
    if (front->admission != NULL) {
        admit_waiting(sim);
    }
    evq_set(sim->events, sim->source_scrape + index,
            sim->now_ns + sim->scenario->scrape_interval_ns,
            rank_of(EVENT_SCRAPE, index));
}

static void on_kv_event(void *context, uint32_t engine, const struct kv_event *event)
{
    struct sim *sim = context;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        gateway_kv_event(sim->fronts[i].gateway, sim->now_ns, engine, event);
    }
}

static void reports_reschedule(struct sim *sim)
{
    const int64_t next_ns = kv_reports_next_ns(sim->reports);
    if (next_ns < INT64_MAX) {
        evq_set(sim->events, sim->source_reports, next_ns, rank_of(EVENT_KV_REPORT, 0));
    }
}

static void visit_unfinished(void *context, struct request *request)
{
    struct request_list *list = context;
    request->prefill_next = NULL;
    if (list->last == NULL) {
        list->first = request;
    } else {
        list->last->prefill_next = request;
    }
    list->last = request;
}

/* The run's time is up: everybody still there ends unfinished, engine by engine. The
 * engines are not used again. */
static void time_limit(struct sim *sim)
{
    for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
        struct request_list list = {0};
        replica_stop(sim->engines[engine], sim->now_ns);
        replica_visit(sim->engines[engine], visit_unfinished, &list);
        struct request *next = NULL;
        for (struct request *at = list.first; at != NULL; at = next) {
            next = at->prefill_next;
            request_move(at, REQUEST_ENDED);
            request_finish(sim, at, OUTCOME_UNFINISHED);
        }
    }
    struct parked *parked = NULL;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        struct admission *admission = sim->fronts[i].admission;
        while (admission != NULL && (parked = admission_any(admission)) != NULL) {
            parked_end(sim, parked, OUTCOME_UNFINISHED);
        }
    }
    sim->state = SIM_DONE;
}

static void timer_fire(struct sim *sim, uint32_t slot)
{
    const struct timer timer = sim->timers[slot];
    if (timer.kind == EVENT_RELEASE) {
        timer_give(sim, slot);
        sim->releases--;
        request_arrive(sim, replay_record(sim->replay, timer.index));
        return;
    }
    timer_give(sim, slot);
    if (timer.parked != NULL) {
        queue_cancel(sim, timer.parked);
        return;
    }
    struct request *request = timer.request;
    request->timer = UINT32_MAX;
    replica_cancel(sim->engines[request->engine], request, sim->now_ns);
    engine_reschedule(sim, request->engine);
}

static bool event_handle(struct sim *sim, const struct event *event, struct err *err)
{
    if (event->source < sim->engine_count) {
        if (sim->group_of[event->source] != NULL) {
            lockstep_step_done(sim->group_of[event->source]);
        } else {
            replica_step_done(sim->engines[event->source]);
        }
        engine_reschedule(sim, event->source);
    } else if (event->source == sim->source_arrival) {
        request_arrive(sim, sim->arrival);
        return arrival_fetch(sim, err);
    } else if (event->source == sim->source_limit) {
        time_limit(sim);
    } else if (event->source == sim->source_reports) {
        const struct kv_report_sink sink = {sim, on_kv_event};
        kv_reports_deliver(sim->reports, sim->now_ns, &sink);
    } else if (event->source == sim->source_admit) {
        admit_waiting(sim);
    } else if (event->source == sim->source_queue_timeout) {
        queue_timeout(sim);
    } else if (event->source < sim->source_timers) {
        scrape(sim, event->source - sim->source_scrape);
    } else {
        timer_fire(sim, event->source - sim->source_timers);
    }
    return true;
}

static bool all_done(const struct sim *sim)
{
    return sim->arrivals_done && sim->releases == 0 &&
           request_table_live(sim->table) == 0 && waiting_at_gateway(sim) == 0;
}

static void visit_count(void *context, struct request *request)
{
    uint64_t *count = context;
    CHECK(request->state != REQUEST_ENDED, "INV-1: an engine holds an ended request");
    ++*count;
}

/* Returns how many requests the engine holds. */
static uint64_t engine_check(const struct sim *sim, uint32_t engine)
{
    replica_check(sim->engines[engine]);
    uint64_t here = 0;
    replica_visit(sim->engines[engine], visit_count, &here);
    CHECK(here == sim->load.inflight[engine],
          "INV-1: engine %u holds %" PRIu64 " requests, %u were sent", engine, here,
          sim->load.inflight[engine]);
    return here;
}

/* Dev builds look at the engine that the event touched; check_invariants at all. */
static void invariants_after_event(const struct sim *sim)
{
    if (sim->state != SIM_RUNNING) {
        return;
    }
    if (sim->options.check_invariants) {
        sim_check_invariants(sim);
    }
#ifdef STACKSIM_DCHECK
    if (sim->touched < sim->engine_count) {
        engine_check(sim, sim->touched);
    }
#endif
}

enum sim_state sim_run(struct sim *sim, uint64_t events_max, struct err *err)
{
    for (uint64_t i = 0; i < events_max && sim->state == SIM_RUNNING; i++) {
        struct event event;
        if (all_done(sim) || !evq_peek(sim->events, &event)) {
            sim->state = SIM_DONE;
            break;
        }
        CHECK(event.time_ns >= sim->now_ns, "INV-3: the clock goes back");
        samples_take(sim, event.time_ns);
        sim->now_ns = event.time_ns;
        sim->summary.events++;
        /* Engines and arrivals move their event on themselves; all others are used
         * up. */
        if (event.source > sim->source_arrival) {
            evq_clear(sim->events, event.source);
        }
        if (!event_handle(sim, &event, err)) {
            sim->state = SIM_FAILED;
        }
        if (sim->reports != NULL) {
            reports_reschedule(sim);
        }
        invariants_after_event(sim);
    }
    return sim->state;
}

/* ---- life ---------------------------------------------------------------------------
 */

static bool engines_check(const struct scenario *scenario, struct err *err)
{
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        const uint64_t room =
            (uint64_t)(pool->kv_blocks - 1) * pool->engine.block_tokens;
        if (pool->kv_blocks < 2 || room + 1 < pool->engine.max_model_len) {
            return err_set(err, ERR_INPUT,
                           "pool %s: %u KV blocks of %u tokens cannot hold one request "
                           "of max_model_len %u; lower max_model_len to %" PRIu64,
                           pool->name, pool->kv_blocks, pool->engine.block_tokens,
                           pool->engine.max_model_len, room + 1);
        }
    }
    return true;
}

static void engine_new(struct sim *sim, uint32_t engine,
                       const struct scenario_pool *pool, uint32_t number)
{
    sim->pool_of[engine] = pool;
    const struct replica_setup setup = {
        .id = engine,
        .engine = &pool->engine,
        .cost = pool->cost,
        .kv_blocks = pool->kv_blocks,
        .table = sim->table,
        .events = {sim, on_first_token, on_end},
        .cache_listener = listener_of(sim, engine),
        .step_by_step = sim->options.step_by_step || pool->lockstep,
        .lockstep = pool->lockstep,
    };
    sim->engines[engine] = replica_new(&setup);
    sim->first_of[engine] = pool->lockstep ? engine - number : engine;
    char url[URL_BYTES];
    (void)snprintf(url, sizeof(url), "http://%s-%04u:8000", pool->name, number);
    for (uint32_t i = 0; i < sim->front_count; i++) {
        front_join(&sim->fronts[i], engine, url, pool->model.name);
    }
}

/* The last rank of a pool in lock-step was made: joins them all. */
static void group_new(struct sim *sim, uint32_t first, const struct scenario_pool *pool)
{
    struct lockstep *group =
        lockstep_new(sim->engines + first, pool->replicas, pool->cost);
    for (uint32_t i = 0; i < pool->replicas; i++) {
        sim->group_of[first + i] = group;
    }
}

static void engines_new(struct sim *sim)
{
    const struct scenario *scenario = sim->scenario;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        sim->engine_count += scenario->pools[i].replicas;
    }
    if ((gateway_needs(sim->fronts[0].gateway) & NEED_KV_EVENTS) != 0) {
        sim->reports = kv_reports_new(&(struct kv_reports_setup){
            .config = scenario->kv_reports,
            .seed = scenario->seed,
            .engines = sim->engine_count,
            .clock_ns = &sim->now_ns,
        });
    }
    sim->engines = mem_alloc(sim->engine_count, sizeof(struct replica *));
    sim->pool_of = mem_alloc(sim->engine_count, sizeof(struct scenario_pool *));
    sim->group_of = mem_alloc(sim->engine_count, sizeof(struct lockstep *));
    sim->first_of = mem_alloc(sim->engine_count, sizeof(uint32_t));
    uint32_t engine = 0;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        for (uint32_t number = 0; number < pool->replicas; number++, engine++) {
            engine_new(sim, engine, pool, number);
        }
        if (pool->lockstep) {
            group_new(sim, engine - pool->replicas, pool);
        }
    }
}

static bool fronts_set_up(struct sim *sim, struct err *err)
{
    const struct scenario *scenario = sim->scenario;
    struct front_links links = {.oracle = &sim->oracle};
    sim->oracle = (struct oracle){sim, on_ask};
    sim->nobody = (struct kv_listener){NULL, on_change_unheard};
    if (sim->observer.on_decision != NULL) {
        sim->sink =
            (struct decision_sink){sim->observer.context, sim->observer.on_decision,
                                   sim->observer.wants_scores};
        links.sink = &sim->sink;
    }
    sim->front_count = scenario->router_replicas;
    sim->fronts = mem_alloc(sim->front_count, sizeof(struct front));
    sim->fairness = fairness_new();
    rng_init(&sim->front_bits, scenario->seed, "sim.front", 0);
    for (uint32_t i = 0; i < sim->front_count; i++) {
        if (!front_init(&sim->fronts[i], scenario, i, &links, err)) {
            return false;
        }
    }
    return true;
}

/* Each replica of the router scrapes in its own time: evenly apart. */
static void scrapes_set_up(struct sim *sim)
{
    const int64_t interval_ns = sim->scenario->scrape_interval_ns;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        evq_set(sim->events, sim->source_scrape + i, interval_ns / sim->front_count * i,
                rank_of(EVENT_SCRAPE, i));
    }
}

static bool events_set_up(struct sim *sim, struct err *err)
{
    sim->source_arrival = sim->engine_count;
    sim->source_limit = sim->engine_count + 1;
    sim->source_reports = sim->engine_count + 2;
    sim->source_admit = sim->engine_count + 3;
    sim->source_queue_timeout = sim->engine_count + 4;
    sim->source_scrape = sim->engine_count + 5;
    sim->source_timers = sim->source_scrape + sim->front_count;
    sim->events = evq_new(sim->source_timers);
    sim->timer_unused = UINT32_MAX;
    sim->touched = UINT32_MAX;
    if (sim->scenario->time_max_ns > 0) {
        evq_set(sim->events, sim->source_limit, sim->scenario->time_max_ns,
                rank_of(EVENT_TIME_LIMIT, 0));
    }
    const bool metrics = front_needs_metrics(&sim->fronts[0]);
    sim->fresh_metrics = metrics && sim->scenario->scrape_interval_ns == 0;
    if (metrics && !sim->fresh_metrics) {
        scrapes_set_up(sim);
    }
    const bool samples = sim->observer.on_sample != NULL;
    sim->sample_ns = samples && sim->scenario->sample_interval_ns > 0 ? 0 : INT64_MAX;
    return arrival_fetch(sim, err);
}

/* The parts of a run, each from another hand: a struct would only rename them. */
/* NOLINTNEXTLINE(readability-function-size) */
bool sim_new(struct sim **out, const struct scenario *scenario,
             struct workload *workload, const struct observer *observer,
             const struct sim_options *options, struct err *err)
{
    if (!engines_check(scenario, err)) {
        return false;
    }
    struct sim *sim = mem_alloc(1, sizeof(*sim));
    sim->scenario = scenario;
    sim->options = *options;
    sim->observer = observer == NULL ? (struct observer){0} : *observer;
    sim->table = request_table_new();
    digest_init(&sim->digest);
    if (!fronts_set_up(sim, err) ||
        !replay_new(&sim->replay, workload, scenario->replay, scenario->requests_max,
                    err)) {
        goto fail;
    }
    engines_new(sim);
    load_init(&sim->load, sim->engine_count);
    if (!events_set_up(sim, err)) {
        goto fail;
    }
    *out = sim;
    return true;
fail:
    sim_delete(sim);
    return false;
}

void sim_delete(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
        if (sim->first_of[engine] == engine) {
            lockstep_delete(sim->group_of[engine]);
        }
        replica_delete(sim->engines[engine]);
    }
    mem_free(sim->group_of);
    mem_free(sim->first_of);
    mem_free(sim->engines);
    mem_free(sim->pool_of);
    kv_reports_delete(sim->reports);
    mem_free(sim->asked_runs);
    replay_delete(sim->replay);
    request_table_delete(sim->table);
    for (uint32_t i = 0; sim->fronts != NULL && i < sim->front_count; i++) {
        front_fini(&sim->fronts[i]);
    }
    mem_free(sim->fronts);
    fairness_delete(sim->fairness);
    evq_delete(sim->events);
    load_fini(&sim->load);
    mem_free(sim->timers);
    mem_free(sim);
}

/* ---- results
 * ------------------------------------------------------------------------- */

int64_t sim_now_ns(const struct sim *sim)
{
    return sim->now_ns;
}

bool sim_tenant_summarise(const struct sim *sim, uint32_t index,
                          struct tenant_summary *summary)
{
    return fairness_summary(sim->fairness, index, sim->now_ns, summary);
}

uint32_t sim_engine_count(const struct sim *sim)
{
    return sim->engine_count;
}

void sim_engine_summarise(const struct sim *sim, uint32_t engine,
                          struct sim_engine_summary *summary)
{
    CHECK(engine < sim->engine_count, "engine %u of %u", engine, sim->engine_count);
    const struct replica_stats *stats = replica_stats(sim->engines[engine]);
    *summary = (struct sim_engine_summary){
        .requests = stats->ended,
        .steps = stats->steps,
        .preemptions = stats->preemptions,
        .prefix_query_tokens = stats->prefix_query_tokens,
        .prefix_hit_tokens = stats->prefix_hit_tokens,
        .busy_ns = stats->busy_ns,
    };
}

void sim_summarise(const struct sim *sim, struct sim_summary *summary)
{
    *summary = sim->summary;
    for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
        const struct replica_stats *stats = replica_stats(sim->engines[engine]);
        summary->steps += stats->steps;
        summary->preemptions += stats->preemptions;
        summary->prefix_query_tokens += stats->prefix_query_tokens;
        summary->prefix_hit_tokens += stats->prefix_hit_tokens;
        summary->recomputed_tokens += stats->recomputed_tokens;
    }
    summary->load_imbalance = load_imbalance(&sim->load);
    summary->fairness_jain = fairness_jain(sim->fairness, sim->now_ns);
    summary->digest = digest_value(&sim->digest);
    for (uint32_t i = 0; i < sim->front_count; i++) {
        summary->policy_bytes += gateway_policy_bytes(sim->fronts[i].gateway);
    }
}

void sim_check_invariants(const struct sim *sim)
{
    uint64_t held = 0;
    for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
        held += engine_check(sim, engine);
    }
    CHECK(held == request_table_live(sim->table),
          "INV-1: engines hold %" PRIu64 " requests, %zu live", held,
          request_table_live(sim->table));
    const uint64_t waiting = waiting_at_gateway(sim);
    CHECK(sim->injected == sim->summary.requests + held + waiting,
          "INV-1: %" PRIu64 " injected, %" PRIu64 " ended, %" PRIu64 " live, %" PRIu64
          " wait at the gateway",
          sim->injected, sim->summary.requests, held, waiting);
}
