/* SPDX-License-Identifier: Apache-2.0
 *
 * naive_engine.h: one engine written down as the specification reads, block by block
 * and request by request, to be compared with the real one. Slow and obvious on
 * purpose; shares no code with sim/ but the cost model and the block hashes.
 */
#ifndef STACKSIM_TESTS_PROP_NAIVE_ENGINE_H
#define STACKSIM_TESTS_PROP_NAIVE_ENGINE_H

#include "base/check.h"
#include "base/mem.h"
#include "sim/cost.h"
#include "sim/engine_config.h"
#include "sim/observer.h"
#include "sim/speculation.h"
#include "tests/prop/naive_adapters.h"
#include "traces/record.h"

#include <string.h>

enum {
    NAIVE_BLOCKS = 512,
    NAIVE_REQUESTS = 64,
    NAIVE_CHAIN = 512,
    NAIVE_FLYING = 6,
    NAIVE_STAGES = 4
};

struct naive_block {
    uint64_t hash; /* 0 = none */
    uint32_t holders;
    uint64_t age; /* order of registration: the first one serves hits */
};

struct naive_request {
    const struct trace_record *record;
    uint64_t hash[NAIVE_CHAIN]; /* of full blocks, prompt and output */
    uint32_t full;
    uint32_t block[NAIVE_CHAIN];
    uint32_t blocks;
    uint32_t registered;
    uint32_t surplus[NAIVE_CHAIN];
    uint32_t surpluses;
    uint32_t output;
    uint32_t computed;
    uint32_t produced; /* in formed steps */
    uint32_t known;    /* output tokens delivered */
    bool queued;       /* in waiting */
    bool running;
    bool ended;
    bool was_admitted;
    bool decoding; /* its known tokens were all computed, and it was not preempted since
                    */
    uint32_t lost;
    int64_t aside_since_ns; /* -1: not set aside */
    uint32_t known_then;    /* tokens known when it was scheduled last */
    bool cut;               /* drafts behind its last token were right */
    uint64_t place; /* in the batch queue, of the last step that made a token of it */
    struct request_outcome outcome;
};

struct naive_step {
    uint32_t request[NAIVE_REQUESTS]; /* that get tokens when it ends */
    uint32_t got[NAIVE_REQUESTS];     /* how many */
    uint32_t wasted[NAIVE_REQUESTS];  /* drafts that do not count */
    uint32_t count;
    int64_t length_fx;
    int64_t end_fx; /* pipelines: since time 0 */
    bool empty;     /* a place in the batch queue that nobody was ready for */
};

struct naive_engine {
    const struct engine_config *config;
    const struct cost *cost;
    struct naive_block block[NAIVE_BLOCKS];
    uint32_t block_count;
    uint32_t queue[NAIVE_BLOCKS]; /* free blocks, front first */
    uint32_t queued;
    uint64_t registrations;
    struct naive_request request[NAIVE_REQUESTS];
    uint32_t request_count;
    uint32_t running[NAIVE_REQUESTS];
    uint32_t running_count;
    uint32_t waiting[NAIVE_REQUESTS];
    uint32_t waiting_count;
    struct naive_step step[NAIVE_FLYING];
    uint32_t steps;
    int64_t start_ns;
    int64_t start_rest;
    uint64_t formed;
    uint32_t preemptions;
    struct naive_adapters adapters;
    uint64_t speculation_key;
    struct speculation_stats speculation;
    uint64_t places;                  /* in the batch queue so far */
    int64_t stage_free[NAIVE_STAGES]; /* 2^-16 ns since time 0 */
    int64_t stage_busy[NAIVE_STAGES];
};

static inline void list_drop(uint32_t *list, uint32_t *count, uint32_t value)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++) {
        if (list[i] != value) {
            list[kept++] = list[i];
        }
    }
    *count = kept;
}

static inline void list_insert(uint32_t *list, uint32_t *count, uint32_t at,
                               uint32_t value)
{
    memmove(&list[at + 1], &list[at], (*count - at) * sizeof(uint32_t));
    list[at] = value;
    ++*count;
}

static inline uint32_t ceil_div(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

/* ---- blocks ---- */

static inline uint32_t naive_find(const struct naive_engine *engine, uint64_t hash)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < engine->block_count; i++) {
        if (engine->block[i].hash == hash &&
            (found == UINT32_MAX || engine->block[i].age < engine->block[found].age)) {
            found = i;
        }
    }
    return found;
}

static inline uint32_t naive_take(struct naive_engine *engine)
{
    CHECK(engine->queued > 0, "naive engine out of blocks");
    const uint32_t block = engine->queue[0];
    list_drop(engine->queue, &engine->queued, block);
    engine->block[block] = (struct naive_block){.holders = 1};
    return block;
}

static inline void naive_queue_replace(struct naive_engine *engine, uint32_t old,
                                       uint32_t new_block)
{
    for (uint32_t q = 0; q < engine->queued; q++) {
        if (engine->queue[q] == old) {
            engine->queue[q] = new_block;
        }
    }
}

/* The one rule that is ours (ADR 0004): who fills a block that is registered already
 * becomes a holder of that one and keeps its own as surplus, or leaves its own in the
 * free queue where the registered one stood. */
static inline void naive_register(struct naive_engine *engine,
                                  struct naive_request *request, uint32_t upto)
{
    if (!engine->config->prefix_caching) {
        return;
    }
    for (; request->registered < upto; request->registered++) {
        const uint32_t i = request->registered;
        const uint32_t own = request->block[i];
        const uint32_t there = naive_find(engine, request->hash[i]);
        if (there == UINT32_MAX) {
            engine->block[own].hash = request->hash[i];
            engine->block[own].age = ++engine->registrations;
        } else if (engine->block[there].holders > 0) {
            engine->block[there].holders++;
            request->block[i] = there;
            request->surplus[request->surpluses++] = own;
        } else {
            naive_queue_replace(engine, there, own);
            engine->block[own].holders = 0;
            engine->block[there].holders = 1;
            request->block[i] = there;
        }
    }
}

static inline uint32_t naive_known(const struct naive_request *request)
{
    return request->record->prompt_tokens + request->known;
}

/* scheduled: tokens of the step that is being formed, not in computed yet. */
static inline void naive_register_known(struct naive_engine *engine,
                                        struct naive_request *request,
                                        uint32_t scheduled)
{
    const bool draws = engine->config->speculation.tokens > 0;
    uint32_t known = naive_known(request);
    if (draws && scheduled == 0 && !engine->config->async_scheduling) {
        known = request->known_then; /* blocks enter when steps are formed */
    }
    const uint32_t computed = request->computed + scheduled + (request->cut ? 1 : 0);
    const uint32_t tokens = computed < known ? computed : known;
    naive_register(engine, request, tokens / engine->config->block_tokens);
}

static inline void naive_free_private(struct naive_engine *engine, uint32_t block)
{
    engine->block[block] = (struct naive_block){0};
    const bool front = engine->config->compat == ENGINE_HEAD;
    list_insert(engine->queue, &engine->queued, front ? 0 : engine->queued, block);
}

static inline void naive_release(struct naive_engine *engine,
                                 struct naive_request *request)
{
    for (uint32_t i = 0; i < request->surpluses; i++) {
        naive_free_private(engine, request->surplus[i]);
    }
    for (uint32_t i = request->blocks; i-- > request->registered;) {
        naive_free_private(engine, request->block[i]);
    }
    for (uint32_t i = request->registered; i-- > 0;) {
        const uint32_t block = request->block[i];
        if (--engine->block[block].holders == 0) {
            list_insert(engine->queue, &engine->queued, engine->queued, block);
        }
    }
    request->blocks = 0;
    request->registered = 0;
    request->surpluses = 0;
}

/* ---- scheduler ---- */

/* Orders are told by name, and written again here. */
static inline bool naive_order_is(const struct naive_engine *engine, const char *name)
{
    return strcmp(engine->config->order->name, name) == 0;
}

/* What is compared before arrivals are: the smaller goes first. */
static inline double naive_key(const struct naive_engine *engine,
                               const struct trace_record *record)
{
    const double *values = engine->config->order_values;
    if (naive_order_is(engine, "priority")) {
        return record->priority;
    }
    if (naive_order_is(engine, "shortest_prefill_first")) {
        return record->prompt_tokens + values[0] / 1e9 * (double)record->arrival_ns;
    }
    const int class = record->priority < 0 ? 0 : record->priority == 0 ? 1 : 2;
    return (double)record->arrival_ns + values[class] * 1e9 +
           values[3] * 1e3 * record->prompt_tokens;
}

static inline bool naive_urgent(const struct naive_engine *engine,
                                const struct naive_request *a,
                                const struct naive_request *b)
{
    const double left = naive_key(engine, a->record);
    const double right = naive_key(engine, b->record);
    if (left != right) {
        return left < right;
    }
    if (a->record->arrival_ns != b->record->arrival_ns) {
        return a->record->arrival_ns < b->record->arrival_ns;
    }
    return a->record->id < b->record->id;
}

/* Preempted, and not sorted in again. */
static inline bool naive_stays_in_front(const struct naive_engine *engine, uint32_t id)
{
    return engine->request[id].outcome.preemptions > 0 &&
           !naive_order_is(engine, "priority");
}

static inline void naive_queue(struct naive_engine *engine, uint32_t id, bool front)
{
    uint32_t at = front ? 0 : engine->waiting_count;
    const bool sorted = !naive_order_is(engine, "fcfs") &&
                        (!front || naive_order_is(engine, "priority"));
    if (sorted) {
        at = 0;
        while (at < engine->waiting_count &&
               (naive_stays_in_front(engine, engine->waiting[at]) ||
                !naive_urgent(engine, &engine->request[id],
                              &engine->request[engine->waiting[at]]))) {
            at++;
        }
    }
    list_insert(engine->waiting, &engine->waiting_count, at, id);
}

struct naive_forming {
    uint32_t budget;
    uint32_t tokens[NAIVE_REQUESTS]; /* by request */
    bool kept[NAIVE_REQUESTS];       /* not scheduled, but its adapter keeps its slot */
    bool preempted;
};

static inline bool naive_last_in_flight(const struct naive_request *request)
{
    return request->produced == request->output;
}

static inline uint32_t naive_stages(const struct naive_engine *engine)
{
    return plan_stages(&engine->config->parallel);
}

/* A queue of batches with one place more than there are stages. */
static inline bool naive_looks_ahead(const struct naive_engine *engine)
{
    return naive_stages(engine) > 1 && engine->config->async_scheduling &&
           engine->config->compat == ENGINE_HEAD;
}

/* With stages a request waits until its token is back, or, where the engine looks
 * ahead, until as many places as there are stages lie between. */
static inline bool naive_waits_for_token(const struct naive_engine *engine,
                                         const struct naive_request *request)
{
    if (naive_stages(engine) == 1 || request->produced == request->known) {
        return false;
    }
    return !naive_looks_ahead(engine) ||
           engine->places - request->place < naive_stages(engine);
}

static inline void naive_preempt(struct naive_engine *engine,
                                 struct naive_forming *forming, uint32_t id)
{
    struct naive_request *request = &engine->request[id];
    forming->budget += forming->tokens[id];
    forming->tokens[id] = 0;
    forming->preempted = true;
    naive_register_known(engine, request, 0);
    naive_release(engine, request);
    list_drop(engine->running, &engine->running_count, id);
    request->running = false;
    request->decoding = false;
    request->lost = request->computed;
    request->computed = 0;
    request->outcome.preemptions++;
    engine->preemptions++;
    if (!naive_last_in_flight(request)) {
        naive_queue(engine, id, true);
    }
}

static inline uint32_t naive_victim(const struct naive_engine *engine)
{
    uint32_t victim = engine->running[engine->running_count - 1];
    for (uint32_t i = 0;
         naive_order_is(engine, "priority") && i < engine->running_count; i++) {
        if (naive_urgent(engine, &engine->request[victim],
                         &engine->request[engine->running[i]])) {
            victim = engine->running[i];
        }
    }
    return victim;
}

/* Of the steps under way: tokens scheduled for a decoding request that it will not
 * have, and all that were scheduled for it. */
static inline uint32_t naive_wasted(const struct naive_engine *engine, uint32_t id)
{
    uint32_t wasted = 0;
    for (uint32_t s = 0; engine->request[id].decoding && s < engine->steps; s++) {
        for (uint32_t i = 0; i < engine->step[s].count; i++) {
            wasted += engine->step[s].request[i] == id ? engine->step[s].wasted[i] : 0;
        }
    }
    return wasted;
}

static inline uint32_t naive_placeholders(const struct naive_engine *engine,
                                          uint32_t id)
{
    uint32_t tokens = 0;
    for (uint32_t s = 0; s < engine->steps; s++) {
        for (uint32_t i = 0; i < engine->step[s].count; i++) {
            tokens += engine->step[s].request[i] == id
                          ? engine->step[s].got[i] + engine->step[s].wasted[i]
                          : 0;
        }
    }
    return tokens;
}

/* beyond: tokens behind those of the step. */
static inline bool naive_allocate(struct naive_engine *engine,
                                  struct naive_forming *forming, uint32_t id,
                                  uint32_t tokens, uint32_t beyond)
{
    struct naive_request *request = &engine->request[id];
    uint32_t reach = request->computed + naive_wasted(engine, id) + tokens + beyond;
    reach =
        reach < engine->config->max_model_len ? reach : engine->config->max_model_len;
    const uint32_t wanted = ceil_div(reach, engine->config->block_tokens);
    const uint32_t need = wanted > request->blocks ? wanted - request->blocks : 0;
    while (need > engine->queued) {
        const uint32_t victim = naive_victim(engine);
        naive_preempt(engine, forming, victim);
        if (victim == id) {
            return false;
        }
    }
    for (uint32_t i = 0; i < need; i++) {
        request->block[request->blocks++] = naive_take(engine);
    }
    return true;
}

static inline uint32_t naive_cut(const struct naive_engine *engine, uint32_t tokens)
{
    const uint32_t threshold = engine->config->long_prefill_token_threshold;
    return threshold > 0 && tokens > threshold ? threshold : tokens;
}

/* What the scheduler can tell of a request that may have ended: it counts every token
 * in flight as right, and one for certain. */
static inline bool naive_ends_in_flight(const struct naive_engine *engine, uint32_t id)
{
    const struct naive_request *request = &engine->request[id];
    const uint32_t placeholders = naive_placeholders(engine, id);
    return placeholders > 0 &&
           request->computed + naive_wasted(engine, id) + 2 - placeholders >=
               request->record->prompt_tokens + request->output;
}

static inline uint32_t naive_room_left(const struct naive_engine *engine, uint32_t id)
{
    const bool late = engine->config->compat == ENGINE_HEAD;
    const uint32_t end = engine->config->max_model_len - (late ? 1 : 0);
    const uint32_t from = engine->request[id].computed + naive_wasted(engine, id);
    return from < end ? end - from : 0;
}

static inline void naive_phase_1(struct naive_engine *engine,
                                 struct naive_forming *forming)
{
    const struct speculation_config *speculation = &engine->config->speculation;
    for (uint32_t i = 0; i < engine->running_count && forming->budget > 0; i++) {
        const uint32_t id = engine->running[i];
        struct naive_request *request = &engine->request[id];
        const bool drafts = speculation->tokens > 0 && request->decoding;
        if (naive_waits_for_token(engine, request)) {
            continue;
        }
        if (drafts ? naive_ends_in_flight(engine, id) : naive_last_in_flight(request)) {
            continue;
        }
        uint32_t tokens = drafts ? 1 + speculation->tokens
                                 : request->record->prompt_tokens + request->produced -
                                       request->computed;
        tokens = naive_cut(engine, tokens);
        tokens = tokens < forming->budget ? tokens : forming->budget;
        if (drafts) {
            const uint32_t room = naive_room_left(engine, id);
            tokens = tokens < room ? tokens : room;
        }
        if (tokens == 0) {
            continue;
        }
        if (!naive_allocate(engine, forming, id, tokens, speculation->lookahead)) {
            return;
        }
        /* A victim before us moves us down the list. */
        while (engine->running[i] != id) {
            i--;
        }
        forming->tokens[id] = tokens;
        forming->budget -= tokens;
    }
}

static inline void naive_lookup_quoted(struct naive_engine *engine,
                                       const struct naive_forming *forming,
                                       const struct naive_request *request)
{
    for (uint32_t s = 0; s < request->record->segment_count; s++) {
        const uint64_t stream = request->record->segments[s].stream;
        for (uint32_t i = 0; i < engine->request_count; i++) {
            struct naive_request *other = &engine->request[i];
            if (other->running && other->decoding && !naive_last_in_flight(other) &&
                segment_kind_of(stream) == SEGMENT_OUTPUT &&
                segment_id_of(stream) == other->record->id) {
                naive_register_known(engine, other, forming->tokens[i]);
            }
        }
    }
}

/* What the step holds of each adapter so far. */
static inline struct naive_mix naive_mix_of(const struct naive_engine *engine,
                                            const struct naive_forming *forming)
{
    struct naive_mix mix;
    memset(&mix, 0, sizeof(mix));
    for (uint32_t i = 0; i < engine->request_count; i++) {
        if (forming->tokens[i] > 0 || forming->kept[i]) {
            naive_mix_add(&mix, engine->request[i].record, forming->tokens[i]);
        }
    }
    return mix;
}

static inline bool naive_admit(struct naive_engine *engine,
                               struct naive_forming *forming, int64_t now_ns,
                               uint32_t id)
{
    const struct engine_config *config = engine->config;
    struct naive_request *request = &engine->request[id];
    naive_lookup_quoted(engine, forming, request);
    const uint32_t all = request->record->prompt_tokens + request->produced;
    uint32_t hits = 0;
    uint32_t evictable = 0;
    while (config->prefix_caching && hits < (all - 1) / config->block_tokens) {
        const uint32_t block = naive_find(engine, request->hash[hits]);
        if (block == UINT32_MAX) {
            break;
        }
        evictable += engine->block[block].holders == 0 ? 1 : 0;
        hits++;
    }
    if (config->speculation.drops_block && hits > 0) {
        hits--;
        const uint32_t block = naive_find(engine, request->hash[hits]);
        evictable -= engine->block[block].holders == 0 ? 1 : 0;
    }
    const uint32_t cached = hits * config->block_tokens;
    uint32_t tokens = naive_cut(engine, all - cached);
    if (!config->chunked_prefill && tokens > forming->budget) {
        return false;
    }
    tokens = tokens < forming->budget ? tokens : forming->budget;
    const uint32_t upto = config->reserve_full_isl ? all : cached + tokens;
    if (ceil_div(upto, config->block_tokens) - hits + evictable > engine->queued) {
        return false;
    }
    list_drop(engine->waiting, &engine->waiting_count, id);
    engine->running[engine->running_count++] = id;
    request->running = true;
    for (uint32_t i = 0; i < hits; i++) {
        const uint32_t block = naive_find(engine, request->hash[i]);
        if (engine->block[block].holders++ == 0) {
            list_drop(engine->queue, &engine->queued, block);
        }
        request->block[request->blocks++] = block;
        request->registered++;
    }
    request->computed = cached;
    if (!request->was_admitted) {
        request->was_admitted = true;
        request->outcome.scheduled_ns = now_ns;
        request->outcome.cached_tokens = cached;
    } else if (request->lost > cached) {
        request->outcome.recomputed_tokens += request->lost - cached;
    }
    const bool fits = naive_allocate(engine, forming, id, tokens, 0);
    CHECK(fits, "admission was checked");
    forming->tokens[id] = tokens;
    forming->budget -= tokens;
    /* At once, so that a second one in this step may hit it. */
    naive_register_known(engine, request, tokens);
    return true;
}

static inline void naive_show_chunk(struct batch_shape *shape, uint32_t tokens,
                                    uint32_t before)
{
    shape->chunks++;
    shape->chunk_tokens += tokens;
    shape->chunk_context += before;
    shape->chunk_pairs_twice += (uint64_t)tokens * (2 * (uint64_t)before + tokens);
    shape->chunk_tokens_max =
        tokens > shape->chunk_tokens_max ? tokens : shape->chunk_tokens_max;
}

/* A token and its drafts; of a request that has ended by then, for nothing. */
static inline void naive_verify(struct naive_engine *engine, uint32_t id,
                                uint32_t tokens, struct batch_shape *shape,
                                struct naive_step *step)
{
    struct naive_request *request = &engine->request[id];
    const uint32_t lacks = request->output - request->produced;
    if (tokens > 1) {
        naive_show_chunk(shape, tokens, request->computed);
    } else {
        shape->decodes++;
        shape->decode_context += request->computed;
    }
    if (lacks == 0) {
        return;
    }
    const uint32_t right =
        speculation_draw(&engine->config->speculation, engine->speculation_key,
                         request->record->id, request->produced, tokens - 1);
    const uint32_t got = right + 1 < lacks ? right + 1 : lacks;
    engine->speculation.drafts += tokens > 1 ? 1 : 0;
    engine->speculation.draft_tokens += tokens - 1;
    engine->speculation.accepted_tokens += right;
    request->computed += got;
    request->produced += got;
    request->cut = right + 1 > got;
    step->got[step->count] = got;
    step->wasted[step->count] = tokens - got;
    step->request[step->count++] = id;
}

/* Stage by stage: when the one before has sent it, and when the stage is free. */
static inline void naive_pass_stages(struct naive_engine *engine, int64_t now_fx,
                                     const struct batch_shape *shape,
                                     struct naive_step *step)
{
    const uint32_t stages = naive_stages(engine);
    int64_t work_fx[PARALLEL_STAGES_MAX];
    int64_t send_fx[PARALLEL_STAGES_MAX];
    cost_stage_times(engine->cost, shape, work_fx, send_fx);
    work_fx[0] += step->length_fx; /* what it waits for before */
    int64_t here_fx = now_fx;
    /* One that was formed ahead waits for the one as many places before it. */
    if (engine->steps > stages) {
        here_fx = engine->step[engine->steps - 1 - stages].end_fx;
    }
    for (uint32_t i = 0; i < stages; i++) {
        if (here_fx < engine->stage_free[i]) {
            here_fx = engine->stage_free[i];
        }
        here_fx += work_fx[i];
        engine->stage_free[i] = here_fx;
        engine->stage_busy[i] += work_fx[i];
        if (i + 1 < stages) {
            here_fx += send_fx[i];
        }
    }
    step->end_fx = here_fx;
}

/* The shape of what was decided; then books it. `decoding` says who was in the middle
 * of decoding before the step. */
static inline int64_t naive_commit(struct naive_engine *engine,
                                   struct naive_forming *forming, const bool *decoding,
                                   struct naive_step *step, int64_t extra_fx)
{
    struct batch_shape shape = {.extra_fx = extra_fx};
    uint32_t samplers = 0;
    for (uint32_t i = 0; i < engine->running_count; i++) {
        const uint32_t id = engine->running[i];
        struct naive_request *request = &engine->request[id];
        const uint32_t tokens = forming->tokens[id];
        if (tokens == 0) {
            continue;
        }
        request->known_then = naive_known(request);
        if (engine->config->speculation.tokens > 0 && decoding[id]) {
            naive_verify(engine, id, tokens, &shape, step);
            samplers++;
            continue;
        }
        if (decoding[id]) {
            shape.decodes++;
            shape.decode_context += request->computed;
        } else {
            naive_show_chunk(&shape, tokens, request->computed);
        }
        request->computed += tokens;
        if (request->computed == request->record->prompt_tokens + request->produced) {
            request->produced++;
            request->place = engine->places;
            request->decoding = true;
            samplers++;
            step->got[step->count] = 1;
            step->wasted[step->count] = 0;
            step->request[step->count++] = id;
        }
    }
    if (samplers > 0) {
        shape.extra_fx += (engine->config->speculation.draft_ns +
                           engine->config->speculation.draft_sequence_ns * samplers) *
                          COST_FX_PER_NS;
    }
    if (naive_stages(engine) > 1) {
        naive_pass_stages(engine,
                          engine->start_ns * COST_FX_PER_NS + engine->start_rest,
                          &shape, step);
        return 0;
    }
    return cost_step_fx(engine->cost, &shape);
}

static inline void naive_phase_2(struct naive_engine *engine,
                                 struct naive_forming *forming, int64_t now_ns)
{
    uint32_t at = 0;
    while (at < engine->waiting_count && forming->budget > 0 &&
           engine->running_count < engine->config->max_num_seqs) {
        const uint32_t id = engine->waiting[at];
        struct naive_request *request = &engine->request[id];
        if (naive_stages(engine) > 1 && request->produced > request->known) {
            break; /* preempted, and its token is not back yet */
        }
        const struct naive_mix mix = naive_mix_of(engine, forming);
        if (!naive_slot_free(&mix, request->record, engine->config->lora.max_loras)) {
            request->aside_since_ns =
                request->aside_since_ns < 0 ? now_ns : request->aside_since_ns;
            at++;
            continue;
        }
        if (request->aside_since_ns >= 0) {
            request->outcome.aside_ns += now_ns - request->aside_since_ns;
            request->aside_since_ns = -1;
        }
        if (!naive_admit(engine, forming, now_ns, id)) {
            break;
        }
    }
}

static inline bool naive_form(struct naive_engine *engine, int64_t now_ns,
                              bool *preempted)
{
    struct naive_forming forming = {.budget = engine->config->max_num_batched_tokens};
    bool decoding[NAIVE_REQUESTS] = {false};
    for (uint32_t i = 0; i < engine->running_count; i++) {
        const uint32_t id = engine->running[i];
        decoding[id] = engine->request[id].decoding;
    }
    const bool prompts_first = engine->config->prompts_first;
    bool prompts = false; /* and nothing else */
    if (prompts_first) {
        naive_phase_2(engine, &forming, now_ns);
        for (uint32_t i = 0; i < engine->request_count; i++) {
            prompts = prompts || forming.tokens[i] > 0;
        }
    }
    if (!prompts) {
        naive_phase_1(engine, &forming);
    }
    for (uint32_t i = 0; i < engine->running_count; i++) {
        const uint32_t id = engine->running[i];
        forming.kept[id] = engine->config->speculation.tokens > 0 &&
                           forming.budget > 0 && decoding[id] &&
                           forming.tokens[id] == 0 &&
                           !naive_last_in_flight(&engine->request[id]);
    }
    /* Running prefills enter the tree before anybody is admitted. */
    for (uint32_t i = 0; i < engine->running_count; i++) {
        struct naive_request *request = &engine->request[engine->running[i]];
        const uint32_t tokens = forming.tokens[engine->running[i]];
        if (tokens > 0 && !decoding[engine->running[i]]) {
            naive_register_known(engine, request, tokens);
        }
    }
    if (!prompts_first && !forming.preempted) {
        naive_phase_2(engine, &forming, now_ns);
    }
    *preempted = forming.preempted;
    bool any = false;
    for (uint32_t i = 0; i < engine->request_count; i++) {
        any = any || forming.tokens[i] > 0;
    }
    if (!any) {
        return false;
    }
    struct naive_step *step = &engine->step[engine->steps++];
    *step = (struct naive_step){0};
    step->length_fx = 0;
    int64_t extra_fx = 0;
    if (engine->adapters.costs != NULL) {
        const struct naive_mix mix = naive_mix_of(engine, &forming);
        step->length_fx +=
            naive_activate(&engine->adapters, &engine->config->lora, &mix) *
            COST_FX_PER_NS;
        extra_fx = naive_extra_fx(&engine->adapters, &mix);
    }
    step->length_fx += naive_commit(engine, &forming, decoding, step, extra_fx);
    engine->formed++;
    engine->places++;
    return true;
}

static inline void naive_fill(struct naive_engine *engine, int64_t now_ns)
{
    uint32_t depth = engine->config->async_scheduling ? 2 : 1;
    if (naive_stages(engine) > 1) {
        depth = naive_stages(engine) + (naive_looks_ahead(engine) ? 1 : 0);
    }
    while (engine->steps < depth) {
        bool preempted = false;
        if (naive_form(engine, now_ns, &preempted)) {
            continue;
        }
        if (naive_looks_ahead(engine) && engine->steps > 0) {
            const int64_t end_fx = engine->step[engine->steps - 1].end_fx;
            engine->step[engine->steps++] =
                (struct naive_step){.end_fx = end_fx, .empty = true};
            engine->places++;
            continue;
        }
        if (!preempted || engine->steps > 0) {
            break;
        }
    }
}

static inline int64_t naive_next_ns(const struct naive_engine *engine)
{
    if (engine->steps == 0) {
        return INT64_MAX;
    }
    if (naive_stages(engine) > 1) {
        return engine->step[0].end_fx / COST_FX_PER_NS;
    }
    return engine->start_ns +
           (engine->start_rest + engine->step[0].length_fx) / COST_FX_PER_NS;
}

static inline void naive_pop(struct naive_engine *engine)
{
    memmove(&engine->step[0], &engine->step[1],
            (NAIVE_FLYING - 1) * sizeof(struct naive_step));
    engine->steps--;
}

static inline void naive_step_done(struct naive_engine *engine)
{
    const struct naive_step step = engine->step[0];
    if (naive_stages(engine) > 1) {
        engine->start_ns = step.end_fx / COST_FX_PER_NS;
        engine->start_rest = step.end_fx % COST_FX_PER_NS;
    } else {
        const int64_t end_fx = engine->start_rest + step.length_fx;
        engine->start_ns += end_fx / COST_FX_PER_NS;
        engine->start_rest = end_fx % COST_FX_PER_NS;
    }
    naive_pop(engine);
    while (engine->steps > 0 && engine->step[0].empty) {
        naive_pop(engine);
    }
    for (uint32_t i = 0; i < step.count; i++) {
        struct naive_request *request = &engine->request[step.request[i]];
        if (request->known == 0) {
            request->outcome.first_token_ns = engine->start_ns;
        }
        request->known += step.got[i];
    }
    for (uint32_t i = 0; i < step.count; i++) {
        const uint32_t id = step.request[i];
        struct naive_request *request = &engine->request[id];
        if (request->known < request->output) {
            continue;
        }
        if (request->running) {
            naive_register_known(engine, request, 0);
            naive_release(engine, request);
            list_drop(engine->running, &engine->running_count, id);
            request->running = false;
        }
        request->ended = true;
        request->outcome.end_ns = engine->start_ns;
    }
    naive_fill(engine, engine->start_ns);
}

/* records: in order of arrival, at most NAIVE_REQUESTS. */
static inline void naive_run(struct naive_engine *engine,
                             const struct trace_record *records, uint32_t count)
{
    engine->request_count = count;
    for (uint32_t next = 0;;) {
        const int64_t step_ns = naive_next_ns(engine);
        if (next == count && step_ns == INT64_MAX) {
            return;
        }
        if (next == count || step_ns <= records[next].arrival_ns) {
            naive_step_done(engine);
            continue;
        }
        const struct trace_record *record = &records[next];
        struct naive_request *request = &engine->request[next];
        struct segment segments[16];
        memcpy(segments, record->segments,
               record->segment_count * sizeof(struct segment));
        segments[record->segment_count] =
            (struct segment){.stream = segment_stream(SEGMENT_OUTPUT, record->id),
                             .tokens = record->output_tokens};
        request->record = record;
        request->output = record->output_tokens;
        request->full = (uint32_t)segment_block_hashes(
            segments, record->segment_count + 1, engine->config->block_tokens,
            1 + (uint64_t)naive_adapter(record), request->hash, NAIVE_CHAIN);
        request->aside_since_ns = -1;
        request->outcome.queued_ns = engine->steps == 0 ? record->arrival_ns : step_ns;
        naive_queue(engine, next, false);
        next++;
        if (engine->steps == 0) {
            engine->start_ns = record->arrival_ns;
            engine->start_rest = 0;
            naive_fill(engine, record->arrival_ns);
        }
    }
}

static inline struct naive_engine *naive_new(const struct engine_config *config,
                                             const struct cost *cost,
                                             uint32_t kv_blocks)
{
    struct naive_engine *engine = mem_alloc(1, sizeof(*engine));
    CHECK(kv_blocks - 1 <= NAIVE_BLOCKS, "%u blocks", kv_blocks);
    engine->config = config;
    engine->cost = cost;
    engine->block_count = kv_blocks - 1;
    engine->queued = kv_blocks - 1;
    for (uint32_t i = 0; i < engine->queued; i++) {
        engine->queue[i] = i;
    }
    return engine;
}

#endif
