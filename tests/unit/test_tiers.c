/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tiers.c: tiers worked out by hand. A chunk is 256 tokens and 1,000 bytes; host
 * memory moves one in 1 ms, the disk in 2 ms, an engine's card in 4 ms and the cache
 * server's in 3 ms; latencies are 10, 20 and 40 us.
 */
#include "base/check.h"
#include "sim/replica.h"
#include "tests/harness.h"

#include <string.h>

enum { CHUNKS_MAX = 16 };
static const int64_t ms = 1000000;
static const int64_t us = 1000;

struct prompt {
    uint64_t keys[CHUNKS_MAX];
    uint32_t places[CHUNKS_MAX];
    struct tier_sequence sequence;
};

static struct tiers_config plain(uint64_t cpu_chunks)
{
    return (struct tiers_config){
        .present = true,
        .chunk_tokens = 256,
        .tiers = {[TIER_CPU] = {true, cpu_chunks * 1000, 1e6, 1e6, 10 * us}},
    };
}

static struct tiers_config with_disk(uint64_t cpu_chunks, uint64_t disk_chunks)
{
    struct tiers_config config = plain(cpu_chunks);
    config.tiers[TIER_DISK] =
        (struct tier_spec){true, disk_chunks * 1000, 5e5, 5e5, 20 * us};
    return config;
}

static struct tiers_config with_remote(uint64_t cpu_chunks)
{
    struct tiers_config config = plain(cpu_chunks);
    config.tiers[TIER_REMOTE] = (struct tier_spec){true, 0, 250e3, 250e3, 40 * us};
    return config;
}

static struct cache_server *server_open(uint64_t chunks)
{
    const struct cache_server_config config = {true, chunks * 1000, 1e6 / 3};
    return cache_server_new(&config);
}

static struct tiers *open_with(const struct tiers_config *config,
                               struct cache_server *server, uint64_t salt)
{
    const struct tiers_setup setup = {.config = config,
                                      .chunk_bytes = 1000,
                                      .rank_bytes = 1000,
                                      .salt = salt,
                                      .server = server};
    return tiers_new(&setup);
}

static struct tiers *open_tiers(struct tiers_config config)
{
    return open_with(&config, NULL, 0);
}

static void prompt_init(struct prompt *prompt, uint64_t text, uint32_t chunks)
{
    memset(prompt, 0, sizeof *prompt);
    for (uint32_t i = 0; i < chunks; i++) {
        prompt->keys[i] = text * 1000 + i + 1;
    }
    prompt->sequence = (struct tier_sequence){
        .keys = prompt->keys, .places = prompt->places, .count = chunks};
}

/* Computes the first `tokens` of a text in one step that ends at now_ns; returns how
 * much longer that made it. */
static int64_t compute(struct tiers *tiers, uint64_t text, uint32_t tokens,
                       int64_t now_ns)
{
    struct prompt prompt;
    prompt_init(&prompt, text, tokens / 256);
    const int64_t longer_ns = tiers_save(tiers, &prompt.sequence, tokens, now_ns, 1);
    tiers_step_ended(tiers, 1, now_ns);
    tiers_check(tiers);
    return longer_ns;
}

/* Leading tokens of a text that are found; pins nothing in the end. */
static uint32_t found(struct tiers *tiers, uint64_t text, uint32_t tokens,
                      int64_t now_ns)
{
    struct prompt prompt;
    prompt_init(&prompt, text, tokens / 256);
    const uint32_t hit = tiers_look_up(tiers, &prompt.sequence, tokens, now_ns);
    tiers_forget(tiers, &prompt.sequence);
    return hit;
}

/* How long it takes to load a text behind its first `local` tokens; 0: nothing is. */
static int64_t load(struct tiers *tiers, uint64_t text, uint32_t tokens, uint32_t local,
                    int64_t now_ns)
{
    struct prompt prompt;
    prompt_init(&prompt, text, tokens / 256);
    const uint32_t hit = tiers_look_up(tiers, &prompt.sequence, tokens, now_ns);
    const int64_t end_ns =
        hit > local ? tiers_load(tiers, &prompt.sequence, local, hit, now_ns) : now_ns;
    tiers_forget(tiers, &prompt.sequence);
    tiers_check(tiers);
    return end_ns - now_ns;
}

static struct tiers_stats stats_of(const struct tiers *tiers)
{
    struct tiers_stats stats;
    tiers_stats_read(tiers, &stats);
    return stats;
}

/* Vector 12 of spec/vllm-engine.md 11: 1,000 tokens, chunks 0 to 2 are there. */
static void a_hit_behind_the_local_one_is_loaded(void)
{
    struct tiers *tiers = open_tiers(plain(10));
    EXPECT_I64(compute(tiers, 1, 768, 0), 3 * ms + 10 * us);
    EXPECT_U64(found(tiers, 1, 1000, 0), 768);
    EXPECT_I64(load(tiers, 1, 1000, 512, 0), ms + 10 * us);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].hit_tokens, 256);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].load_bytes, 1000);
    EXPECT_I64(load(tiers, 1, 1000, 800, 10 * ms), 0);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].hit_tokens, 256);
    /* In mid-chunk: the whole of it comes, 240 tokens of it are new. */
    EXPECT_I64(load(tiers, 1, 1000, 528, 20 * ms), ms + 10 * us);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].hit_tokens, 256 + 240);
    tiers_delete(tiers);
}

static void a_chunk_that_is_not_full_is_no_hit(void)
{
    struct tiers *tiers = open_tiers(plain(10));
    EXPECT_I64(compute(tiers, 1, 255, 0), 0);
    EXPECT_U64(found(tiers, 1, 255, 0), 0);
    compute(tiers, 1, 500, 0);
    EXPECT_U64(found(tiers, 1, 500, 0), 256);
    tiers_delete(tiers);
}

static void of_a_whole_prompt_one_token_is_computed(void)
{
    struct tiers *tiers = open_tiers(plain(10));
    compute(tiers, 1, 512, 0);
    EXPECT_U64(found(tiers, 1, 512, 0), 511);
    EXPECT_I64(load(tiers, 1, 512, 256, 0), ms + 10 * us);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].hit_tokens, 255);
    tiers_delete(tiers);
}

static void a_gap_ends_the_hit(void)
{
    struct tiers *tiers = open_tiers(plain(10));
    struct prompt prompt;
    compute(tiers, 1, 1024, 0);
    prompt_init(&prompt, 1, 4);
    prompt.keys[1] = 77;
    EXPECT_U64(tiers_look_up(tiers, &prompt.sequence, 1024, 0), 256);
    tiers_forget(tiers, &prompt.sequence);
    tiers_delete(tiers);
}

static void chunks_of_a_step_under_way_are_no_hits_and_not_saved_twice(void)
{
    struct tiers *tiers = open_tiers(plain(10));
    struct prompt first;
    struct prompt second;
    prompt_init(&first, 1, 2);
    prompt_init(&second, 1, 3);
    EXPECT_I64(tiers_save(tiers, &first.sequence, 512, 0, 7), 2 * ms + 10 * us);
    EXPECT_U64(found(tiers, 1, 768, 0), 0);
    EXPECT_I64(tiers_save(tiers, &second.sequence, 768, 0, 7), ms + 10 * us);
    EXPECT_I64(tiers_save(tiers, &second.sequence, 768, 0, 8), 0);
    tiers_step_ended(tiers, 6, 5 * ms);
    EXPECT_U64(found(tiers, 1, 768, 5 * ms), 0);
    tiers_step_ended(tiers, 7, 6 * ms);
    EXPECT_U64(found(tiers, 1, 769, 6 * ms), 768);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].save_bytes, 3000);
    tiers_delete(tiers);
}

static void the_chunk_longest_unused_leaves(void)
{
    struct tiers *tiers = open_tiers(plain(4));
    compute(tiers, 1, 512, 0);
    compute(tiers, 2, 512, 0);
    EXPECT_U64(found(tiers, 1, 600, 0), 512); /* touched, its end first */
    compute(tiers, 3, 256, 0);
    EXPECT_U64(found(tiers, 2, 600, 0), 0); /* its start had to go */
    EXPECT_U64(found(tiers, 1, 600, 0), 512);
    compute(tiers, 4, 512, 0); /* the rest of 2, then 3 */
    EXPECT_U64(found(tiers, 3, 600, 0), 0);
    EXPECT_U64(found(tiers, 1, 600, 0), 512);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].evictions, 3);
    EXPECT_U64(stats_of(tiers).tiers[TIER_CPU].held_bytes, 4000);
    tiers_delete(tiers);
}

static void what_somebody_reads_does_not_leave(void)
{
    struct tiers *tiers = open_tiers(plain(2));
    struct prompt prompt;
    compute(tiers, 1, 512, 0);
    prompt_init(&prompt, 1, 2);
    EXPECT_U64(tiers_look_up(tiers, &prompt.sequence, 600, 0), 512);
    EXPECT_I64(compute(tiers, 2, 256, 0), 0); /* there is no room */
    EXPECT_U64(stats_of(tiers).dropped_chunks, 1);
    EXPECT_I64(tiers_load(tiers, &prompt.sequence, 0, 512, 0), 2 * ms + 10 * us);
    EXPECT_I64(compute(tiers, 2, 256, ms), 0); /* it is being read */
    EXPECT_U64(stats_of(tiers).dropped_chunks, 2);
    EXPECT_I64(compute(tiers, 2, 256, 3 * ms), ms + 10 * us);
    tiers_forget(tiers, &prompt.sequence);
    tiers_delete(tiers);
}

static void a_hit_below_is_copied_up(void)
{
    struct tiers *tiers = open_tiers(with_disk(1, 10));
    compute(tiers, 1, 512, 0); /* host memory has room for the first chunk only */
    EXPECT_U64(found(tiers, 1, 600, 0), 256);
    EXPECT_U64(stats_of(tiers).dropped_chunks, 1);
    compute(tiers, 2, 256, 10 * ms); /* and now for this one */
    /* Written to disk in 2 ms + 20 us; read from there, then over PCIe. */
    EXPECT_I64(load(tiers, 1, 300, 0, 20 * ms), 2 * ms + 20 * us + ms + 10 * us);
    EXPECT_I64(load(tiers, 1, 300, 0, 30 * ms), ms + 10 * us);
    const struct tiers_stats stats = stats_of(tiers);
    EXPECT_U64(stats.tiers[TIER_DISK].hit_tokens, 256);
    EXPECT_U64(stats.tiers[TIER_CPU].hit_tokens, 256);
    EXPECT_U64(stats.tiers[TIER_DISK].save_bytes, 2000);
    EXPECT_I64(stats.tiers[TIER_DISK].load_ns, 2 * ms + 20 * us);
    EXPECT_I64(stats.tiers[TIER_CPU].load_ns, 2 * ms + 20 * us);
    tiers_delete(tiers);
}

static void a_disk_writes_one_chunk_after_the_other(void)
{
    struct tiers *tiers = open_tiers(with_disk(0, 10)); /* memory is only on the way */
    EXPECT_I64(compute(tiers, 1, 512, 0), 2 * ms + 10 * us);
    EXPECT_U64(found(tiers, 1, 600, 2 * ms + 20 * us - 1), 0);
    EXPECT_U64(found(tiers, 1, 600, 2 * ms + 20 * us), 256);
    EXPECT_U64(found(tiers, 1, 600, 4 * ms + 20 * us - 1), 256);
    EXPECT_U64(found(tiers, 1, 600, 4 * ms + 20 * us), 512);
    tiers_delete(tiers);
}

/* The engine's card is the slower one: 4 ms. The server's is free for others after
 * three of them. */
static void a_cache_server_is_shared_and_serves_in_turn(void)
{
    struct cache_server *server = server_open(2);
    const struct tiers_config config = with_remote(10);
    struct tiers *a = open_with(&config, server, 1);
    struct tiers *b = open_with(&config, server, 1);
    struct tiers *c = open_with(&config, server, 1);
    struct tiers *other = open_with(&config, server, 2);
    compute(a, 1, 256, 0);
    EXPECT_U64(found(b, 1, 300, 4 * ms + 40 * us - 1), 0);
    EXPECT_U64(found(b, 1, 300, 4 * ms + 40 * us), 256);
    EXPECT_U64(found(other, 1, 300, 10 * ms), 0); /* of another model */
    EXPECT_I64(load(b, 1, 300, 0, 10 * ms), 4 * ms + 40 * us + ms + 10 * us);
    EXPECT_I64(load(c, 1, 300, 0, 10 * ms), 3 * ms + 4 * ms + 40 * us + ms + 10 * us);
    EXPECT_I64(load(b, 1, 300, 0, 20 * ms), ms + 10 * us); /* copied up */
    compute(b, 2, 512, 30 * ms); /* the server has room for two */
    EXPECT_U64(stats_of(b).tiers[TIER_REMOTE].evictions, 1);
    tiers_delete(a);
    tiers_delete(b);
    tiers_delete(c);
    tiers_delete(other);
    cache_server_delete(server);
}

static void roles_read_or_write(void)
{
    struct cache_server *server = server_open(2);
    struct tiers_config config = with_remote(10);
    config.role = TIERS_PRODUCER;
    struct tiers *producer = open_with(&config, server, 0);
    config.role = TIERS_CONSUMER;
    struct tiers *consumer = open_with(&config, server, 0);
    EXPECT_I64(compute(producer, 1, 256, 0), ms + 10 * us);
    EXPECT_U64(found(producer, 1, 300, 10 * ms), 0);
    EXPECT_I64(compute(consumer, 2, 256, 0), 0);
    EXPECT_U64(found(consumer, 2, 300, 10 * ms), 0);
    EXPECT_U64(found(consumer, 1, 300, 10 * ms), 256);
    tiers_delete(producer);
    tiers_delete(consumer);
    cache_server_delete(server);
}

/* vLLM's own connector: no step gets longer, copies follow one another beside them. */
static void offloading_saves_beside_the_steps(void)
{
    struct tiers_config config = plain(10);
    config.connector = CONNECTOR_OFFLOADING;
    config.async_load = true;
    struct tiers *tiers = open_tiers(config);
    EXPECT_I64(compute(tiers, 1, 512, 0), 0);
    EXPECT_U64(found(tiers, 1, 600, ms + 10 * us - 1), 0);
    EXPECT_U64(found(tiers, 1, 600, ms + 10 * us), 256);
    EXPECT_U64(found(tiers, 1, 600, 2 * ms + 10 * us), 512);
    struct prompt prompt;
    prompt_init(&prompt, 2, 1);
    tiers_store(tiers, &prompt.sequence, 300, 10 * ms); /* of outputs, at the end */
    EXPECT_U64(found(tiers, 2, 300, 11 * ms + 10 * us - 1), 0);
    EXPECT_U64(found(tiers, 2, 300, 11 * ms + 10 * us), 256);
    tiers_delete(tiers);
}

static void an_estimate_is_a_load_with_all_devices_free(void)
{
    struct tiers *tiers = open_tiers(with_disk(1, 10));
    struct prompt prompt;
    compute(tiers, 1, 256, 0);
    compute(tiers, 2, 256, 10 * ms);
    prompt_init(&prompt, 1, 1);
    EXPECT_U64(tiers_look_up(tiers, &prompt.sequence, 300, 20 * ms), 256);
    EXPECT_I64(tiers_load_estimate(tiers, &prompt.sequence, 0), 3 * ms + 30 * us);
    tiers_decline(tiers, &prompt.sequence);
    EXPECT_U64(stats_of(tiers).tiers[TIER_DISK].load_bytes, 0);
    tiers_delete(tiers);
}

struct told {
    uint32_t stored;
    uint32_t gone;
    uint64_t last;
};

static void on_chunk(void *context, uint64_t key, bool stored)
{
    struct told *told = context;
    told->stored += stored ? 1 : 0;
    told->gone += stored ? 0 : 1;
    told->last = key;
}

static void a_controller_hears_of_a_chunk_once_in_and_once_out(void)
{
    struct told told = {0};
    const struct tiers_listener listener = {&told, on_chunk};
    const struct tiers_config config = with_disk(1, 2);
    const struct tiers_setup setup = {.config = &config,
                                      .chunk_bytes = 1000,
                                      .rank_bytes = 1000,
                                      .listener = &listener};
    struct tiers *tiers = tiers_new(&setup);
    compute(tiers, 1, 256, 0); /* in memory and on disk */
    EXPECT_U64(told.stored, 1);
    compute(tiers, 2, 256, 10 * ms); /* 1 leaves memory, stays on disk */
    EXPECT_U64(told.stored, 2);
    EXPECT_U64(told.gone, 0);
    compute(tiers, 3, 256, 20 * ms); /* 2 leaves memory, 1 the disk */
    EXPECT_U64(told.gone, 1);
    EXPECT_U64(told.last, 3001);
    load(tiers, 2, 300, 0, 30 * ms); /* up again: no news */
    EXPECT_U64(told.stored, 3);
    tiers_delete(tiers);
}

/* ---- in an engine ---------------------------------------------------------------- */

/* A step takes 1 ms and 1 us for each token of a chunk in it, a block 16 tokens. */
struct bench {
    struct engine_config engine;
    struct cost *cost;
    struct request_table *table;
    struct replica *replica;
    struct tiers *tiers;
    struct segment segment[8];
    int64_t first_token_ns[8]; /* by record id */
    int64_t end_ns[8];
    int64_t last_ns; /* of them */
    uint32_t cached[8];
    uint32_t loaded[8];
    struct request *waits; /* for a load beside the steps */
    int64_t here_ns;
};

static void saw_first_token(void *context, struct request *request, int64_t now_ns)
{
    struct bench *bench = context;
    bench->first_token_ns[request->record_id] = now_ns;
}

static void saw_end(void *context, struct request *request, int64_t now_ns,
                    enum outcome_status status)
{
    struct bench *bench = context;
    CHECK(status == OUTCOME_COMPLETED, "status %d", (int)status);
    bench->end_ns[request->record_id] = now_ns;
    bench->last_ns = now_ns;
    bench->cached[request->record_id] = request->cached_tokens;
    bench->loaded[request->record_id] = request->tier_tokens;
    request_table_remove(bench->table, request);
}

static void saw_load(void *context, struct request *request, int64_t here_ns)
{
    struct bench *bench = context;
    bench->waits = request;
    bench->here_ns = here_ns;
}

static void bench_open(struct bench *bench, const struct tiers_config *config,
                       bool prefix_caching)
{
    static const char text[] = "{model: linear, step: 1ms, per_chunk_token: 1us}";
    struct err err = {0};
    struct conf *conf = NULL;
    *bench = (struct bench){.engine = {.compat = ENGINE_V010,
                                       .tensor_parallel = 1,
                                       .max_num_seqs = 64,
                                       .max_num_batched_tokens = 2048,
                                       .max_model_len = 100000,
                                       .block_tokens = 16,
                                       .prefix_caching = prefix_caching,
                                       .chunked_prefill = true}};
    REQUIRE_OK(conf_parse(&conf, "cost", text, sizeof text - 1, &err), &err);
    const struct gpu_spec gpu = {.name = "none"};
    const struct model_spec model = {.name = "none"};
    const struct cost_setup cost = {
        .gpu = &gpu, .model = &model, .engine = &bench->engine, .map = conf_root(conf)};
    REQUIRE_OK(cost_new(&bench->cost, &cost, &err), &err);
    conf_delete(conf);
    bench->table = request_table_new();
    bench->tiers = open_tiers(*config);
    const struct replica_setup setup = {
        .engine = &bench->engine,
        .cost = bench->cost,
        .kv_blocks = 1000,
        .table = bench->table,
        .events = {bench, saw_first_token, saw_end},
        .legs = {.context = bench, .on_tier_load = saw_load},
        .tiers = bench->tiers,
    };
    bench->replica = replica_new(&setup);
}

static void bench_close(struct bench *bench)
{
    replica_delete(bench->replica);
    tiers_delete(bench->tiers);
    request_table_delete(bench->table);
    cost_delete(bench->cost);
}

/* text: the stream that the prompt is the start of; all come when the last ended. */
static void submit(struct bench *bench, uint64_t id, uint64_t text, uint32_t prompt,
                   uint32_t output)
{
    bench->segment[id] = (struct segment){.stream = segment_stream(SEGMENT_TEXT, text),
                                          .tokens = prompt};
    const struct trace_record record = {.id = id,
                                        .prompt_tokens = prompt,
                                        .output_tokens = output,
                                        .segment_count = 1,
                                        .segments = &bench->segment[id]};
    struct request *request = request_table_add(bench->table, &record, output,
                                                bench->engine.prefix_caching ? 16 : 0);
    request_table_chunk(bench->table, request, &record, 16, 16);
    replica_submit(bench->replica, request, bench->last_ns);
}

static void run_out(struct bench *bench)
{
    for (;;) {
        const int64_t step_ns = replica_next_ns(bench->replica);
        if (bench->waits != NULL && bench->here_ns <= step_ns) {
            struct request *request = bench->waits;
            bench->waits = NULL;
            replica_kv_arrived(bench->replica, request, bench->here_ns);
        } else if (step_ns == INT64_MAX) {
            return;
        } else {
            replica_step_done(bench->replica);
        }
        replica_check(bench->replica);
    }
}

/* 1,000 tokens: 1 ms + 1,000 us, and three chunks are saved in 3 ms + 10 us. Again
 * without a cache of the engine's own: three chunks come in 3 ms + 10 us, 232 tokens
 * are computed, nothing is new. Two more output tokens in between: 1 ms each. */
static void the_batch_waits_for_what_one_request_loads(void)
{
    struct bench bench;
    const struct tiers_config config = plain(10);
    bench_open(&bench, &config, false);
    submit(&bench, 1, 1, 1000, 1);
    run_out(&bench);
    const int64_t computed_ns = ms + 1000 * us + 3 * ms + 10 * us;
    EXPECT_I64(bench.first_token_ns[1], computed_ns);
    submit(&bench, 2, 2, 100, 3);
    const int64_t other_ns = computed_ns + ms + 100 * us;
    submit(&bench, 3, 1, 1000, 1);
    run_out(&bench);
    EXPECT_I64(bench.first_token_ns[2], other_ns);
    /* The step that admits 3 also gives 2 its second token: both wait. */
    const int64_t loaded_ns = other_ns + 3 * ms + 10 * us + ms + 232 * us;
    EXPECT_I64(bench.first_token_ns[3], loaded_ns);
    EXPECT_I64(bench.end_ns[2], loaded_ns + ms);
    EXPECT_U64(bench.loaded[3], 768);
    EXPECT_U64(bench.cached[3], 0);
    EXPECT_I64(stats_of(bench.tiers).stall_ns, 2 * (3 * ms + 10 * us));
    bench_close(&bench);
}

static void beside_the_steps_only_one_request_waits(void)
{
    struct bench bench;
    struct tiers_config config = plain(10);
    config.async_load = true;
    bench_open(&bench, &config, false);
    submit(&bench, 1, 1, 1000, 1);
    run_out(&bench);
    const int64_t computed_ns = ms + 1000 * us + 3 * ms + 10 * us;
    submit(&bench, 2, 2, 100, 10);
    submit(&bench, 3, 1, 1000, 1);
    run_out(&bench);
    /* 3 is admitted when the first step of 2 is over, and its load ends within the
     * fourth step after that; the fifth computes the rest. */
    const int64_t begun_ns = computed_ns + ms + 100 * us;
    EXPECT_I64(bench.first_token_ns[2], begun_ns);
    EXPECT_I64(bench.first_token_ns[3], begun_ns + 4 * ms + ms + 232 * us);
    EXPECT_I64(bench.end_ns[2], begun_ns + 9 * ms + 232 * us);
    EXPECT_U64(bench.loaded[3], 768);
    EXPECT_I64(stats_of(bench.tiers).stall_ns, 3 * ms + 10 * us);
    bench_close(&bench);
}

/* It has 992 of 1,000 tokens, more than the tiers: nothing is loaded. */
static void the_engine_s_own_cache_comes_first(void)
{
    struct bench bench;
    const struct tiers_config config = plain(10);
    bench_open(&bench, &config, true);
    submit(&bench, 1, 1, 1000, 1);
    run_out(&bench);
    const int64_t computed_ns = bench.end_ns[1];
    submit(&bench, 2, 1, 1000, 1);
    run_out(&bench);
    EXPECT_U64(bench.cached[2], 992);
    EXPECT_U64(bench.loaded[2], 0);
    EXPECT_I64(bench.end_ns[2], computed_ns + ms + 8 * us);
    bench_close(&bench);
}

/* Three chunks in 3 ms + 10 us: to compute them takes 1 ms + 768 us. */
static void what_is_computed_faster_is_not_loaded(void)
{
    struct bench bench;
    struct tiers_config config = plain(10);
    config.load_if_faster = true;
    bench_open(&bench, &config, false);
    submit(&bench, 1, 1, 1000, 1);
    run_out(&bench);
    submit(&bench, 2, 1, 1000, 1);
    run_out(&bench);
    EXPECT_U64(bench.loaded[2], 0);
    EXPECT_I64(bench.end_ns[2], bench.end_ns[1] + ms + 1000 * us);
    bench_close(&bench);
}

static void few_tokens_are_not_worth_a_load(void)
{
    struct bench bench;
    struct tiers_config config = plain(10);
    config.min_retrieve_tokens = 769;
    bench_open(&bench, &config, false);
    submit(&bench, 1, 1, 1000, 1);
    run_out(&bench);
    submit(&bench, 2, 1, 1000, 1);
    run_out(&bench);
    EXPECT_U64(bench.loaded[2], 0);
    bench_close(&bench);
    config.min_retrieve_tokens = 768;
    bench_open(&bench, &config, false);
    submit(&bench, 1, 1, 1000, 1);
    run_out(&bench);
    submit(&bench, 2, 1, 1000, 1);
    run_out(&bench);
    EXPECT_U64(bench.loaded[2], 768);
    bench_close(&bench);
}

HARNESS_MAIN("tiers", TEST(a_hit_behind_the_local_one_is_loaded),
             TEST(a_chunk_that_is_not_full_is_no_hit),
             TEST(of_a_whole_prompt_one_token_is_computed), TEST(a_gap_ends_the_hit),
             TEST(chunks_of_a_step_under_way_are_no_hits_and_not_saved_twice),
             TEST(the_chunk_longest_unused_leaves),
             TEST(what_somebody_reads_does_not_leave), TEST(a_hit_below_is_copied_up),
             TEST(a_disk_writes_one_chunk_after_the_other),
             TEST(a_cache_server_is_shared_and_serves_in_turn),
             TEST(roles_read_or_write), TEST(offloading_saves_beside_the_steps),
             TEST(an_estimate_is_a_load_with_all_devices_free),
             TEST(a_controller_hears_of_a_chunk_once_in_and_once_out),
             TEST(the_batch_waits_for_what_one_request_loads),
             TEST(beside_the_steps_only_one_request_waits),
             TEST(the_engine_s_own_cache_comes_first),
             TEST(what_is_computed_faster_is_not_loaded),
             TEST(few_tokens_are_not_worth_a_load))
