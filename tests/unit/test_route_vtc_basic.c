/* SPDX-License-Identifier: Apache-2.0
 *
 * vtc_basic: places by hand, the window, and tenants beyond the bound.
 */
#include "policies/gateway.h"
#include "tests/policy_fixture.h"

static const int64_t minute_ns = INT64_C(60000000000);

static struct request_view of(const char *tenant, uint32_t prompt_tokens)
{
    return (struct request_view){.tenant = tenant,
                                 .prompt_tokens = prompt_tokens,
                                 .output_tokens_guess = prompt_tokens};
}

/* Charged 3 x prompt. Nobody known: bucket 4000, place 0. Then heavy has 30,000 and
 * light 300: bucket 15,150; heavy's place is 1.98, light's 0.02: endpoints 2 and 0. */
static void heavy_tenants_move_up_the_list(void)
{
    struct gateway *gateway = fixture_plain("vtc_basic", COMPAT_HEAD);
    fixture_join(gateway, 4);
    struct request_view heavy = of("heavy", 10000);
    struct request_view light = of("light", 100);
    EXPECT_U64(fixture_send(gateway, 1, &heavy), 0);
    EXPECT_U64(fixture_send(gateway, 2, &light), 0);
    EXPECT_U64(fixture_send(gateway, 3, &heavy), 2);
    EXPECT_U64(fixture_send(gateway, 4, &light), 0);
    gateway_delete(gateway);
}

/* Five minutes on, nothing counts any more. */
static void tokens_count_for_the_window(void)
{
    struct gateway *gateway = fixture_plain("vtc_basic", COMPAT_HEAD);
    fixture_join(gateway, 4);
    struct request_view heavy = of("heavy", 10000);
    struct request_view light = of("light", 100);
    (void)fixture_send(gateway, 1, &heavy);
    (void)fixture_send(gateway, 2, &light);
    EXPECT_U64(fixture_send(gateway, 4 * minute_ns, &heavy), 2);
    EXPECT_U64(fixture_send(gateway, 10 * minute_ns, &heavy), 0);
    gateway_delete(gateway);
}

/* Load counts up to one place: 100 requests in flight at the first of two. */
static void load_outweighs_a_small_distance(void)
{
    struct gateway *gateway = fixture_plain("vtc_basic", COMPAT_HEAD);
    fixture_join(gateway, 1);
    struct request_view request = of("a", 0);
    for (uint64_t i = 0; i < 120; i++) {
        request.request_id = i;
        (void)fixture_open(gateway, 1, &request);
    }
    (void)gateway_join(gateway, "http://10.0.0.2:8000", NULL, 1);
    size_t second = 0;
    for (uint64_t i = 0; i < 40; i++) {
        request.request_id = 1000 + i;
        second += fixture_send(gateway, 2, &request) == 1;
    }
    /* Distance 1 against load 1: the random part decides. */
    EXPECT(second > 5 && second < 35);
    gateway_delete(gateway);
}

static void who_names_no_tenant_goes_anywhere(void)
{
    struct gateway *gateway = fixture_plain("vtc_basic", COMPAT_HEAD);
    size_t count[4] = {0};
    fixture_join(gateway, 4);
    const struct request_view request = of(NULL, 1000);
    for (int i = 0; i < 4000; i++) {
        count[fixture_send(gateway, 1, &request)]++;
    }
    for (int i = 0; i < 4; i++) { /* 1000, standard deviation 27 */
        EXPECT(count[i] > 860 && count[i] < 1140);
    }
    gateway_delete(gateway);
}

static void the_oldest_tenant_is_forgotten(void)
{
    struct gateway *gateway = fixture_gateway("vtc_basic", COMPAT_HEAD, 1,
                                              (struct fixture_param){"tenants_max", 2});
    fixture_join(gateway, 4);
    struct request_view heavy = of("heavy", 10000);
    struct request_view light = of("light", 100);
    struct request_view third = of("third", 100);
    (void)fixture_send(gateway, 1, &heavy);
    (void)fixture_send(gateway, 2, &light);
    EXPECT_U64(fixture_send(gateway, 3, &heavy), 2);
    (void)fixture_send(gateway, 4, &third); /* in light's place */
    (void)fixture_send(gateway, 5, &light); /* in heavy's place */
    EXPECT_U64(fixture_send(gateway, 6, &heavy), 0);
    gateway_delete(gateway);
}

HARNESS_MAIN("unit.route_vtc_basic", TEST(heavy_tenants_move_up_the_list),
             TEST(tokens_count_for_the_window), TEST(load_outweighs_a_small_distance),
             TEST(who_names_no_tenant_goes_anywhere),
             TEST(the_oldest_tenant_is_forgotten))
