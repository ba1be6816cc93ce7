/* SPDX-License-Identifier: Apache-2.0
 *
 * SWEEP.yaml: which runs, in which order, under which names.
 */
#include "base/text.h"
#include "cli/sweep_plan.h"
#include "reports/stored_sweep.h"
#include "tests/harness.h"

#include <string.h>

static struct sweep_plan *plan_of(const char *yaml)
{
    const struct sweep_given none = {0};
    struct sweep_plan *plan = NULL;
    struct err err = {0};
    REQUIRE_OK(sweep_plan_parse(&plan, "s.yaml", yaml, &none, &err), &err);
    return plan;
}

/* "chwbl, rate 2 [routing.params.x=1 workload.rate_factor=2]" */
static void expect_run(struct sweep_plan *plan, size_t index, const char *expected)
{
    const struct sweep_job *job = sweep_plan_job(plan, index);
    struct text got = {0};
    text_add(&got, sweep_plan_stored(plan, "")->runs[index].name);
    text_printf(&got, " %s[", job->policy == NULL ? "" : job->policy);
    for (size_t i = 0; i < job->override_count; i++) {
        text_printf(&got, "%s%s", i == 0 ? "" : " ", job->overrides[i]);
    }
    text_add(&got, "]");
    EXPECT_STR(text_str(&got), expected);
    text_fini(&got);
}

static void a_grid_is_the_product_of_its_keys_the_last_one_fastest(void)
{
    struct sweep_plan *plan = plan_of("scenario: demo\n"
                                      "keys: {rate: workload.rate_factor}\n"
                                      "set: {end.requests: 9}\n"
                                      "grid:\n"
                                      "  policy: [random, 'chwbl:load_ratio=1.5']\n"
                                      "  rate: [1, 0.5]\n"
                                      "  seed: 3..4\n");
    REQUIRE(sweep_plan_count(plan) == 8);
    expect_run(plan, 0,
               "random, rate 1, seed 3 random[end.requests=9 workload.rate_factor=1 "
               "seed=3]");
    expect_run(plan, 1,
               "random, rate 1, seed 4 random[end.requests=9 workload.rate_factor=1 "
               "seed=4]");
    expect_run(plan, 6,
               "chwbl:load_ratio=1.5, rate 0.5, seed 3 chwbl[end.requests=9 "
               "routing.params.load_ratio=1.5 workload.rate_factor=0.5 seed=3]");
    const struct stored_sweep *stored = sweep_plan_stored(plan, "");
    EXPECT_STR(stored->name, "s");
    REQUIRE(stored->runs[6].key_count == 3);
    EXPECT_STR(stored->runs[6].keys[0].key, "policy");
    EXPECT_STR(stored->runs[6].keys[1].value, "0.5");
    EXPECT_STR(sweep_plan_scenario(plan), "demo");
    sweep_plan_delete(plan);
}

static void a_list_gives_combinations_and_multiplies_with_the_grid(void)
{
    struct sweep_plan *plan = plan_of("name: pairs\n"
                                      "scenario: demo\n"
                                      "keys: {both: [a.0.n, a.1.n]}\n"
                                      "grid: {seed: [1, 2]}\n"
                                      "list:\n"
                                      "  - {both: 2, cluster.x: 5}\n"
                                      "  - {policy: random}\n");
    REQUIRE(sweep_plan_count(plan) == 4);
    expect_run(plan, 0, "seed 1, both 2, x 5 [seed=1 a.0.n=2 a.1.n=2 cluster.x=5]");
    expect_run(plan, 1, "seed 1, random random[seed=1]");
    expect_run(plan, 3, "seed 2, random random[seed=2]");
    EXPECT_STR(sweep_plan_stored(plan, "")->name, "pairs");
    sweep_plan_delete(plan);
}

static void a_case_is_a_name_for_several_settings(void)
{
    struct sweep_plan *plan = plan_of("scenario: demo\n"
                                      "grid:\n"
                                      "  fleet:\n"
                                      "    small: {a.n: 2, a.gpu: l40s}\n"
                                      "    large: {a.n: 8, policy: random}\n");
    REQUIRE(sweep_plan_count(plan) == 2);
    expect_run(plan, 0, "fleet small [a.n=2 a.gpu=l40s]");
    expect_run(plan, 1, "fleet large random[a.n=8]");
    REQUIRE(sweep_plan_stored(plan, "")->runs[1].key_count == 1);
    sweep_plan_delete(plan);
}

static void probes_are_as_many_as_the_axes_are_long(void)
{
    struct sweep_plan *plan =
        plan_of("scenario: demo\ngrid: {a: 1..10, b: 1..10, seed: 1..10}\n");
    size_t probes = 0;
    for (size_t i = 0; i < sweep_plan_count(plan); i++) {
        probes += sweep_plan_job(plan, i)->is_probe ? 1 : 0;
    }
    EXPECT_U64(sweep_plan_count(plan), 1000);
    EXPECT_U64(probes, 1 + 3 * 9);
    sweep_plan_delete(plan);
}

static uint64_t digest_of(const char *yaml, const char *scenario)
{
    struct sweep_plan *plan = plan_of(yaml);
    const uint64_t digest = sweep_plan_stored(plan, scenario)->digest;
    sweep_plan_delete(plan);
    return digest;
}

static void the_digest_tells_sweeps_apart(void)
{
    const char *const yaml = "scenario: demo\ngrid: {seed: [1, 2]}\n";
    const uint64_t digest = digest_of(yaml, "x");
    EXPECT_U64(digest_of(yaml, "x"), digest);
    EXPECT_U64(digest_of("grid: {seed: 1..2}\nscenario: demo\n", "x"), digest);
    EXPECT(digest_of(yaml, "y") != digest);
    EXPECT(digest_of("scenario: demo\ngrid: {seed: [1, 3]}\n", "x") != digest);
    EXPECT(digest_of("scenario: demo\nset: {a: 1}\ngrid: {seed: [1, 2]}\n", "x") !=
           digest);
}

static void what_is_wrong_is_said_with_its_line(void)
{
    static const struct {
        const char *yaml;
        const char *says;
    } cases[] = {
        {"grid: {seed: 1}\n", "scenario"},
        {"scenario: demo\n", "s.yaml:1: a sweep has 1 to 100000 runs"},
        {"scenario: demo\ngrid: {a: 1..1000, b: 1..1000}\n", "1 to 100000 runs"},
        {"scenario: demo\ngrid: {a: 7..3}\n", "7..3: a range goes up"},
        {"scenario: demo\ngrid:\n  policy: [random, nobody]\n", "s.yaml:3"},
        {"scenario: demo\ngrid:\n  policy: ['random,session']\n",
         "one policy per value"},
        {"scenario: demo\ngrid: {policy: all}\n", "one policy per value"},
        {"scenario: demo\ngrid: {seed: [1, 1]}\n", "two runs are called 'seed 1'"},
        {"scenario: demo\ngrid: {a: []}\n", "a has no values"},
        {"scenario: demo\ngrid: {a: [[1]]}\n", "one word or number"},
        {"scenario: demo\ngrid: {a: ['']}\n", "a value has 1 to 200 bytes"},
        {"scenario: demo\nlist: [5]\n", "write it as a map"},
        {"scenario: demo\ngird: {a: 1}\ngrid: {b: 1}\n", "gird"},
        {"scenario: demo\nkeys: {a: {b: c}}\ngrid: {a: 1}\n", "one path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sweep_given none = {0};
        struct sweep_plan *plan = NULL;
        struct err err = {0};
        harness_note("%s", cases[i].yaml);
        EXPECT_FAILS(sweep_plan_parse(&plan, "s.yaml", cases[i].yaml, &none, &err),
                     &err, cases[i].says);
    }
}

HARNESS_MAIN("sweep_plan", TEST(a_grid_is_the_product_of_its_keys_the_last_one_fastest),
             TEST(a_list_gives_combinations_and_multiplies_with_the_grid),
             TEST(a_case_is_a_name_for_several_settings),
             TEST(probes_are_as_many_as_the_axes_are_long),
             TEST(the_digest_tells_sweeps_apart),
             TEST(what_is_wrong_is_said_with_its_line))
