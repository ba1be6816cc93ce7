/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine of `stacksim mock-engine` against the simulator: the same trace, once as
 * segments through a simulated fleet of one, once as rendered token ids through the
 * live engine under a clock of the test. Every time must be the same nanosecond.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "cli/live/live_engine.h"
#include "cli/runner.h"
#include "tests/harness.h"
#include "traces/token_text.h"
#include "traces/workload.h"

#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 1500, IDS_MAX = 1 << 17 };

struct fate {
    uint64_t id;
    int64_t first_token_ns;
    int64_t end_ns;
    uint32_t cached_tokens;
    uint32_t output_tokens;
};
struct fates {
    struct fate items[REQUESTS];
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    const uint64_t left = ((const struct fate *)a)->id;
    const uint64_t right = ((const struct fate *)b)->id;
    return (left > right) - (left < right);
}

/* --- simulated -------------------------------------------------------------------- */

static void on_outcome(void *context, const struct request_outcome *outcome)
{
    struct fates *fates = context;
    EXPECT(outcome->status == OUTCOME_COMPLETED);
    if (EXPECT(fates->count < REQUESTS)) {
        fates->items[fates->count++] =
            (struct fate){outcome->request_id, outcome->first_token_ns, outcome->end_ns,
                          outcome->cached_tokens, outcome->output_tokens};
    }
}

static const char YAML[] = "name: test\n"
                           "seed: 1\n"
                           "workload: {trace: none}\n"
                           "end: {requests: 1500}\n"
                           "cluster:\n"
                           "  pools:\n"
                           "    - name: p\n"
                           "      replicas: 1\n"
                           "      gpu: h100_sxm\n"
                           "      model: llama_3_1_8b\n"
                           "      engine:\n"
                           "        num_gpu_blocks_override: 9000\n"
                           "routing: {policy: round_robin}\n";

static void simulate(const char *trace, struct fates *fates)
{
    struct err err = {0};
    struct runner *runner = NULL;
    const struct observer observer = {.context = fates, .on_outcome = on_outcome};
    const struct runner_text text = {"test", YAML, "."};
    const struct runner_setup setup = {
        .text = &text,
        .config_dir = harness_source("configs"),
        .trace_path = trace,
        .observer = &observer,
    };
    REQUIRE_OK(runner_new(&runner, &setup, &err), &err);
    bool done = false;
    while (!done) {
        REQUIRE_OK(runner_advance(runner, &done, &err), &err);
    }
    runner_delete(runner);
}

/* --- live ------------------------------------------------------------------------- */

static void on_tokens(void *context, void *owner, const struct live_tokens *tokens)
{
    (void)context;
    struct fate *fate = owner;
    if (tokens->before == 0) {
        fate->first_token_ns = tokens->now_ns;
    }
    fate->end_ns = tokens->now_ns;
    fate->cached_tokens = tokens->request->cached_tokens;
    fate->output_tokens += tokens->tokens;
}

/* Between arrivals the clock moves as the seed says: at once, or in small steps. */
static void creep(struct live_engine *engine, struct rng *rng, int64_t *now_ns,
                  int64_t until_ns)
{
    while (rng_below(rng, 4) != 0 && *now_ns < until_ns) {
        *now_ns += (int64_t)rng_below(rng, (uint64_t)(until_ns - *now_ns) + 1);
        live_engine_advance(engine, *now_ns);
    }
    *now_ns = until_ns;
}

static void live(const char *trace, uint64_t seed, struct fates *fates)
{
    struct err err = {0};
    struct scenario *scenario = NULL;
    struct workload *workload = NULL;
    struct rng rng;
    rng_init(&rng, seed, "clock", 0);
    const struct scenario_options options = {.config_dir = harness_source("configs")};
    const struct trace_options reading = {.limit = REQUESTS, .seed = 1};
    REQUIRE_OK(scenario_parse(&scenario, "test", YAML, strlen(YAML), &options, &err),
               &err);
    REQUIRE_OK(workload_open_trace(&workload, trace, &reading, &err), &err);
    struct live_engine *engine =
        live_engine_new(&(struct live_setup){.pool = &scenario->pools[0],
                                             .events = {NULL, on_tokens},
                                             .kv_bytes_per_s = 1e9});
    uint32_t *ids = mem_alloc(IDS_MAX, sizeof *ids);
    const struct trace_record *record = NULL;
    int64_t now_ns = 0;
    while (workload_next(workload, &record, &err) == WORKLOAD_RECORD) {
        struct fate *fate = &fates->items[fates->count++];
        uint64_t output_id = 0;
        fate->id = record->id;
        const struct live_order order = {
            .owner = fate,
            .prompt = {.ids = ids,
                       .count = token_text_ids(record->segments, record->segment_count,
                                               ids, IDS_MAX)},
            .output_id = record->id,
            .output_tokens = record->output_tokens,
            .priority = record->priority,
        };
        creep(engine, &rng, &now_ns, record->arrival_ns);
        (void)live_engine_submit(engine, now_ns, &order, &output_id);
    }
    live_engine_advance(engine, now_ns + INT64_C(3600000000000));
    EXPECT_I64(live_engine_next_ns(engine), INT64_MAX);
    mem_free(ids);
    live_engine_delete(engine);
    workload_close(workload);
    scenario_delete(scenario);
}

/* --- both ------------------------------------------------------------------------- */

static void compare(const char *sample)
{
    static struct fates simulated;
    static struct fates lived;
    simulated.count = 0;
    simulate(harness_source(sample), &simulated);
    REQUIRE(simulated.count == REQUESTS);
    qsort(simulated.items, REQUESTS, sizeof simulated.items[0], by_id);
    uint64_t cached = 0;
    for (uint64_t seed = 0; seed < 2; seed++) {
        memset(&lived, 0, sizeof lived);
        live(harness_source(sample), seed, &lived);
        REQUIRE(lived.count == REQUESTS);
        qsort(lived.items, REQUESTS, sizeof lived.items[0], by_id);
        for (size_t i = 0; i < REQUESTS; i++) {
            const struct fate *want = &simulated.items[i];
            const struct fate *got = &lived.items[i];
            harness_note("%s, seed %llu, request %llu", sample,
                         (unsigned long long)seed, (unsigned long long)want->id);
            cached += got->cached_tokens;
            if (!EXPECT_I64(got->first_token_ns, want->first_token_ns) ||
                !EXPECT_I64(got->end_ns, want->end_ns) ||
                !EXPECT_U64(got->cached_tokens, want->cached_tokens) ||
                !EXPECT_U64(got->output_tokens, want->output_tokens)) {
                return;
            }
        }
    }
    harness_note("%s", sample);
    EXPECT(cached > 0 || strstr(sample, "plain") != NULL);
}

static void conversations_take_the_same_nanoseconds(void)
{
    compare("traces/samples/chat.csv.zst");
}

static void shared_prefixes_take_the_same_nanoseconds(void)
{
    compare("traces/samples/prefix.csv.zst");
}

static void independent_requests_take_the_same_nanoseconds(void)
{
    compare("traces/samples/plain.csv.zst");
}

HARNESS_MAIN("live_engine", TEST(conversations_take_the_same_nanoseconds),
             TEST(shared_prefixes_take_the_same_nanoseconds),
             TEST(independent_requests_take_the_same_nanoseconds))
