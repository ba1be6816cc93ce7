/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendezvous: known winners, against plain hashing of every url, shares, weights.
 */
#include "base/rng.h"
#include "policies/gateway.h"
#include "tests/hashing_fixture.h"

static struct gateway *make(double mixed)
{
    return fixture_gateway("rendezvous", COMPAT_HEAD, 1,
                           (struct fixture_param){"mixed", mixed});
}

/* argmax FNV-1a64(key, 0, url), computed by a program of its own. */
static void keys_go_to_the_highest_hash(void)
{
    const uint32_t expected[] = {5, 2, 2, 6, 0, 3, 6, 7, 1, 7, 1, 0};
    struct gateway *gateway = fixture_plain("rendezvous", COMPAT_HEAD);
    fixture_join(gateway, HASHING_ENDPOINTS);
    hashing_expect(gateway, expected, 12);
    gateway_delete(gateway);
}

static uint64_t plain_hash(const char *key, const char *url)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *at = key; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    }
    hash *= UINT64_C(1099511628211);
    for (const char *at = url; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT64_C(1099511628211);
    }
    return hash;
}

/* Urls of all lengths that begin alike or not, fleets of 1 to 40, some of them ill. */
static void all_urls_are_hashed_whole(void)
{
    enum { FLEET_MAX = 40 };
    struct rng rng;
    rng_init(&rng, 2, "test_route_rendezvous", 0);
    bool same = true;
    for (uint32_t fleet = 1; same && fleet <= FLEET_MAX; fleet++) {
        struct gateway *gateway = make(0);
        bool ill[FLEET_MAX] = {false};
        for (uint32_t i = 0; i < fleet; i++) {
            char url[64];
            snprintf(url, sizeof url, "http://%.*s%u%.*s", (int)rng_below(&rng, 4),
                     "gpu-", i, (int)rng_below(&rng, 9), ":8000/v1");
            ill[i] = i > 0 && rng_below(&rng, 4) == 0;
            const uint32_t id = gateway_join(gateway, url, NULL, 1);
            gateway_set_accepting(gateway, id, !ill[i]);
        }
        for (int i = 0; same && i < 20; i++) {
            char key[16];
            uint32_t best = 0;
            snprintf(key, sizeof key, "k%d", i);
            for (uint32_t id = 1; id < fleet; id++) {
                const uint64_t hash =
                    plain_hash(key, gateway_endpoint(gateway, id)->url);
                const uint64_t best_hash =
                    plain_hash(key, gateway_endpoint(gateway, best)->url);
                best = !ill[id] && hash > best_hash ? id : best;
            }
            harness_note("fleet %u, key %s", fleet, key);
            same = EXPECT_U64(hashing_send(gateway, key), best);
        }
        gateway_delete(gateway);
    }
}

static void only_keys_of_an_endpoint_that_goes_or_comes_move(void)
{
    for (int mixed = 0; mixed < 2; mixed++) {
        struct gateway *gateway = make(mixed);
        hashing_survives_change(gateway, 0);
        gateway_delete(gateway);
    }
}

static double largest_share(double mixed, const char *before, const char *after)
{
    enum { FLEET = 16 };
    struct key_map map;
    struct gateway *gateway = make(mixed);
    for (int i = 1; i <= FLEET; i++) {
        char url[64];
        snprintf(url, sizeof url, "%s%d%s", before, i, after);
        (void)gateway_join(gateway, url, NULL, 1);
    }
    hashing_map(gateway, &map);
    gateway_delete(gateway);
    return hashing_largest_share(&map, FLEET);
}

/* The last byte of FNV-1a reaches 48 of the 64 bits, none of the highest: urls that
 * differ in it alone lie close together and share one place. Mixed, a share of 250 keys
 * has a deviation of 16: the largest of 16 lies at about 1.11. */
static void mixing_makes_shares_equal_whatever_the_urls(void)
{
    const double plain = largest_share(0, "engine-", "");
    const double mixed = largest_share(1, "engine-", "");
    const double with_port = largest_share(1, "http://pool-", ":8000");
    harness_note("largest shares %.2f, mixed %.2f and %.2f", plain, mixed, with_port);
    EXPECT(plain > 1.6);
    EXPECT(mixed < 1.25);
    EXPECT(with_port < 1.25);
}

/* Of 4,000 keys 1,000 and 3,000, deviation 27. */
static void shares_follow_weights(void)
{
    struct gateway *gateway = make(1);
    struct key_map map;
    uint32_t light = 0;
    (void)gateway_join(gateway, "http://light:8000", NULL, 0.5);
    (void)gateway_join(gateway, "http://heavy:8000", NULL, 1.5);
    hashing_map(gateway, &map);
    for (int i = 0; i < HASHING_KEYS; i++) {
        light += map.endpoint_id[i] == 0;
    }
    EXPECT_NEAR(light, HASHING_KEYS / 4.0, 120);
    gateway_delete(gateway);
}

/* Equal weights other than 1 change nothing: no logarithm, the same winners. */
static void equal_weights_are_no_weights(void)
{
    struct key_map ones;
    struct key_map threes;
    struct gateway *gateway = make(0);
    struct gateway *other = make(0);
    for (int i = 0; i < 5; i++) {
        char url[64];
        snprintf(url, sizeof url, "http://e%d:80", i);
        (void)gateway_join(gateway, url, NULL, 1);
        (void)gateway_join(other, url, NULL, 3);
    }
    hashing_map(gateway, &ones);
    hashing_map(other, &threes);
    EXPECT_BYTES(ones.endpoint_id, threes.endpoint_id, sizeof ones.endpoint_id);
    gateway_delete(gateway);
    gateway_delete(other);
}

static void only_the_first_256_bytes_of_a_key_count(void)
{
    char key[300];
    struct gateway *gateway = make(0);
    fixture_join(gateway, HASHING_ENDPOINTS);
    for (int i = 0; i < 20; i++) {
        memset(key, 'a' + i, sizeof key - 1);
        key[sizeof key - 1] = '\0';
        const uint32_t whole = hashing_send(gateway, key);
        key[256] = '\0';
        EXPECT_U64(hashing_send(gateway, key), whole);
    }
    gateway_delete(gateway);
}

HARNESS_MAIN("route_rendezvous", TEST(keys_go_to_the_highest_hash),
             TEST(all_urls_are_hashed_whole),
             TEST(only_keys_of_an_endpoint_that_goes_or_comes_move),
             TEST(mixing_makes_shares_equal_whatever_the_urls),
             TEST(shares_follow_weights), TEST(equal_weights_are_no_weights),
             TEST(only_the_first_256_bytes_of_a_key_count))
