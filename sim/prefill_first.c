/* SPDX-License-Identifier: Apache-2.0
 *
 * prefill_first.c: two lists and one step under way. Equal decode steps are one run, as
 * in decode_run.c: it ends with the first member's last token, and an arrival cuts it
 * at the next step boundary. Lists are walked once per run, which is cheap enough for a
 * load test; a fleet has replica.h.
 */
#include "sim/prefill_first.h"

#include "base/check.h"
#include "base/mem.h"

struct prefill_first {
    struct replica_setup setup;
    struct request_list waiting;  /* in order of arrival; the first maybe in part */
    struct request_list decoding; /* in order of their first tokens */
    uint64_t tokens_free;         /* of the KV cache */
    uint32_t admitted;            /* requests that hold KV */
    struct decode_cost step;      /* the one under way, and how it grows */
    uint32_t steps;               /* in the run; 0 = idle */
    bool prefills;                /* the step is of prompts */
    int64_t start_ns;
    int64_t start_rest; /* and 2^-16 ns beyond it */
};

struct prefill_first *prefill_first_new(const struct replica_setup *setup)
{
    struct prefill_first *engine = mem_alloc(1, sizeof *engine);
    engine->setup = *setup;
    CHECK(setup->kv_blocks > 1, "no KV blocks");
    engine->tokens_free =
        (uint64_t)(setup->kv_blocks - 1) * setup->engine->block_tokens;
    return engine;
}

void prefill_first_delete(struct prefill_first *engine)
{
    mem_free(engine);
}

static uint64_t room_of(const struct prefill_first *engine,
                        const struct request *request)
{
    const uint64_t size = engine->setup.engine->block_tokens;
    const uint64_t tokens = (uint64_t)request->prompt_tokens + request->output_tokens;
    return (tokens + size - 1) / size * size;
}

static bool admit(struct prefill_first *engine, struct request *request)
{
    if (request->state == REQUEST_PREFILLING) {
        return true;
    }
    const uint64_t room = room_of(engine, request);
    if (engine->admitted >= engine->setup.engine->max_num_seqs ||
        room > engine->tokens_free) {
        return false;
    }
    engine->tokens_free -= room;
    engine->admitted++;
    request->scheduled_ns = engine->start_ns;
    request_move(request, REQUEST_PREFILLING);
    return true;
}

/* Gives out the token budget among waiting prompts. */
static struct batch_shape prompts_take(struct prefill_first *engine)
{
    struct batch_shape shape = {0};
    uint64_t budget = engine->setup.engine->max_num_batched_tokens;
    for (struct request *at = engine->waiting.first;
         at != NULL && budget > 0 && admit(engine, at); at = at->next) {
        const uint64_t left = at->prompt_tokens - at->computed;
        const uint64_t taken = left < budget ? left : budget;
        budget -= taken;
        shape.chunks++;
        shape.chunk_tokens += taken;
        shape.chunk_context += at->computed;
        shape.chunk_pairs_twice += taken * (2 * (uint64_t)at->computed + taken);
        if (taken > shape.chunk_tokens_max) {
            shape.chunk_tokens_max = (uint32_t)taken;
        }
        at->step_tokens = (uint32_t)taken;
    }
    return shape;
}

static void decodes_form(struct prefill_first *engine)
{
    uint64_t context = 0;
    uint32_t longest = 0;
    uint32_t left = UINT32_MAX;
    for (const struct request *at = engine->decoding.first; at != NULL; at = at->next) {
        const uint32_t steps = at->output_tokens - at->produced;
        context += at->computed;
        longest = at->computed > longest ? at->computed : longest;
        left = steps < left ? steps : left;
    }
    const struct cost *cost = engine->setup.cost;
    engine->step = cost_decode(cost, engine->decoding.count, context,
                               cost_needs_context_max(cost) ? longest : 0);
    engine->steps = left < engine->step.valid_steps ? left : engine->step.valid_steps;
    engine->prefills = false;
}

/* start_ns is set. */
static void form(struct prefill_first *engine)
{
    const struct batch_shape shape = prompts_take(engine);
    engine->steps = 0;
    if (shape.chunks > 0) {
        const int64_t length_fx = cost_step_fx(engine->setup.cost, &shape);
        engine->step = (struct decode_cost){length_fx, 0, 1};
        engine->steps = 1;
        engine->prefills = true;
    } else if (engine->decoding.count > 0) {
        decodes_form(engine);
    } else {
        CHECK(engine->waiting.count == 0, "a prompt does not fit an empty KV cache");
    }
}

/* From start_ns to the end of so many steps, 2^-16 ns. */
static int64_t run_fx(const struct prefill_first *engine, uint32_t steps)
{
    const int64_t n = steps;
    return engine->start_rest + n * engine->step.first_fx +
           engine->step.grow_fx * (n * (n - 1) / 2);
}

static int64_t run_end_ns(const struct prefill_first *engine, uint32_t steps)
{
    return engine->start_ns + run_fx(engine, steps) / COST_FX_PER_NS;
}

void prefill_first_submit(struct prefill_first *engine, struct request *request,
                          int64_t now_ns)
{
    request_move(request, REQUEST_WAITING);
    request_list_append(&engine->waiting, request);
    if (engine->steps == 0) {
        engine->start_ns = now_ns;
        engine->start_rest = 0;
        form(engine);
        return;
    }
    uint32_t low = 1; /* the first boundary at or after now */
    uint32_t high = engine->steps;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (run_end_ns(engine, middle) >= now_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    engine->steps = low;
}

int64_t prefill_first_next_ns(const struct prefill_first *engine)
{
    return engine->steps == 0 ? INT64_MAX : run_end_ns(engine, engine->steps);
}

static void end(struct prefill_first *engine, struct request *request)
{
    engine->tokens_free += room_of(engine, request);
    engine->admitted--;
    request_move(request, REQUEST_ENDED);
    const struct replica_events *events = &engine->setup.events;
    events->on_end(events->context, request, engine->start_ns, OUTCOME_COMPLETED);
}

static void prompts_deliver(struct prefill_first *engine)
{
    const struct replica_events *events = &engine->setup.events;
    struct request *next = NULL;
    for (struct request *at = engine->waiting.first; at != NULL && at->step_tokens > 0;
         at = next) {
        next = at->next;
        at->computed += at->step_tokens;
        at->step_tokens = 0;
        if (at->computed < at->prompt_tokens) {
            continue;
        }
        request_list_remove(&engine->waiting, at);
        at->produced = 1;
        at->first_token_ns = engine->start_ns;
        request_move(at, REQUEST_DECODING);
        events->on_first_token(events->context, at, engine->start_ns);
        if (at->output_tokens > 1) {
            request_list_append(&engine->decoding, at);
        } else {
            end(engine, at);
        }
    }
}

static void decodes_deliver(struct prefill_first *engine, uint32_t steps)
{
    struct request *next = NULL;
    for (struct request *at = engine->decoding.first; at != NULL; at = next) {
        next = at->next;
        at->computed += steps;
        at->produced += steps;
        if (at->produced == at->output_tokens) {
            request_list_remove(&engine->decoding, at);
            end(engine, at);
        }
    }
}

void prefill_first_step_done(struct prefill_first *engine)
{
    const uint32_t steps = engine->steps;
    const int64_t end_fx = run_fx(engine, steps);
    CHECK(steps > 0, "an idle engine has no step to end");
    engine->start_ns += end_fx / COST_FX_PER_NS;
    engine->start_rest = end_fx % COST_FX_PER_NS;
    if (engine->prefills) {
        prompts_deliver(engine);
    } else {
        decodes_deliver(engine, steps);
    }
    form(engine);
}
