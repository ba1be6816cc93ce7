/* SPDX-License-Identifier: Apache-2.0
 *
 * Maglev: known owners, shares, and how few keys move.
 */
#include "policies/gateway.h"
#include "tests/hashing_fixture.h"

/* Table of 65537 slots filled by a program of its own. */
static void keys_go_to_the_owners_of_their_slots(void)
{
    const uint32_t expected[] = {1, 4, 1, 7, 6, 7, 3, 2, 5, 2, 0, 2};
    struct gateway *gateway = fixture_plain("maglev", COMPAT_HEAD);
    fixture_join(gateway, HASHING_ENDPOINTS);
    hashing_expect(gateway, expected, 12);
    gateway_delete(gateway);
}

/* Gateways that met the same endpoints in another order agree. */
static void order_of_joining_does_not_matter(void)
{
    struct gateway *gateway = fixture_plain("maglev", COMPAT_HEAD);
    struct gateway *backwards = fixture_plain("maglev", COMPAT_HEAD);
    fixture_join(gateway, HASHING_ENDPOINTS);
    for (int i = HASHING_ENDPOINTS; i > 0; i--) {
        char url[64];
        snprintf(url, sizeof url, "http://10.0.0.%d:8000", i);
        (void)gateway_join(backwards, url, NULL, 1);
    }
    for (int i = 0; i < 200; i++) {
        char key[32];
        snprintf(key, sizeof key, "user-%d", i);
        EXPECT_U64(hashing_send(gateway, key),
                   HASHING_ENDPOINTS - 1 - hashing_send(backwards, key));
    }
    gateway_delete(gateway);
    gateway_delete(backwards);
}

/* Endpoints that leave or join move some slots of others, too: 0.2 and
 * 0.3 % of them here; of the keys at most 1 %. */
static void few_keys_of_others_move(void)
{
    struct gateway *gateway = fixture_plain("maglev", COMPAT_HEAD);
    hashing_survives_change(gateway, HASHING_KEYS / 100);
    gateway_delete(gateway);
}

/* Who is ill is passed over: no key of the others moves, and its own keys are shared.
 */
static void keys_of_an_ill_endpoint_are_shared_by_all_others(void)
{
    struct key_map before;
    struct key_map after;
    uint32_t got[HASHING_ENDPOINTS] = {0};
    struct gateway *gateway = fixture_plain("maglev", COMPAT_HEAD);
    fixture_join(gateway, HASHING_ENDPOINTS);
    hashing_map(gateway, &before);
    gateway_set_accepting(gateway, 0, false);
    hashing_map(gateway, &after);
    EXPECT_I64(hashing_moves(&before, &after, 0).rest, 0);
    for (int i = 0; i < HASHING_KEYS; i++) {
        got[after.endpoint_id[i]] += before.endpoint_id[i] == 0;
    }
    for (int id = 1; id < HASHING_ENDPOINTS; id++) {
        /* A seventh of 500, deviation 8. */
        EXPECT_NEAR(got[id], HASHING_KEYS / 56.0, 35);
    }
    gateway_delete(gateway);
}

/* Shares of slots are equal but for one slot; of 500 keys the deviation is 21, the
 * largest of 8 lies at about 1.06. */
static void shares_are_equal(void)
{
    struct key_map map;
    struct gateway *gateway = fixture_plain("maglev", COMPAT_HEAD);
    fixture_join(gateway, HASHING_ENDPOINTS);
    hashing_map(gateway, &map);
    EXPECT(hashing_largest_share(&map, HASHING_ENDPOINTS) < 1.15);
    gateway_delete(gateway);
}

/* Nobody is without a slot, however small the table was meant to be. */
static void table_grows_to_the_endpoints(void)
{
    struct key_map map;
    const struct fixture_param param = {"slots", 3};
    struct gateway *gateway = fixture_gateway("maglev", COMPAT_HEAD, 1, param);
    fixture_join(gateway, HASHING_ENDPOINTS);
    hashing_map(gateway, &map);
    /* 11 slots: one or two for each, so at most 2 * 8 / 11 of the mean. */
    EXPECT(hashing_largest_share(&map, HASHING_ENDPOINTS) < 1.7);
    for (uint32_t id = 0; id < HASHING_ENDPOINTS; id++) {
        int keys = 0;
        for (int i = 0; i < HASHING_KEYS; i++) {
            keys += map.endpoint_id[i] == id;
        }
        EXPECT(keys > 0);
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("route_maglev", TEST(keys_go_to_the_owners_of_their_slots),
             TEST(order_of_joining_does_not_matter), TEST(few_keys_of_others_move),
             TEST(keys_of_an_ill_endpoint_are_shared_by_all_others),
             TEST(shares_are_equal), TEST(table_grows_to_the_endpoints))
