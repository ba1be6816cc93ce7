/* SPDX-License-Identifier: Apache-2.0
 *
 * The view that a policy reads, against one that is made from nothing each time.
 */
#include "base/rng.h"
#include "policies/candidates.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

enum { ENDPOINTS = 9, STEPS = 3000 };

struct crowd {
    struct endpoint_view endpoints[ENDPOINTS];
    char urls[ENDPOINTS][16];
    bool member[ENDPOINTS];
};

/* Urls in an order unlike that of the ids: e10, e7, e4, e1, ... */
static void fill(struct crowd *crowd)
{
    for (uint32_t id = 0; id < ENDPOINTS; id++) {
        snprintf(crowd->urls[id], sizeof crowd->urls[id], "e%u", (10 + 4 * id) % 11);
        crowd->endpoints[id] = (struct endpoint_view){.id = id, .url = crowd->urls[id]};
    }
}

static bool view_is_right(const struct crowd *crowd, const struct cluster_view *view)
{
    uint32_t index = 0;
    bool right = true;
    for (uint32_t id = 0; right && id < ENDPOINTS; id++) {
        if (!crowd->member[id]) {
            right = EXPECT_U64(view->index_of_id[id], NOT_A_CANDIDATE);
            continue;
        }
        right =
            EXPECT(view->endpoints[index] == &crowd->endpoints[id]) &&
            EXPECT_U64(view->index_of_id[id], index) &&
            EXPECT_U64(view->inflight[index], crowd->endpoints[id].inflight_requests) &&
            EXPECT_U64(view->by_url[view->url_rank[index]], index);
        index++;
    }
    for (uint32_t rank = 1; right && rank < view->count; rank++) {
        right = EXPECT(strcmp(view->endpoints[view->by_url[rank - 1]]->url,
                              view->endpoints[view->by_url[rank]]->url) < 0);
    }
    return right && EXPECT_U64(view->count, index);
}

static void view_follows_every_change(void)
{
    struct crowd crowd = {0};
    struct rng rng;
    fill(&crowd);
    rng_init(&rng, 1, "test_candidates", 0);
    struct candidates *set = candidates_new(ENDPOINTS);
    bool right = true;
    for (int i = 0; right && i < STEPS; i++) {
        const uint64_t id = rng_below(&rng, ENDPOINTS);
        struct endpoint_view *endpoint = &crowd.endpoints[id];
        if (rng_below(&rng, 3) == 0) {
            endpoint->inflight_requests++;
            candidates_update(set, endpoint);
        } else if (crowd.member[id]) {
            candidates_remove(set, endpoint);
            crowd.member[id] = false;
        } else {
            candidates_add(set, endpoint);
            crowd.member[id] = true;
        }
        right = view_is_right(&crowd, candidates_view(set, i, NULL));
    }
    candidates_delete(set);
}

static void equal_sets_have_equal_hashes_whatever_the_order(void)
{
    struct crowd crowd = {0};
    fill(&crowd);
    struct candidates *set = candidates_new(ENDPOINTS);
    uint64_t hashes[4];
    hashes[0] = candidates_view(set, 0, NULL)->set_hash;
    candidates_add(set, &crowd.endpoints[1]);
    hashes[1] = candidates_view(set, 0, NULL)->set_hash;
    candidates_add(set, &crowd.endpoints[4]);
    hashes[2] = candidates_view(set, 0, NULL)->set_hash;
    candidates_remove(set, &crowd.endpoints[1]);
    hashes[3] = candidates_view(set, 0, NULL)->set_hash;
    EXPECT(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[1] != hashes[3]);
    candidates_add(set, &crowd.endpoints[1]);
    EXPECT_U64(candidates_view(set, 0, NULL)->set_hash, hashes[2]);
    candidates_remove(set, &crowd.endpoints[4]);
    EXPECT_U64(candidates_view(set, 0, NULL)->set_hash, hashes[1]);
    candidates_delete(set);
}

static void add_the_same_url_again(void *context)
{
    struct crowd *crowd = context;
    struct candidates *set = candidates_new(ENDPOINTS);
    crowd->endpoints[1].url = crowd->endpoints[0].url;
    candidates_add(set, &crowd->endpoints[0]);
    candidates_add(set, &crowd->endpoints[1]);
}

static void one_url_twice_is_a_bug_of_the_host(void)
{
    struct crowd crowd = {0};
    fill(&crowd);
    EXPECT_ABORTS(add_the_same_url_again, &crowd, "two candidates of the url");
}

HARNESS_MAIN("candidates", TEST(view_follows_every_change),
             TEST(equal_sets_have_equal_hashes_whatever_the_order),
             TEST(one_url_twice_is_a_bug_of_the_host))
