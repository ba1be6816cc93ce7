/* SPDX-License-Identifier: Apache-2.0
 *
 * running.c: who is in which list of an engine and holds which blocks.
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/pipeline.h"
#include "sim/speculation.h"

/* ---- blocks ---------------------------------------------------------------------- */

/* Tokens whose blocks may be found by others: computed, and their ids known to the
 * scheduler. Of a decoding request the token of a step under way is not known yet. */
static uint32_t registrable_tokens(const struct replica *replica,
                                   const struct request *request)
{
    if (replica->engine.speculation.tokens > 0) {
        return speculation_registrable(replica, request);
    }
    if (request->state != REQUEST_DECODING) {
        return request->computed;
    }
    const uint32_t computed = decode_set_computed(&replica->decodes, request);
    uint32_t known =
        request->prompt_tokens + decode_set_produced(&replica->decodes, request);
    uint64_t flying = replica->decodes.formed - replica->returned;
    flying -= request->skipped_step > replica->returned ? 1 : 0;
    if (replica->pipelined) {
        flying = pipeline_flying(request, replica->returned);
    }
    known -= (uint32_t)flying;
    return computed < known ? computed : known;
}

void running_register(struct replica *replica, struct request *request)
{
    const uint32_t tokens = registrable_tokens(replica, request);
    kvpool_register(replica->pool, &request->kv, tokens / replica->engine.block_tokens);
}

bool running_register_quoted(struct replica *replica, const struct request *request)
{
    bool live = false;
    for (uint32_t i = 0; i < request->output_count; i++) {
        struct request *quoted =
            request_table_find(replica->setup.table, request->outputs[i]);
        if (quoted != NULL && quoted != request &&
            quoted->engine == replica->setup.id && quoted->state == REQUEST_DECODING) {
            running_register(replica, quoted);
            live = true;
        }
    }
    return live;
}

/* ---- lists ------------------------------------------------------------------------
 */

void running_decode_add(struct replica *replica, struct request *request,
                        uint32_t remaining)
{
    decode_set_add(&replica->decodes, request, request->computed, remaining);
    if (request->adapter != ADAPTER_NONE) {
        adapter_slots_join(replica->adapters, request->adapter);
    }
}

void running_decode_remove(struct replica *replica, struct request *request)
{
    decode_set_remove(&replica->decodes, request);
    if (request->adapter != ADAPTER_NONE) {
        adapter_slots_leave(replica->adapters, request->adapter);
    }
}

void running_prefill_append(struct replica *replica, struct request *request)
{
    request->prefill_previous = replica->prefill_last;
    request->prefill_next = NULL;
    if (replica->prefill_last == NULL) {
        replica->prefill_first = request;
    } else {
        replica->prefill_last->prefill_next = request;
    }
    replica->prefill_last = request;
}

void running_prefill_remove(struct replica *replica, struct request *request)
{
    if (request->prefill_previous == NULL) {
        replica->prefill_first = request->prefill_next;
    } else {
        request->prefill_previous->prefill_next = request->prefill_next;
    }
    if (request->prefill_next == NULL) {
        replica->prefill_last = request->prefill_previous;
    } else {
        request->prefill_next->prefill_previous = request->prefill_previous;
    }
}

/* Whether a ends before b. Those that end in one step do so in order of admission, as
 * in vLLM, whose free queue remembers it. */
static bool drains_before(const struct request *a, const struct request *b)
{
    return a->last_step != b->last_step ? a->last_step < b->last_step
                                        : a->admission < b->admission;
}

void running_drain_add(struct replica *replica, struct request *request)
{
    struct request **link = &replica->drain_first;
    /* Nearly always the last one: a wave of equal requests ends in one step. */
    if (replica->drain_last != NULL && drains_before(replica->drain_last, request)) {
        link = &replica->drain_last->drain_next;
    }
    while (*link != NULL && drains_before(*link, request)) {
        link = &(*link)->drain_next;
    }
    request->drain_next = *link;
    *link = request;
    if (request->drain_next == NULL) {
        replica->drain_last = request;
    }
}

void running_drain_remove(struct replica *replica, struct request *request)
{
    struct request *before = NULL;
    struct request **link = &replica->drain_first;
    while (*link != request) {
        before = *link;
        link = &before->drain_next;
    }
    *link = request->drain_next;
    if (replica->drain_last == request) {
        replica->drain_last = before;
    }
}

static struct order_view order_view_of(const struct request *request)
{
    return (struct order_view){
        .request_id = request->record_id,
        .arrival_ns = request->arrival_ns,
        .priority = request->priority,
        .prompt_tokens = request->prompt_tokens,
    };
}

/* Whether a goes before b, in an engine whose order compares. */
static bool goes_before(const struct replica *replica, const struct request *a,
                        const struct request *b)
{
    const struct order_view left = order_view_of(a);
    const struct order_view right = order_view_of(b);
    return replica->engine.order->before(replica->engine.order_values, &left, &right);
}

/* Those that were preempted stand in front, in engines that do not reorder them. */
static void waiting_insert_in_order(struct replica *replica, struct request *request)
{
    const bool fixed_front = !replica->engine.order->preempted_in_order;
    struct request *before = NULL;
    struct request *at = replica->waiting.last;
    while (at != NULL && !(fixed_front && at->preemptions > 0) &&
           goes_before(replica, request, at)) {
        before = at;
        at = at->previous;
    }
    request_list_insert(&replica->waiting, before, request);
}

void running_queue(struct replica *replica, struct request *request, bool in_front)
{
    const struct order_policy *order = replica->engine.order;
    if (in_front && !order->preempted_in_order) {
        request_list_prepend(&replica->waiting, request);
    } else if (order->before == NULL) {
        request_list_append(&replica->waiting, request);
    } else {
        waiting_insert_in_order(replica, request);
    }
}

/* ---- leaving the running list ------------------------------------------------------
 */

/* Returns how many blocks it has, registered as far as they can be. */
static uint32_t running_unlink(struct replica *replica, struct request *request)
{
    running_register(replica, request);
    if (replica->setup.tiers != NULL) {
        replica_tiers_leave(replica, request, registrable_tokens(replica, request));
    }
    if (request->state == REQUEST_DECODING) {
        running_decode_remove(replica, request);
    } else if (request->state == REQUEST_PREFILLING) {
        running_prefill_remove(replica, request);
    }
    const uint64_t tokens = (uint64_t)request->computed + request->step_tokens;
    const uint32_t owned =
        replica_blocks_of(replica, tokens > request->reach ? tokens : request->reach);
    request->step_tokens = 0;
    request->reach = 0;
    request_list_remove(&replica->running, request);
    return owned;
}

void running_leave(struct replica *replica, struct request *request)
{
    const uint32_t owned = running_unlink(replica, request);
    kvpool_release(replica->pool, &request->kv, owned);
}

struct kv_hold *running_hold(struct replica *replica, struct request *request)
{
    struct kv_hold *hold = mem_alloc(1, sizeof *hold);
    hold->owned = running_unlink(replica, request);
    hold->kv = request->kv;
    hold->kv.runs = NULL; /* the request's own, who may be gone before */
    hold->kv.run_count = 0;
    request->kv = (struct kv_sequence){.runs = request->kv.runs,
                                       .run_count = request->kv.run_count};
    hold->previous = replica->hold_last;
    if (replica->hold_last == NULL) {
        replica->hold_first = hold;
    } else {
        replica->hold_last->next = hold;
    }
    replica->hold_last = hold;
    return hold;
}

static void hold_unlink(struct replica *replica, const struct kv_hold *hold)
{
    if (hold->previous == NULL) {
        replica->hold_first = hold->next;
    } else {
        hold->previous->next = hold->next;
    }
    if (hold->next == NULL) {
        replica->hold_last = hold->previous;
    } else {
        hold->next->previous = hold->previous;
    }
}

void running_release_holds(struct replica *replica)
{
    struct kv_hold *next = NULL;
    replica->releasing = false;
    for (struct kv_hold *at = replica->hold_first; at != NULL; at = next) {
        next = at->next;
        if (at->release) {
            kvpool_release(replica->pool, &at->kv, at->owned);
            hold_unlink(replica, at);
            mem_free(at);
        }
    }
}

void running_loading_leave(struct replica *replica, struct request *request)
{
    replica->reserved -= replica_blocks_of(replica, replica_known_tokens(request)) -
                         replica_blocks_of(replica, request->reach);
    request_list_remove(&replica->loading, request);
}

void running_preempt(struct replica *replica, struct request *victim)
{
    const bool draining = victim->state == REQUEST_DRAINING;
    running_leave(replica, victim);
    replica_tiers_forget(replica, victim);
    victim->lost_tokens = victim->computed;
    victim->computed = 0;
    victim->preemptions++;
    replica->stats.preemptions++;
    replica->preempted = true;
    if (draining) {
        /* Its last token is on its way and will be delivered: nothing to resume. */
        victim->released = true;
        return;
    }
    request_move(victim, REQUEST_WAITING);
    running_queue(replica, victim, true);
}

void running_aside_begin(struct replica *replica, struct request *request,
                         int64_t now_ns)
{
    if (request->aside_since_ns == OUTCOME_TIME_NONE) {
        request->aside_since_ns = now_ns;
        replica->stats.adapters.asides++;
    }
}

void running_aside_end(struct replica *replica, struct request *request, int64_t now_ns)
{
    if (request->aside_since_ns != OUTCOME_TIME_NONE) {
        const int64_t aside_ns = now_ns - request->aside_since_ns;
        request->aside_since_ns = OUTCOME_TIME_NONE;
        request->aside_ns += aside_ns;
        replica->stats.adapters.aside_ns += aside_ns;
    }
}

struct request *running_victim(const struct replica *replica)
{
    struct request *victim = replica->running.last;
    if (replica->engine.order->victim_by_order) {
        for (struct request *at = victim; at != NULL; at = at->previous) {
            if (goes_before(replica, victim, at)) {
                victim = at;
            }
        }
    }
    return victim;
}
