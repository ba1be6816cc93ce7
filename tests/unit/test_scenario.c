/* SPDX-License-Identifier: Apache-2.0
 *
 * test_scenario.c: what a scenario file means, where its parts are looked for, and that
 * each mistake is told by file, line and key.
 */
#include "sim/scenario.h"
#include "tests/harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char small[] = "workload: {trace: t.jsonl}\n"       /* 1 */
                            "cluster:\n"                         /* 2 */
                            "  pools:\n"                         /* 3 */
                            "    - gpu: h100_sxm\n"              /* 4 */
                            "      model: llama_3_1_8b\n"        /* 5 */
                            "      engine: {max_num_seqs: 64}\n" /* 6 */
                            "routing: {policy: round_robin}\n";  /* 7 */

static const char full[] =
    "name: full\n"
    "seed: 77\n"
    "replay: closed\n"
    "workload: {generate: [{requests: 3, whatever: [1, {deep: x}]}]}\n"
    "cluster:\n"
    "  pools:\n"
    "    - name: big\n"
    "      replicas: 3\n"
    "      gpu: h100_sxm\n"
    "      model: llama_3_1_70b\n"
    "      engine: {tensor_parallel: 4, compat: v085, max_model_len: 16384}\n"
    "    - name: slow\n"
    "      gpu: l40s\n"
    "      model: qwen3_8b\n"
    "      cost: {model: linear, step: 10ms}\n"
    "routing:\n"
    "  policy: prefix_aware\n"
    "  compat: tag-fixed\n"
    "  stats_window: 30s\n"
    "  scrape_interval: 5s\n"
    "  chars_per_token: 5\n"
    "  kv_events: {delay: 3ms, batch_interval: 50ms, loss: 0.25}\n"
    "sample_interval: 2s\n"
    "slo: {ttft: 1s, tpot: 50ms, e2e: 60s}\n"
    "end: {requests: 1000, time: 1h}\n";

static bool parse_with(struct scenario **out, const char *text,
                       const struct scenario_options *options, struct err *err)
{
    return scenario_parse(out, "s.yaml", text, strlen(text), options, err);
}

static bool parse(struct scenario **out, const char *text, struct err *err)
{
    const struct scenario_options options = {0};
    return parse_with(out, text, &options, err);
}

static void expect_refused(const char *text, const char *part)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    harness_note("%s", part);
    if (EXPECT_FAILS(parse(&scenario, text, &err), &err, part)) {
        EXPECT(err.kind == ERR_INPUT);
    } else {
        scenario_delete(scenario);
    }
}

/* The small scenario with line `at` (from 1) replaced. */
static void expect_line_refused(unsigned at, const char *line, const char *part)
{
    char text[2048] = "";
    char where[32];
    const char *rest = small;
    for (unsigned i = 1; *rest != '\0'; i++) {
        const size_t length = strcspn(rest, "\n") + 1;
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%.*s%s", i == at ? 0 : (int)length,
                 rest, i == at ? line : "");
        rest += length;
    }
    struct scenario *scenario = NULL;
    struct err err = {0};
    harness_note("%s", line);
    if (EXPECT_FAILS(parse(&scenario, text, &err), &err, part)) {
        snprintf(where, sizeof where, "s.yaml:%u:", at);
        EXPECT_HAS(err.text, where);
    } else {
        scenario_delete(scenario);
    }
}

static void what_is_not_said_has_a_default(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    REQUIRE_OK(parse(&scenario, small, &err), &err);
    EXPECT_STR(scenario->name, "scenario");
    EXPECT_U64(scenario->seed, 1);
    EXPECT_U64(scenario->pool_count, 1);
    EXPECT_STR(scenario->pools[0].name, "pool0");
    EXPECT_U64(scenario->pools[0].replicas, 1);
    EXPECT_STR(scenario->policy->name, "round_robin");
    EXPECT(scenario->compat == COMPAT_HEAD);
    EXPECT(scenario->replay == REPLAY_OPEN);
    EXPECT_I64(scenario->scrape_interval_ns, INT64_C(15000000000));
    EXPECT_I64(scenario->sample_interval_ns, 0);
    EXPECT_U64(scenario->chars_per_token, 4);
    EXPECT_I64(scenario->kv_reports.delay_ns, INT64_C(10000000));
    EXPECT_I64(scenario->kv_reports.batch_interval_ns, 0);
    EXPECT_NEAR(scenario->kv_reports.loss_ratio, 0, 0);
    EXPECT_U64(scenario->requests_max, 0);
    EXPECT_I64(scenario->time_max_ns, 0);
    EXPECT_STR(scenario->base_dir, ".");
    EXPECT_HAS(cost_description(scenario->pools[0].cost), "roofline");
    scenario_delete(scenario);
}

static void every_key_is_read(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    REQUIRE_OK(parse(&scenario, full, &err), &err);
    EXPECT_STR(scenario->name, "full");
    EXPECT_U64(scenario->seed, 77);
    EXPECT(scenario->replay == REPLAY_CLOSED);
    EXPECT_U64(scenario->pool_count, 2);
    EXPECT_STR(scenario->pools[0].name, "big");
    EXPECT_U64(scenario->pools[0].replicas, 3);
    EXPECT_U64(scenario->pools[0].engine.tensor_parallel, 4);
    EXPECT(scenario->pools[0].engine.compat == ENGINE_V085);
    EXPECT_STR(scenario->pools[0].gpu.name, "H100-SXM");
    EXPECT_STR(scenario->pools[0].model.name, "Llama-3.1-70B");
    EXPECT(scenario->pools[0].kv_blocks > 1000);
    EXPECT_HAS(cost_description(scenario->pools[1].cost), "linear");
    EXPECT_STR(scenario->policy->name, "prefix_aware");
    EXPECT(scenario->compat == COMPAT_TAG_FIXED);
    EXPECT_I64(scenario->stats_window_ns, INT64_C(30000000000));
    EXPECT_I64(scenario->scrape_interval_ns, INT64_C(5000000000));
    EXPECT_U64(scenario->chars_per_token, 5);
    EXPECT_I64(scenario->kv_reports.delay_ns, INT64_C(3000000));
    EXPECT_I64(scenario->kv_reports.batch_interval_ns, INT64_C(50000000));
    EXPECT_NEAR(scenario->kv_reports.loss_ratio, 0.25, 0);
    EXPECT_I64(scenario->sample_interval_ns, INT64_C(2000000000));
    EXPECT_I64(scenario->slo_ttft_ns, INT64_C(1000000000));
    EXPECT_I64(scenario->slo_tpot_ns, INT64_C(50000000));
    EXPECT_I64(scenario->slo_e2e_ns, INT64_C(60000000000));
    EXPECT_U64(scenario->requests_max, 1000);
    EXPECT_I64(scenario->time_max_ns, INT64_C(3600000000000));
    EXPECT(conf_get(scenario->workload, "generate") != NULL);
    scenario_delete(scenario);
}

static void unknown_keys_are_told_with_the_nearest(void)
{
    expect_line_refused(7, "routing: {polcy: round_robin}\n", "policy");
    expect_line_refused(7, "rooting: {policy: round_robin}\n", "routing");
    expect_line_refused(6, "      engine: {max_num_seq: 64}\n", "max_num_seqs");
    expect_line_refused(6, "      replica: 3\n", "replicas");
    expect_line_refused(6, "      cost: {scale_decod: 1.0}\n", "scale_decode");
    expect_line_refused(7, "slo: {tttf: 1s}\n", "ttft");
    expect_line_refused(7, "end: {request: 3}\n", "requests");
    expect_line_refused(7, "sample_intervall: 1s\n", "sample_interval");
}

static void wrong_values_are_told_by_line(void)
{
    expect_line_refused(1, "workload: {}\n", "is empty");
    expect_line_refused(1, "workload: trace.jsonl\n", "workload");
    expect_line_refused(4, "    - gpu: h100\n", "no gpus/h100.yaml");
    expect_line_refused(4, "    - gpu: ./h100.yaml\n", "cannot read ./h100.yaml");
    expect_line_refused(5, "      model: gpt_9\n", "no models/gpt_9.yaml");
    expect_line_refused(6, "      replicas: 0\n", "replicas");
    expect_line_refused(6, "      engine: [1]\n", "engine");
    expect_line_refused(6, "      cost: {model: oracle}\n", "roofline");
    expect_line_refused(6, "      cost: {model: linear}\n", "must take time");
    expect_line_refused(7, "routing: {policy: fastest}\n", "there are round_robin");
    expect_line_refused(7, "routing: {compat: v2}\n", "tag-fixed");
    expect_line_refused(7, "routing: {scrape_interval: -1s}\n", "scrape_interval");
    expect_line_refused(7, "routing: {chars_per_token: 0}\n", "chars_per_token");
    expect_line_refused(7, "routing: {stats_window: 60}\n", "stats_window");
    expect_line_refused(7, "routing: {kv_events: {loss: 2}}\n", "loss");
    expect_line_refused(7, "routing: {kv_events: {delay: 5}}\n", "delay");
    expect_line_refused(7, "routing: {kv_events: {latency: 5ms}}\n", "latency");
    expect_line_refused(7, "replay: backwards\n", "hybrid");
    expect_line_refused(7, "sample_interval: 10us\n", "1ms at least");
    expect_line_refused(7, "slo: {ttft: -1s}\n", "ttft");
    expect_line_refused(7, "seed: -1\n", "seed");
    expect_line_refused(7, "name: ''\n", "1 to");
}

static void missing_parts_are_told(void)
{
    expect_refused("", "cluster");
    expect_refused("[1, 2]\n", "a scenario is a map");
    expect_refused("workload: {trace: x}\n", "cluster");
    expect_refused("cluster: {}\nworkload: {trace: x}\n", "pools");
    expect_refused("cluster: {pools: []}\nworkload: {trace: x}\n", "pools: 1 to 16");
    expect_refused("cluster: {pools: [x]}\nworkload: {trace: x}\n", "each is a map");
    expect_refused("cluster: {pools: [{model: opt_125m}]}\n", "gpu");
    expect_refused("cluster: {pools: [{gpu: l4, model: opt_125m}]}\n", "workload");
    expect_refused("cluster: {pools: [{gpu: l4, model: opt_125m, name: a},"
                   "{gpu: l4, model: opt_125m, name: a}]}\n",
                   "there is a pool a above");
    expect_refused("cluster: {pools: [{gpu: l4, model: opt_125m, replicas: 4000},"
                   "{gpu: l4, model: opt_125m, replicas: 97}]}\n",
                   "4097 replicas, at most 4096");
}

static void model_that_does_not_fit_is_told_at_its_pool(void)
{
    expect_refused("workload: {trace: x}\ncluster:\n  pools:\n"
                   "    - gpu: h100_sxm\n      model: llama_3_1_70b\n",
                   "s.yaml:4: Llama-3.1-70B does not fit H100-SXM");
}

static void parameters_are_those_of_the_policy(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    static const char start[] = "workload: {trace: x}\ncluster: {pools: [{gpu: l4, "
                                "model: opt_125m}]}\nrouting: {policy: prefix_aware, "
                                "params: ";
    static const struct {
        const char *params;
        const char *part;
    } wrong[] = {
        {"{spill_load_ratio: 0.5}", "s.yaml:3: routing.params.spill_load_ratio"},
        {"{prefix_min_match_length: 1.5}",
         "s.yaml:3: params: policy prefix_aware: prefix_min_match_length is 1.5"},
        {"{pinning: 2}", "pinning"},
        {"{spill_load_ration: 2}", "did you mean spill_load_ratio"},
        {"{zzz: 1}", "has no parameter zzz; `stacksim policies prefix_aware`"},
    };
    char text[512];
    snprintf(text, sizeof text, "%s{spill_load_ratio: 2.5, pinning: true}}\n", start);
    REQUIRE_OK(parse(&scenario, text, &err), &err);
    EXPECT_U64(scenario->param_count, 2);
    EXPECT_STR(scenario->param_names[0], "spill_load_ratio");
    EXPECT_NEAR(scenario->param_values[0], 2.5, 0.0);
    EXPECT_NEAR(scenario->param_values[1], 1.0, 0.0);
    scenario_delete(scenario);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(text, sizeof text, "%s%s}\n", start, wrong[i].params);
        expect_refused(text, wrong[i].part);
    }
}

static void admission_is_off_unless_a_policy_is_named(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    static const char start[] =
        "workload: {trace: x}\ncluster: {pools: [{gpu: l4, model: opt_125m}]}\n";
    char text[512];
    REQUIRE_OK(parse(&scenario, start, &err), &err);
    EXPECT(scenario->admission.policy == NULL);
    scenario_delete(scenario);
    snprintf(text, sizeof text, "%sadmission: {policy: vtc, params: {queue_max: 9}}\n",
             start);
    REQUIRE_OK(parse(&scenario, text, &err), &err);
    EXPECT_STR(scenario->admission.policy->name, "vtc");
    EXPECT_U64(scenario->admission.param_count, 1);
    EXPECT_STR(scenario->admission.param_names[0], "queue_max");
    EXPECT_NEAR(scenario->admission.param_values[0], 9, 0);
    scenario_delete(scenario);
    static const struct {
        const char *admission;
        const char *part;
    } wrong[] = {
        {"{policy: vtx}", "s.yaml:3: policy: no admission policy vtx; there are conc"},
        {"{params: {queue_max: 9}}", "policy"},
        {"{policy: vtc, params: {queue_maxx: 9}}", "did you mean queue_max"},
        {"{policy: vtc, params: {queue_max: 1.5}}", "whole number"},
        {"{policy: vtc, polic: 1}", "polic"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(text, sizeof text, "%sadmission: %s\n", start, wrong[i].admission);
        expect_refused(text, wrong[i].part);
    }
}

/* Or times that look fitted would be the data sheet's. */
static void fit_is_refused_by_models_that_read_none(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    static const char start[] =
        "workload: {trace: x}\ncluster: {pools: [{gpu: rtx_4090, model: llama_3_1_8b, "
        "engine: {max_model_len: 8192},\n cost: {fit: rtx_4090.llama_3_1_8b";
    char text[512];
    snprintf(text, sizeof text, "%s, model: affine}}]}\n", start);
    REQUIRE_OK(parse(&scenario, text, &err), &err);
    EXPECT_HAS(cost_description(scenario->pools[0].cost), "affine");
    EXPECT_HAS(cost_description(scenario->pools[0].cost), "fitted to kernel profile");
    scenario_delete(scenario);
    snprintf(text, sizeof text, "%s}}]}\n", start);
    expect_refused(text, "s.yaml:3: fit: model roofline reads none; use model: affine");
    snprintf(text, sizeof text, "%s, model: linear, step: 1ms}}]}\n", start);
    expect_refused(text, "fit: model linear reads none");
    snprintf(text, sizeof text, "%s_x, model: affine}}]}\n", start);
    expect_refused(text, "no fits/rtx_4090.llama_3_1_8b_x.yaml");
}

static void policy_from_the_command_line_leaves_foreign_parameters_out(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    const struct policy_param *param = &route_policy_find("prefix_aware")->params[0];
    char text[512];
    snprintf(text, sizeof text, "%srouting: {policy: prefix_aware, params: {%s: %g}}\n",
             "workload: {trace: x}\ncluster: {pools: [{gpu: l4, model: opt_125m}]}\n",
             param->name, param->min);
    const struct scenario_options options = {.policy = "round_robin"};
    REQUIRE_OK(parse_with(&scenario, text, &options, &err), &err);
    EXPECT_STR(scenario->policy->name, "round_robin");
    EXPECT_U64(scenario->param_count, 0);
    scenario_delete(scenario);
    const struct scenario_options wrong = {.policy = "fastest"};
    EXPECT_FAILS(parse_with(&scenario, text, &wrong, &err), &err, "no policy fastest");
    EXPECT(err.kind == ERR_USAGE);
}

static void overrides_come_last_and_are_checked(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    const char *const good[] = {"cluster.pools.0.replicas=9", "seed=5",
                                "workload.trace=other.jsonl", "slo.ttft=3s"};
    const struct scenario_options options = {.overrides = good, .override_count = 4};
    REQUIRE_OK(parse_with(&scenario, small, &options, &err), &err);
    EXPECT_U64(scenario->pools[0].replicas, 9);
    EXPECT_U64(scenario->seed, 5);
    EXPECT_I64(scenario->slo_ttft_ns, INT64_C(3000000000));
    const char *trace = "";
    EXPECT(conf_str(scenario->workload, "trace", &trace, &err));
    EXPECT_STR(trace, "other.jsonl");
    scenario_delete(scenario);
    const char *const bad[] = {"cluster.pools.0.replica=9"};
    const struct scenario_options wrong = {.overrides = bad, .override_count = 1};
    EXPECT_FAILS(parse_with(&scenario, small, &wrong, &err), &err, "replicas");
}

/* A copy of a shipped file with another name: inside under another name, too. */
static void copy_gpu(const char *folder, const char *name)
{
    char text[8192];
    char path[512];
    FILE *from = fopen(harness_source("configs/gpus/l4.yaml"), "r");
    REQUIRE(from != NULL);
    const size_t count = fread(text, 1, sizeof text - 1, from);
    fclose(from);
    text[count] = '\0';
    char *at = strstr(text, "\nname: L4");
    REQUIRE(at != NULL);
    memcpy(at, "\nname: MY", 9);
    snprintf(path, sizeof path, "%s/gpus", folder);
    (void)mkdir(folder, 0777);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/gpus/%s.yaml", folder, name);
    FILE *to = fopen(path, "w");
    REQUIRE(to != NULL);
    fputs(text, to);
    fclose(to);
}

static void gpu_comes_from(const struct scenario_options *options, const char *gpu,
                           const char *expected)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    char text[256];
    snprintf(text, sizeof text,
             "workload: {trace: x}\ncluster: {pools: [{gpu: %s, model: opt_125m}]}\n",
             gpu);
    REQUIRE_OK(parse_with(&scenario, text, options, &err), &err);
    EXPECT_STR(scenario->pools[0].gpu.name, expected);
    scenario_delete(scenario);
}

static void configs_are_looked_for_in_order(void)
{
    char folder[512];
    const struct scenario_options plain = {0};
    snprintf(folder, sizeof folder, "%s", harness_temp("mine"));
    copy_gpu(folder, "l4");
    const struct scenario_options mine = {.config_dir = folder};
    gpu_comes_from(&plain, "l4", "L4");
    gpu_comes_from(&mine, "l4", "MY");
    gpu_comes_from(&mine, "l40s", "L40S"); /* what it lacks comes from the next */
    REQUIRE(setenv("STACKSIM_CONFIGS", folder, 1) == 0);
    gpu_comes_from(&plain, "l4", "MY");
    REQUIRE(unsetenv("STACKSIM_CONFIGS") == 0);
}

static void paths_in_a_file_are_relative_to_it(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    const struct scenario_options options = {0};
    char folder[512];
    static const char text[] = "workload: {trace: x}\ncluster: {pools: [{gpu: "
                               "mine/gpus/own.yaml, model: opt_125m}]}\n";
    snprintf(folder, sizeof folder, "%s", harness_temp("mine"));
    copy_gpu(folder, "own");
    const char *path = harness_temp_file("here.yaml", text, strlen(text));
    REQUIRE_OK(scenario_load(&scenario, path, &options, &err), &err);
    EXPECT_STR(scenario->pools[0].gpu.name, "MY");
    EXPECT(strncmp(path, scenario->base_dir, strlen(scenario->base_dir)) == 0);
    EXPECT_STR(path + strlen(scenario->base_dir), "/here.yaml");
    scenario_delete(scenario);
}

static void every_shipped_scenario_loads(void)
{
    const struct scenario_options options = {0};
    unsigned count = 0;
    DIR *dir = opendir(harness_source("configs/scenarios"));
    REQUIRE(dir != NULL);
    for (const struct dirent *entry = readdir(dir); entry != NULL;
         entry = readdir(dir)) {
        char name[300];
        snprintf(name, sizeof name, "%s", entry->d_name);
        char *dot = strstr(name, ".yaml");
        if (dot == NULL) {
            continue;
        }
        *dot = '\0'; /* by bare name, as people type it */
        struct scenario *scenario = NULL;
        struct err err = {0};
        harness_note("%s", name);
        if (EXPECT_OK(scenario_load(&scenario, name, &options, &err), &err)) {
            EXPECT_STR(scenario->name, name);
            scenario_delete(scenario);
        }
        count++;
    }
    closedir(dir);
    EXPECT(count >= 6);
}

static void file_that_is_not_there_is_told(void)
{
    struct scenario *scenario = NULL;
    struct err err = {0};
    const struct scenario_options options = {0};
    EXPECT_FAILS(scenario_load(&scenario, "no/such.yaml", &options, &err), &err,
                 "no/such.yaml");
    EXPECT_FAILS(scenario_load(&scenario, "nothing", &options, &err), &err, "nothing");
}

HARNESS_MAIN("scenario", TEST(what_is_not_said_has_a_default), TEST(every_key_is_read),
             TEST(unknown_keys_are_told_with_the_nearest),
             TEST(wrong_values_are_told_by_line), TEST(missing_parts_are_told),
             TEST(model_that_does_not_fit_is_told_at_its_pool),
             TEST(parameters_are_those_of_the_policy),
             TEST(admission_is_off_unless_a_policy_is_named),
             TEST(fit_is_refused_by_models_that_read_none),
             TEST(policy_from_the_command_line_leaves_foreign_parameters_out),
             TEST(overrides_come_last_and_are_checked),
             TEST(configs_are_looked_for_in_order),
             TEST(paths_in_a_file_are_relative_to_it),
             TEST(every_shipped_scenario_loads), TEST(file_that_is_not_there_is_told))
