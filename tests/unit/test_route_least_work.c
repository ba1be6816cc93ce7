/* SPDX-License-Identifier: Apache-2.0
 *
 * Least work: which tokens count, and until when. Worked by hand on two endpoints.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static struct gateway *make(double output_weight)
{
    const struct fixture_param params[] = {{"output_weight", output_weight},
                                           {"tie", 0}};
    struct gateway *gateway = fixture_tuned("least_work", params, 2);
    fixture_join(gateway, 2);
    return gateway;
}

static uint32_t open_one(struct gateway *gateway, uint64_t request_id,
                         uint32_t prompt_tokens, uint32_t guess)
{
    return fixture_open(gateway, 0,
                        &(struct request_view){.request_id = request_id,
                                               .prompt_tokens = prompt_tokens,
                                               .output_tokens_guess = guess});
}

static void end_one(struct gateway *gateway, uint64_t request_id, uint32_t id,
                    uint32_t prompt_tokens, bool had_first_token)
{
    gateway_end(gateway, 0,
                &(struct attempt_end){.request_id = request_id,
                                      .endpoint_id = id,
                                      .prompt_tokens = prompt_tokens,
                                      .had_first_token = had_first_token});
}

static void prompts_count_until_their_first_token(void)
{
    struct gateway *gateway = make(1);
    EXPECT_U64(open_one(gateway, 1, 1000, 0), 0);
    EXPECT_U64(open_one(gateway, 2, 10, 0), 1);
    EXPECT_U64(open_one(gateway, 3, 10, 0), 1); /* 10 against 1000 */
    gateway_first_token(gateway, 0, 1, 0, 1000);
    EXPECT_U64(open_one(gateway, 4, 10, 0), 0); /* 20 against 0 */
    end_one(gateway, 2, 1, 10, false);
    end_one(gateway, 3, 1, 10, false);
    EXPECT_U64(open_one(gateway, 5, 10, 0), 1); /* 0 against 10 */
    gateway_delete(gateway);
}

static void predicted_outputs_count_until_the_end(void)
{
    struct gateway *gateway = make(2);
    EXPECT_U64(open_one(gateway, 1, 10, 50), 0); /* 10 + 2 x 50 */
    EXPECT_U64(open_one(gateway, 2, 100, 0), 1);
    gateway_first_token(gateway, 0, 1, 0, 10);
    EXPECT_U64(open_one(gateway, 3, 1, 0), 0); /* 100 against 100: the first */
    EXPECT_U64(open_one(gateway, 4, 1, 0), 1); /* 101 against 100 */
    EXPECT_U64(open_one(gateway, 5, 1, 0), 0); /* 101 against 101 */
    end_one(gateway, 1, 0, 10, true);
    EXPECT_U64(open_one(gateway, 6, 1, 0), 0); /* 2 against 101 */
    gateway_delete(gateway);
}

static void weight_zero_leaves_the_prompts_alone(void)
{
    struct gateway *gateway = make(0);
    EXPECT_U64(open_one(gateway, 1, 10, 100000), 0);
    EXPECT_U64(open_one(gateway, 2, 11, 0), 1);
    EXPECT_U64(open_one(gateway, 3, 1, 0), 0);
    gateway_delete(gateway);
}

/* A thousand requests with and without predictions, ended in every way: afterwards all
 * is as new. */
static void nothing_is_left_when_all_have_ended(void)
{
    struct gateway *gateway = make(1);
    uint32_t ids[1000];
    for (uint64_t i = 0; i < 1000; i++) {
        const uint32_t guess = i % 3 == 0 ? 0 : (uint32_t)i;
        ids[i] = open_one(gateway, i, (uint32_t)(i * 7 % 100), guess);
    }
    for (uint64_t i = 0; i < 1000; i++) {
        const bool first = i % 2 == 0;
        if (first) {
            gateway_first_token(gateway, 0, i, ids[i], (uint32_t)(i * 7 % 100));
        }
        end_one(gateway, i, ids[i], (uint32_t)(i * 7 % 100), first);
    }
    EXPECT_U64(open_one(gateway, 1, 1, 1), 0);
    EXPECT_U64(open_one(gateway, 2, 1, 0), 1);
    EXPECT_U64(open_one(gateway, 3, 1, 0), 1); /* 1 against 1 + 1 */
    gateway_delete(gateway);
}

HARNESS_MAIN("route_least_work", TEST(prompts_count_until_their_first_token),
             TEST(predicted_outputs_count_until_the_end),
             TEST(weight_zero_leaves_the_prompts_alone),
             TEST(nothing_is_left_when_all_have_ended))
