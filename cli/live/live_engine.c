/* SPDX-License-Identifier: Apache-2.0
 *
 * live_engine.c: see live_engine.h.
 */
#include "cli/live/live_engine.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"

/* Streams of answers that nobody named: apart from every id of a trace that is used in
 * practice, inside the 56 bits that a stream has. */
#define OWN_OUTPUT_FIRST (UINT64_C(1) << 55)
enum { IN_FLIGHT_MAX = 1 << 20 };

/* KV on its way from another engine. */
struct live_load {
    struct request *request;
    int64_t here_ns;
};

struct live_slot {
    struct request *request; /* NULL = free */
    void *owner;             /* NULL = cancelled */
    uint32_t seen_tokens;
    uint32_t next_free;
};

struct live_engine {
    const struct scenario_pool *pool;
    struct live_events events;
    struct replica *replica;
    struct request_table *table;
    struct prompt_blocks *blocks;
    struct live_slot *slots;
    size_t slot_count;
    size_t slot_capacity;
    uint32_t first_free; /* UINT32_MAX = none */
    /* In order: what was asked for first comes first, at the whole rate. */
    struct live_load *loads;
    size_t load_count;
    size_t load_capacity;
    double block_ns; /* to bring one */
    uint64_t submitted;
    int64_t now_ns;
};

static void tell(struct live_engine *engine, struct request *request, int64_t now_ns,
                 uint32_t tokens)
{
    struct live_slot *slot = &engine->slots[request->number];
    const bool ended = request->state == REQUEST_ENDED;
    CHECK(slot->request == request, "slot %llu is not of its request",
          (unsigned long long)request->number);
    if (tokens > slot->seen_tokens && slot->owner != NULL) {
        const struct live_tokens news = {
            .now_ns = now_ns,
            .tokens = tokens - slot->seen_tokens,
            .before = slot->seen_tokens,
            .ended = ended,
            .request = request,
        };
        slot->seen_tokens = tokens;
        engine->events.on_tokens(engine->events.context, slot->owner, &news);
    }
}

static void on_first_token(void *context, struct request *request, int64_t now_ns)
{
    (void)context; /* the walk after the step finds it, in one order with the others */
    (void)request;
    (void)now_ns;
}

/* The others come no sooner: what was asked for is sent. */
static void forget_load(struct live_engine *engine, const struct request *request)
{
    size_t left = 0;
    for (size_t i = 0; i < engine->load_count; i++) {
        if (engine->loads[i].request != request) {
            engine->loads[left++] = engine->loads[i];
        }
    }
    engine->load_count = left;
}

static void on_load(void *context, struct request *request, uint32_t blocks,
                    int64_t now_ns)
{
    struct live_engine *engine = context;
    void *array = engine->loads;
    if (blocks == 0) {
        return; /* the cache has them all */
    }
    const bool grown = mem_grow(&array, &engine->load_capacity, engine->load_count + 1,
                                sizeof *engine->loads, IN_FLIGHT_MAX);
    CHECK(grown, "%zu loads under way", engine->load_count);
    engine->loads = array;
    const int64_t before_ns =
        engine->load_count > 0 ? engine->loads[engine->load_count - 1].here_ns : now_ns;
    engine->loads[engine->load_count++] = (struct live_load){
        .request = request,
        .here_ns = before_ns + (int64_t)(blocks * engine->block_ns),
    };
}

static void on_end(void *context, struct request *request, int64_t now_ns,
                   enum outcome_status status)
{
    struct live_engine *engine = context;
    if (status == OUTCOME_COMPLETED) {
        tell(engine, request, now_ns, request->output_tokens);
    }
    const uint32_t handle = (uint32_t)request->number;
    forget_load(engine, request);
    engine->slots[handle] = (struct live_slot){.next_free = engine->first_free};
    engine->first_free = handle;
    request_table_remove(engine->table, request);
}

struct live_engine *live_engine_new(const struct live_setup *given)
{
    const struct scenario_pool *pool = given->pool;
    struct live_engine *engine = mem_alloc(1, sizeof *engine);
    engine->pool = pool;
    engine->events = given->events;
    engine->table = request_table_new();
    engine->blocks =
        prompt_blocks_new(pool->engine.block_tokens, given->listener != NULL);
    engine->first_free = UINT32_MAX;
    engine->block_ns = 1e9 * (double)model_kv_bytes_per_token(&pool->model, 1) *
                       pool->engine.block_tokens / given->kv_bytes_per_s;
    const struct replica_setup setup = {
        .engine = &pool->engine,
        .cost = pool->cost,
        .kv_blocks = pool->kv_blocks,
        .table = engine->table,
        .events = {engine, on_first_token, on_end},
        .legs = {.context = engine, .on_load = on_load},
        .cache_listener = given->listener,
        .step_by_step = true,
    };
    engine->replica = replica_new(&setup);
    return engine;
}

const struct prompt_blocks *live_engine_blocks(const struct live_engine *engine)
{
    return engine->blocks;
}

void live_engine_delete(struct live_engine *engine)
{
    if (engine != NULL) {
        replica_delete(engine->replica);
        request_table_delete(engine->table);
        prompt_blocks_delete(engine->blocks);
        mem_free(engine->slots);
        mem_free(engine->loads);
        mem_free(engine);
    }
}

static uint32_t slot_take(struct live_engine *engine)
{
    const uint32_t reused = engine->first_free;
    if (reused != UINT32_MAX) {
        engine->first_free = engine->slots[reused].next_free;
        return reused;
    }
    void *array = engine->slots;
    const bool grown = mem_grow(&array, &engine->slot_capacity, engine->slot_count + 1,
                                sizeof *engine->slots, IN_FLIGHT_MAX);
    CHECK(grown, "%zu requests in flight", engine->slot_count);
    engine->slots = array;
    return (uint32_t)engine->slot_count++;
}

uint32_t live_engine_submit(struct live_engine *engine, int64_t now_ns,
                            const struct live_order *order, uint64_t *output_id)
{
    live_engine_advance(engine, now_ns);
    const uint64_t id =
        order->output_id != 0 ? order->output_id : OWN_OUTPUT_FIRST + engine->submitted;
    engine->submitted++;
    struct trace_record record = {
        .id = id,
        .arrival_ns = now_ns,
        .prompt_tokens = (uint32_t)order->prompt.count,
        .output_tokens = order->output_tokens,
        .priority = order->priority,
    };
    record.segment_count =
        (uint32_t)prompt_blocks_read(engine->blocks, &order->prompt, &record.segments);
    const struct engine_config *config = &engine->pool->engine;
    CHECK(record.prompt_tokens + (uint64_t)record.output_tokens <=
              config->max_model_len,
          "a request beyond the context");
    struct request *request =
        request_table_add(engine->table, &record, record.output_tokens,
                          config->prefix_caching ? config->block_tokens : 0);
    if (order->remote_tokens > 0) {
        request->leg = LEG_DECODE;
        request->remote_tokens = order->remote_tokens;
    }
    prompt_blocks_answer(engine->blocks, id, record.output_tokens);
    const uint32_t handle = slot_take(engine);
    engine->slots[handle] =
        (struct live_slot){.request = request, .owner = order->owner};
    request->number = handle;
    *output_id = id;
    replica_submit(engine->replica, request, now_ns);
    return handle;
}

void live_engine_cancel(struct live_engine *engine, int64_t now_ns, uint32_t handle)
{
    struct live_slot *slot = &engine->slots[handle];
    if (slot->owner == NULL) {
        return;
    }
    /* Silent first: what happens up to now may be its end. */
    slot->owner = NULL;
    live_engine_advance(engine, now_ns);
    if (slot->request != NULL) {
        replica_cancel(engine->replica, slot->request, now_ns);
    }
}

/* A request that was preempted with its first token under way is said to have it a step
 * before it comes, or a step after that. The engine's own word decides. */
static void look(void *context, struct request *request)
{
    struct live_engine *engine = context;
    if (request->first_token_ns == OUTCOME_TIME_NONE) {
        return;
    }
    const uint32_t tokens =
        replica_output_tokens(engine->replica, request, engine->now_ns);
    tell(engine, request, engine->now_ns, tokens > 0 ? tokens : 1);
}

/* At one moment KV comes before the step ends, as in the simulator. */
static void happen(struct live_engine *engine, int64_t next_ns)
{
    engine->now_ns = next_ns;
    if (engine->load_count > 0 && engine->loads[0].here_ns == next_ns) {
        struct request *request = engine->loads[0].request;
        forget_load(engine, request);
        replica_kv_arrived(engine->replica, request, next_ns);
        return;
    }
    replica_step_done(engine->replica);
    replica_visit(engine->replica, look, engine);
}

void live_engine_advance(struct live_engine *engine, int64_t now_ns)
{
    CHECK(now_ns >= engine->now_ns, "the engine's clock goes back");
    for (int64_t next_ns = live_engine_next_ns(engine); next_ns <= now_ns;
         next_ns = live_engine_next_ns(engine)) {
        happen(engine, next_ns);
    }
    engine->now_ns = now_ns;
}

int64_t live_engine_next_ns(const struct live_engine *engine)
{
    const int64_t step_ns = replica_next_ns(engine->replica);
    const int64_t load_ns =
        engine->load_count > 0 ? engine->loads[0].here_ns : INT64_MAX;
    return load_ns < step_ns ? load_ns : step_ns;
}

void live_engine_peek(const struct live_engine *engine, struct engine_sample *sample)
{
    replica_peek(engine->replica, engine->now_ns, sample);
}

const struct replica_stats *live_engine_stats(const struct live_engine *engine)
{
    return replica_stats(engine->replica);
}
