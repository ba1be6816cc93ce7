/* SPDX-License-Identifier: Apache-2.0
 *
 * golden_samples.c: the shipped samples are what our generator makes of
 * configs/workloads.
 *
 * Another C library may round the last bit of a logarithm differently, so times may
 * differ by a microsecond and one length in a thousand by a token.
 */
#include "base/conf.h"
#include "base/text.h"
#include "tests/harness.h"
#include "traces/workload.h"

#include <stdlib.h>

static void compare(const char *name, uint64_t rows_expected)
{
    struct text config = {0};
    struct text sample = {0};
    struct conf *conf = NULL;
    struct workload *made = NULL;
    struct workload *shipped = NULL;
    struct err err = {0};
    const struct trace_options none = {0};
    text_printf(&config, "configs/workloads/sample_%s.yaml", name);
    text_printf(&sample, "traces/samples/%s.csv.zst", name);
    REQUIRE_OK(conf_load(&conf, harness_source(text_str(&config)), &err), &err);
    REQUIRE_OK(workload_open_conf(&made, conf_root(conf), 1, NULL, &err), &err);
    REQUIRE_OK(
        workload_open_trace(&shipped, harness_source(text_str(&sample)), &none, &err),
        &err);
    const struct trace_record *a = NULL;
    const struct trace_record *b = NULL;
    uint64_t rows = 0;
    uint64_t different = 0;
    while (workload_next(made, &a, &err) == WORKLOAD_RECORD) {
        REQUIRE(workload_next(shipped, &b, &err) == WORKLOAD_RECORD);
        EXPECT(llabs(a->arrival_ns - b->arrival_ns) < 1000);
        EXPECT_U64(b->id, a->id);
        EXPECT_U64(b->session, a->session);
        EXPECT_U64(b->parent_count, a->parent_count);
        different += a->prompt_tokens != b->prompt_tokens ||
                     a->output_tokens != b->output_tokens ||
                     a->segment_count != b->segment_count;
        rows++;
    }
    EXPECT(workload_next(shipped, &b, &err) == WORKLOAD_END);
    EXPECT_U64(rows, rows_expected);
    EXPECT(different * 1000 <= rows);
    workload_close(made);
    workload_close(shipped);
    conf_delete(conf);
    text_fini(&config);
    text_fini(&sample);
}

static void chat_sample_is_what_the_generator_makes(void)
{
    compare("chat", 3000);
}

static void plain_sample_is_what_the_generator_makes(void)
{
    compare("plain", 2000);
}

static void prefix_sample_is_what_the_generator_makes(void)
{
    compare("prefix", 2000);
}

HARNESS_MAIN("samples", TEST(chat_sample_is_what_the_generator_makes),
             TEST(plain_sample_is_what_the_generator_makes),
             TEST(prefix_sample_is_what_the_generator_makes))
