/* SPDX-License-Identifier: Apache-2.0
 *
 * evq.c: indexed 4-ary heap. Four children share one cache line of keys, and the tree
 * is half as deep as a binary one; `place` finds a source's event without a search.
 */
#include "sim/evq.h"

#include "base/check.h"
#include "base/mem.h"

enum { ARITY = 4 };
#define NOWHERE UINT32_MAX

struct evq {
    struct event *heap;
    uint32_t *place; /* by source; NOWHERE = no event */
    uint32_t count;
    uint32_t sources_max;
};

static bool before(const struct event *a, const struct event *b)
{
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns;
    }
    if (a->rank != b->rank) {
        return a->rank < b->rank;
    }
    return a->source < b->source;
}

static void put(struct evq *evq, uint32_t at, const struct event *event)
{
    evq->heap[at] = *event;
    evq->place[event->source] = at;
}

static void sift_up(struct evq *evq, uint32_t at, const struct event *event)
{
    while (at > 0) {
        const uint32_t parent = (at - 1) / ARITY;
        if (!before(event, &evq->heap[parent])) {
            break;
        }
        put(evq, at, &evq->heap[parent]);
        at = parent;
    }
    put(evq, at, event);
}

static void sift_down(struct evq *evq, uint32_t at, const struct event *event)
{
    for (;;) {
        const uint32_t first = at * ARITY + 1;
        if (first >= evq->count) {
            break;
        }
        const uint32_t end = first + ARITY < evq->count ? first + ARITY : evq->count;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; child++) {
            if (before(&evq->heap[child], &evq->heap[least])) {
                least = child;
            }
        }
        if (!before(&evq->heap[least], event)) {
            break;
        }
        put(evq, at, &evq->heap[least]);
        at = least;
    }
    put(evq, at, event);
}

struct evq *evq_new(uint32_t sources_max)
{
    struct evq *evq = mem_alloc(1, sizeof(*evq));
    evq_grow(evq, sources_max);
    return evq;
}

void evq_delete(struct evq *evq)
{
    if (evq != NULL) {
        mem_free(evq->heap);
        mem_free(evq->place);
        mem_free(evq);
    }
}

void evq_grow(struct evq *evq, uint32_t sources_max)
{
    if (sources_max <= evq->sources_max) {
        return;
    }
    evq->heap = mem_resize(evq->heap, sources_max, sizeof(struct event));
    evq->place = mem_resize(evq->place, sources_max, sizeof(uint32_t));
    for (uint32_t source = evq->sources_max; source < sources_max; source++) {
        evq->place[source] = NOWHERE;
    }
    evq->sources_max = sources_max;
}

void evq_set(struct evq *evq, uint32_t source, int64_t time_ns, uint64_t rank)
{
    CHECK(source < evq->sources_max, "event source %u of %u", source, evq->sources_max);
    const struct event event = {.time_ns = time_ns, .rank = rank, .source = source};
    const uint32_t at = evq->place[source];
    if (at == NOWHERE) {
        sift_up(evq, evq->count++, &event);
    } else if (before(&event, &evq->heap[at])) {
        sift_up(evq, at, &event);
    } else {
        sift_down(evq, at, &event);
    }
}

void evq_clear(struct evq *evq, uint32_t source)
{
    const uint32_t at = evq->place[source];
    if (at == NOWHERE) {
        return;
    }
    evq->place[source] = NOWHERE;
    const struct event last = evq->heap[--evq->count];
    if (at == evq->count) {
        return;
    }
    if (at > 0 && before(&last, &evq->heap[(at - 1) / ARITY])) {
        sift_up(evq, at, &last);
    } else {
        sift_down(evq, at, &last);
    }
}

bool evq_peek(const struct evq *evq, struct event *event)
{
    if (evq->count == 0) {
        return false;
    }
    *event = evq->heap[0];
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
