/* SPDX-License-Identifier: Apache-2.0
 *
 * test_stages.c: a pipeline's clock, worked by hand, and against a clock per stage that
 * never moves its origin.
 */
#include "base/rng.h"
#include "sim/cost.h"
#include "sim/stages.h"
#include "tests/harness.h"

static const int64_t fx = COST_FX_PER_NS;

/* Stages of 5 and 5 ns, 1 ns between them, one batch after the other: every batch takes
 * 11 ns, each stage works 5 of them. */
static void a_batch_alone_leaves_the_other_stage_idle(void)
{
    struct stages stages = {.count = 2};
    const int64_t work[] = {5 * fx, 5 * fx};
    const int64_t send[] = {fx, 0};
    stages_wake(&stages);
    for (uint32_t i = 1; i <= 3; i++) {
        EXPECT_I64(stages_add(&stages, work, send), 11 * fx);
        stages_end(&stages);
        EXPECT_I64(stages.busy_ns[0], 5 * (int64_t)i);
        EXPECT_I64(stages.busy_ns[1], 5 * (int64_t)i);
    }
    EXPECT_U64(stages.under_way, 0);
}

/* Stages of 2 and 6 ns, 1 ns between them. Batch 1: 0-2, 3-9. Batch 2: 2-4, there at 5,
 * 9-15. Batch 3 is formed when the first is back, at 9: 9-11, 12, 15-21. So the second
 * stage never waits any more. */
static void the_slow_stage_sets_the_pace(void)
{
    struct stages stages = {.count = 2};
    const int64_t work[] = {2 * fx, 6 * fx};
    const int64_t send[] = {fx, 0};
    stages_wake(&stages);
    EXPECT_I64(stages_add(&stages, work, send), 9 * fx);
    EXPECT_I64(stages_add(&stages, work, send), 6 * fx);
    stages_end(&stages);
    EXPECT_I64(stages_add(&stages, work, send), 6 * fx);
    stages_end(&stages);
    stages_end(&stages);
    EXPECT_I64(stages.busy_ns[0], 6);
    EXPECT_I64(stages.busy_ns[1], 18); /* of 21: it waited for the first batch alone */
}

static void wake(void *stages)
{
    stages_wake(stages);
}

/* Formed ahead, a third batch of two stages starts when the first one has ended, at 11:
 * 11-16, 17-22, which is 6 after the second's end (5-10, 11-16). */
static void one_formed_ahead_waits_for_the_oldest(void)
{
    struct stages stages = {.count = 2};
    const int64_t work[] = {5 * fx, 5 * fx};
    const int64_t send[] = {fx, 0};
    stages_wake(&stages);
    EXPECT_I64(stages_add(&stages, work, send), 11 * fx);
    EXPECT_I64(stages_add(&stages, work, send), 5 * fx);
    EXPECT_I64(stages_add(&stages, work, send), 6 * fx);
    EXPECT_ABORTS(wake, &stages, "3 batches of an idle engine");
}

/* An empty place ends with the batch before it and holds its turn. */
static void an_empty_place_takes_no_time(void)
{
    struct stages stages = {.count = 2};
    const int64_t work[] = {5 * fx, 5 * fx};
    const int64_t send[] = {fx, 0};
    stages_wake(&stages);
    EXPECT_I64(stages_add(&stages, work, send), 11 * fx);
    stages_add_empty(&stages);
    EXPECT_I64(stages_add(&stages, work, send), 11 * fx);
    stages_end(&stages);
    stages_end(&stages);
    stages_end(&stages);
    EXPECT_I64(stages.busy_ns[0], 10);
}

enum { BATCHES = 200, STAGES = 5 };

struct plain {
    int64_t end_fx[BATCHES];
    int64_t free_fx[STAGES];
    int64_t busy_fx[STAGES];
    uint32_t ended;
};

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Forms a batch of random work; true when both clocks say the same. */
static bool batch_agrees(struct rng *rng, struct stages *stages, struct plain *plain,
                         uint32_t batch)
{
    const bool ahead = batch >= plain->ended + stages->count;
    const int64_t now_fx = plain->ended > 0 ? plain->end_fx[plain->ended - 1] : 0;
    const int64_t before_fx = batch > plain->ended ? plain->end_fx[batch - 1] : now_fx;
    int64_t at_fx = ahead ? plain->end_fx[batch - stages->count] : now_fx;
    int64_t work[STAGES];
    int64_t send[STAGES];
    for (uint32_t i = 0; i < stages->count; i++) {
        work[i] = 1 + (int64_t)rng_below(rng, 1000000);
        send[i] = (int64_t)rng_below(rng, 300000);
        at_fx = later(at_fx, plain->free_fx[i]) + work[i];
        plain->free_fx[i] = at_fx;
        plain->busy_fx[i] += work[i];
        at_fx += i + 1 < stages->count ? send[i] : 0;
    }
    plain->end_fx[batch] = at_fx;
    return EXPECT_I64(stages_add(stages, work, send), at_fx - before_fx);
}

static void many_batches_keep_the_clocks_of_their_stages(void)
{
    struct rng rng;
    rng_init(&rng, 1, "test_stages", 0);
    for (uint32_t round = 0; round < 300; round++) {
        struct plain plain = {0};
        struct stages stages = {.count = 1 + (uint32_t)rng_below(&rng, STAGES)};
        bool same = true;
        stages_wake(&stages);
        for (uint32_t batch = 0; same && batch < BATCHES; batch++) {
            while (batch - plain.ended > stages.count ||
                   (batch > plain.ended && rng_below(&rng, 3) == 0)) {
                plain.ended++;
                stages_end(&stages);
            }
            same = batch_agrees(&rng, &stages, &plain, batch);
        }
        while (stages.under_way > 0) {
            stages_end(&stages);
        }
        for (uint32_t i = 0; i < stages.count; i++) {
            EXPECT_I64(stages.busy_ns[i], plain.busy_fx[i] / fx);
        }
    }
}

HARNESS_MAIN("stages", TEST(a_batch_alone_leaves_the_other_stage_idle),
             TEST(the_slow_stage_sets_the_pace),
             TEST(one_formed_ahead_waits_for_the_oldest),
             TEST(an_empty_place_takes_no_time),
             TEST(many_batches_keep_the_clocks_of_their_stages))
