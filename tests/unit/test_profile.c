/* SPDX-License-Identifier: Apache-2.0
 *
 * test_profile.c: profile folders: columns by name, totals by the layers' counts, and
 * what is wrong with a file, with its line.
 */
#include "sim/times/profile.h"
#include "tests/harness.h"
#include "tests/profile_fixture.h"

static struct kernel_profile *load(const char *path)
{
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    REQUIRE_OK(kernel_profile_load(&profile, path, &err), &err);
    return profile;
}

static void a_step_adds_up_its_layers_by_how_often_they_run(void)
{
    struct kernel_profile *profile = load(fixture_profile());
    struct profile_curve dense;
    struct profile_curve rows;
    struct err err = {0};
    REQUIRE_OK(kernel_profile_dense(profile, 10, &dense, &err), &err);
    REQUIRE_OK(kernel_profile_rows(profile, &rows, &err), &err);
    EXPECT_U64(dense.count, 13);
    EXPECT_CLOSE(profile_curve_at(&dense, 1), 5 + 10 * (2 + 3 + 1.0), 1e-12);
    EXPECT_CLOSE(profile_curve_at(&dense, 100), 5 + 10 * (2 + 3 + 100.0), 1e-12);
    EXPECT_CLOSE(profile_curve_at(&dense, 8192), 5 + 10 * (2 + 3 + 8192.0), 1e-12);
    EXPECT_CLOSE(profile_curve_at(&rows, 24), 40 + 2 * 24.0, 1e-12);
    EXPECT_U64(profile->skew_count, 48);
    EXPECT_CLOSE(profile->skew[0].us, fixture_attention_us(0, 0, 4, 7 * 128.0, 512),
                 1e-8);
    profile_curve_fini(&dense);
    profile_curve_fini(&rows);
    kernel_profile_delete(profile);
}

static void columns_are_found_by_name_and_repeated_points_averaged(void)
{
    const char *path = fixture_profile();
    struct text out = {0};
    text_add(&out, "note,time_us,tokens,layer\nx,5,8,act_fn\ny,1,2,act_fn\n"
                   "z,3,2,act_fn\n");
    fixture_file("dense.csv", &out);
    struct kernel_profile *profile = load(path);
    REQUIRE(profile->dense_count == 1);
    EXPECT_STR(profile->dense[0].name, "act_fn");
    EXPECT_U64(profile->dense[0].time.count, 2);
    EXPECT_CLOSE(profile_curve_at(&profile->dense[0].time, 2), 2.0, 1e-12);
    EXPECT_CLOSE(profile_curve_at(&profile->dense[0].time, 1), 2.0, 1e-12);
    EXPECT_CLOSE(profile_curve_at(&profile->dense[0].time, 5), 3.5, 1e-12);
    kernel_profile_delete(profile);
}

static void fails(const char *file, const char *content, const char *part)
{
    struct text out = {0};
    text_add(&out, content);
    fixture_file(file, &out);
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    EXPECT_FAILS(kernel_profile_load(&profile, harness_temp("profile"), &err), &err,
                 part);
}

static void what_is_wrong_is_told_with_its_line(void)
{
    struct err err = {0};
    struct kernel_profile *profile = NULL;
    EXPECT_FAILS(kernel_profile_load(&profile, harness_temp("nowhere"), &err), &err,
                 "dense.csv");
    fixture_profile();
    fails("moe.csv", "tokens,experts,time_us\n",
          "moe.csv:1: has no column "
          "activated_experts");
    fails("moe.csv", "tokens,activated_experts,time_us\n1,2,3\n1,2\n",
          "moe.csv:3: the row ends before column time_us");
    fails("moe.csv", "tokens,activated_experts,time_us\n1,2,-3\n", "moe.csv:2: a time");
    fails("moe.csv", "tokens,activated_experts,time_us\n1.5,2,3\n",
          "moe.csv:2: a whole number");
    fails("moe.csv", "tokens,activated_experts,time_us\n1,many,3\n",
          "moe.csv:2: activated_experts: \"many\" is not a number");
    fails("moe.csv", "", "moe.csv: is empty");
    fails("skew_fit.csv",
          "pc,n_label,skew_rate_label,kv_big_label,kp_label,alpha\n0,n,b,c,d,1\n",
          "skew_fit.csv:2: not a label");
}

static void buckets_have_the_edges_of_their_labels(void)
{
    const char *path = fixture_profile();
    struct text out = {0};
    text_add(&out, "pc,n_label,skew_rate_label,kv_big_label,kp_label,alpha,n_samples\n"
                   "16,n<=128,sr<=15%,kvB<=16k,kp=0,0.0317,4\n"
                   "0,n>256,sr>70%,kvB>16k,kp<=512,-0.5,4\n");
    fixture_file("skew_fit.csv", &out);
    struct kernel_profile *profile = load(path);
    REQUIRE(profile->bucket_count == 2);
    EXPECT(profile->skew_enabled);
    EXPECT_CLOSE(profile->buckets[0].decodes_max, 128, 0);
    EXPECT_CLOSE(profile->buckets[0].rate_max, 0.15, 1e-12);
    EXPECT_CLOSE(profile->buckets[0].long_context_max, 16384, 0);
    EXPECT_NEAR(profile->buckets[0].chunk_context_max, 0, 0);
    EXPECT(isinf(profile->buckets[1].decodes_max));
    EXPECT_CLOSE(profile->buckets[1].chunk_context_max, 512, 0);
    EXPECT_CLOSE(profile->buckets[1].alpha, -0.5, 0);
    kernel_profile_delete(profile);
}

static void recorded_profiles_are_read_whole(void)
{
    const char *path = harness_data("fidelity/RTX4090_Llama-3.1-8B/profile");
    if (path == NULL) {
        return;
    }
    struct kernel_profile *profile = load(path);
    EXPECT_U64(profile->dense_count, 9);
    EXPECT_U64(profile->attention_count, 8643);
    EXPECT_U64(profile->skew_count, 13009);
    EXPECT_U64(profile->bucket_count, 3982);
    EXPECT(!profile->skew_enabled);
    EXPECT_STR(profile->vllm_version, "0.19.0");
    kernel_profile_delete(profile);
}

HARNESS_MAIN("profile", TEST(a_step_adds_up_its_layers_by_how_often_they_run),
             TEST(columns_are_found_by_name_and_repeated_points_averaged),
             TEST(what_is_wrong_is_told_with_its_line),
             TEST(buckets_have_the_edges_of_their_labels),
             TEST(recorded_profiles_are_read_whole))
