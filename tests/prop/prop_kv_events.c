/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_kv_events.c: who hears every change of a cache at once knows what is in it. On
 * random lives of a pool (prompts that share starts, chunked registration, evictions,
 * preemptions, splits), the set made of the events is the set of blocks that a lookup
 * finds, and blank blocks are those that can be taken in silence.
 */
#include "base/rng.h"
#include "sim/kv_reports.h"
#include "tests/harness.h"

#include <stdlib.h>
#include <string.h>

enum {
    SEEDS = 300,
    STEPS = 300,
    PROMPTS = 16,
    PIECES = 4,
    LIVE = 6,
    BLOCKS_MAX = 40,
    SET_MAX = 512
};

/* A set of hashes that says when an event does not fit. */
struct known {
    uint64_t hashes[SET_MAX];
    uint32_t count;
    uint64_t removals;
};

static uint32_t known_at(const struct known *known, uint64_t hash)
{
    uint32_t at = 0;
    while (at < known->count && known->hashes[at] != hash) {
        at++;
    }
    return at;
}

static void hear(void *context, uint32_t engine, const struct kv_event *event)
{
    struct known *known = context;
    EXPECT_U64(engine, 0);
    for (uint32_t i = 0; i < event->block_count; i++) {
        const uint32_t at = known_at(known, event->blocks[i]);
        if (event->kind == KV_EVENT_STORED) {
            REQUIRE(at == known->count && known->count < SET_MAX);
            known->hashes[known->count++] = event->blocks[i];
        } else {
            REQUIRE(at < known->count);
            known->hashes[at] = known->hashes[--known->count];
            known->removals++;
        }
    }
}

struct prompt {
    struct segment pieces[PIECES];
    size_t count;
    struct block_run runs[2 * PIECES];
    uint32_t run_count;
    uint64_t hashes[BLOCKS_MAX];
    uint32_t blocks;
};

struct life {
    struct rng rng;
    uint32_t block_tokens;
    struct prompt prompts[PROMPTS];
    struct kv_reports *reports;
    struct kvpool *pool;
    struct known known;
    struct kv_sequence live[LIVE];
    uint32_t owned[LIVE]; /* 0 = nobody */
    int64_t now_ns;
};

static uint64_t draw(struct life *life, uint64_t low, uint64_t high)
{
    return low + rng_below(&life->rng, high - low + 1);
}

/* Few streams and few lengths, so that prompts share starts and meet in mixed blocks.
 */
static void prompt_draw(struct life *life, struct prompt *prompt)
{
    prompt->count = draw(life, 1, PIECES);
    for (size_t i = 0; i < prompt->count; i++) {
        const uint32_t blocks = (uint32_t)draw(life, 0, 5);
        const uint32_t rest =
            draw(life, 0, 2) == 0 ? (uint32_t)draw(life, 0, life->block_tokens - 1) : 0;
        prompt->pieces[i] = (struct segment){
            .stream = segment_stream(SEGMENT_TEXT, draw(life, 1, i == 0 ? 2 : 4)),
            .tokens = blocks * life->block_tokens + rest,
        };
    }
    prompt->count = segment_normalise(prompt->pieces, prompt->count);
    prompt->run_count = (uint32_t)block_runs_cut(prompt->pieces, prompt->count,
                                                 life->block_tokens, prompt->runs);
    prompt->blocks = (uint32_t)segment_block_hashes(prompt->pieces, prompt->count,
                                                    life->block_tokens, 0,
                                                    prompt->hashes, BLOCKS_MAX);
}

static void sequence_start(struct life *life, uint32_t slot)
{
    const struct prompt *prompt = &life->prompts[draw(life, 0, PROMPTS - 1)];
    struct kv_sequence *sequence = &life->live[slot];
    *sequence =
        (struct kv_sequence){.runs = prompt->runs, .run_count = prompt->run_count};
    const struct kv_hit hit = kvpool_lookup(life->pool, prompt->runs, prompt->run_count,
                                            (uint32_t)draw(life, 0, prompt->blocks));
    const uint32_t need = 1 + (uint32_t)draw(life, 0, prompt->blocks - hit.blocks);
    if (hit.evictable + need > kvpool_free_blocks(life->pool)) {
        return;
    }
    kvpool_admit(life->pool, sequence, &hit, need);
    life->owned[slot] = hit.blocks + need;
    kvpool_register(life->pool, sequence, (uint32_t)draw(life, 0, life->owned[slot]));
}

/* In silence as long as blank blocks last. */
static void sequence_grow(struct life *life, uint32_t slot)
{
    const uint32_t take = (uint32_t)draw(life, 1, 3);
    if (take > kvpool_free_blocks(life->pool)) {
        return;
    }
    const bool quiet = take <= kvpool_blank_blocks(life->pool);
    kvpool_take(life->pool, take);
    life->owned[slot] += take;
    EXPECT(!quiet || kv_reports_next_ns(life->reports) == INT64_MAX);
}

static void step(struct life *life)
{
    const uint32_t slot = (uint32_t)draw(life, 0, LIVE - 1);
    if (life->owned[slot] == 0) {
        sequence_start(life, slot);
        return;
    }
    switch (draw(life, 0, 3)) {
    case 0:
        sequence_grow(life, slot);
        break;
    case 1:
        kvpool_register(life->pool, &life->live[slot],
                        (uint32_t)draw(life, 0, life->owned[slot]));
        break;
    default:
        kvpool_register(life->pool, &life->live[slot], life->owned[slot]);
        kvpool_release(life->pool, &life->live[slot], life->owned[slot]);
        life->owned[slot] = 0;
        break;
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* All blocks that any prompt can find. */
static bool knows_the_truth(struct life *life)
{
    struct known truth = {0};
    for (uint32_t i = 0; i < PROMPTS; i++) {
        const struct prompt *prompt = &life->prompts[i];
        const struct kv_hit hit =
            kvpool_lookup(life->pool, prompt->runs, prompt->run_count, prompt->blocks);
        for (uint32_t block = 0; block < hit.blocks; block++) {
            if (known_at(&truth, prompt->hashes[block]) == truth.count) {
                truth.hashes[truth.count++] = prompt->hashes[block];
            }
        }
    }
    qsort(truth.hashes, truth.count, sizeof(uint64_t), compare);
    qsort(life->known.hashes, life->known.count, sizeof(uint64_t), compare);
    return EXPECT_U64(life->known.count, truth.count) &&
           EXPECT_BYTES(life->known.hashes, truth.hashes,
                        truth.count * sizeof(uint64_t));
}

/* Returns how many blocks were evicted. */
static uint64_t live(uint64_t seed)
{
    static struct life life;
    memset(&life, 0, sizeof life);
    rng_init(&life.rng, seed, "prop_kv_events", 0);
    life.block_tokens = (uint32_t)draw(&life, 1, 5);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        prompt_draw(&life, &life.prompts[i]);
    }
    life.reports = kv_reports_new(&(struct kv_reports_setup){
        .seed = seed, .engines = 1, .clock_ns = &life.now_ns});
    life.pool = kvpool_new(&(struct kvpool_config){
        .blocks = (uint32_t)draw(&life, 4, 60),
        .block_tokens = life.block_tokens,
        .prefix_caching = true,
        .reuse_private_first = seed % 2 == 0,
        .listener = kv_reports_listener(life.reports, 0, life.block_tokens)});
    const struct kv_report_sink sink = {&life.known, hear};
    bool holds = true;
    for (int i = 0; holds && i < STEPS; i++) {
        step(&life);
        kv_reports_deliver(life.reports, life.now_ns++, &sink);
        holds = knows_the_truth(&life);
    }
    kvpool_delete(life.pool);
    kv_reports_delete(life.reports);
    return life.known.removals;
}

static void who_hears_everything_knows_the_cache(void)
{
    uint64_t removals = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        harness_note("seed %llu", (unsigned long long)seed);
        removals += live(seed);
    }
    EXPECT(removals > 10000); /* or the lives prove little */
}

HARNESS_MAIN("kv_events", TEST(who_hears_everything_knows_the_cache))
