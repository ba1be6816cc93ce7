/* SPDX-License-Identifier: Apache-2.0
 *
 * The names that drivers give to GPUs lead to our files, and to no other's.
 */
#include "cli/validate/gpu_find.h"
#include "tests/harness.h"

#include <string.h>

static const char *found(const char *full_name)
{
    static struct gpu_spec gpu;
    struct err err = {0};
    const struct gpu_search search = {.full_name = full_name,
                                      .config_dir = harness_source("configs")};
    gpu = (struct gpu_spec){.name = "none"};
    REQUIRE_OK(gpu_find(&gpu, &search, &err), &err);
    return gpu.name;
}

static void driver_names_lead_to_our_files(void)
{
    EXPECT_STR(found("NVIDIA GeForce RTX 4090"), "RTX-4090");
    EXPECT_STR(found("NVIDIA RTX PRO 6000 Blackwell Server Edition"), "RTX-PRO-6000");
    EXPECT_HAS(found("NVIDIA A100-SXM4-80GB"), "A100");
    EXPECT_HAS(found("NVIDIA H100 80GB HBM3"), "H100");
    EXPECT_STR(found("NVIDIA L40S"), "L40S");
    EXPECT_STR(found("NVIDIA L4"), "L4");
}

static void similar_names_are_other_gpus(void)
{
    EXPECT_STR(found("NVIDIA L40"), "none");
    EXPECT_STR(found("NVIDIA GB200"), "none");
    EXPECT_STR(found("NVIDIA RTX 6000 Ada Generation"), "none");
    EXPECT_STR(found("NVIDIA A100-PCIE-40GB"), "none");
    EXPECT_STR(found(""), "none");
}

static void required_and_unknown_tells_the_known_ones(void)
{
    struct gpu_spec gpu = {0};
    struct err err = {0};
    const struct gpu_search search = {.full_name = "Unheard Of",
                                      .config_dir = harness_source("configs"),
                                      .required = true};
    EXPECT_FAILS(gpu_find(&gpu, &search, &err), &err, "rtx_4090");
}

HARNESS_MAIN("gpu_find", TEST(driver_names_lead_to_our_files),
             TEST(similar_names_are_other_gpus),
             TEST(required_and_unknown_tells_the_known_ones))
