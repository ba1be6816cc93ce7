/* SPDX-License-Identifier: Apache-2.0
 *
 * Small readers of the router: paths, usage statements, engine metrics, counters.
 */
#include "router/counters.h"
#include "router/paths.h"
#include "router/proxy_state.h"
#include "router/usage.h"
#include "tests/harness.h"

#include <string.h>

static void paths_are_found_without_their_query(void)
{
    const struct path *path = NULL;
    EXPECT(path_find("/v1/completions?a=b", "POST", true, &path) == PATH_FOUND);
    EXPECT(path->kind == PATH_PROXY);
    EXPECT(path_find("/v1/completions", "GET", true, &path) == PATH_WRONG_METHOD);
    EXPECT(path_find("/v1/completion", "POST", true, &path) == PATH_UNKNOWN);
    EXPECT(path_find("/v1/completions/", "POST", true, &path) == PATH_UNKNOWN);
    EXPECT(path_find("/engines", "GET", false, &path) == PATH_UNKNOWN);
    EXPECT(path_find("/engines", "GET", true, &path) == PATH_FOUND);
}

static void query_values_are_decoded_and_cut(void)
{
    char value[8];
    EXPECT(path_query("/x?a=1&id=a%2Fb+c", "id", value, sizeof value));
    EXPECT_STR(value, "a/b c");
    EXPECT(path_query("/x?id=0123456789", "id", value, sizeof value));
    EXPECT_STR(value, "0123456");
    EXPECT(path_query("/x?id=%zz%4", "id", value, sizeof value));
    EXPECT_STR(value, "%zz%4");
    EXPECT(!path_query("/x?ida=1&i=2", "id", value, sizeof value));
    EXPECT(!path_query("/x", "id", value, sizeof value));
}

static void usage_is_read_from_a_tail(void)
{
    static const struct {
        const char *text;
        uint32_t prompt, output, cached;
    } CASES[] = {
        {"...x\"}],\"usage\":{\"prompt_tokens\":12,\"total_tokens\":15,"
         "\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":8}}}",
         12, 3, 8},
        {"data: {\"usage\": {\"prompt_tokens\": 1, \"completion_tokens\": 2}}\n\n", 1,
         2, 0},
        {"{\"usage\":null}{\"usage\":{\"input_tokens\":5,\"output_tokens\":6}}", 5, 6,
         0},
        {"{\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1", 7, 0, 0},
        {"nothing", 0, 0, 0},
        {"{\"usage\":{\"prompt_tokens\":99999999999999999999}}", 0, 0, 0},
        {"", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct usage usage;
        harness_note("%s", CASES[i].text);
        usage_read(CASES[i].text, strlen(CASES[i].text), &usage);
        EXPECT_U64(usage.prompt_tokens, CASES[i].prompt);
        EXPECT_U64(usage.output_tokens, CASES[i].output);
        EXPECT_U64(usage.cached_tokens, CASES[i].cached);
    }
}

static void old_and_new_names_of_metrics_are_read(void)
{
    static const char OLD[] =
        "# HELP vllm:num_requests_running x\n"
        "vllm:num_requests_running{engine=\"0\",model_name=\"m {x} y\"} 3.0\n"
        "vllm:num_requests_waiting{model_name=\"m\"} 2\n"
        "vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.25\n"
        "vllm:gpu_prefix_cache_queries_total{model_name=\"m\"} 100.0\n"
        "vllm:gpu_prefix_cache_hits_total{model_name=\"m\"} 40.0\n"
        "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"1001\"} 1.0";
    static const char RANKS[] = "vllm:num_requests_running{engine=\"0\"} 3\n"
                                "vllm:num_requests_running{engine=\"1\"} 4\n"
                                "vllm:kv_cache_usage_perc{engine=\"0\"} 0.2\n"
                                "vllm:kv_cache_usage_perc{engine=\"1\"} 0.4\n"
                                "vllm:num_requests_runningx 9\n";
    struct endpoint_metrics metrics;
    double rate = 0;
    EXPECT(scrape_read(OLD, sizeof OLD - 1, &metrics, &rate));
    EXPECT_U64(metrics.running_requests, 3);
    EXPECT_U64(metrics.waiting_requests, 2);
    EXPECT_NEAR(metrics.kv_used_ratio, 0.25, 1e-12);
    EXPECT_U64(metrics.prefix_query_tokens, 100);
    EXPECT_U64(metrics.prefix_hit_tokens, 40);
    EXPECT_U64(metrics.kv_total_blocks, 1000);
    EXPECT(scrape_read(RANKS, sizeof RANKS - 1, &metrics, &rate));
    EXPECT_U64(metrics.running_requests, 7);
    EXPECT_NEAR(metrics.kv_used_ratio, 0.3, 1e-12);
    EXPECT_U64(metrics.valid, METRIC_RUNNING | METRIC_KV_USED);
    EXPECT(!scrape_read("nothing here\n", 13, &metrics, &rate));
    EXPECT(!scrape_read("", 0, &metrics, &rate));
    EXPECT(!scrape_read("vllm:num_requests_running NaN\n", 30, &metrics, &rate));
}

static void model_names_of_strangers_are_bounded(void)
{
    static struct counters counters;
    char name[32];
    struct text out = {0};
    for (int i = 0; i < 2 * COUNTER_MODELS_MAX; i++) {
        (void)snprintf(name, sizeof name, "model \"%d\"", i);
        counters_incoming(&counters, name);
    }
    EXPECT_U64(counters.model_count, COUNTER_MODELS_MAX);
    counters_print(&counters, &out);
    EXPECT_HAS(text_str(&out), "{model=\"model \\\"0\\\"\"} 1\n");
    EXPECT_HAS(text_str(&out), "{model=\"other\"} 257\n");
    text_fini(&out);
    counters_fini(&counters);
}

static void latencies_fall_into_their_buckets(void)
{
    static struct counters counters;
    struct text out = {0};
    struct counter_server *server = counters_server(&counters, 3, "http://a", "m");
    counters_latency(server, 200, 0.05);
    counters_latency(server, 200, 1000);
    counters_latency(server, 404, 0.2);
    counters_print(&counters, &out);
    const char *text = text_str(&out);
    EXPECT_HAS(text,
               "_bucket{server=\"http://a\",model=\"m\",status=\"200\",le=\"0.05\"} "
               "1\n");
    EXPECT_HAS(text, "status=\"200\",le=\"120\"} 1\n");
    EXPECT_HAS(text, "status=\"200\",le=\"+Inf\"} 2\n");
    EXPECT_HAS(text, "_count{server=\"http://a\",model=\"m\",status=\"404\"} 1\n");
    counters_forget(&counters, 3);
    out.length = 0;
    counters_print(&counters, &out);
    EXPECT(strstr(text_str(&out), "http://a") == NULL);
    text_fini(&out);
    counters_fini(&counters);
}

HARNESS_MAIN("router_parts", TEST(paths_are_found_without_their_query),
             TEST(query_values_are_decoded_and_cut), TEST(usage_is_read_from_a_tail),
             TEST(old_and_new_names_of_metrics_are_read),
             TEST(model_names_of_strangers_are_bounded),
             TEST(latencies_fall_into_their_buckets))
