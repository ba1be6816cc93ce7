/* SPDX-License-Identifier: Apache-2.0
 *
 * prop_evq.c: the tournament against a plain array searched from end to end, with
 * many ties in time and rank.
 */
#include "base/rng.h"
#include "sim/evq.h"
#include "tests/harness.h"

#include <string.h>

enum { SOURCES = 40, MOVES = 400, SEEDS = 500 };

struct naive {
    bool pending[SOURCES];
    struct event event[SOURCES];
};

static bool naive_first(const struct naive *naive, struct event *first)
{
    bool found = false;
    for (uint32_t i = 0; i < SOURCES; i++) {
        if (!naive->pending[i]) {
            continue;
        }
        const struct event *at = &naive->event[i];
        if (!found || at->time_ns < first->time_ns ||
            (at->time_ns == first->time_ns && at->rank < first->rank)) {
            *first = *at; /* equal rank: the lower source came first */
            found = true;
        }
    }
    return found;
}

static bool moves_agree(uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, "prop_evq", 0);
    struct naive naive = {0};
    struct evq *evq = evq_new(1);
    bool same = true;
    for (uint32_t move = 0; move < MOVES && same; move++) {
        const uint32_t source = (uint32_t)rng_below(&rng, SOURCES);
        const uint64_t kind = rng_below(&rng, 8);
        evq_grow(evq, source + 1); /* with others pending */
        struct event got = {0};
        struct event expected = {0};
        if (kind < 5) {
            naive.event[source] =
                (struct event){.time_ns = (int64_t)rng_below(&rng, 20) - 5,
                               .rank = rng_below(&rng, 4),
                               .source = source};
            naive.pending[source] = true;
            evq_set(evq, source, naive.event[source].time_ns, naive.event[source].rank);
        } else if (kind == 5) {
            naive.pending[source] = false;
            evq_clear(evq, source);
        } else {
            const bool any = naive_first(&naive, &expected);
            same = EXPECT(evq_pop(evq, &got) == any) &&
                   (!any || (EXPECT_I64(got.time_ns, expected.time_ns) &&
                             EXPECT_U64(got.source, expected.source)));
            naive.pending[expected.source] =
                any ? false : naive.pending[expected.source];
        }
    }
    evq_delete(evq);
    return same;
}

static void tournament_agrees_with_a_searched_array(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        harness_note("seed %llu", (unsigned long long)seed);
        if (!moves_agree(seed)) {
            return;
        }
    }
}

static void events_at_one_instant_come_by_rank_then_source(void)
{
    struct evq *evq = evq_new(4);
    evq_set(evq, 0, 10, 2);
    evq_set(evq, 1, 10, 1);
    evq_set(evq, 2, 10, 1);
    evq_set(evq, 3, 9, 7);
    const uint32_t order[] = {3, 1, 2, 0};
    for (size_t i = 0; i < 4; i++) {
        struct event event = {0};
        REQUIRE(evq_pop(evq, &event));
        EXPECT_U64(event.source, order[i]);
    }
    struct event none;
    EXPECT(!evq_pop(evq, &none));
    evq_delete(evq);
}

HARNESS_MAIN("evq", TEST(tournament_agrees_with_a_searched_array),
             TEST(events_at_one_instant_come_by_rank_then_source))
