/* SPDX-License-Identifier: Apache-2.0
 *
 * The router started out of a deployment's files, between real sockets: a VLLMRouter
 * with static backends, and chart values.
 */
#include "tests/loopback/router.h"

/* The file with the engine's port in it; answers through the router. */
static void serves(const char *flag, const char *format, const char *said)
{
    struct engine *engine = engine_new(0, 5);
    struct text file = {0};
    struct text flags = {0};
    struct text got = {0};
    /* One %d, the engine's port. */
    const char *hole = strstr(format, "%d");
    REQUIRE(hole != NULL);
    text_add_bytes(&file, format, (size_t)(hole - format));
    text_printf(&file, "%d%s", engine->port, hole + 2);
    text_printf(&flags, "%s=%s", flag,
                harness_temp_file("deployment.yaml", file.bytes, file.length));
    struct router router = start(flags.bytes);
    ask_post(router.port, QUESTION, &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    ask_get(router.port, "/health", &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    EXPECT_HAS(text_str(&got), said);
    EXPECT_I64(stop(&router), 0);
    engine_delete(engine);
    text_fini(&file);
    text_fini(&flags);
    text_fini(&got);
}

static void flags_of_a_vllmrouter_start_the_router(void)
{
    serves("--from-crd",
           "apiVersion: production-stack.vllm.ai/v1alpha1\n"
           "kind: VLLMRouter\n"
           "metadata: {name: r, namespace: default}\n"
           "spec:\n"
           "  replicas: 1\n"
           "  serviceDiscovery: static\n"
           "  staticBackends: http://127.0.0.1:%d\n"
           "  staticModels: m\n"
           "  routingLogic: session\n"
           "  sessionKey: x-user-id\n"
           "  engineScrapeInterval: 10\n"
           "  extraArgs: [--log-stats]\n",
           "healthy");
}

static void flags_of_chart_values_start_the_router(void)
{
    serves("--from-helm",
           "servingEngineSpec: {enableEngine: false}\n"
           "routerSpec:\n"
           "  serviceDiscovery: static\n"
           "  staticBackends: http://127.0.0.1:%d\n"
           "  staticModels: m\n"
           "  routingLogic: prefixaware\n",
           "healthy");
}

HARNESS_MAIN("from", TEST(flags_of_a_vllmrouter_start_the_router),
             TEST(flags_of_chart_values_start_the_router))
