/* SPDX-License-Identifier: Apache-2.0
 *
 * step_form.c: the scheduler: what goes into the next step.
 *
 * In vLLM's order (spec/vllm-engine.md 1.2): running requests first, in order of
 * admission, preempting from the end when blocks run out; then the waiting queue from
 * its head, if nobody was preempted. There are two ways through the first phase:
 * step_walk visits every running request and is always right; step_sum takes the decode
 * set as a whole and is used when the order cannot matter, that is, when the budget and
 * the free blocks are enough for everybody. The step-by-step mode knows only the first.
 * With `prompts_first` the phases change places and a step has only one of them.
 */
#include "sim/forming.h"
#include "sim/pipeline.h"
#include "sim/speculation.h"

/* Books a prefill chunk: blocks are already taken. */
static void chunk_commit(struct replica *replica, struct forming *forming,
                         struct request *request, uint32_t tokens)
{
    shape_add_chunk(&forming->shape, tokens, request->computed);
    request->computed += tokens;
    request->step_tokens = 0;
    step_note_adapter(replica, request, tokens);
    running_register(replica, request);
    forming->samplers += request->computed == replica_known_tokens(request) ? 1 : 0;
    if (replica->setup.tiers != NULL) {
        forming->save_ns +=
            tiers_save(replica->setup.tiers, &request->tiers, request->computed,
                       forming->now_ns, forming->step);
    }
    forming->any = true;
}

/* Phase 1 when order cannot matter. False: nothing was changed, walk instead. */
static bool step_sum(struct replica *replica, struct forming *forming)
{
    struct decode_set *set = &replica->decodes;
    if (set->count > forming->budget) {
        return false;
    }
    const struct request *first = replica->prefill_first;
    uint64_t blocks = set->count == 0 ? 0 : decode_set_blocks(set, 1);
    uint32_t budget = forming->budget - set->count;
    uint64_t wanted = 0;
    for (const struct request *at = first; at != NULL; at = at->prefill_next) {
        const uint32_t all = replica_known_tokens(at) - at->computed;
        const uint32_t tokens = chunk_wanted(replica, all, budget);
        wanted += chunk_wanted(replica, all, UINT32_MAX);
        blocks += replica_blocks_of(replica, (uint64_t)at->computed + tokens) -
                  replica_blocks_of(replica, at->computed);
        budget -= tokens;
    }
    const bool order_matters =
        wanted > forming->budget - set->count && first->admission < set->newest;
    if (order_matters || blocks > kvpool_free_blocks(replica->pool)) {
        return false;
    }
    kvpool_take(replica->pool, (uint32_t)blocks);
    forming->shape.decodes = set->count;
    forming->shape.decode_context = decode_set_context(set);
    forming->shape.decode_context_max = decode_set_longest(set);
    forming->budget -= set->count;
    forming->any = set->count > 0;
    if (replica->adapters != NULL) {
        adapter_step_add_decodes(replica->adapters);
    }
    for (struct request *at = replica->prefill_first; at != NULL;
         at = at->prefill_next) {
        const uint32_t tokens = chunk_wanted(
            replica, replica_known_tokens(at) - at->computed, forming->budget);
        if (tokens > 0) {
            forming->budget -= tokens;
            chunk_commit(replica, forming, at, tokens);
        }
    }
    return true;
}

/* Who was scheduled before `end`: has to be known of a decoding request only when there
 * are victims, who give their tokens back. */
static void walk_mark_decodes(const struct replica *replica, const struct request *end)
{
    for (struct request *at = replica->running.first; at != end; at = at->next) {
        if (at->state == REQUEST_DECODING) {
            at->step_tokens = 1;
        }
    }
}

/* Takes `need` blocks for `request`; preempts until they are free. False when the
 * request itself had to go. */
static bool walk_allocate(struct replica *replica, const struct request *request,
                          uint32_t need, uint32_t *budget)
{
    const bool marked = replica->engine.speculation.tokens > 0; /* all along */
    while (need > kvpool_free_blocks(replica->pool)) {
        if (!replica->preempted && !replica->pipelined && !marked) {
            walk_mark_decodes(replica, request);
        }
        struct request *victim = running_victim(replica);
        *budget += victim->step_tokens; /* priority may hit a scheduled one */
        running_preempt(replica, victim);
        if (victim == request) {
            return false;
        }
    }
    kvpool_take(replica->pool, need);
    return true;
}

/* Tokens that one gets, at the price of blocks: all but a plain decode. */
static uint32_t walk_wanted(struct replica *replica, struct request *request,
                            uint32_t budget, uint32_t *need)
{
    if (replica->engine.speculation.tokens > 0) {
        const uint32_t tokens = speculation_wanted(replica, request, budget);
        *need = speculation_need(replica, request, tokens);
        return tokens;
    }
    if (request->state == REQUEST_DECODING) {
        const uint32_t computed = decode_set_computed(&replica->decodes, request);
        const uint32_t tokens = pipeline_ready(replica, request) ? 1 : 0;
        *need = tokens > 0 && computed % replica->engine.block_tokens == 0 ? 1 : 0;
        return tokens;
    }
    *need = 0;
    if (request->state != REQUEST_PREFILLING) {
        return 0;
    }
    const uint32_t computed = request->computed;
    const uint32_t tokens =
        chunk_wanted(replica, replica_known_tokens(request) - computed, budget);
    *need = replica_blocks_of(replica, (uint64_t)computed + tokens) -
            replica_blocks_of(replica, computed);
    return tokens;
}

/* Visits running requests in order, as long as the budget lasts. Until somebody is
 * preempted, decodes are booked in the shape at once; afterwards, and prefills always,
 * through step_tokens. Returns the first one that it did not come to. */
static struct request *walk_schedule(struct replica *replica, struct forming *forming)
{
    const uint32_t block_tokens = replica->engine.block_tokens;
    const bool speculates = replica->engine.speculation.tokens > 0;
    const bool plain = !speculates && !replica->pipelined;
    struct batch_shape shape = {0};
    uint32_t budget = forming->budget;
    struct request *request = replica->running.first;
    for (; request != NULL && budget > 0; request = request->next) {
        uint32_t need = 0;
        if (plain && request->state == REQUEST_DECODING) { /* nearly all of them */
            const uint32_t held = decode_set_computed(&replica->decodes, request);
            need = held % block_tokens == 0 ? 1 : 0;
            if (need > 0 && !walk_allocate(replica, request, need, &budget)) {
                break;
            }
            if (!replica->preempted) {
                shape_add_decode(&shape, held);
            } else {
                request->step_tokens = 1;
            }
            budget--;
            continue;
        }
        const uint32_t tokens = walk_wanted(replica, request, budget, &need);
        if (need > 0 && !walk_allocate(replica, request, need, &budget)) {
            break;
        }
        if (speculates) {
            speculation_take(replica, request, tokens);
        }
        request->step_tokens = tokens;
        budget -= tokens;
    }
    forming->budget = budget;
    forming->shape = shape;
    return request;
}

static void walk_commit_prefills(struct replica *replica, struct forming *forming)
{
    for (struct request *at = replica->prefill_first; at != NULL;
         at = at->prefill_next) {
        if (at->step_tokens > 0) {
            chunk_commit(replica, forming, at, at->step_tokens);
        }
    }
}

/* After a preemption, and with pipeline stages, when only step_tokens tells who is in
 * the step. */
static void walk_commit_marked(struct replica *replica, struct forming *forming)
{
    struct decode_set *set = &replica->decodes;
    forming->shape = (struct batch_shape){0};
    for (struct request *at = replica->running.first; at != NULL; at = at->next) {
        if (at->state != REQUEST_DECODING) {
            continue;
        }
        if (at->step_tokens > 0) {
            at->step_tokens = 0;
            step_note_adapter(replica, at, 1);
            shape_add_decode(&forming->shape, decode_set_computed(set, at));
            pipeline_take(replica, at, set->formed + 1);
        } else {
            decode_set_skip(set, at);
        }
    }
}

/* Of decodes before `end`, all of whom were scheduled. */
static void walk_note_adapters(struct replica *replica, const struct request *end)
{
    for (const struct request *at = replica->running.first; at != end; at = at->next) {
        if (at->state == REQUEST_DECODING) {
            step_note_adapter(replica, at, 1);
        }
    }
}

/* Phase 1, request by request, in order of admission. */
static void step_walk(struct replica *replica, struct forming *forming)
{
    struct decode_set *set = &replica->decodes;
    const uint32_t budget = forming->budget;
    struct request *rest = walk_schedule(replica, forming);
    forming->any = forming->budget < budget;
    if (replica->engine.speculation.tokens > 0 && forming->budget > 0) {
        speculation_keep_slots(replica);
    }
    if (!forming->any) {
        return;
    }
    if (replica->engine.speculation.tokens > 0) {
        speculation_commit(replica, forming);
        rest = NULL;
    } else if (replica->preempted || replica->pipelined) {
        walk_commit_marked(replica, forming);
        rest = NULL;
    } else if (replica->adapters != NULL) {
        walk_note_adapters(replica, rest);
    }
    for (; rest != NULL; rest = rest->next) {
        if (rest->state == REQUEST_DECODING) {
            decode_set_skip(set, rest);
        }
    }
    if (!set->knows_longest) {
        forming->shape.decode_context_max = 0;
    }
    walk_commit_prefills(replica, forming);
}

/* A request to be admitted: what its engine's cache has of it, and how many leading
 * tokens need not be computed, those that its tiers have included. */
struct head {
    struct request *request;
    struct kv_hit hit;
    uint32_t cached;
};

/* Whether the head of the queue fits, and with how many tokens. */
static bool admission_fits(const struct replica *replica, const struct head *head,
                           uint32_t budget, uint32_t *tokens)
{
    const uint32_t all = replica_known_tokens(head->request);
    const uint32_t cached = head->cached;
    const struct kv_hit *hit = &head->hit;
    const uint32_t wanted = chunk_wanted(replica, all - cached, UINT32_MAX);
    if (!replica->engine.chunked_prefill && wanted > budget) {
        return false;
    }
    *tokens = wanted < budget ? wanted : budget;
    const uint32_t upto = replica->engine.reserve_full_isl ? all : cached + *tokens;
    const uint64_t need = (uint64_t)replica_blocks_of(replica, upto) - hit->blocks;
    return need + hit->evictable + replica->reserved <=
           kvpool_free_blocks(replica->pool);
}

/* Of which `cached` tokens are in the engine's own cache. */
static void lookup_note(struct replica *replica, struct request *request,
                        uint32_t cached)
{
    request->cached_tokens = cached;
    replica->stats.tier_hit_tokens += request->tier_tokens;
    replica->stats.prefix_query_tokens += replica_known_tokens(request);
    replica->stats.prefix_hit_tokens += cached;
}

static void enter_running(struct replica *replica, struct request *request)
{
    request_list_append(&replica->running, request);
    running_prefill_append(replica, request);
    request_move(request, REQUEST_PREFILLING);
    request->admission = ++replica->admissions;
}

/* Its first admission, or another one after a preemption; not a part of the prompt
 * again that it has at hand. */
static void admission_note(struct replica *replica, const struct forming *forming,
                           const struct head *head)
{
    struct request *request = head->request;
    if (request->scheduled_ns == OUTCOME_TIME_NONE) {
        request->scheduled_ns = forming->now_ns;
        lookup_note(replica, request, head->hit.blocks * replica->engine.block_tokens);
    } else if (request->lost_tokens > head->cached) {
        request->recomputed_tokens += request->lost_tokens - head->cached;
        replica->stats.recomputed_tokens += request->lost_tokens - head->cached;
    }
}

static void admission_commit(struct replica *replica, struct forming *forming,
                             const struct head *head, uint32_t tokens)
{
    struct request *request = head->request;
    request_list_remove(&replica->waiting, request);
    enter_running(replica, request);
    kvpool_admit(replica->pool, &request->kv, &head->hit,
                 replica_blocks_of(replica, (uint64_t)head->cached + tokens) -
                     head->hit.blocks);
    request->computed = head->cached;
    request->reach = head->cached + tokens;
    forming->here_ns = replica_tiers_load(
        replica, request, head->hit.blocks * replica->engine.block_tokens,
        forming->here_ns);
    admission_note(replica, forming, head);
    forming->budget -= tokens;
    chunk_commit(replica, forming, request, tokens);
}

/* All slots are taken by other adapters of this step: the request keeps its place, and
 * others overtake it. */
static bool stays_aside(struct replica *replica, const struct forming *forming,
                        struct request *request)
{
    if (request->adapter == ADAPTER_NONE ||
        adapter_step_admits(replica->adapters, request->adapter)) {
        return false;
    }
    running_aside_begin(replica, request, forming->now_ns);
    return true;
}

/* Those whose KV has come, before anybody else (vLLM puts set-aside requests in front).
 * False: the first of them does not fit, and keeps all others out. */
static bool admit_loaded(struct replica *replica, struct forming *forming)
{
    struct request *next = NULL;
    for (struct request *at = replica->loading.first;
         at != NULL && forming->budget > 0 &&
         replica->running.count < replica->engine.max_num_seqs;
         at = next) {
        next = at->next;
        if (!at->kv_here || stays_aside(replica, forming, at)) {
            continue;
        }
        running_aside_end(replica, at, forming->now_ns);
        const uint32_t all = replica_known_tokens(at);
        const uint32_t wanted = chunk_wanted(replica, all - at->computed, UINT32_MAX);
        const uint32_t tokens = wanted < forming->budget ? wanted : forming->budget;
        const uint32_t upto =
            replica_blocks_of(replica, (uint64_t)at->computed + tokens);
        const uint32_t held = replica_blocks_of(replica, at->reach);
        const uint32_t need = upto > held ? upto - held : 0;
        if ((!replica->engine.chunked_prefill && wanted > tokens) ||
            need > kvpool_free_blocks(replica->pool)) {
            return false;
        }
        kvpool_take(replica->pool, need);
        replica->ready--;
        running_loading_leave(replica, at);
        if (need > 0) {
            at->reach = at->computed + tokens;
        }
        enter_running(replica, at);
        if (at->scheduled_ns == OUTCOME_TIME_NONE) {
            at->scheduled_ns = forming->now_ns;
        }
        forming->budget -= tokens;
        chunk_commit(replica, forming, at, tokens);
    }
    return true;
}

/* Takes the blocks up to `held` tokens, sees to it that those for the rest stay free,
 * and lets the request wait beside the queue. False: there are not enough. */
static bool loading_enter(struct replica *replica, const struct head *head,
                          uint32_t held_tokens)
{
    struct request *request = head->request;
    const uint32_t all = replica_blocks_of(replica, replica_known_tokens(request));
    const uint32_t held = replica_blocks_of(replica, held_tokens);
    if ((uint64_t)all - head->hit.blocks + head->hit.evictable + replica->reserved >
        kvpool_free_blocks(replica->pool)) {
        return false;
    }
    request_list_remove(&replica->waiting, request);
    request_list_append(&replica->loading, request);
    request_move(request, REQUEST_LOADING);
    kvpool_admit(replica->pool, &request->kv, &head->hit, held - head->hit.blocks);
    request->reach = held_tokens;
    request->kv_here = false; /* it may have waited before a preemption */
    replica->reserved += all - held;
    return true;
}

/* The head's KV is at another engine: it takes blocks for its prompt and waits beside
 * the queue until they are filled. False: there are not enough. */
static bool load_begin(struct replica *replica, const struct forming *forming,
                       const struct head *head)
{
    struct request *request = head->request;
    const struct kv_hit *hit = &head->hit;
    const uint32_t remote = request->remote_tokens;
    const uint32_t last = replica_known_tokens(request) - 1;
    if (!loading_enter(replica, head, replica_known_tokens(request))) {
        return false;
    }
    lookup_note(replica, request, hit->blocks * replica->engine.block_tokens);
    request->computed = remote < last ? remote : last; /* one is computed for logits */
    request->remote_tokens = 0;
    replica->setup.legs.on_load(replica->setup.legs.context, request,
                                replica_blocks_of(replica, remote) - hit->blocks,
                                forming->now_ns);
    return true;
}

/* Its KV is in a tier that is read beside the steps. */
static bool tier_load_begin(struct replica *replica, const struct forming *forming,
                            const struct head *head)
{
    struct request *request = head->request;
    if (!loading_enter(replica, head, head->cached)) {
        return false;
    }
    request->computed = head->cached;
    const int64_t here_ns = replica_tiers_load(
        replica, request, head->hit.blocks * replica->engine.block_tokens,
        forming->now_ns);
    admission_note(replica, forming, head);
    replica->setup.legs.on_tier_load(replica->setup.legs.context, request, here_ns);
    return true;
}

/* Admits the head with what the lookup found. False: it does not fit now. */
static bool admit_head(struct replica *replica, struct forming *forming,
                       const struct head *head)
{
    struct request *request = head->request;
    const uint32_t local = head->hit.blocks * replica->engine.block_tokens;
    const bool remote = request->remote_tokens > 0;
    if (request->remote_tokens > local) {
        return load_begin(replica, forming, head);
    }
    if (head->cached > local && replica_tiers_load_apart(replica)) {
        return tier_load_begin(replica, forming, head);
    }
    uint32_t tokens = 0;
    if (!admission_fits(replica, head, forming->budget, &tokens)) {
        return false;
    }
    admission_commit(replica, forming, head, tokens);
    if (remote) {
        request->remote_tokens = 0;
        replica->setup.legs.on_load(replica->setup.legs.context, request, 0,
                                    forming->now_ns);
    }
    return true;
}

/* Phase 2. */
static void step_admit(struct replica *replica, struct forming *forming)
{
    replica->head_stuck = replica->waiting.count > 0;
    if (replica->ready > 0 && !admit_loaded(replica, forming)) {
        return;
    }
    struct request *next = NULL;
    for (struct request *at = replica->waiting.first;
         at != NULL && forming->budget > 0 &&
         replica->running.count < replica->engine.max_num_seqs;
         at = next) {
        next = at->next;
        if (pipeline_awaited(replica, at)) {
            return;
        }
        if (stays_aside(replica, forming, at)) {
            continue;
        }
        running_aside_end(replica, at, forming->now_ns);
        const bool may_grow = running_register_quoted(replica, at);
        const uint32_t limit =
            (replica_known_tokens(at) - 1) / replica->engine.block_tokens;
        struct head head = {.request = at};
        head.hit = kvpool_lookup(replica->pool, at->kv.runs, at->kv.run_count, limit);
        if (replica->engine.speculation.drops_block && head.hit.blocks > 0) {
            head.hit = kvpool_lookup(replica->pool, at->kv.runs, at->kv.run_count,
                                     head.hit.blocks - 1);
        }
        head.cached = replica_tiers_cached(
            replica, at, head.hit.blocks * replica->engine.block_tokens,
            forming->now_ns);
        if (!admit_head(replica, forming, &head)) {
            replica->head_stuck = !may_grow;
            return;
        }
        replica->head_stuck = replica->waiting.count > 0;
    }
}

/* Requests whose prompts end in this step join the decoding ones. */
static void prefills_promote(struct replica *replica, struct step *step)
{
    struct request **tail = &step->emitting;
    struct request *next = NULL;
    for (struct request *at = replica->prefill_first; at != NULL; at = next) {
        next = at->prefill_next;
        if (at->computed < replica_known_tokens(at)) {
            continue;
        }
        running_prefill_remove(replica, at);
        at->produced++;
        pipeline_take(replica, at, step->index);
        *tail = at;
        at->emit_next = NULL;
        tail = &at->emit_next;
        if (replica->engine.speculation.tokens > 0) {
            speculation_first_token(replica, at);
        }
        const uint32_t remaining = at->output_tokens - at->produced;
        at->last_step = step->index + remaining;
        if (remaining > 0) {
            request_move(at, REQUEST_DECODING);
            running_decode_add(replica, at, remaining);
        } else {
            request_move(at, REQUEST_DRAINING);
            running_drain_add(replica, at);
        }
    }
}

void step_retire_decodes(struct replica *replica)
{
    struct decode_set *set = &replica->decodes;
    for (;;) {
        struct request *first = decode_set_first(set);
        if (first == NULL || first->last_step > set->formed) {
            return;
        }
        running_decode_remove(replica, first);
        request_move(first, REQUEST_DRAINING);
        running_drain_add(replica, first);
    }
}

/* With what it waits for beside the forward pass. */
static int64_t step_length_fx(struct replica *replica, const struct batch_shape *shape,
                              int64_t stall_ns)
{
    const int64_t stall_fx = stall_ns * COST_FX_PER_NS;
    return replica->pipelined
               ? pipeline_length_fx(replica, shape, stall_fx)
               : stall_fx +
                     replica_slowed(replica, cost_step_fx(replica->setup.cost, shape));
}

/* Phase 1: the running requests. */
static void step_run(struct replica *replica, struct forming *forming)
{
    const bool speculates = replica->engine.speculation.tokens > 0;
    if (replica->setup.step_by_step || speculates || !step_sum(replica, forming)) {
        step_walk(replica, forming);
    }
}

/* vLLM before v1: as long as anybody can be admitted, whole prompts make up a step of
 * their own and all decodes wait. Nobody who does not fit before the decodes have taken
 * their blocks fits after that. */
static void step_prompts_first(struct replica *replica, struct forming *forming)
{
    step_admit(replica, forming);
    if (!forming->any) {
        step_run(replica, forming);
        replica->head_stuck = replica->head_stuck && !replica->preempted;
        return;
    }
    for (struct request *at = replica->running.first; at != NULL; at = at->next) {
        if (at->state == REQUEST_DECODING) {
            decode_set_skip(&replica->decodes, at);
        }
    }
}

/* Both phases. True: the decode set has gone on by the step. */
static bool step_fill(struct replica *replica, struct forming *forming)
{
    if (replica->engine.prompts_first) {
        step_prompts_first(replica, forming);
        return false;
    }
    step_run(replica, forming);
    const bool advanced = forming->any;
    if (advanced) { /* lookups below see what this step computes */
        decode_set_advance(&replica->decodes, 1);
    }
    if (!replica->preempted) {
        step_admit(replica, forming);
    } else {
        replica->head_stuck = false;
    }
    return advanced;
}

bool step_form(struct replica *replica, int64_t now_ns)
{
    struct decode_set *set = &replica->decodes;
    struct forming forming = {.now_ns = now_ns,
                              .step = set->formed + 1,
                              .here_ns = now_ns,
                              .budget = replica->engine.max_num_batched_tokens};
    replica->preempted = false;
    if (replica->adapters != NULL) {
        adapter_step_begin(replica->adapters);
    }
    const bool speculates = replica->engine.speculation.tokens > 0;
    const bool advanced = step_fill(replica, &forming);
    if (!forming.any) {
        return false;
    }
    if (!advanced) {
        if (speculates) {
            speculation_skip(replica);
        } else if (replica->pipelined) {
            pipeline_skip_all(replica);
        }
        decode_set_advance(set, 1);
    }
    const int64_t tiers_ns = forming.here_ns - now_ns + forming.save_ns;
    int64_t stall_ns = tiers_ns;
    if (tiers_ns > 0) {
        tiers_stall(replica->setup.tiers, tiers_ns);
    }
    if (replica->adapters != NULL) {
        stall_ns += adapter_step_load_ns(replica->adapters, &replica->stats.adapters);
        forming.shape.extra_fx = adapter_step_extra_fx(replica->adapters);
    }
    if (speculates) {
        forming.shape.extra_fx += speculation_extra_fx(replica, &forming);
    }
    struct step *step = &replica->steps[replica->step_count++];
    *step = (struct step){
        .index = set->formed,
        .decodes = forming.shape.decodes,
        .context = forming.shape.decode_context,
        .context_max = forming.shape.decode_context_max,
        .version = set->version,
        .decode_only = forming.shape.chunks == 0,
        .slowed = replica->slow != 1.0,
        .shape = forming.shape,
        .extra_fx = forming.shape.extra_fx,
        .stall_ns = stall_ns,
        .length_fx = step_length_fx(replica, &forming.shape, stall_ns),
    };
    prefills_promote(replica, step);
    replica->places++;
    step_retire_decodes(replica);
    replica->stats.steps++;
    return true;
}
