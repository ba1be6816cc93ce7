/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_order.c: every waiting order is a strict total order over requests, ties and
 * extremes included, or a queue could not be kept sorted by it; and what each means.
 */
#include "base/rng.h"
#include "policies/order.h"
#include "tests/harness.h"

#include <inttypes.h>
#include <string.h>

enum { ROUNDS = 20000 };
static const int64_t second_ns = INT64_C(1000000000);

static struct order_view draw_view(struct rng *rng, uint64_t id)
{
    return (struct order_view){
        .request_id = id,
        .arrival_ns = (int64_t)rng_below(rng, 3) *
                      (rng_below(rng, 9) == 0 ? INT64_C(1) << 60 : second_ns),
        .priority = rng_below(rng, 9) == 0 ? INT32_MIN : (int32_t)rng_below(rng, 3) - 1,
        .prompt_tokens =
            rng_below(rng, 9) == 0 ? UINT32_MAX : 1 + (uint32_t)rng_below(rng, 3),
    };
}

static void draw_values(struct rng *rng, const struct order_policy *policy,
                        double values[ORDER_PARAMS_MAX])
{
    for (size_t i = 0; i < policy_param_count(policy->params); i++) {
        const struct policy_param *param = &policy->params[i];
        values[i] = param->min + (double)rng_below(rng, 3) / 2 * param->max;
    }
}

static void orders_are_total(void)
{
    const struct order_policy *policy = NULL;
    for (size_t i = 0; (policy = order_policy_at(i)) != NULL; i++) {
        struct rng rng;
        rng_init(&rng, i, "prop_order", 0);
        for (int round = 0; round < ROUNDS && policy->before != NULL; round++) {
            double values[ORDER_PARAMS_MAX] = {0};
            draw_values(&rng, policy, values);
            const struct order_view a = draw_view(&rng, 1);
            const struct order_view b = draw_view(&rng, 2);
            const struct order_view c = draw_view(&rng, 3);
            const bool ab = policy->before(values, &a, &b);
            const bool bc = policy->before(values, &b, &c);
            const bool ac = policy->before(values, &a, &c);
            harness_note("%s, round %d", policy->name, round);
            if (!EXPECT(!policy->before(values, &a, &a)) ||
                !EXPECT(ab != policy->before(values, &b, &a)) ||
                !EXPECT(ab != bc || ac == ab)) {
                return;
            }
        }
    }
}

static void tables_are_complete(void)
{
    const struct order_policy *policy = NULL;
    for (size_t i = 0; (policy = order_policy_at(i)) != NULL; i++) {
        harness_note("%s", policy->name);
        EXPECT(policy->help != NULL && policy->source != NULL);
        EXPECT(policy->breaks != NULL);
        EXPECT(order_policy_find(policy->name) == policy);
        EXPECT(policy_param_count(policy->params) <= ORDER_PARAMS_MAX);
        EXPECT(policy->before != NULL ||
               (!policy->preempted_in_order && !policy->victim_by_order));
        for (size_t j = 0; j < policy_param_count(policy->params); j++) {
            const struct policy_param *param = &policy->params[j];
            for (size_t k = 0; k < j; k++) {
                EXPECT(strcmp(policy->params[k].name, param->name) != 0);
            }
            EXPECT(param->help != NULL && param->min <= param->default_value &&
                   param->default_value <= param->max);
        }
    }
    EXPECT(order_policy_find("spf") == order_policy_find("shortest_prefill_first"));
    EXPECT(order_policy_find("lifo") == NULL);
}

static bool goes_first(const char *name, const double *values, struct order_view a,
                       struct order_view b)
{
    a.request_id = 2; /* equal in all else, b would be first */
    b.request_id = 1;
    return order_policy_find(name)->before(values, &a, &b);
}

static void each_compares_what_it_says(void)
{
    const double none[ORDER_PARAMS_MAX] = {0};
    const struct order_view early = {.prompt_tokens = 500};
    const struct order_view late = {.prompt_tokens = 400, .arrival_ns = second_ns};
    EXPECT(goes_first("shortest_prefill_first", none, late, early));
    const double aging[ORDER_PARAMS_MAX] = {101};
    EXPECT(goes_first("shortest_prefill_first", aging, early, late));
    const double less[ORDER_PARAMS_MAX] = {99};
    EXPECT(goes_first("shortest_prefill_first", less, late, early));

    const struct order_view urgent = {.priority = -1, .arrival_ns = second_ns};
    const struct order_view plain = {.arrival_ns = 0};
    const struct order_view relaxed = {.priority = 7};
    EXPECT(goes_first("priority", none, urgent, plain));
    EXPECT(goes_first("priority", none, plain, relaxed));
    const double targets[ORDER_PARAMS_MAX] = {1, 5, 60, 0};
    EXPECT(goes_first("earliest_deadline", targets, urgent, plain)); /* 2 s, 5 s */
    const double close[ORDER_PARAMS_MAX] = {1, 1.5, 60, 0};
    EXPECT(goes_first("earliest_deadline", close, plain, urgent)); /* 1.5 s, 2 s */
    EXPECT(goes_first("earliest_deadline", close, urgent, relaxed));
    const double by_length[ORDER_PARAMS_MAX] = {0, 0, 0, 11000};
    EXPECT(goes_first("earliest_deadline", by_length, late, early)); /* 5.4 s, 5.5 s */
    const double shorter[ORDER_PARAMS_MAX] = {0, 0, 0, 9000};
    EXPECT(goes_first("earliest_deadline", shorter, early, late)); /* 4.5 s, 4.6 s */
}

HARNESS_MAIN("order", TEST(orders_are_total), TEST(tables_are_complete),
             TEST(each_compares_what_it_says))
