/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_fixture.h: a gateway with a few endpoints, for the tests of policies/.
 */
#ifndef STACKSIM_TESTS_POLICY_FIXTURE_H
#define STACKSIM_TESTS_POLICY_FIXTURE_H

#include "policies/gateway.h"
#include "policies/text_chunks.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { FIXTURE_CHUNKS_MAX = 64 };

/* One parameter, or none with name NULL. */
struct fixture_param {
    const char *name;
    double value;
};

static inline struct gateway *fixture_gateway(const char *policy, enum compat compat,
                                              uint64_t seed, struct fixture_param param)
{
    struct gateway *gateway = NULL;
    struct err err;
    const struct gateway_setup setup = {
        .policy = route_policy_find(policy),
        .compat = compat,
        .param_names = &param.name,
        .param_values = &param.value,
        .param_count = param.name != NULL ? 1 : 0,
        .seed = seed,
    };
    REQUIRE(setup.policy != NULL);
    REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
    return gateway;
}

/* Several parameters, at head and with seed 1. */
static inline struct gateway *
fixture_tuned(const char *policy, const struct fixture_param *params, size_t count)
{
    enum { PARAMS_MAX = 8 };
    struct gateway *gateway = NULL;
    struct err err;
    const char *names[PARAMS_MAX];
    double values[PARAMS_MAX];
    REQUIRE(count <= PARAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        names[i] = params[i].name;
        values[i] = params[i].value;
    }
    const struct gateway_setup setup = {
        .policy = route_policy_find(policy),
        .compat = COMPAT_HEAD,
        .param_names = names,
        .param_values = values,
        .param_count = count,
        .seed = 1,
    };
    REQUIRE(setup.policy != NULL);
    REQUIRE_OK(gateway_new(&gateway, &setup, &err), &err);
    return gateway;
}

static inline struct gateway *fixture_plain(const char *policy, enum compat compat)
{
    return fixture_gateway(policy, compat, 1, (struct fixture_param){.name = NULL});
}

/* http://10.0.0.1:8000 and so on, the urls of the specification's vectors. */
static inline void fixture_join(struct gateway *gateway, int count)
{
    for (int i = 1; i <= count; i++) {
        char url[64];
        snprintf(url, sizeof url, "http://10.0.0.%d:8000", i);
        (void)gateway_join(gateway, url, NULL, 1);
    }
}

/* Routes a request and ends it at once; returns the endpoint's id. */
static inline uint32_t fixture_send(struct gateway *gateway, int64_t now_ns,
                                    const struct request_view *request)
{
    uint32_t id = UINT32_MAX;
    const struct route_decision decision = gateway_route(gateway, now_ns, request, &id);
    if (decision.endpoint < 0) {
        return UINT32_MAX;
    }
    const struct attempt_end end = {
        .request_id = request->request_id,
        .endpoint_id = id,
        .prompt_tokens = request->prompt_tokens,
        .how = ATTEMPT_COMPLETED,
    };
    gateway_end(gateway, now_ns, &end);
    return id;
}

/* Routes a request and leaves it in flight; returns the endpoint's id. */
static inline uint32_t fixture_open(struct gateway *gateway, int64_t now_ns,
                                    const struct request_view *request)
{
    uint32_t id = UINT32_MAX;
    (void)gateway_route(gateway, now_ns, request, &id);
    return id;
}

/* The last digit of the host in a url of fixture_join. */
static inline uint32_t fixture_host(const struct gateway *gateway, uint32_t id)
{
    const char *url = gateway_endpoint(gateway, id)->url;
    return (uint32_t)(url[strlen("http://10.0.0.")] - '0');
}

static inline struct request_view fixture_prompt(const char *text, size_t bytes,
                                                 uint64_t hashes[FIXTURE_CHUNKS_MAX])
{
    const size_t count = text_chunk_hashes(text, bytes, hashes, FIXTURE_CHUNKS_MAX);
    return (struct request_view){
        .prompt_tokens = 1, .chunk_hashes = hashes, .chunk_count = (uint32_t)count};
}

#endif
