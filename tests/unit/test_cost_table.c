/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cost_table.c: measured batches come back as measured, lines run between them,
 * and decode runs are exact.
 */
#include "base/rng.h"
#include "sim/cost.h"
#include "sim/times/attention_table.h"
#include "tests/harness.h"
#include "tests/profile_fixture.h"

static struct cost *cost_of(const char *folder, const char *keys)
{
    static const struct gpu_spec gpu = {.name = "GPU", .memory_bytes_per_s = 1e12};
    const struct model_spec model = fixture_model();
    const struct engine_config engine = {
        .tensor_parallel = 1, .max_num_seqs = 256, .max_num_batched_tokens = 2048};
    struct err err = {0};
    struct conf *map = NULL;
    struct text text = {0};
    text_printf(&text, "model: table\nprofile: '%s'\n%s\n", folder, keys);
    REQUIRE_OK(conf_parse(&map, "cost", text.bytes, text.length, &err), &err);
    const struct cost_setup setup = {
        .gpu = &gpu, .model = &model, .engine = &engine, .map = conf_root(map)};
    struct cost *cost = NULL;
    REQUIRE_OK(cost_new(&cost, &setup, &err), &err);
    EXPECT_OK(conf_done(conf_root(map), &err), &err);
    conf_delete(map);
    text_fini(&text);
    return cost;
}

static double decode_us(const struct cost *cost, uint32_t n, uint64_t context)
{
    return (double)cost_decode(cost, n, context, (uint32_t)(context / n)).first_fx /
           COST_FX_PER_NS / 1e3;
}

/* The fixture's D + S' without padding. */
static double fixed_us(double tokens, double rows)
{
    return 5 + 10 * (5 + tokens) + 40 + 2 * rows;
}

static void decodes_lie_on_lines_between_measured_batches(void)
{
    struct cost *cost = cost_of(fixture_profile(), "");
    EXPECT_CLOSE(
        decode_us(cost, 16, UINT64_C(16) * 512),
        fixed_us(16, 16) + 10 * fixture_attention_us(0, 0, 16, 16 * 512.0, 512), 1e-8);
    /* Between 512 and 1024, between 16 and 32; n K has a cross term, the mean of the
     * four corners shows it. */
    const double corners = fixture_attention_us(0, 0, 16, 16 * 512.0, 512) +
                           fixture_attention_us(0, 0, 16, 16 * 1024.0, 1024) +
                           fixture_attention_us(0, 0, 32, 32 * 512.0, 512) +
                           fixture_attention_us(0, 0, 32, 32 * 1024.0, 1024);
    EXPECT_CLOSE(decode_us(cost, 24, UINT64_C(24) * 768),
                 fixed_us(24, 24) + 10 * corners / 4, 1e-8);
    /* Held below 128 tokens, extended above 4096. */
    EXPECT_CLOSE(decode_us(cost, 8, 8), decode_us(cost, 8, 1024), 1e-12);
    EXPECT_CLOSE(decode_us(cost, 8, 65536),
                 fixed_us(8, 8) + 10 * fixture_attention_us(0, 0, 8, 65536, 0), 1e-8);
    cost_delete(cost);
}

static void chunks_add_up_and_missing_pairs_borrow(void)
{
    struct cost *cost = cost_of(fixture_profile(), "");
    struct batch_shape shape = {.decodes = 16,
                                .chunks = 2,
                                .decode_context = 4096,
                                .decode_context_max = 4000,
                                .chunk_tokens_max = 100,
                                .chunk_tokens = 128,
                                .chunk_context = 512};
    const double us = (double)cost_step_fx(cost, &shape) / COST_FX_PER_NS / 1e3;
    EXPECT_CLOSE(us,
                 fixed_us(144, 18) + 10 * fixture_attention_us(128, 512, 16, 4096, 256),
                 1e-8);
    cost_delete(cost);

    struct text out = {0};
    text_add(&out, "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n"
                   "0,0,1,100,10\n0,0,2,100,20\n0,0,2,100,40\n64,0,1,100,50\n");
    fixture_file("attention.csv", &out);
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    REQUIRE_OK(kernel_profile_load(&profile, harness_temp("profile"), &err), &err);
    struct attention_table *table = attention_table_new(profile);
    /* (0, 2) was measured twice; (64, 2) takes what (64, 1) has. */
    EXPECT_CLOSE(attention_table_us(table, &(struct attention_point){0, 0, 2, 100}), 30,
                 1e-12);
    EXPECT_CLOSE(attention_table_us(table, &(struct attention_point){64, 0, 2, 100}),
                 50, 1e-12);
    EXPECT_CLOSE(attention_table_us(table, &(struct attention_point){32, 0, 2, 100}),
                 40, 1e-12);
    attention_table_delete(table);
    kernel_profile_delete(profile);
}

static void law_holds(const struct cost *cost)
{
    for (uint32_t seed = 0; seed < 3000; seed++) {
        struct rng rng;
        rng_init(&rng, seed, "table", 0);
        const uint32_t n = 1 + (uint32_t)rng_below(&rng, 256);
        const uint64_t context =
            n + rng_below(&rng, (uint64_t)n << rng_below(&rng, 14));
        const uint32_t longest = (uint32_t)(context / n + rng_below(&rng, 100) + 1);
        const struct decode_cost run = cost_decode(cost, n, context, longest);
        const uint64_t at = rng_below(&rng, 2) == 0 ? run.valid_steps - 1
                                                    : rng_below(&rng, run.valid_steps);
        harness_note("seed %u, n %u, K %llu", seed, n, (unsigned long long)context);
        if (!EXPECT(run.valid_steps >= 1 && run.grow_fx >= 0 && run.first_fx > 0) ||
            !EXPECT_I64(run.first_fx + (int64_t)at * run.grow_fx,
                        cost_decode(cost, n, context + at * n, longest + (uint32_t)at)
                            .first_fx)) {
            return;
        }
    }
    harness_note("%s", "");
}

static void a_decode_run_is_the_sum_of_its_steps_bit_for_bit(void)
{
    struct cost *cost = cost_of(fixture_profile(), "scale_decode: 0.93");
    EXPECT(cost_decode(cost, 10, 5120, 512).valid_steps == 512);
    EXPECT(cost_decode(cost, 10, 5121, 512).valid_steps == 512);
    EXPECT(cost_decode(cost, 10, 5131, 513).valid_steps == 511);
    law_holds(cost);
    cost_delete(cost);
}

static void a_line_that_falls_is_walked_step_by_step(void)
{
    const char *folder = fixture_profile();
    struct text out = {0};
    text_add(&out, "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n"
                   "0,0,1,100,30\n0,0,1,200,20\n0,0,1,400,50\n"
                   "0,0,256,100,60\n0,0,256,200,40\n");
    fixture_file("attention.csv", &out);
    struct cost *cost = cost_of(folder, "");
    EXPECT_U64(cost_decode(cost, 1, 150, 150).valid_steps, 1);
    EXPECT_CLOSE(decode_us(cost, 1, 150), fixed_us(1, 1) + 250, 1e-9);
    EXPECT_U64(cost_decode(cost, 1, 300, 300).valid_steps, 100);
    law_holds(cost); /* 256 decodes fall for ever, and stop at 0 */
    cost_delete(cost);
}

static void uneven_batches_lie_between_their_mean_and_their_longest(void)
{
    const char *folder = fixture_profile();
    struct text out = {0};
    text_add(&out, "pc,n_label,skew_rate_label,kv_big_label,kp_label,alpha\n"
                   "0,n<=16,sr<=5%,kvB<=1k,kp=0,0.25\n0,n<=16,sr<=5%,kvB<=4k,kp=0,0.5\n"
                   "0,n<=16,sr>70%,kvB<=4k,kp=0,0.75\n");
    fixture_file("skew_fit.csv", &out);
    struct cost *cost = cost_of(folder, "");
    const double base_us = fixed_us(16, 16);
    const double mean_us = 10 * fixture_attention_us(0, 0, 16, 16 * 256.0, 0);
    const double most_us = 10 * fixture_attention_us(0, 0, 16, 16 * 1024.0, 0);
    const struct decode_cost got = cost_decode(cost, 16, UINT64_C(16) * 256, 1024);
    EXPECT_CLOSE((double)got.first_fx / COST_FX_PER_NS / 1e3,
                 base_us + mean_us + 0.25 * (most_us - mean_us), 1e-8);
    /* One decode cannot be uneven. */
    EXPECT_CLOSE((double)cost_decode(cost, 1, 256, 1024).first_fx / COST_FX_PER_NS /
                     1e3,
                 fixed_us(1, 1) + 10 * fixture_attention_us(0, 0, 1, 256, 0), 1e-8);
    law_holds(cost);
    cost_delete(cost);
    cost = cost_of(folder, "skew: false");
    EXPECT_CLOSE((double)cost_decode(cost, 16, UINT64_C(16) * 256, 1024).first_fx /
                     COST_FX_PER_NS / 1e3,
                 base_us + mean_us, 1e-8);
    cost_delete(cost);
}

static void recorded_batches_come_back_as_measured(void)
{
    const char *path = harness_data("fidelity/RTXPRO6000_Qwen3-32B/profile");
    if (path == NULL) {
        return;
    }
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    REQUIRE_OK(kernel_profile_load(&profile, path, &err), &err);
    struct attention_table *table = attention_table_new(profile);
    size_t wrong = 0;
    for (size_t i = 0; i < profile->attention_count; i++) {
        const struct attention_row *row = &profile->attention[i];
        const struct attention_point point = {row->chunk_tokens, row->chunk_context,
                                              row->decodes, row->decode_context};
        wrong += fabs(attention_table_us(table, &point) / row->us - 1) > 1e-9;
    }
    EXPECT_U64(wrong, 0);
    attention_table_delete(table);
    kernel_profile_delete(profile);
}

HARNESS_MAIN("cost_table", TEST(decodes_lie_on_lines_between_measured_batches),
             TEST(chunks_add_up_and_missing_pairs_borrow),
             TEST(a_decode_run_is_the_sum_of_its_steps_bit_for_bit),
             TEST(a_line_that_falls_is_walked_step_by_step),
             TEST(uneven_batches_lie_between_their_mean_and_their_longest),
             TEST(recorded_batches_come_back_as_measured))
