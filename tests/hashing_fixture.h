/* SPDX-License-Identifier: Apache-2.0
 *
 * hashing_fixture.h: where keys go, how evenly, and how many of them move when the set
 * of endpoints changes; for the policies that hash.
 */
#ifndef STACKSIM_TESTS_HASHING_FIXTURE_H
#define STACKSIM_TESTS_HASHING_FIXTURE_H

#include "tests/policy_fixture.h"

enum { HASHING_KEYS = 4000, HASHING_ENDPOINTS = 8 };

/* Where each of the keys "user-0", "user-1" ... goes. */
struct key_map {
    uint32_t endpoint_id[HASHING_KEYS];
};

static inline uint32_t hashing_send(struct gateway *gateway, const char *key)
{
    const struct request_view request = {.request_id = 1, .session_key = key};
    return fixture_send(gateway, 0, &request);
}

static inline void hashing_map(struct gateway *gateway, struct key_map *map)
{
    for (int i = 0; i < HASHING_KEYS; i++) {
        char key[32];
        snprintf(key, sizeof key, "user-%d", i);
        map->endpoint_id[i] = hashing_send(gateway, key);
    }
}

/* Where the first keys go, as an independent program computed it: ids from 0. */
static inline void hashing_expect(struct gateway *gateway, const uint32_t *expected,
                                  int count)
{
    for (int i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "user-%d", i);
        harness_note("key %s", key);
        EXPECT_U64(hashing_send(gateway, key), expected[i]);
    }
}

struct key_moves {
    int away; /* keys of the endpoint that moved elsewhere */
    int here; /* keys that moved to the endpoint */
    int rest; /* moves between other endpoints: a perfect hash has none */
};

static inline struct key_moves hashing_moves(const struct key_map *before,
                                             const struct key_map *after,
                                             uint32_t endpoint_id)
{
    struct key_moves moves = {0};
    for (int i = 0; i < HASHING_KEYS; i++) {
        const uint32_t from = before->endpoint_id[i];
        const uint32_t to = after->endpoint_id[i];
        moves.away += from != to && from == endpoint_id;
        moves.here += from != to && to == endpoint_id;
        moves.rest += from != to && from != endpoint_id && to != endpoint_id;
    }
    return moves;
}

/* Of the keys, over the mean. */
static inline double hashing_largest_share(const struct key_map *map, uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t id = 0; id < count; id++) {
        uint32_t keys = 0;
        for (int i = 0; i < HASHING_KEYS; i++) {
            keys += map->endpoint_id[i] == id;
        }
        most = keys > most ? keys : most;
    }
    return (double)most * count / HASHING_KEYS;
}

/* One endpoint of eight falls ill and recovers, one leaves and returns, a ninth joins;
 * rest_max: how many keys may move between others each time. */
static inline void hashing_survives_change(struct gateway *gateway, int rest_max)
{
    enum { ILL = 3 };
    struct key_map before;
    struct key_map after;
    fixture_join(gateway, HASHING_ENDPOINTS);
    hashing_map(gateway, &before);
    for (int leaves = 0; leaves < 2; leaves++) {
        harness_note(leaves != 0 ? "left" : "ill");
        if (leaves != 0) {
            gateway_leave(gateway, ILL);
        } else {
            gateway_set_accepting(gateway, ILL, false);
        }
        hashing_map(gateway, &after);
        const struct key_moves moves = hashing_moves(&before, &after, ILL);
        EXPECT(moves.away > HASHING_KEYS / 16); /* half of its share: it had some */
        EXPECT_I64(moves.here, 0);
        EXPECT(moves.rest <= rest_max);
        if (leaves != 0) {
            (void)gateway_join(gateway, "http://10.0.0.4:8000", NULL, 1);
        } else {
            gateway_set_accepting(gateway, ILL, true);
        }
        hashing_map(gateway, &after);
        EXPECT_BYTES(after.endpoint_id, before.endpoint_id, sizeof after.endpoint_id);
    }
    const uint32_t ninth = gateway_join(gateway, "http://10.0.0.9:8000", NULL, 1);
    hashing_map(gateway, &after);
    const struct key_moves moves = hashing_moves(&before, &after, ninth);
    harness_note("joined: %d moved to it, %d elsewhere", moves.here, moves.rest);
    /* A ninth of the keys, 444, by half. */
    EXPECT_NEAR(moves.here, HASHING_KEYS / 9.0, HASHING_KEYS / 18.0);
    EXPECT(moves.rest <= rest_max);
}

#endif
