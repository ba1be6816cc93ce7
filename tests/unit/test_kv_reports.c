/* SPDX-License-Identifier: Apache-2.0
 *
 * test_kv_reports.c: when an engine's word about its cache arrives, and what it says.
 */
#include "sim/kv_reports.h"
#include "tests/harness.h"

enum { BLOCK = 16, SEEN_MAX = 64 };

struct seen {
    uint32_t count;
    uint32_t engine[SEEN_MAX];
    struct kv_event event[SEEN_MAX]; /* blocks: borrowed, gone */
    uint64_t first[SEEN_MAX];
    uint64_t last[SEEN_MAX];
};

static void see(void *context, uint32_t engine, const struct kv_event *event)
{
    struct seen *seen = context;
    REQUIRE(seen->count < SEEN_MAX);
    seen->engine[seen->count] = engine;
    seen->event[seen->count] = *event;
    seen->first[seen->count] = event->blocks[0];
    seen->last[seen->count] = event->blocks[event->block_count - 1];
    seen->count++;
}

struct bench {
    int64_t now_ns;
    struct kv_reports *reports;
    struct kvpool *pools[2];
};

static void bench_new(struct bench *bench, struct kv_reports_config config,
                      uint32_t blocks)
{
    *bench = (struct bench){0};
    bench->reports = kv_reports_new(&(struct kv_reports_setup){
        .config = config, .seed = 1, .engines = 2, .clock_ns = &bench->now_ns});
    for (uint32_t engine = 0; engine < 2; engine++) {
        bench->pools[engine] = kvpool_new(&(struct kvpool_config){
            .blocks = blocks,
            .block_tokens = BLOCK,
            .prefix_caching = true,
            .listener = kv_reports_listener(bench->reports, engine, BLOCK)});
    }
}

static void bench_delete(struct bench *bench)
{
    kvpool_delete(bench->pools[0]);
    kvpool_delete(bench->pools[1]);
    kv_reports_delete(bench->reports);
}

static struct block_run run_of(uint64_t id, uint32_t blocks)
{
    return (struct block_run){.key = segment_stream(SEGMENT_TEXT, id),
                              .blocks = blocks};
}

/* A sequence comes and goes; its blocks stay cached. */
static void pass(struct kvpool *pool, const struct block_run *run)
{
    struct kv_sequence sequence = {.runs = run, .run_count = 1};
    const struct kv_hit hit = kvpool_lookup(pool, run, 1, run->blocks);
    kvpool_admit(pool, &sequence, &hit, run->blocks - hit.blocks);
    kvpool_register(pool, &sequence, run->blocks);
    kvpool_release(pool, &sequence, run->blocks);
}

static struct seen arrived(struct bench *bench, int64_t now_ns)
{
    struct seen seen = {0};
    const struct kv_report_sink sink = {&seen, see};
    bench->now_ns = now_ns;
    kv_reports_deliver(bench->reports, now_ns, &sink);
    return seen;
}

static void hashes_are_those_of_the_prompt(void)
{
    struct bench bench;
    bench_new(&bench, (struct kv_reports_config){0}, 8);
    const struct segment prompt = {.stream = segment_stream(SEGMENT_TEXT, 7),
                                   .tokens = 3 * BLOCK};
    uint64_t hashes[3];
    EXPECT_U64(segment_block_hashes(&prompt, 1, BLOCK, 0, hashes, 3), 3);
    const struct block_run first = run_of(7, 1);
    const struct block_run all = run_of(7, 3);
    pass(bench.pools[1], &first);
    pass(bench.pools[1], &all);
    const struct seen seen = arrived(&bench, 0);
    REQUIRE(seen.count == 2);
    EXPECT_U64(seen.engine[1], 1);
    EXPECT_U64(seen.event[0].kind, KV_EVENT_STORED);
    EXPECT_U64(seen.event[0].parent, 0);
    EXPECT_U64(seen.first[0], hashes[0]);
    EXPECT_U64(seen.event[1].block_count, 2);
    EXPECT_U64(seen.event[1].parent, hashes[0]);
    EXPECT_U64(seen.first[1], hashes[1]);
    EXPECT_U64(seen.last[1], hashes[2]);
    bench_delete(&bench);
}

static void a_word_takes_its_time(void)
{
    struct bench bench;
    bench_new(&bench, (struct kv_reports_config){.delay_ns = 10}, 8);
    const struct block_run run = run_of(1, 2);
    EXPECT_I64(kv_reports_next_ns(bench.reports), INT64_MAX);
    bench.now_ns = 5;
    pass(bench.pools[0], &run);
    EXPECT_I64(kv_reports_next_ns(bench.reports), 15);
    EXPECT_U64(arrived(&bench, 14).count, 0);
    EXPECT_U64(arrived(&bench, 15).count, 1);
    EXPECT_I64(kv_reports_next_ns(bench.reports), INT64_MAX);
    bench_delete(&bench);
}

/* Interval 100, delay 10: what happens in (0, 100] arrives at 110 in one message. */
static void a_batch_leaves_at_a_multiple_of_its_interval(void)
{
    struct bench bench;
    bench_new(&bench,
              (struct kv_reports_config){.delay_ns = 10, .batch_interval_ns = 100}, 8);
    const struct block_run runs[] = {run_of(1, 1), run_of(2, 1), run_of(3, 1)};
    bench.now_ns = 1;
    pass(bench.pools[0], &runs[0]);
    bench.now_ns = 100;
    pass(bench.pools[0], &runs[1]);
    bench.now_ns = 101;
    pass(bench.pools[0], &runs[2]);
    EXPECT_I64(kv_reports_next_ns(bench.reports), 110);
    struct seen seen = arrived(&bench, 110);
    REQUIRE(seen.count == 2);
    EXPECT_U64(seen.event[0].message, 0);
    EXPECT_U64(seen.event[1].message, 0);
    seen = arrived(&bench, 210);
    REQUIRE(seen.count == 1);
    EXPECT_U64(seen.event[0].message, 1);
    bench_delete(&bench);
}

/* Six blocks, evicted one by one within one message, are one removal; in the next
 * message it is another. */
static void removals_of_one_message_are_joined(void)
{
    struct bench bench;
    bench_new(&bench, (struct kv_reports_config){0}, 6);
    const struct block_run run = run_of(1, 6);
    pass(bench.pools[0], &run);
    (void)arrived(&bench, 1);
    kvpool_take(bench.pools[0], 1);
    kvpool_take(bench.pools[0], 1);
    kvpool_take(bench.pools[0], 2);
    bench.now_ns = 2;
    kvpool_take(bench.pools[0], 2);
    const struct seen seen = arrived(&bench, 3);
    REQUIRE(seen.count == 2);
    EXPECT_U64(seen.event[0].kind, KV_EVENT_REMOVED);
    EXPECT_U64(seen.event[0].block_count, 4);
    EXPECT_U64(seen.event[1].block_count, 2);
    EXPECT_U64(seen.event[0].parent, seen.last[1]);
    EXPECT_U64(seen.event[1].parent, 0);
    bench_delete(&bench);
}

/* 4,000 messages of two engines, one in four lost: 3,000 within 5 standard deviations
 * of 27; who listens counts the same losses by their numbers. */
static void lost_messages_leave_gaps(void)
{
    struct bench bench;
    bench_new(&bench, (struct kv_reports_config){.loss_ratio = 0.25}, 4000);
    uint64_t next[2] = {0};
    uint64_t gaps = 0;
    uint64_t came = 0;
    for (int64_t i = 0; i < 4000; i++) {
        bench.now_ns = i;
        const struct block_run run = run_of((uint64_t)i, 1);
        pass(bench.pools[i % 2], &run);
        const struct seen seen = arrived(&bench, i);
        if (seen.count > 0) {
            gaps += seen.event[0].message - next[seen.engine[0]];
            next[seen.engine[0]] = seen.event[0].message + 1;
            came++;
        }
    }
    EXPECT_NEAR((double)came, 3000, 5 * 27);
    EXPECT_U64(came + gaps + (2000 - next[0]) + (2000 - next[1]), 4000);
    bench_delete(&bench);
}

static void nothing_arrives_when_all_is_lost(void)
{
    struct bench bench;
    bench_new(&bench, (struct kv_reports_config){.loss_ratio = 1}, 8);
    const struct block_run run = run_of(1, 2);
    pass(bench.pools[0], &run);
    EXPECT_I64(kv_reports_next_ns(bench.reports), INT64_MAX);
    bench_delete(&bench);
}

HARNESS_MAIN("kv_reports", TEST(hashes_are_those_of_the_prompt),
             TEST(a_word_takes_its_time),
             TEST(a_batch_leaves_at_a_multiple_of_its_interval),
             TEST(removals_of_one_message_are_joined), TEST(lost_messages_leave_gaps),
             TEST(nothing_arrives_when_all_is_lost))
