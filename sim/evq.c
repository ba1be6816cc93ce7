/* SPDX-License-Identifier: Apache-2.0
 *
 * evq.c: a tournament. The sources are the leaves of a complete binary tree, and every
 * node names the one below it whose event comes first. Moving an event plays the games
 * on the way from its leaf to the root again:
 *
 *                   first[1]          the earliest of all
 *              first[2]    first[3]
 *            0      1    2      3     sources, with keys[source]
 *
 * Which games those are depends on the source alone and not on how they end, so all the
 * loads of a move start at once, and a game is a comparison without a branch. An
 * indexed 4-ary heap, which had to wait for each level before it knew the next and
 * guessed half of its branches wrong, moved a third as many events per second with
 * 65,536 pending (`stacksim bench evq`).
 */
#include "sim/evq.h"

#include "base/check.h"
#include "base/mem.h"

/* Time and rank as one number: one subtraction compares both. */
__extension__ typedef unsigned __int128 evq_key;
enum { WORD_BITS = 64 };
#define SIGN_BIT (UINT64_C(1) << 63) /* orders negative times before others */
#define NEVER    (~(evq_key)0)

struct evq {
    evq_key *keys;   /* by source; NEVER = no event */
    uint32_t *first; /* by node, from 1 */
    uint32_t leaves; /* a power of two */
    uint32_t sources_max;
    uint32_t count;
};

static evq_key key_of(int64_t time_ns, uint64_t rank)
{
    return (evq_key)((uint64_t)time_ns ^ SIGN_BIT) << WORD_BITS | rank;
}

/* Keys are equal where nobody has an event; else equal ranks are rare. */
static inline bool before(evq_key a, uint32_t source_a, evq_key b, uint32_t source_b)
{
    bool earlier = a < b;
    if (__builtin_expect(a == b, 0)) {
        earlier = source_a < source_b;
    }
    return earlier;
}

static void key_set(struct evq *evq, uint32_t source, evq_key key)
{
    evq->keys[source] = key;
    uint32_t winner = source;
    uint32_t rival = source ^ 1;
    for (uint32_t node = (evq->leaves + source) / 2; node > 0; node /= 2) {
        const evq_key rival_key = evq->keys[rival];
        const bool beaten = before(rival_key, rival, key, winner);
        winner = beaten ? rival : winner;
        key = beaten ? rival_key : key;
        evq->first[node] = winner;
        rival = evq->first[node ^ 1]; /* first[0] of the root is never looked at */
    }
}

static uint32_t player(const struct evq *evq, size_t place)
{
    return place < evq->leaves ? evq->first[place] : (uint32_t)(place - evq->leaves);
}

static void play_all(struct evq *evq)
{
    for (size_t node = evq->leaves - 1; node > 0; node--) {
        const uint32_t left = player(evq, 2 * node);
        const uint32_t right = player(evq, 2 * node + 1);
        const bool beaten = before(evq->keys[right], right, evq->keys[left], left);
        evq->first[node] = beaten ? right : left;
    }
}

struct evq *evq_new(uint32_t sources_max)
{
    struct evq *evq = mem_alloc(1, sizeof(*evq));
    evq_grow(evq, sources_max > 0 ? sources_max : 1);
    return evq;
}

void evq_delete(struct evq *evq)
{
    if (evq != NULL) {
        mem_free(evq->keys);
        mem_free(evq->first);
        mem_free(evq);
    }
}

void evq_grow(struct evq *evq, uint32_t sources_max)
{
    if (sources_max <= evq->sources_max) {
        return;
    }
    CHECK(sources_max <= UINT32_MAX / 4, "%u event sources", sources_max);
    evq->sources_max = sources_max;
    uint32_t leaves = 2;
    while (leaves < sources_max) {
        leaves *= 2;
    }
    if (leaves == evq->leaves) {
        return;
    }
    evq->keys = mem_resize(evq->keys, leaves, sizeof(evq_key));
    for (uint32_t source = evq->leaves; source < leaves; source++) {
        evq->keys[source] = NEVER;
    }
    evq->first = mem_resize(evq->first, leaves, sizeof(uint32_t));
    evq->first[0] = 0;
    evq->leaves = leaves;
    play_all(evq);
}

void evq_set(struct evq *evq, uint32_t source, int64_t time_ns, uint64_t rank)
{
    CHECK(source < evq->sources_max, "event source %u of %u", source, evq->sources_max);
    const evq_key key = key_of(time_ns, rank);
    CHECK(key != NEVER, "source %u has an event at the end of time", source);
    const evq_key old = evq->keys[source];
    evq->count += old == NEVER ? 1 : 0;
    if (key != old) {
        key_set(evq, source, key);
    }
}

void evq_clear(struct evq *evq, uint32_t source)
{
    if (evq->keys[source] != NEVER) {
        evq->count--;
        key_set(evq, source, NEVER);
    }
}

bool evq_peek(const struct evq *evq, struct event *event)
{
    const uint32_t source = evq->first[1];
    const evq_key key = evq->keys[source];
    if (key == NEVER) {
        return false;
    }
    *event =
        (struct event){.time_ns = (int64_t)((uint64_t)(key >> WORD_BITS) ^ SIGN_BIT),
                       .rank = (uint64_t)key,
                       .source = source};
    return true;
}

bool evq_pop(struct evq *evq, struct event *event)
{
    if (!evq_peek(evq, event)) {
        return false;
    }
    evq_clear(evq, event->source);
    return true;
}

size_t evq_count(const struct evq *evq)
{
    return evq->count;
}
