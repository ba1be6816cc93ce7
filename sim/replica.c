/* SPDX-License-Identifier: Apache-2.0
 *
 * replica.c: step boundaries: what a step's end delivers, and what follows it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "policies/adapters.h"
#include "sim/pipeline.h"
#include "sim/speculation.h"

#include <string.h>

/* ---- boundaries
 * ---------------------------------------------------------------------- */

static void request_end(struct replica *replica, struct request *request,
                        int64_t now_ns, enum outcome_status status)
{
    replica->stats.ended++;
    replica_tiers_forget(replica, request);
    request_move(request, REQUEST_ENDED);
    replica->setup.events.on_end(replica->setup.events.context, request, now_ns,
                                 status);
}

/* It goes on elsewhere; its blocks stay until the other engine has them. */
static void prefill_end(struct replica *replica, struct request *request,
                        int64_t now_ns)
{
    struct kv_hold *hold = request->released ? NULL : running_hold(replica, request);
    replica->stats.ended++;
    memset(request->flights, 0, sizeof request->flights); /* steps of this engine */
    replica_tiers_forget(replica, request);
    request_move(request, REQUEST_ARRIVED);
    replica->setup.legs.on_prefilled(replica->setup.legs.context, request, hold,
                                     now_ns);
}

static void step_deliver(struct replica *replica, const struct step *step,
                         int64_t now_ns)
{
    struct request *next = NULL;
    for (struct request *at = step->emitting; at != NULL; at = next) {
        next = at->emit_next;
        if (at->first_token_ns == OUTCOME_TIME_NONE) {
            at->first_token_ns = now_ns;
            replica->setup.events.on_first_token(replica->setup.events.context, at,
                                                 now_ns);
        }
    }
    while (replica->drain_first != NULL &&
           replica->drain_first->last_step <= step->index) {
        struct request *request = replica->drain_first;
        running_drain_remove(replica, request);
        if (request->leg == LEG_PREFILL) {
            prefill_end(replica, request, now_ns);
            continue;
        }
        if (!request->released) {
            running_leave(replica, request);
        }
        request_end(replica, request, now_ns, OUTCOME_COMPLETED);
    }
}

static void cancel_one(struct replica *replica, struct request *request, int64_t now_ns)
{
    running_aside_end(replica, request, now_ns);
    if (request->state == REQUEST_WAITING) {
        request_list_remove(&replica->waiting, request);
    } else if (request->state == REQUEST_LOADING) {
        replica->ready -= request->kv_here ? 1 : 0;
        running_loading_leave(replica, request);
        kvpool_release(replica->pool, &request->kv,
                       replica_blocks_of(replica, request->reach));
    } else {
        if (request->state == REQUEST_DRAINING) {
            running_drain_remove(replica, request);
        }
        running_leave(replica, request);
    }
    /* A step under way may still name it. */
    for (uint32_t i = 0; i < replica->step_count; i++) {
        struct request **link = &replica->steps[i].emitting;
        while (*link != NULL && *link != request) {
            link = &(*link)->emit_next;
        }
        if (*link == request) {
            *link = request->emit_next;
        }
    }
    request_end(replica, request, now_ns,
                request->kv_failed ? OUTCOME_FAILED : OUTCOME_CANCELLED);
}

/* Its blocks are given back; it waits in front, for its turn to compute its prompt. */
static void load_give_up(struct replica *replica, struct request *request)
{
    request->kv_failed = false;
    request->remote_tokens = 0;
    request->computed = 0;
    replica_tiers_forget(replica, request);
    request_list_remove(&replica->loading, request);
    kvpool_release(replica->pool, &request->kv,
                   replica_blocks_of(replica, request->reach));
    request_move(request, REQUEST_WAITING);
    running_queue(replica, request, true);
}

static void cancels_apply(struct replica *replica, int64_t now_ns)
{
    struct request *const firsts[] = {replica->running.first, replica->waiting.first,
                                      replica->loading.first};
    replica->cancelling = false;
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        struct request *next = NULL;
        for (struct request *at = firsts[i]; at != NULL; at = next) {
            next = at->next;
            if (at->cancel) {
                cancel_one(replica, at, now_ns);
            } else if (at->kv_failed) {
                load_give_up(replica, at);
            }
        }
    }
}

void replica_boundary(struct replica *replica, int64_t now_ns)
{
    if (replica->cancelling) {
        cancels_apply(replica, now_ns);
    }
    if (replica->releasing) {
        running_release_holds(replica);
    }
    while (replica->step_count < replica->depth) {
        /* A call that preempted and then scheduled nobody is followed by another one,
         * unless a step is under way: the victims' tokens in it must come first. */
        if (!step_form(replica, now_ns) && !pipeline_pass(replica) &&
            (!replica->preempted || replica->step_count > 0)) {
            break;
        }
    }
    if (replica->step_count > 0) {
        run_plan(replica);
    }
}

static void steps_shift(struct replica *replica)
{
    replica->step_count--;
    if (!replica->pipelined) {
        replica->steps[0] = replica->steps[1];
        return;
    }
    memmove(replica->steps, replica->steps + 1,
            replica->step_count * sizeof replica->steps[0]);
    stages_end(&replica->stages);
    pipeline_drop_empty(replica);
}

void replica_step_done(struct replica *replica)
{
    CHECK(replica->step_count > 0, "engine %u has no step under way",
          replica->setup.id);
    run_settle(replica);
    const struct step step = replica->steps[0];
    const int64_t end_fx = replica->start_rest + step.length_fx;
    replica->stats.busy_ns += end_fx / COST_FX_PER_NS;
    replica->start_ns += end_fx / COST_FX_PER_NS;
    replica->start_rest = end_fx % COST_FX_PER_NS;
    replica->returned = step.index;
    steps_shift(replica);
    if (replica->setup.tiers != NULL) {
        tiers_step_ended(replica->setup.tiers, step.index, replica->start_ns);
    }
    step_deliver(replica, &step, replica->start_ns);
    replica_boundary(replica, replica->start_ns);
}

int64_t replica_next_ns(const struct replica *replica)
{
    return replica->step_count == 0 ? INT64_MAX
                                    : run_end_ns(replica, replica->ahead + 1);
}

static bool idle(const struct replica *replica)
{
    return replica->step_count == 0;
}

static void wake(struct replica *replica, int64_t now_ns)
{
    replica->start_ns = now_ns;
    replica->start_rest = 0;
    if (replica->pipelined) {
        stages_wake(&replica->stages);
    }
    replica_boundary(replica, now_ns);
}

/* When the step ends that is under way at now_ns. The requests of a wave all ask. */
static int64_t next_boundary_ns(struct replica *replica, int64_t now_ns)
{
    const uint64_t step = replica->steps[0].index;
    if (replica->asked_ns != now_ns || replica->asked_step != step ||
        replica->setup.lockstep) {
        replica->asked_ns = now_ns;
        replica->asked_step = step;
        replica->boundary_ns =
            run_end_ns(replica, run_ended(replica, now_ns, false) + 1);
    }
    return replica->boundary_ns;
}

/* Something has changed that the next boundary has to see. A rank in lock-step has no
 * boundary of its own: idle or not, it waits for that of its group. */
static void look_again(struct replica *replica, int64_t now_ns)
{
    if (idle(replica) && !replica->setup.lockstep) {
        wake(replica, now_ns);
    } else {
        run_cut(replica, now_ns);
    }
}

void replica_submit(struct replica *replica, struct request *request, int64_t now_ns)
{
    request_move(request, REQUEST_WAITING);
    request->engine = replica->setup.id;
    request->batch = 0; /* whatever it was in at another engine */
    request->batch_before = 0;
    if (idle(replica)) {
        request->queued_ns = now_ns;
        running_queue(replica, request, false);
        wake(replica, now_ns);
        return;
    }
    const bool first = replica->waiting.count == 0;
    request->queued_ns = next_boundary_ns(replica, now_ns);
    running_queue(replica, request, false);
    const bool full = replica->running.count >= replica->engine.max_num_seqs;
    /* Who stands before it may be set aside: then it is looked at. */
    const bool overtakes =
        replica->engine.order->before != NULL || replica->adapters != NULL;
    if (!full && (first || overtakes)) {
        run_cut(replica, now_ns);
    }
}

void replica_cancel(struct replica *replica, struct request *request, int64_t now_ns)
{
    CHECK(request->engine == replica->setup.id, "cancelled at engine %u, is at %u",
          replica->setup.id, request->engine);
    request->cancel = true;
    request->kv_failed = false;
    replica->cancelling = true;
    look_again(replica, now_ns);
}

void replica_kv_arrived(struct replica *replica, struct request *request,
                        int64_t now_ns)
{
    CHECK(request->state == REQUEST_LOADING && !request->kv_here,
          "KV of request %llu comes to engine %u unasked",
          (unsigned long long)request->record_id, replica->setup.id);
    request->kv_here = true;
    replica->ready++;
    look_again(replica, now_ns);
}

void replica_kv_lost(struct replica *replica, struct request *request, int64_t now_ns)
{
    CHECK(request->state == REQUEST_WAITING, "KV of request %llu is lost in state %d",
          (unsigned long long)request->record_id, (int)request->state);
    request->remote_tokens = 0;
    look_again(replica, now_ns);
}

void replica_kv_failed(struct replica *replica, struct request *request, bool recompute,
                       int64_t now_ns)
{
    CHECK(request->state == REQUEST_WAITING || request->state == REQUEST_LOADING,
          "KV of request %llu fails in state %d",
          (unsigned long long)request->record_id, (int)request->state);
    if (recompute && request->state == REQUEST_WAITING) {
        request->remote_tokens = 0;
    } else {
        request->kv_failed = recompute || !request->cancel;
        request->cancel = request->cancel || !recompute;
        replica->cancelling = true;
    }
    look_again(replica, now_ns);
}

void replica_slow(struct replica *replica, double factor, int64_t now_ns)
{
    CHECK(factor > 0, "a factor of %g", factor);
    run_cut(replica, now_ns);
    replica->slow = factor;
}

void replica_release(struct replica *replica, struct kv_hold *hold, int64_t now_ns)
{
    hold->release = true;
    replica->releasing = true;
    look_again(replica, now_ns);
}

void replica_stop(struct replica *replica, int64_t now_ns)
{
    run_cut(replica, now_ns);
    run_settle(replica);
    struct request *const firsts[] = {replica->waiting.first, replica->loading.first};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        for (struct request *at = firsts[i]; at != NULL; at = at->next) {
            running_aside_end(replica, at, now_ns);
        }
    }
}

void replica_peek(const struct replica *replica, int64_t time_ns,
                  struct engine_sample *sample)
{
    uint32_t free_blocks = kvpool_free_blocks(replica->pool);
    if (replica->ahead > 0) {
        const uint64_t formed = run_ended(replica, time_ns, true);
        free_blocks -= (uint32_t)decode_set_blocks(&replica->decodes, formed);
    }
    *sample = (struct engine_sample){
        .time_ns = time_ns,
        .engine = replica->setup.id,
        .running = replica->running.count,
        .waiting = replica->waiting.count + replica->loading.count,
        .kv_total_blocks = kvpool_total_blocks(replica->pool),
        .kv_used_blocks = kvpool_total_blocks(replica->pool) - free_blocks,
    };
}

uint32_t replica_output_tokens(const struct replica *replica, struct request *request,
                               int64_t time_ns)
{
    const uint64_t ended = replica->returned + run_ended(replica, time_ns, false);
    const uint64_t formed = replica->decodes.formed + (ended - replica->returned);
    uint64_t sampled = request->produced;
    uint64_t flying = 0;
    if (replica->engine.speculation.tokens > 0) {
        sampled = request->state == REQUEST_DECODING
                      ? decode_set_produced(&replica->decodes, request)
                      : request->produced;
        flying = speculation_flying(request, ended);
    } else if (replica->pipelined && (request->state == REQUEST_DECODING ||
                                      request->state == REQUEST_DRAINING)) {
        sampled = request->state == REQUEST_DECODING
                      ? decode_set_produced(&replica->decodes, request)
                      : request->produced;
        flying = pipeline_flying(request, ended);
    } else if (request->state == REQUEST_DECODING) {
        sampled = decode_set_produced(&replica->decodes, request) +
                  (formed - replica->decodes.formed);
        flying = formed - ended - (request->skipped_step > ended ? 1 : 0);
    } else if (request->state == REQUEST_DRAINING && request->last_step > ended) {
        flying = request->last_step - ended;
    }
    /* Just after its first token, or one after a preemption, it has fewer steps under
     * way than the pipeline is deep; what was seen before tells. */
    const uint64_t out = sampled > flying ? sampled - flying : 0;
    if (out > request->seen_tokens) {
        request->seen_tokens = (uint32_t)out;
    }
    return request->seen_tokens;
}

void replica_visit(const struct replica *replica,
                   void (*visit)(void *context, struct request *request), void *context)
{
    for (struct request *at = replica->running.first; at != NULL; at = at->next) {
        visit(context, at);
    }
    for (struct request *at = replica->waiting.first; at != NULL; at = at->next) {
        visit(context, at);
    }
    for (struct request *at = replica->drain_first; at != NULL; at = at->drain_next) {
        if (at->released) {
            visit(context, at);
        }
    }
    for (struct request *at = replica->loading.first; at != NULL; at = at->next) {
        visit(context, at);
    }
}

/* Adds the list's adapters to `ids`, ascending, unless `others` or the list have them.
 * Requests are many and adapters few: a search per request finds nearly all. */
static uint32_t ids_add(const struct request_list *list, const uint64_t *names,
                        const struct endpoint_adapters *others, uint64_t *ids,
                        uint32_t count)
{
    for (const struct request *at = list->first; at != NULL; at = at->next) {
        if (at->adapter == ADAPTER_NONE) {
            continue;
        }
        const uint64_t id = names[at->adapter];
        if (adapters_hold(ids, count, id) ||
            adapters_hold(others->active, others->active_count, id)) {
            continue;
        }
        uint32_t place = count++;
        for (; place > 0 && ids[place - 1] > id; place--) {
            ids[place] = ids[place - 1];
        }
        ids[place] = id;
    }
    return count;
}

void replica_adapters(const struct replica *replica, const uint64_t *ids,
                      uint64_t *active, uint64_t *waiting,
                      struct endpoint_adapters *adapters)
{
    const struct endpoint_adapters nobody = {0};
    adapters->active = active;
    adapters->active_count = ids_add(&replica->running, ids, &nobody, active, 0);
    adapters->waiting = waiting;
    adapters->waiting_count = ids_add(&replica->waiting, ids, adapters, waiting, 0);
    adapters->waiting_count =
        ids_add(&replica->loading, ids, adapters, waiting, adapters->waiting_count);
    adapters->max = replica->engine.lora.max_loras;
}

const struct replica_stats *replica_stats(const struct replica *replica)
{
    return &replica->stats;
}

int64_t replica_stage_busy_ns(const struct replica *replica, uint32_t stage)
{
    return replica->stages.busy_ns[stage];
}

/* ---- life
 * ------------------------------------------------------------------------------ */

struct replica *replica_new(const struct replica_setup *setup)
{
    const struct engine_config *engine = setup->engine;
    struct replica *replica = mem_alloc(1, sizeof(*replica));
    replica->setup = *setup;
    replica->slow = 1.0;
    replica->engine = *engine;
    if (engine->order == NULL) {
        replica->engine.order = order_policy_find("fcfs");
    }
    replica->depth = engine->async_scheduling ? 2 : 1;
    replica->stages.count = plan_stages(&engine->parallel);
    if (replica->stages.count > 1) {
        replica->pipelined = true;
        replica->setup.step_by_step = true;
        replica->depth = pipeline_depth(engine);
        CHECK(cost_stages(setup->cost) == replica->stages.count,
              "engine %u has %u stages, its cost model %u", setup->id,
              replica->stages.count, cost_stages(setup->cost));
        CHECK(!setup->lockstep, "engine %u is a rank and has stages", setup->id);
    }
    CHECK(setup->kv_blocks >= 2, "engine %u has %u KV blocks", setup->id,
          setup->kv_blocks);
    const struct kvpool_config pool = {
        .blocks = setup->kv_blocks - 1,
        .block_tokens = engine->block_tokens,
        .prefix_caching = engine->prefix_caching,
        .reuse_private_first = engine->compat == ENGINE_HEAD,
        .listener = setup->cache_listener,
    };
    replica->pool = kvpool_new(&pool);
    decode_set_init(&replica->decodes, engine->block_tokens,
                    cost_needs_context_max(setup->cost));
    replica->speculation_key = speculation_key(setup->seed);
    replica->shows_drafts = cost_knows_drafts(setup->cost);
    if (setup->adapters != NULL) {
        CHECK(engine->lora.enabled && !setup->lockstep, "engine %u has no LoRA",
              setup->id);
        replica->adapters = adapter_slots_new(&engine->lora, setup->adapters);
    }
    return replica;
}

void replica_preload(struct replica *replica, uint32_t adapter)
{
    adapter_slots_preload(replica->adapters, adapter);
}

void replica_delete(struct replica *replica)
{
    if (replica != NULL) {
        struct kv_hold *next = NULL;
        for (struct kv_hold *at = replica->hold_first; at != NULL; at = next) {
            next = at->next;
            mem_free(at);
        }
        kvpool_delete(replica->pool);
        decode_set_fini(&replica->decodes);
        adapter_slots_delete(replica->adapters);
        mem_free(replica);
    }
}

void replica_lose(struct replica *replica, struct request *request)
{
    replica_tiers_forget(replica, request);
}

struct replica *replica_renew(struct replica *replica)
{
    if (replica->setup.tiers != NULL) {
        tiers_lose(replica->setup.tiers);
    }
    struct replica *fresh = replica_new(&replica->setup);
    fresh->stats = replica->stats;
    memcpy(fresh->stages.busy_ns, replica->stages.busy_ns,
           sizeof fresh->stages.busy_ns);
    fresh->slow = replica->slow;
    replica_delete(replica);
    return fresh;
}

/* ---- invariants
 * ------------------------------------------------------------------------- */

/* What the aggregates of the decode set should be. */
struct census {
    uint64_t held; /* private blocks */
    uint64_t context;
    uint64_t admission;
    uint32_t longest;
    uint32_t decoding;
};

static void census_add(const struct replica *replica, const struct request *request,
                       struct census *census)
{
    const struct decode_set *set = &replica->decodes;
    CHECK(request->admission > census->admission,
          "running list is not in order of admission");
    census->admission = request->admission;
    uint32_t computed = request->computed;
    if (request->state == REQUEST_DECODING) {
        computed = decode_set_computed(set, request);
        census->decoding++;
        census->context += computed;
        census->longest = computed > census->longest ? computed : census->longest;
        CHECK(request->last_step > set->formed, "decoding beyond its last step");
    }
    CHECK(computed <= (uint64_t)request->prompt_tokens + request->output_tokens,
          "computed more than there is");
    const uint32_t reach = computed > request->reach ? computed : request->reach;
    census->held += replica_blocks_of(replica, reach) - request->kv.registered +
                    request->kv.surplus;
}

static uint64_t check_running(const struct replica *replica)
{
    const struct decode_set *set = &replica->decodes;
    struct census census = {0};
    for (const struct request *at = replica->running.first; at != NULL; at = at->next) {
        census_add(replica, at, &census);
    }
    CHECK(census.decoding == set->count, "%u decode, %u in the set", census.decoding,
          set->count);
    CHECK(census.context == decode_set_context(set), "context of the set is off");
    CHECK(!set->knows_longest || census.longest == decode_set_longest(set),
          "longest member of the set is off");
    return census.held;
}

/* Private blocks of those that wait for KV, and of KV that waits for others. */
static uint64_t check_remote(const struct replica *replica)
{
    uint64_t held = 0;
    uint32_t ready = 0;
    uint64_t reserved = 0;
    for (const struct request *at = replica->loading.first; at != NULL; at = at->next) {
        CHECK(at->state == REQUEST_LOADING, "state %d among the loading",
              (int)at->state);
        held +=
            replica_blocks_of(replica, at->reach) - at->kv.registered + at->kv.surplus;
        reserved += replica_blocks_of(replica, replica_known_tokens(at)) -
                    replica_blocks_of(replica, at->reach);
        ready += at->kv_here ? 1 : 0;
    }
    CHECK(ready == replica->ready, "%u are ready, %u counted", ready, replica->ready);
    CHECK(reserved == replica->reserved,
          "blocks for loading requests are counted wrong");
    for (const struct kv_hold *at = replica->hold_first; at != NULL; at = at->next) {
        held += at->owned - at->kv.registered + at->kv.surplus;
    }
    return held;
}

void replica_check(const struct replica *replica)
{
    const uint64_t held = check_running(replica) + check_remote(replica);
    kvpool_check(replica->pool, held);
    replica_tiers_check(replica);
    CHECK(replica->running.count <= replica->engine.max_num_seqs, "%u running",
          replica->running.count);
    /* Blocks that wait for another engine may keep the head of the queue out. */
    const bool remote = replica->loading.count > 0 || replica->hold_first != NULL;
    CHECK(!idle(replica) || replica->setup.lockstep ||
              (replica->running.count == 0 && replica->ready == 0 &&
               (remote || replica->waiting.count == 0)),
          "INV-7: engine %u is idle with %u running, %u waiting", replica->setup.id,
          replica->running.count, replica->waiting.count);
}
