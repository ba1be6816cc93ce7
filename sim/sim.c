/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.c: the event loop: arrivals meet the gateway, engines meet their step boundaries.
 *
 * Sources of events: one per engine, one for arrivals, one for the end of the run, one
 * for scrapes of engine metrics, and timers for releases and cancellations. Sample
 * ticks are no events: they are taken on the way from one event to the next, so that
 * watching changes nothing.
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/sim_state.h"

#include <inttypes.h>
#include <stdio.h>

enum { IDLE_TICKS_MAX = 100000 };
enum { URL_BYTES = 128 };

static void on_first_token(void *context, struct request *request, int64_t now_ns)
{
    struct sim *sim = context;
    if (request->probe) {
        return;
    }
    if (request->part && request->split == NULL) {
        return; /* of a request that has ended */
    }
    struct gateway *gateway = request->split != NULL
                                  ? sim_disagg_gateway(sim, request)
                                  : sim->fronts[request->front].gateway;
    const uint64_t id = request->part ? sim_disagg_whole(request) : request->record_id;
    gateway_first_token(gateway, now_ns, id, request->engine, request->prompt_tokens);
    if (sim->scaling != NULL) {
        sim_scaling_first_token(sim, request);
    }
}

static void on_end(void *context, struct request *request, int64_t now_ns,
                   enum outcome_status status)
{
    struct sim *sim = context;
    CHECK(now_ns == sim->now_ns, "an engine's clock is off by %" PRId64 " ns",
          now_ns - sim->now_ns);
    if (request->probe) {
        sim_probe_end(sim, request, status);
    } else if (request->part) {
        sim_part_end(sim, request, status);
    } else if (status ==
               OUTCOME_FAILED) { /* somebody may try again, but not within a step */
        sim_attempt_hang(sim, request, 0);
    } else {
        sim_finish(sim, request, status);
    }
}

void sim_load_add(struct sim *sim, uint32_t engine)
{
    load_add(&sim->load, engine, sim->now_ns);
    if (sim->scaling != NULL) {
        sim_scaling_moved(sim, engine, 1);
    }
}

void sim_load_remove(struct sim *sim, uint32_t engine)
{
    load_remove(&sim->load, engine, sim->now_ns);
    if (sim->scaling != NULL) {
        sim_scaling_moved(sim, engine, -1);
    }
    if (sim->life != NULL) {
        sim_life_left(sim, engine);
    }
}

void sim_engine_reschedule(struct sim *sim, uint32_t engine)
{
    const struct lockstep *group = sim->group_of[engine];
    const uint32_t source = sim->first_of[engine];
    const int64_t next_ns =
        group != NULL ? lockstep_next_ns(group) : replica_next_ns(sim->engines[engine]);
    sim->touched = engine;
    if (next_ns == INT64_MAX) {
        evq_clear(sim->events, source);
    } else {
        evq_set(sim->events, source, next_ns, sim_rank(EVENT_STEP_DONE, source));
    }
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
    sim_metrics_read(sim, front);
    if (front->admission != NULL) {
        sim_admit_waiting(sim);
    }
    evq_set(sim->events, sim->source_scrape + index,
            sim->now_ns + sim->scenario->scrape_interval_ns,
            sim_rank(EVENT_SCRAPE, index));
}

static void on_kv_event(void *context, uint32_t engine, const struct kv_event *event)
{
    struct sim *sim = context;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        gateway_kv_event(sim->fronts[i].gateway, sim->now_ns, engine, event);
        if (sim->fronts[i].prefill != NULL) {
            gateway_kv_event(sim->fronts[i].prefill, sim->now_ns, engine, event);
        }
    }
}

static void reports_reschedule(struct sim *sim)
{
    const int64_t next_ns = kv_reports_next_ns(sim->reports);
    if (next_ns < INT64_MAX) {
        evq_set(sim->events, sim->source_reports, next_ns,
                sim_rank(EVENT_KV_REPORT, 0));
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
            if (at->probe) {
                sim_probe_end(sim, at, OUTCOME_UNFINISHED);
            } else if (at->part) {
                sim_part_end(sim, at, OUTCOME_UNFINISHED);
            } else {
                sim_finish(sim, at, OUTCOME_UNFINISHED);
            }
        }
    }
    sim_attempts_stop(sim);
    sim_router_stop(sim);
    struct parked *parked = NULL;
    for (uint32_t i = 0; i < sim->front_count; i++) {
        struct admission *admission = sim->fronts[i].admission;
        while (admission != NULL && (parked = admission_any(admission)) != NULL) {
            sim_parked_end(sim, parked, OUTCOME_UNFINISHED);
        }
    }
    sim->state = SIM_DONE;
}

static void timer_fire(struct sim *sim, uint32_t slot)
{
    const struct timer timer = sim->timers[slot];
    if (timer.kind == EVENT_RELEASE) {
        sim_timer_give(sim, slot);
        sim->releases--;
        sim_arrive(sim, replay_record(sim->replay, timer.index));
        return;
    }
    sim_timer_give(sim, slot);
    if (timer.kind == EVENT_TIER_LOADED) {
        sim_tiers_loaded(sim, timer.request);
        return;
    }
    if (timer.kind == EVENT_ATTEMPT_LOST || timer.kind == EVENT_RETRY) {
        sim_attempt_timer(sim, &timer);
        return;
    }
    if (timer.kind == EVENT_ADAPTER) {
        fleet_adapters_tell(sim->adapters, timer.index);
        return;
    }
    if (timer.kind == EVENT_ROUTED) {
        sim_router_done(sim, timer.parked);
        return;
    }
    if (timer.kind != EVENT_CANCEL) {
        sim_disagg_timer(sim, &timer);
        return;
    }
    if (timer.parked != NULL) {
        sim_queue_cancel(sim, timer.parked);
        return;
    }
    struct request *request = timer.request;
    request->timer = UINT32_MAX;
    if (sim_attempt_cancel(sim, request)) {
        return;
    }
    replica_cancel(sim->engines[request->engine], request, sim->now_ns);
    sim_engine_reschedule(sim, request->engine);
}

static bool event_handle(struct sim *sim, const struct event *event, struct err *err)
{
    if (event->source < sim->engine_count) {
        if (sim->group_of[event->source] != NULL) {
            lockstep_step_done(sim->group_of[event->source]);
        } else {
            replica_step_done(sim->engines[event->source]);
        }
        sim_engine_reschedule(sim, event->source);
    } else if (event->source == sim->source_arrival) {
        sim_arrive(sim, sim->arrival);
        return sim_arrival_fetch(sim, err);
    } else if (event->source == sim->source_limit) {
        time_limit(sim);
    } else if (event->source == sim->source_reports) {
        const struct kv_report_sink sink = {sim, on_kv_event};
        kv_reports_deliver(sim->reports, sim->now_ns, &sink);
    } else if (event->source == sim->source_links) {
        sim_disagg_arrived(sim);
    } else if (event->source == sim->source_life) {
        sim_life_due(sim);
    } else if (event->source == sim->source_admit) {
        sim_admit_waiting(sim);
    } else if (event->source == sim->source_queue_timeout) {
        sim_queue_timeout(sim);
    } else if (event->source < sim->source_timers) {
        scrape(sim, event->source - sim->source_scrape);
    } else {
        timer_fire(sim, event->source - sim->source_timers);
    }
    return true;
}

static bool all_done(const struct sim *sim)
{
    return sim->arrivals_done && sim->releases == 0 && sim_requests_live(sim) == 0 &&
           sim_waiting_at_gateway(sim) == 0 && sim->retries.paused == 0;
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
    here += sim->life != NULL ? sim->retries.hung_at[engine] : 0;
    here -= probes_at(&sim->probes, engine);
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

/* A probe, or a part of a request that is gone, may be under way still: what its engine
 * has done by now counts. */
static void probes_stop(struct sim *sim)
{
    for (uint32_t engine = 0;
         sim->probes.live + sim->parts > 0 && engine < sim->engine_count; engine++) {
        replica_stop(sim->engines[engine], sim->now_ns);
    }
}

enum sim_state sim_run(struct sim *sim, uint64_t events_max, struct err *err)
{
    for (uint64_t i = 0; i < events_max && sim->state == SIM_RUNNING; i++) {
        struct event event;
        if (all_done(sim)) {
            sim->state = SIM_DONE;
            probes_stop(sim);
            break;
        }
        if (!evq_peek(sim->events, &event) ||
            (sim->arrivals_done && sim_stalled(sim))) {
            time_limit(sim); /* nothing will ever happen to those who wait */
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
        .seed = sim->scenario->seed,
        .table = sim->table,
        .events = {sim, on_first_token, on_end},
        .legs = {sim, sim_on_prefilled, sim_on_load, sim_on_tier_load},
        .tiers = sim_tiers_of(sim, engine, pool),
        .cache_listener = sim_listener_of(sim, engine),
        .adapters = pool->adapters,
        .step_by_step = sim->options.step_by_step || pool->lockstep,
        .lockstep = pool->lockstep,
    };
    sim->engines[engine] = replica_new(&setup);
    sim->first_of[engine] = pool->lockstep ? engine - number : engine;
    char url[URL_BYTES];
    (void)snprintf(url, sizeof(url), "http://%s-%04u:8000", pool->name, number);
    for (uint32_t i = 0; i < sim->front_count; i++) {
        front_join(&sim->fronts[i], engine, url, pool->model.name);
        if (sim->fronts[i].prefill != NULL) {
            front_set_role(&sim->fronts[i], engine, pool->role);
        }
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

void sim_engines_renew(struct sim *sim, uint32_t first, uint32_t count)
{
    const struct scenario_pool *pool = sim->pool_of[first];
    if (sim->group_of[first] != NULL) {
        lockstep_delete(sim->group_of[first]);
    }
    for (uint32_t i = 0; i < count; i++) {
        sim->engines[first + i] = replica_renew(sim->engines[first + i]);
    }
    if (pool->lockstep) {
        group_new(sim, first, pool);
    }
    for (uint32_t i = 0; i < count; i++) {
        sim_engine_reschedule(sim, first + i);
    }
}

static void engines_new(struct sim *sim)
{
    const struct scenario *scenario = sim->scenario;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        sim->engine_count += scenario->pools[i].engines;
    }
    if ((front_needs(&sim->fronts[0]) & NEED_KV_EVENTS) != 0) {
        sim->reports = kv_reports_new(&(struct kv_reports_setup){
            .config = scenario->kv_reports,
            .seed = scenario->seed,
            .engines = sim->engine_count,
            .clock_ns = &sim->now_ns,
        });
    }
    sim->tiers = sim_tiers_new(sim);
    sim->engines = mem_alloc(sim->engine_count, sizeof(struct replica *));
    sim->pool_of = mem_alloc(sim->engine_count, sizeof(struct scenario_pool *));
    sim->group_of = mem_alloc(sim->engine_count, sizeof(struct lockstep *));
    sim->first_of = mem_alloc(sim->engine_count, sizeof(uint32_t));
    uint32_t engine = 0;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        for (uint32_t number = 0; number < pool->engines; number++, engine++) {
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
    sim->oracle = (struct oracle){sim, sim_on_ask};
    sim->nobody = (struct kv_listener){NULL, sim_on_change_unheard};
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
                sim_rank(EVENT_SCRAPE, i));
    }
}

static void adapters_set_up(struct sim *sim)
{
    const uint32_t count =
        sim->adapters != NULL ? adapter_list_count(sim->scenario->adapters) : 0;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t due_ns = fleet_adapters_routable_ns(sim->adapters, i);
        if (due_ns > 0) {
            const struct timer timer = {.kind = EVENT_ADAPTER, .index = i};
            const uint32_t slot = sim_timer_new(sim, &timer);
            evq_set(sim->events, sim->source_timers + slot, due_ns,
                    sim_rank(EVENT_ADAPTER, i));
        }
    }
}

static bool events_set_up(struct sim *sim, struct err *err)
{
    sim->source_arrival = sim->engine_count;
    sim->source_limit = sim->engine_count + 1;
    sim->source_reports = sim->engine_count + 2;
    sim->source_admit = sim->engine_count + 3;
    sim->source_queue_timeout = sim->engine_count + 4;
    sim->source_links = sim->engine_count + 5;
    sim->source_life = sim->engine_count + 6;
    sim->source_scrape = sim->engine_count + 7;
    sim->source_timers = sim->source_scrape + sim->front_count;
    sim->events = evq_new(sim->source_timers);
    sim->timer_unused = UINT32_MAX;
    sim->touched = UINT32_MAX;
    if (sim->scenario->time_max_ns > 0) {
        evq_set(sim->events, sim->source_limit, sim->scenario->time_max_ns,
                sim_rank(EVENT_TIME_LIMIT, 0));
    }
    const bool metrics = front_needs_metrics(&sim->fronts[0]);
    sim->fresh_metrics = metrics && sim->scenario->scrape_interval_ns == 0;
    if (metrics && !sim->fresh_metrics) {
        scrapes_set_up(sim);
    }
    const bool samples = sim->observer.on_sample != NULL;
    sim->sample_ns = samples && sim->scenario->sample_interval_ns > 0 ? 0 : INT64_MAX;
    if (sim->life != NULL) {
        sim_life_reschedule(sim);
    }
    adapters_set_up(sim);
    return sim_arrival_fetch(sim, err);
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
    sim->disagg = sim_disagg_new(sim);
    sim->adapters = fleet_adapters_new(&(struct fleet_adapters_setup){
        .scenario = scenario,
        .engines = sim->engines,
        .pool_of = sim->pool_of,
        .engine_count = sim->engine_count,
        .fronts = sim->fronts,
        .front_count = sim->front_count,
    });
    load_init(&sim->load, sim->engine_count);
    sim->life = sim_life_new(sim);
    sim->scaling = sim_scaling_new(sim);
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
    sim_disagg_delete(sim->disagg);
    fleet_adapters_delete(sim->adapters);
    sim_tiers_delete(sim->tiers, sim->engine_count);
    sim_life_delete(sim->life);
    sim_scaling_delete(sim->scaling);
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
        .adapters = stats->adapters,
        .speculation = stats->speculation,
    };
    const uint32_t stages = plan_stages(&sim->pool_of[engine]->engine.parallel);
    if (stages > 1) {
        summary->stages = stages;
        for (uint32_t i = 0; i < stages; i++) {
            summary->stage_busy_ns[i] = replica_stage_busy_ns(sim->engines[engine], i);
        }
    }
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
        adapter_stats_add(&summary->adapters, &stats->adapters);
        speculation_stats_add(&summary->speculation, &stats->speculation);
        summary->tier_hit_tokens += stats->tier_hit_tokens;
    }
    summary->load_imbalance = load_imbalance(&sim->load);
    summary->fairness_jain = fairness_jain(sim->fairness, sim->now_ns);
    summary->digest = digest_value(&sim->digest);
    for (uint32_t i = 0; i < sim->front_count; i++) {
        const struct front *front = &sim->fronts[i];
        summary->policy_bytes += gateway_policy_bytes(front->gateway);
        summary->policy_bytes +=
            front->prefill != NULL ? gateway_policy_bytes(front->prefill) : 0;
    }
}

void sim_check_invariants(const struct sim *sim)
{
    uint64_t held = 0;
    for (uint32_t engine = 0; engine < sim->engine_count; engine++) {
        held += engine_check(sim, engine);
    }
    held += sim_disagg_between(sim->disagg);
    held -= sim->parts;
    CHECK(held == sim_requests_live(sim),
          "INV-1: engines hold %" PRIu64 " requests, %zu live", held,
          sim_requests_live(sim));
    const uint64_t waiting = sim_waiting_at_gateway(sim);
    const uint64_t paused = sim->retries.paused;
    CHECK(sim->injected == sim->summary.requests + held + waiting + paused,
          "INV-1: %" PRIu64 " injected, %" PRIu64 " ended, %" PRIu64 " live, %" PRIu64
          " wait at the gateway, %" PRIu64 " try again later",
          sim->injected, sim->summary.requests, held, waiting, paused);
}
