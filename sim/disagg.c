/* SPDX-License-Identifier: Apache-2.0
 *
 * disagg.c: requests whose prompt is computed by one engine and that decode at another
 * (docs/adr/0006).
 *
 * One request goes through both engines: WAITING ... DRAINING at the first, ARRIVED for
 * an instant, then WAITING, LOADING ... at the second. Its KV stays behind in a hold of
 * the first engine until the second has fetched it. Whatever one engine's step causes
 * at another engine is an event of its own: within a step's end nobody else is called,
 * so that both modes meet the same fleet (ADR 0005).
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/disagg_state.h"

#include <string.h>

/* ---- life ------------------------------------------------------------------------ */

struct disagg *sim_disagg_new(struct sim *sim)
{
    const struct scenario_disaggregation *config = &sim->scenario->disaggregation;
    if (config->policy == NULL) {
        return NULL;
    }
    struct disagg *disagg = mem_alloc(1, sizeof *disagg);
    disagg->bytes_per_s = mem_alloc(sim->engine_count, sizeof(double));
    disagg->config = config;
    disagg->model_len = UINT32_MAX;
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        const struct engine_config *engine = &sim->pool_of[i]->engine;
        CHECK(sim->group_of[i] == NULL, "engine %u is a rank and has a role", i);
        /* Every GPU of a group moves its own part over its own card. */
        disagg->bytes_per_s[i] = config->nic_bytes_per_s * engine_gpus(engine);
        if (engine->max_model_len < disagg->model_len) {
            disagg->model_len = engine->max_model_len;
        }
    }
    const struct scenario_pool *pool = sim->pool_of[0];
    disagg->block_bytes =
        (double)model_kv_bytes_per_token(&pool->model, 1) * pool->engine.block_tokens;
    disagg->layers = pool->model.layers;
    disagg->links = links_new(disagg->bytes_per_s, sim->engine_count);
    return disagg;
}

void sim_disagg_delete(struct disagg *disagg)
{
    if (disagg != NULL) {
        links_delete(disagg->links);
        mem_free(disagg->by_flow);
        mem_free(disagg->bytes_per_s);
        mem_free(disagg);
    }
}

uint64_t sim_disagg_between(const struct disagg *disagg)
{
    return disagg == NULL ? 0 : disagg->between;
}

/* ---- timers and flows ------------------------------------------------------------ */

uint32_t disagg_timer_at(struct sim *sim, const struct timer *timer, int64_t time_ns,
                         uint64_t number)
{
    const uint32_t slot = sim_timer_new(sim, timer);
    evq_set(sim->events, sim->source_timers + slot, time_ns,
            sim_rank(timer->kind, number));
    return slot;
}

void disagg_timer_drop(struct sim *sim, uint32_t *slot)
{
    if (*slot != NO_TIMER) {
        sim_timer_give(sim, *slot);
        *slot = NO_TIMER;
    }
}

void disagg_links_reschedule(struct sim *sim)
{
    const int64_t next_ns = links_next_ns(sim->disagg->links);
    if (next_ns == INT64_MAX) {
        evq_clear(sim->events, sim->source_links);
    } else {
        evq_set(sim->events, sim->source_links, next_ns, sim_rank(EVENT_KV_ARRIVED, 0));
    }
}

void disagg_hold_release(struct sim *sim, uint32_t engine, struct kv_hold *hold)
{
    replica_release(sim->engines[engine], hold, sim->now_ns);
    sim_engine_reschedule(sim, engine);
}

/* ---- who ------------------------------------------------------------------------- */

/* Tokens of the prompt that the policy thinks the chosen endpoint has. */
static uint32_t believed_tokens(const struct sim *sim, uint32_t engine,
                                const struct route_decision *decision,
                                uint32_t prompt_tokens)
{
    const char *unit = sim->scenario->policy->match_unit;
    uint64_t tokens = 0;
    if (unit != NULL && strcmp(unit, "tokens") == 0) {
        tokens = decision->matched_length;
    } else if (unit != NULL && strcmp(unit, "characters") == 0) {
        tokens = decision->matched_length / sim->scenario->chars_per_token;
    } else if (unit != NULL && strcmp(unit, "KV blocks") == 0) {
        tokens = (uint64_t)decision->matched_length *
                 sim->pool_of[engine]->engine.block_tokens;
    }
    return tokens < prompt_tokens ? (uint32_t)tokens : prompt_tokens;
}

static uint32_t prefill_queue(const struct sim *sim, const struct gateway *prefill)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < sim->engine_count; i++) {
        const struct endpoint_view *view = gateway_endpoint(prefill, i);
        if (view->accepting && view->inflight_prefill < least) {
            least = view->inflight_prefill;
        }
    }
    return least;
}

static bool wants_split(const struct sim *sim, const struct incoming *incoming,
                        uint32_t engine, const struct route_decision *decision)
{
    const struct scenario_disaggregation *config = sim->disagg->config;
    if (config->policy->split == NULL) {
        return true;
    }
    const uint32_t prompt = incoming->record->prompt_tokens;
    const struct pair_view view = {
        .prompt_tokens = prompt,
        .cached_tokens = believed_tokens(sim, engine, decision, prompt),
        .prefill_queue = prefill_queue(sim, sim->fronts[incoming->front].prefill),
    };
    return config->policy->split(config->values, &view);
}

struct split *disagg_split_new(struct request *request, const struct incoming *incoming,
                               uint32_t prefill_engine, uint32_t decode_engine)
{
    struct split *split = mem_alloc(1, sizeof *split);
    *split = (struct split){
        .request = request,
        .prefill_engine = prefill_engine,
        .decode_engine = decode_engine,
        .prefill_open = true,
        .decode_open = decode_engine != NO_ENGINE,
        .output_tokens = request->output_tokens,
        .one_token = incoming->record->output_tokens_max == 1,
        .queued_ns = OUTCOME_TIME_NONE,
        .scheduled_ns = OUTCOME_TIME_NONE,
        .prefill_end_ns = OUTCOME_TIME_NONE,
        .asked_ns = OUTCOME_TIME_NONE,
        .here_ns = OUTCOME_TIME_NONE,
        .timer = NO_TIMER,
        .lease = NO_TIMER,
        .flow = NO_FLOW,
    };
    request->split = split;
    return split;
}

/* The prefill leg: to `engine`, which its gateway has chosen. */
static void split_begin(struct sim *sim, const struct incoming *incoming,
                        uint32_t engine, uint32_t decode_engine)
{
    const struct scenario_disaggregation *config = sim->disagg->config;
    struct request *request =
        sim_request_new(sim, incoming, engine, sim->disagg->model_len);
    CHECK(request != NULL, "a prompt of %u tokens was checked",
          incoming->record->prompt_tokens);
    disagg_split_new(request, incoming, engine, decode_engine);
    request->leg = LEG_PREFILL;
    if (config->policy->in_full == NULL || !config->policy->in_full(config->values)) {
        request->output_tokens = 1;
    }
    sim_engine_submit(sim, request, engine);
}

/* The decoding engine first: it may do everything itself. */
static void route_decode_first(struct sim *sim, const struct incoming *incoming)
{
    struct front *front = &sim->fronts[incoming->front];
    uint32_t decode = NO_ENGINE;
    uint32_t prefill = NO_ENGINE;
    const struct route_decision decision = front_route(
        front, sim->now_ns, incoming->record, incoming->arrival_ns, &decode);
    if (decision.endpoint < 0) {
        sim_attempt_unroutable(sim, incoming);
        return;
    }
    const bool fits = incoming->record->prompt_tokens < sim->disagg->model_len;
    const bool apart = fits && wants_split(sim, incoming, decode, &decision);
    if (!apart || front_route_prefill(front, sim->now_ns, incoming->record,
                                      incoming->arrival_ns, &prefill)
                          .endpoint < 0) {
        sim_request_submit(sim, incoming, decode);
        return;
    }
    if (prefill == decode) { /* one of both roles: nothing to carry */
        gateway_end(front->prefill, sim->now_ns,
                    &(struct attempt_end){
                        .request_id = incoming->record->id,
                        .endpoint_id = prefill,
                        .prompt_tokens = incoming->record->prompt_tokens,
                        .how = ATTEMPT_ABORTED,
                    });
        sim_request_submit(sim, incoming, decode);
        return;
    }
    if (sim->disagg->config->push) {
        disagg_push(sim, incoming, prefill, decode);
    } else {
        split_begin(sim, incoming, prefill, decode);
    }
}

void sim_disagg_route(struct sim *sim, const struct incoming *incoming)
{
    struct front *front = &sim->fronts[incoming->front];
    const bool fits = incoming->record->prompt_tokens < sim->disagg->model_len;
    uint32_t prefill = NO_ENGINE;
    const struct scenario_disaggregation *config = sim->disagg->config;
    if (config->policy->decode_first || config->push || !fits) {
        route_decode_first(sim, incoming);
    } else if (front_route_prefill(front, sim->now_ns, incoming->record,
                                   incoming->arrival_ns, &prefill)
                   .endpoint < 0) {
        sim_attempt_unroutable(sim, incoming);
    } else {
        split_begin(sim, incoming, prefill, NO_ENGINE);
    }
}

/* ---- from one engine to the other ------------------------------------------------ */

void disagg_prefill_close(struct sim *sim, struct split *split, struct attempt_end end)
{
    const struct request *request = split->request;
    if (!split->prefill_open) {
        return;
    }
    split->prefill_open = false;
    end.endpoint_id = split->prefill_engine;
    gateway_end(sim->fronts[request->front].prefill, sim->now_ns, &end);
    if (split->part == NULL) {
        sim_load_remove(sim, split->prefill_engine);
    }
}

void disagg_prefilled(struct sim *sim, struct split *split, const struct request *leg,
                      struct kv_hold *hold)
{
    disagg_prefill_close(sim, split,
                         (struct attempt_end){
                             .request_id = split->request->record_id,
                             .prompt_tokens = leg->prompt_tokens,
                             .cached_tokens = leg->cached_tokens,
                             .how = ATTEMPT_COMPLETED,
                             .had_first_token = true,
                             .output_tokens = leg->output_tokens,
                         });
    split->queued_ns = leg->queued_ns;
    split->scheduled_ns = leg->scheduled_ns;
    split->cached_tokens = leg->cached_tokens;
    split->tier_tokens = leg->tier_tokens;
    split->prefill_end_ns = sim->now_ns;
    split->hold = hold;
    split->timer =
        disagg_timer_at(sim, &(struct timer){.kind = EVENT_HANDOVER, .split = split},
                        sim->now_ns, leg->number);
}

void disagg_lease_begin(struct sim *sim, struct split *split)
{
    const int64_t lease_ns = sim->disagg->config->lease_ns;
    if (split->hold != NULL && lease_ns > 0) {
        split->lease = disagg_timer_at(
            sim, &(struct timer){.kind = EVENT_KV_EXPIRED, .split = split},
            sim->now_ns + lease_ns, split->request->number);
    }
}

void sim_on_prefilled(void *context, struct request *request, struct kv_hold *hold,
                      int64_t now_ns)
{
    struct sim *sim = context;
    struct split *split = request->split;
    CHECK(now_ns == sim->now_ns, "a prompt ends at another time");
    if (request->part) {
        disagg_part_prefilled(sim, request, hold);
        return;
    }
    disagg_prefilled(sim, split, request, hold);
    split->between = true;
    sim->disagg->between++;
    disagg_lease_begin(sim, split);
}

/* As the router knows it, when the first answer has come; its policy has no use for
 * the prompt. */
static bool decode_choose(struct sim *sim, struct split *split)
{
    const struct request *request = split->request;
    const struct trace_record record = {
        .id = request->record_id,
        .session = request->session,
        .prompt_tokens = request->prompt_tokens,
        .priority = request->priority,
        .model = sim->pool_of[split->prefill_engine]->model.name,
        .adapter = fleet_adapters_name(sim->adapters, request->adapter),
    };
    const struct scenario_disaggregation *config = sim->disagg->config;
    struct front *front = &sim->fronts[request->front];
    split->stays = split->one_token && config->policy->one_token_stays != NULL &&
                   config->policy->one_token_stays(config->values);
    const struct route_decision decision =
        split->stays ? front_route_prefill(front, sim->now_ns, &record,
                                           request->arrival_ns, &split->decode_engine)
                     : front_route(front, sim->now_ns, &record, request->arrival_ns,
                                   &split->decode_engine);
    split->decode_open = decision.endpoint >= 0;
    return split->decode_open;
}

uint32_t disagg_shared_tokens(const struct sim *sim, uint32_t decode_engine,
                              uint32_t prompt_tokens)
{
    const struct engine_config *engine = &sim->pool_of[decode_engine]->engine;
    return engine->compat == ENGINE_V010
               ? prompt_tokens - prompt_tokens % engine->block_tokens
               : prompt_tokens;
}

static uint32_t remote_tokens(const struct sim *sim, const struct split *split)
{
    if (split->hold == NULL || split->decode_engine == split->prefill_engine) {
        return 0; /* lost to a preemption, or in the engine's own cache */
    }
    return disagg_shared_tokens(sim, split->decode_engine,
                                split->request->prompt_tokens);
}

static void hand_over(struct sim *sim, struct split *split)
{
    struct request *request = split->request;
    split->between = false;
    sim->disagg->between--;
    split->timer = NO_TIMER;
    if (split->decode_engine == NO_ENGINE && !decode_choose(sim, split)) {
        request_move(request, REQUEST_ENDED);
        sim_finish(sim, request, OUTCOME_REJECTED); /* nor does a client try again */
        return;
    }
    request->leg = LEG_DECODE;
    request->engine = split->decode_engine;
    request->queued_ns = OUTCOME_TIME_NONE;
    request->scheduled_ns = OUTCOME_TIME_NONE;
    request->first_token_ns = OUTCOME_TIME_NONE; /* thrown away */
    request->output_tokens = split->output_tokens;
    request->computed = 0;
    request->produced = 0;
    request->seen_tokens = 0;
    request->cached_tokens = 0;
    request->tier_tokens = 0;
    request->lost_tokens = 0;
    request->last_step = 0;
    request->skipped_step = 0;
    request->released = false;
    request->remote_tokens = remote_tokens(sim, split);
    sim_load_add(sim, split->decode_engine);
    if (request->remote_tokens == 0 && split->hold != NULL) {
        disagg_timer_drop(sim, &split->lease);
        disagg_hold_release(sim, split->prefill_engine, split->hold);
        split->hold = NULL;
    }
    sim_engine_submit(sim, request, split->decode_engine);
}

void disagg_transfer_begin(struct sim *sim, struct split *split)
{
    const struct scenario_disaggregation *config = sim->disagg->config;
    const int64_t wait_ns =
        split->blocks > 0 ? config->latency_ns + split->blocks * config->block_ns : 0;
    split->asked_ns = sim->now_ns;
    split->timer =
        disagg_timer_at(sim, &(struct timer){.kind = EVENT_KV_POSTED, .split = split},
                        sim->now_ns + wait_ns, split->request->number);
}

void sim_on_load(void *context, struct request *request, uint32_t blocks,
                 int64_t now_ns)
{
    struct sim *sim = context;
    struct split *split = request->split;
    CHECK(now_ns == sim->now_ns, "a load begins at another time");
    split->blocks = blocks;
    split->asked = true;
    disagg_timer_drop(sim, &split->lease);
    const bool ready = split->prefill_end_ns != OUTCOME_TIME_NONE &&
                       split->timer == NO_TIMER; /* or it is told in this instant */
    if (!sim->disagg->config->push || (ready && split->hold != NULL)) {
        disagg_transfer_begin(sim, split);
    }
}

static void flow_note(struct disagg *disagg, uint32_t flow, struct split *split)
{
    void *array = disagg->by_flow;
    const bool grown = mem_grow(&array, &disagg->flow_capacity, (size_t)flow + 1,
                                sizeof(struct split *), UINT32_MAX / 2);
    CHECK(grown, "flow %u", flow);
    disagg->by_flow = array;
    disagg->by_flow[flow] = split;
    split->flow = flow;
}

/* What is still to be moved when the prompt is computed. With layers moved as they are
 * ready, all but the last one had the time of the others' computation, if the cards
 * were free: t_transfer - t_prefill (L - 1) / L is left, and t_transfer / L at least
 * (spec/vllm-engine.md 5.5, which adds the two). */
static double bytes_left(const struct disagg *disagg, const struct split *split)
{
    const double bytes = split->blocks * disagg->block_bytes;
    if (!disagg->config->layer_overlap) {
        return bytes;
    }
    const double from = disagg->bytes_per_s[split->prefill_engine];
    const double to = disagg->bytes_per_s[split->decode_engine];
    const double part = (disagg->layers - 1) / disagg->layers;
    const double prefill_s =
        (double)(split->prefill_end_ns - split->scheduled_ns) / 1e9;
    const double moved = prefill_s * part * (from < to ? from : to);
    return bytes - (moved < bytes * part ? moved : bytes * part);
}

/* The reads begin; with nothing to read the first engine is told that it may forget. */
static void posted(struct sim *sim, struct split *split)
{
    struct disagg *disagg = sim->disagg;
    split->timer = NO_TIMER;
    if (split->blocks == 0) {
        split->here_ns = sim->now_ns;
        disagg_hold_release(sim, split->prefill_engine, split->hold);
        split->hold = NULL;
        return;
    }
    const uint32_t flow = links_add(disagg->links, sim->now_ns, split->prefill_engine,
                                    split->decode_engine, bytes_left(disagg, split));
    flow_note(disagg, flow, split);
    disagg_links_reschedule(sim);
}

void sim_disagg_arrived(struct sim *sim)
{
    struct disagg *disagg = sim->disagg;
    const uint32_t flow = links_end(disagg->links);
    struct split *split = disagg->by_flow[flow];
    split->flow = NO_FLOW;
    split->here_ns = sim->now_ns;
    sim->summary.kv_transfers++;
    sim->summary.kv_transfer_bytes += split->blocks * disagg->block_bytes;
    sim->summary.kv_transfer_ns += sim->now_ns - split->asked_ns;
    disagg_links_reschedule(sim);
    struct kv_hold *hold = split->hold;
    split->hold = NULL;
    replica_kv_arrived(sim->engines[split->decode_engine], split->request, sim->now_ns);
    sim_engine_reschedule(sim, split->decode_engine);
    disagg_hold_release(sim, split->prefill_engine, hold);
}

/* Nobody has asked for it in time: the reader has to compute the prompt itself. */
static void expired(struct sim *sim, struct split *split)
{
    split->lease = NO_TIMER;
    if (split->request->state != REQUEST_ENDED) { /* else its engine is gone, too */
        replica_kv_lost(sim->engines[split->decode_engine], split->request,
                        sim->now_ns);
        sim_engine_reschedule(sim, split->decode_engine);
    }
    sim->summary.kv_expired++;
    disagg_hold_release(sim, split->prefill_engine, split->hold);
    split->hold = NULL;
}

void sim_disagg_timer(struct sim *sim, const struct timer *timer)
{
    if (timer->kind == EVENT_KV_FREED) {
        disagg_hold_release(sim, timer->index, timer->hold);
    } else if (timer->kind == EVENT_KV_EXPIRED) {
        expired(sim, timer->split);
    } else if (timer->kind == EVENT_HANDOVER && sim->disagg->config->push) {
        disagg_push_ready(sim, timer->split);
    } else if (timer->kind == EVENT_HANDOVER) {
        hand_over(sim, timer->split);
    } else {
        posted(sim, timer->split);
    }
}

/* ---- the end --------------------------------------------------------------------- */

void sim_disagg_outcome(const struct request *request, struct request_outcome *outcome)
{
    const struct split *split = request->split;
    outcome->prefill_engine = split->prefill_engine;
    outcome->prefill_end_ns = split->prefill_end_ns;
    outcome->kv_asked_ns = split->asked_ns;
    outcome->kv_here_ns = split->here_ns;
    if (request->leg == LEG_PREFILL) {
        outcome->first_token_ns = OUTCOME_TIME_NONE; /* the client has seen none */
    } else if (disagg_push_unneeded(
                   split)) { /* it went its way without the first one */
        outcome->prefill_end_ns = OUTCOME_TIME_NONE;
        outcome->kv_asked_ns = OUTCOME_TIME_NONE;
        outcome->kv_here_ns = OUTCOME_TIME_NONE;
    } else if (split->prefill_end_ns != OUTCOME_TIME_NONE) {
        outcome->queued_ns = split->queued_ns;
        outcome->scheduled_ns = split->scheduled_ns;
        outcome->cached_tokens = split->cached_tokens;
        outcome->tier_tokens += split->tier_tokens;
    }
}

static struct gateway *decode_gateway(const struct sim *sim,
                                      const struct request *request)
{
    const struct front *front = &sim->fronts[request->front];
    return request->split->stays ? front->prefill : front->gateway;
}

struct gateway *sim_disagg_gateway(const struct sim *sim, const struct request *request)
{
    return request->leg == LEG_PREFILL ? sim->fronts[request->front].prefill
                                       : decode_gateway(sim, request);
}

/* An engine that is down says nothing to the one that keeps KV for it: the lease ends
 * that. */
static int64_t freed_ns(const struct sim *sim, const struct split *split)
{
    const bool silent = sim->life != NULL && split->decode_engine != NO_ENGINE &&
                        !sim_life_serves(sim, split->decode_engine);
    const int64_t lease_ns =
        silent ? split->prefill_end_ns + sim->disagg->config->lease_ns : sim->now_ns;
    return lease_ns > sim->now_ns ? lease_ns : sim->now_ns;
}

void sim_disagg_end(struct sim *sim, struct request *request,
                    const struct attempt_end *end)
{
    struct split *split = request->split;
    disagg_prefill_close(sim, split, *end);
    if (split->part != NULL) {
        disagg_part_leave(sim, split);
    }
    if (split->decode_open) {
        struct attempt_end own = *end;
        own.endpoint_id = split->decode_engine;
        own.had_first_token = request->leg == LEG_DECODE && end->had_first_token;
        gateway_end(decode_gateway(sim, request), sim->now_ns, &own);
    }
    if (request->leg == LEG_DECODE) {
        sim_load_remove(sim, request->engine);
    }
    disagg_timer_drop(sim, &split->timer);
    disagg_timer_drop(sim, &split->lease);
    if (split->flow != NO_FLOW) {
        links_remove(sim->disagg->links, sim->now_ns, split->flow);
        disagg_links_reschedule(sim);
    }
    if (split->between) {
        sim->disagg->between--;
    }
    if (split->hold != NULL) {
        disagg_timer_at(sim,
                        &(struct timer){.kind = EVENT_KV_FREED,
                                        .index = split->prefill_engine,
                                        .hold = split->hold},
                        freed_ns(sim, split), request->number);
    }
    mem_free(split);
    request->split = NULL;
}
