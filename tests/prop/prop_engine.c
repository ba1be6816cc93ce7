/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_engine.c: one engine against the naive one, in both modes, on random small
 * loads: tiny pools that preempt, shared prefixes, sessions that quote outputs of
 * requests still running, priorities, thresholds, chunking on and off, synchronous and
 * not, adapters with few slots, drafts, one to four pipeline stages. Every time of
 * every request must be the same.
 */
#include "base/rng.h"
#include "sim/replica.h"
#include "tests/harness.h"
#include "tests/prop/naive_engine.h"

#include <stdlib.h>

enum { SEEDS = 2500, SEGMENTS_MAX = 8, LAYERS = 7 };

struct load_case {
    struct engine_config engine;
    struct adapter_costs adapters; /* count 0: the base model alone */
    struct adapter_cost adapter[NAIVE_ADAPTERS];
    uint32_t kv_blocks;
    uint32_t count;
    struct trace_record record[NAIVE_REQUESTS];
    struct segment segment[NAIVE_REQUESTS][SEGMENTS_MAX];
};

static uint32_t draw(struct rng *rng, uint32_t low, uint32_t high)
{
    return low + (uint32_t)rng_below(rng, (uint64_t)high - low + 1);
}

static bool coin(struct rng *rng)
{
    return rng_below(rng, 2) == 1;
}

/* Half of them fcfs: what the others break, they share. */
static void draw_order(struct rng *rng, struct engine_config *engine)
{
    static const char *const names[] = {"fcfs", "priority", "shortest_prefill_first",
                                        "earliest_deadline"};
    const uint64_t which = rng_below(rng, 8);
    engine->order = order_policy_find(names[which < 4 ? which : 0]);
    for (uint32_t i = 0; i < ORDER_PARAMS_MAX; i++) {
        engine->order_values[i] = (double)draw(rng, 0, 3000) / 1000;
    }
}

static void draw_engine(struct rng *rng, struct load_case *load)
{
    static const uint32_t sizes[] = {1, 2, 4, 16};
    struct engine_config *engine = &load->engine;
    const uint32_t model_len = draw(rng, 24, 160);
    *engine = (struct engine_config){
        .compat = coin(rng) ? ENGINE_HEAD : ENGINE_V085,
        .tensor_parallel = 1,
        .max_num_seqs = draw(rng, 1, 12),
        .max_model_len = model_len,
        .block_tokens = sizes[rng_below(rng, 4)],
        .prefix_caching = rng_below(rng, 4) > 0,
        .chunked_prefill = rng_below(rng, 4) > 0,
        .reserve_full_isl = coin(rng),
        .async_scheduling = coin(rng),
        .long_prefill_token_threshold = rng_below(rng, 4) == 0 ? draw(rng, 1, 30) : 0,
    };
    draw_order(rng, engine);
    plan_split(&engine->parallel,
               rng_below(rng, 5) > 1 ? 1 : draw(rng, 2, NAIVE_STAGES), LAYERS);
    engine->max_num_batched_tokens =
        engine->chunked_prefill ? draw(rng, engine->max_num_seqs, 80) : model_len;
    const uint32_t least =
        (model_len - 1 + engine->block_tokens - 1) / engine->block_tokens + 1;
    load->kv_blocks = least + draw(rng, 0, least);
    load->kv_blocks = load->kv_blocks < NAIVE_BLOCKS ? load->kv_blocks : NAIVE_BLOCKS;
}

/* Half of the engines have adapters, few slots, and loads from a part of a step's time
 * to many steps'. */
static void draw_adapters(struct rng *rng, struct load_case *load)
{
    struct engine_config *engine = &load->engine;
    load->adapters = (struct adapter_costs){.adapter = load->adapter};
    if (coin(rng) || engine->parallel.stages > 1) {
        return;
    }
    load->adapters.count = draw(rng, 1, NAIVE_ADAPTERS);
    load->adapters.launch_s = coin(rng) ? 0.0 : 2e-6;
    load->adapters.byte_s = 1e-12;
    load->adapters.rank_token_s = 1e-8;
    for (uint32_t i = 0; i < load->adapters.count; i++) {
        load->adapter[i] = (struct adapter_cost){
            .fetch_ns = coin(rng) ? 0 : draw(rng, 1, 400000),
            .read_ns = draw(rng, 0, 100000),
            .copy_ns = draw(rng, 0, 9000),
            .warm_ns = draw(rng, 0, 20000),
            .gpu_bytes = draw(rng, 1, 4000000),
            .rank = 1U << draw(rng, 0, 6),
        };
    }
    engine->lora = (struct lora_config){.enabled = true, .max_loras = draw(rng, 1, 3)};
    engine->lora.max_cpu_loras = engine->lora.max_loras + draw(rng, 0, 3);
}

/* A third of the engines without stages speculate, some without ever being wrong, or
 * right. */
static void draw_speculation(struct rng *rng, struct engine_config *engine)
{
    struct speculation_config *config = &engine->speculation;
    if (rng_below(rng, 3) > 0 || engine->parallel.stages > 1) {
        return;
    }
    config->tokens = draw(rng, 1, 5);
    for (uint32_t i = 0; i < config->tokens; i++) {
        config->acceptance[i] = (double)rng_below(rng, 5) / 4;
    }
    config->lookahead = coin(rng) ? config->tokens : 0;
    config->drops_block = coin(rng);
    config->draft_ns = draw(rng, 0, 3000);
    config->draft_sequence_ns = draw(rng, 0, 50);
}

/* A prompt: the history of an earlier request with its output, or a shared prefix, then
 * private tokens. */
static void draw_prompt(struct rng *rng, struct load_case *load, uint32_t i)
{
    struct trace_record *record = &load->record[i];
    struct segment *segments = load->segment[i];
    uint32_t count = 0;
    uint32_t room = load->engine.max_model_len - 1;
    const uint64_t kind = rng_below(rng, 4);
    if (kind < 2 && i > 0) {
        const uint32_t before = draw(rng, i > 6 ? i - 6 : 0, i - 1);
        const struct trace_record *parent = &load->record[before];
        const uint32_t quoted = draw(rng, 1, parent->output_tokens);
        if (parent->segment_count + 2 < SEGMENTS_MAX &&
            parent->prompt_tokens + quoted < room) {
            memcpy(segments, parent->segments,
                   parent->segment_count * sizeof(struct segment));
            count = parent->segment_count;
            segments[count++] = (struct segment){
                .stream = segment_stream(SEGMENT_OUTPUT, parent->id), .tokens = quoted};
            room -= parent->prompt_tokens + quoted;
        }
    } else if (kind == 2) {
        const uint32_t shared = draw(rng, 1, room / 2);
        segments[count++] =
            (struct segment){.stream = segment_stream(SEGMENT_TEXT, rng_below(rng, 2)),
                             .tokens = shared};
        room -= shared;
    }
    if (count == 0 || (room > 0 && rng_below(rng, 4) > 0)) {
        segments[count++] =
            (struct segment){.stream = segment_stream(SEGMENT_UNIQUE, record->id),
                             .tokens = draw(rng, 1, room > 60 ? 60 : room)};
    }
    record->segment_count = (uint32_t)segment_normalise(segments, count);
    record->segments = segments;
    record->prompt_tokens = (uint32_t)segment_tokens(segments, record->segment_count);
}

/* Most of those whose prompts are computed whole have steps of their own for them. */
static void draw_prompts_first(uint64_t seed, struct engine_config *engine)
{
    struct rng rng;
    rng_init(&rng, seed, "prop_engine/prompts_first", 0);
    engine->prompts_first = rng_below(&rng, 4) > 0 && !engine->chunked_prefill &&
                            engine->long_prefill_token_threshold == 0 &&
                            !engine->lora.enabled && engine->speculation.tokens == 0 &&
                            plan_stages(&engine->parallel) == 1;
}

static void draw_load(struct rng *rng, struct load_case *load)
{
    static const char *const names[NAIVE_ADAPTERS] = {"a0", "a1", "a2", "a3",
                                                      "a4", "a5", "a6", "a7"};
    draw_engine(rng, load);
    draw_adapters(rng, load);
    draw_speculation(rng, &load->engine);
    if (load->engine.speculation.lookahead > 0) {
        load->kv_blocks++; /* or a lone request of full length comes back for ever */
    }
    load->count = draw(rng, 1, 40);
    int64_t now_ns = 0;
    const uint64_t pace = draw(rng, 1, 40);
    for (uint32_t i = 0; i < load->count; i++) {
        struct trace_record *record = &load->record[i];
        now_ns += (int64_t)(rng_below(rng, 3) == 0 ? 0 : rng_below(rng, pace * 1000));
        *record = (struct trace_record){
            .id = i + 1,
            .arrival_ns = now_ns,
            .priority = (int32_t)rng_below(rng, 3) - 1,
        };
        draw_prompt(rng, load, i);
        if (load->adapters.count > 0 && rng_below(rng, 4) > 0) {
            record->adapter = names[rng_below(rng, load->adapters.count)];
        }
        const uint32_t room = load->engine.max_model_len - record->prompt_tokens;
        record->output_tokens = draw(rng, 1, room > 40 ? 40 : room);
    }
}

/* ---- the real one ---- */

struct watch {
    struct request_outcome outcome[NAIVE_REQUESTS + 1]; /* by record id */
    struct request_table *table;
    struct adapter_stats adapters;
    struct speculation_stats speculation;
    uint32_t ended;
};

static void saw_first_token(void *context, struct request *request, int64_t now_ns)
{
    (void)context;
    CHECK(request->first_token_ns == now_ns, "first token at another time");
}

static void saw_end(void *context, struct request *request, int64_t now_ns,
                    enum outcome_status status)
{
    struct watch *watch = context;
    watch->outcome[request->record_id] = (struct request_outcome){
        .status = status,
        .queued_ns = request->queued_ns,
        .scheduled_ns = request->scheduled_ns,
        .first_token_ns = request->first_token_ns,
        .end_ns = now_ns,
        .cached_tokens = request->cached_tokens,
        .preemptions = request->preemptions,
        .recomputed_tokens = request->recomputed_tokens,
        .aside_ns = request->aside_ns,
    };
    watch->ended++;
    request_table_remove(watch->table, request);
}

static uint32_t real_run(const struct load_case *load, const struct cost *cost,
                         bool step_by_step, struct watch *watch)
{
    *watch = (struct watch){.table = request_table_new()};
    const struct replica_setup setup = {
        .engine = &load->engine,
        .cost = cost,
        .kv_blocks = load->kv_blocks,
        .seed = 5,
        .table = watch->table,
        .events = {watch, saw_first_token, saw_end},
        .adapters = load->adapters.count > 0 ? &load->adapters : NULL,
        .step_by_step = step_by_step,
    };
    struct replica *replica = replica_new(&setup);
    for (uint32_t next = 0;;) {
        const int64_t step_ns = replica_next_ns(replica);
        if (next == load->count && step_ns == INT64_MAX) {
            break;
        }
        if (next == load->count || step_ns <= load->record[next].arrival_ns) {
            replica_step_done(replica);
        } else {
            const struct trace_record *record = &load->record[next++];
            struct request *request = request_table_add(
                watch->table, record, record->output_tokens,
                load->engine.prefix_caching ? load->engine.block_tokens : 0);
            request->adapter = naive_adapter(record);
            replica_submit(replica, request, record->arrival_ns);
        }
        replica_check(replica);
    }
    const uint32_t steps = (uint32_t)replica_stats(replica)->steps;
    watch->adapters = replica_stats(replica)->adapters;
    watch->speculation = replica_stats(replica)->speculation;
    replica_delete(replica);
    request_table_delete(watch->table);
    return steps;
}

static bool same_outcomes(const struct load_case *load, const struct watch *watch,
                          const struct naive_engine *naive)
{
    bool same =
        EXPECT_U64(watch->ended, load->count) &&
        EXPECT_U64(watch->adapters.loads, naive->adapters.loads) &&
        EXPECT_I64(watch->adapters.stall_ns, naive->adapters.stall_ns) &&
        EXPECT_U64(watch->speculation.drafts, naive->speculation.drafts) &&
        EXPECT_U64(watch->speculation.draft_tokens, naive->speculation.draft_tokens) &&
        EXPECT_U64(watch->speculation.accepted_tokens,
                   naive->speculation.accepted_tokens);
    for (uint32_t i = 0; i < load->count && same; i++) {
        const struct request_outcome *got = &watch->outcome[i + 1];
        const struct request_outcome *want = &naive->request[i].outcome;
        harness_note("request %u of %u", i + 1, load->count);
        same = EXPECT_I64(got->queued_ns, want->queued_ns) &&
               EXPECT_I64(got->scheduled_ns, want->scheduled_ns) &&
               EXPECT_U64(got->cached_tokens, want->cached_tokens) &&
               EXPECT_U64(got->preemptions, want->preemptions) &&
               EXPECT_U64(got->recomputed_tokens, want->recomputed_tokens) &&
               EXPECT_I64(got->aside_ns, want->aside_ns) &&
               EXPECT_I64(got->first_token_ns, want->first_token_ns) &&
               EXPECT_I64(got->end_ns, want->end_ns);
    }
    return same;
}

static struct cost *cost_linear(const struct engine_config *engine)
{
    static const char text[] = "model: linear\n"
                               "step: 7us\n"
                               "per_decode: 311ns\n"
                               "per_context_token: 3ns\n"
                               "per_chunk_token: 97ns\n";
    struct err err = {0};
    struct conf *conf = NULL;
    struct cost *cost = NULL;
    REQUIRE_OK(conf_parse(&conf, "cost", text, sizeof(text) - 1, &err), &err);
    struct gpu_spec gpu = {
        .name = "none", .link_latency_s = 1e-6, .link_bytes_per_s = 1e9};
    struct model_spec model = {.name = "none", .layers = LAYERS, .hidden = 16};
    const struct cost_setup setup = {
        .gpu = &gpu, .model = &model, .engine = engine, .map = conf_root(conf)};
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    conf_delete(conf);
    return cost;
}

static uint64_t preempted_cases;
static uint64_t hit_cases;
static uint64_t load_cases;          /* more loads than adapters: some were put out */
static uint64_t right_cases;         /* drafts were right */
static uint64_t aside_cases;         /* requests waited for a slot */
static uint64_t prompts_first_cases; /* where somebody was preempted */
static uint64_t pipelined_cases;     /* the same */
static uint64_t overlapping_cases;   /* stages worked at the same time */

static bool seed_agrees(uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, "prop_engine", 0);
    struct load_case *load = mem_alloc(1, sizeof(*load));
    draw_load(&rng, load);
    draw_prompts_first(seed, &load->engine);
    struct cost *cost = cost_linear(&load->engine);
    struct naive_engine *naive = naive_new(&load->engine, cost, load->kv_blocks);
    naive->adapters.costs = load->adapters.count > 0 ? &load->adapters : NULL;
    naive->speculation_key = speculation_key(5);
    naive_run(naive, load->record, load->count);
    struct watch *watch = mem_alloc(1, sizeof(*watch));
    harness_note("seed %llu, step by step", (unsigned long long)seed);
    bool same = EXPECT_U64(real_run(load, cost, true, watch), naive->formed) &&
                same_outcomes(load, watch, naive);
    if (same) {
        harness_note("seed %llu, decode runs", (unsigned long long)seed);
        same = EXPECT_U64(real_run(load, cost, false, watch), naive->formed) &&
               same_outcomes(load, watch, naive);
    }
    preempted_cases += naive->preemptions > 0 ? 1 : 0;
    load_cases += naive->adapters.loads > load->adapters.count ? 1 : 0;
    right_cases += naive->speculation.accepted_tokens > 0 ? 1 : 0;
    prompts_first_cases += load->engine.prompts_first && naive->preemptions > 0 ? 1 : 0;
    if (naive_stages(naive) > 1) {
        pipelined_cases += naive->preemptions > 0 ? 1 : 0;
        overlapping_cases += naive->stage_busy[0] + naive->stage_busy[1] >
                                     naive->start_ns * COST_FX_PER_NS
                                 ? 1
                                 : 0;
    }
    bool hit = false;
    bool aside = false;
    for (uint32_t i = 0; i < load->count; i++) {
        hit = hit || naive->request[i].outcome.cached_tokens > 0;
        aside = aside || naive->request[i].outcome.aside_ns > 0;
    }
    hit_cases += hit ? 1 : 0;
    aside_cases += aside ? 1 : 0;
    mem_free(watch);
    mem_free(naive);
    cost_delete(cost);
    mem_free(load);
    return same;
}

static void engine_agrees_with_the_naive_one(void)
{
    const char *only = getenv("STACKSIM_SEED");
    if (only != NULL) {
        seed_agrees(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (!seed_agrees(seed)) {
            return;
        }
    }
    /* The cases must be of the hard kind, or the test shows nothing. */
    EXPECT(preempted_cases > SEEDS / 5);
    EXPECT(hit_cases > SEEDS / 5);
    EXPECT(load_cases > SEEDS / 8);
    EXPECT(aside_cases > SEEDS / 8);
    EXPECT(right_cases > SEEDS / 10);
    EXPECT(prompts_first_cases > SEEDS / 100);
    EXPECT(pipelined_cases > SEEDS / 10);
    EXPECT(overlapping_cases > SEEDS / 20);
}

HARNESS_MAIN("engine", TEST(engine_agrees_with_the_naive_one))
