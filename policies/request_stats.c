/* SPDX-License-Identifier: Apache-2.0
 *
 * request_stats.c: rings of (time, values), trimmed when read or written.
 *
 * The stack trims every endpoint's window at every request. Trimming only what is read
 * gives the same numbers, because times never go back, and costs nothing for endpoints
 * that nobody asks about. For the same reason a read may drop old entries behind a
 * const handle: no later read can tell.
 */
#include "policies/request_stats.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

/* One value, or several that came almost together. */
struct sample {
    int64_t time_ns; /* of the first */
    int64_t sum_ns;
    uint64_t values;
};

/* A ring of a power of two; oldest first. */
struct window {
    struct sample *samples;
    size_t capacity;
    size_t head;
    size_t count;
    uint64_t values; /* of all samples */
};

struct endpoint_stats {
    struct window arrivals;
    struct window ttft;
    struct window latency;
    uint64_t finished;
    uint32_t in_prefill;
    uint32_t in_decode;
    bool known;
};

struct open_request {
    int64_t start_ns;
    uint32_t next_free; /* in the list of free slots, while free */
    bool had_first_chunk;
};

enum { OPEN_MAX = 1 << 30, WINDOW_MIN = 16 };
#define SLOT_NONE UINT32_MAX

struct request_stats {
    struct request_stats_setup setup;
    struct endpoint_stats *endpoints;
    struct map *slot_of; /* (endpoint, request) -> slot of open */
    struct open_request *open;
    size_t open_capacity;
    uint32_t open_used;
    uint32_t free_first;
    size_t window_bytes;
};

struct request_stats *request_stats_new(const struct request_stats_setup *setup)
{
    CHECK(setup->window_ns > 0, "a window of %lld ns", (long long)setup->window_ns);
    struct request_stats *stats = mem_alloc(1, sizeof *stats);
    stats->setup = *setup;
    stats->endpoints = mem_alloc(setup->endpoints_max, sizeof *stats->endpoints);
    stats->slot_of = map_new(64, OPEN_MAX);
    stats->free_first = SLOT_NONE;
    return stats;
}

static void window_fini(struct request_stats *stats, struct window *window)
{
    stats->window_bytes -= window->capacity * sizeof *window->samples;
    mem_free(window->samples);
    *window = (struct window){0};
}

void request_stats_forget(struct request_stats *stats, uint32_t endpoint_id)
{
    struct endpoint_stats *endpoint = &stats->endpoints[endpoint_id];
    window_fini(stats, &endpoint->arrivals);
    window_fini(stats, &endpoint->ttft);
    window_fini(stats, &endpoint->latency);
    *endpoint = (struct endpoint_stats){0};
}

void request_stats_delete(struct request_stats *stats)
{
    if (stats == NULL) {
        return;
    }
    for (uint32_t id = 0; id < stats->setup.endpoints_max; id++) {
        request_stats_forget(stats, id);
    }
    map_delete(stats->slot_of);
    mem_free(stats->open);
    mem_free(stats->endpoints);
    mem_free(stats);
}

static void window_trim(struct window *window, int64_t before_ns)
{
    while (window->count > 0 && window->samples[window->head].time_ns < before_ns) {
        window->values -= window->samples[window->head].values;
        window->head = (window->head + 1) & (window->capacity - 1);
        window->count--;
    }
}

static struct sample *window_at(const struct window *window, size_t index)
{
    return &window->samples[(window->head + index) & (window->capacity - 1)];
}

static void window_grow(struct request_stats *stats, struct window *window)
{
    const size_t capacity = window->capacity > 0 ? window->capacity * 2 : WINDOW_MIN;
    struct sample *samples = mem_alloc(capacity, sizeof *samples);
    for (size_t i = 0; i < window->count; i++) {
        samples[i] = *window_at(window, i);
    }
    stats->window_bytes += (capacity - window->capacity) * sizeof *samples;
    mem_free(window->samples);
    window->samples = samples;
    window->capacity = capacity;
    window->head = 0;
}

static void window_update(struct request_stats *stats, struct window *window,
                          int64_t now_ns, int64_t value_ns)
{
    window_trim(window, now_ns - stats->setup.window_ns);
    window->values++;
    if (window->count >= REQUEST_STATS_EXACT_MAX) {
        struct sample *last = window_at(window, window->count - 1);
        if (now_ns - last->time_ns < stats->setup.window_ns / REQUEST_STATS_EXACT_MAX) {
            last->sum_ns += value_ns;
            last->values++;
            return;
        }
    }
    if (window->count == window->capacity) {
        window_grow(stats, window);
    }
    window->count++;
    *window_at(window, window->count - 1) =
        (struct sample){.time_ns = now_ns, .sum_ns = value_ns, .values = 1};
}

static double window_mean(const struct window *window)
{
    double sum = 0;
    for (size_t i = 0; i < window->count; i++) {
        sum += (double)window_at(window, i)->sum_ns;
    }
    return window->values > 0 ? sum / (double)window->values : -1.0;
}

static uint64_t open_key(uint64_t request_id, uint32_t endpoint_id)
{
    return hash_pair(endpoint_id, request_id);
}

static uint32_t take_slot(struct request_stats *stats)
{
    if (stats->free_first != SLOT_NONE) {
        const uint32_t slot = stats->free_first;
        stats->free_first = stats->open[slot].next_free;
        return slot;
    }
    void *open = stats->open;
    const bool grown =
        mem_grow(&open, &stats->open_capacity, (size_t)stats->open_used + 1,
                 sizeof *stats->open, OPEN_MAX);
    CHECK(grown, "more than %d requests open at once", OPEN_MAX);
    stats->open = open;
    return stats->open_used++;
}

void request_stats_sent(struct request_stats *stats, int64_t now_ns,
                        uint64_t request_id, uint32_t endpoint_id)
{
    struct endpoint_stats *endpoint = &stats->endpoints[endpoint_id];
    const uint64_t key = open_key(request_id, endpoint_id);
    uint32_t slot = 0;
    if (!map_get(stats->slot_of, key, &slot)) {
        slot = take_slot(stats);
        map_put(stats->slot_of, key, slot);
    }
    stats->open[slot] = (struct open_request){.start_ns = now_ns};
    endpoint->known = true;
    endpoint->in_prefill++;
    window_update(stats, &endpoint->arrivals, now_ns, 0);
}

void request_stats_first_chunk(struct request_stats *stats, int64_t now_ns,
                               uint64_t request_id, uint32_t endpoint_id)
{
    uint32_t slot = 0;
    if (!map_get(stats->slot_of, open_key(request_id, endpoint_id), &slot)) {
        return;
    }
    struct endpoint_stats *endpoint = &stats->endpoints[endpoint_id];
    struct open_request *open = &stats->open[slot];
    open->had_first_chunk = true;
    endpoint->in_prefill -= endpoint->in_prefill > 0;
    endpoint->in_decode++;
    window_update(stats, &endpoint->ttft, now_ns, now_ns - open->start_ns);
}

void request_stats_ended(struct request_stats *stats, int64_t now_ns,
                         uint64_t request_id, uint32_t endpoint_id, bool completed)
{
    const uint64_t key = open_key(request_id, endpoint_id);
    uint32_t slot = 0;
    if (!map_get(stats->slot_of, key, &slot)) {
        return;
    }
    struct endpoint_stats *endpoint = &stats->endpoints[endpoint_id];
    const struct open_request open = stats->open[slot];
    if (completed) {
        endpoint->finished++;
        window_update(stats, &endpoint->latency, now_ns, now_ns - open.start_ns);
    }
    if (stats->setup.leaks) {
        endpoint->in_decode -= completed && endpoint->in_decode > 0;
    } else if (open.had_first_chunk) {
        endpoint->in_decode -= endpoint->in_decode > 0;
    } else {
        endpoint->in_prefill -= endpoint->in_prefill > 0;
    }
    map_remove(stats->slot_of, key);
    stats->open[slot].next_free = stats->free_first;
    stats->free_first = slot;
}

bool request_stats_known(const struct request_stats *stats, uint32_t endpoint_id)
{
    return stats->endpoints[endpoint_id].known;
}

uint64_t request_stats_arrivals(const struct request_stats *stats, int64_t now_ns,
                                uint32_t endpoint_id)
{
    struct window *arrivals = &stats->endpoints[endpoint_id].arrivals;
    window_trim(arrivals, now_ns - stats->setup.window_ns);
    return arrivals->values;
}

void request_stats_read(const struct request_stats *stats, int64_t now_ns,
                        uint32_t endpoint_id, struct request_stats_row *row)
{
    struct endpoint_stats *endpoint = &stats->endpoints[endpoint_id];
    const int64_t before_ns = now_ns - stats->setup.window_ns;
    window_trim(&endpoint->ttft, before_ns);
    if (!stats->setup.leaks) {
        window_trim(&endpoint->latency, before_ns);
    }
    const uint64_t arrivals = request_stats_arrivals(stats, now_ns, endpoint_id);
    *row = (struct request_stats_row){
        .qps = (double)arrivals / ((double)stats->setup.window_ns * 1e-9),
        .ttft_ns_mean = window_mean(&endpoint->ttft),
        .latency_ns_mean = window_mean(&endpoint->latency),
        .in_prefill = endpoint->in_prefill,
        .in_decode = endpoint->in_decode,
        .finished = endpoint->finished,
    };
}

size_t request_stats_bytes(const struct request_stats *stats)
{
    return sizeof *stats + stats->setup.endpoints_max * sizeof *stats->endpoints +
           stats->open_capacity * sizeof *stats->open + stats->window_bytes;
}
