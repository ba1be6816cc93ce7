/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_metrics.c: scrapes of the whole pool are kept as long as the longest window,
 * those of single pods as long as the delay: only the newest visible one is asked for.
 */
#include "sim/scale_metrics.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { SCRAPES_MAX = 1 << 20, SPARE_SCRAPES = 8 };

struct scrape {
    int64_t time_ns;
    uint64_t number; /* from 0 on */
    struct scale_counters counters;
    uint32_t in_flight;
    uint32_t queued;
    /* Sums over pods. */
    uint64_t running;
    uint64_t waiting;
    double kv_used;
    uint32_t busy;
    uint32_t pods;
};

struct scale_metrics {
    struct scale_metrics_setup setup;
    struct scale_counters counters;
    uint32_t in_flight;
    int64_t moved_ns;
    struct scrape *scrapes; /* rising in time */
    size_t capacity;
    size_t count;
    uint64_t made;
    struct scale_gauges *gauges; /* of the last `depth` scrapes, slots each */
    uint32_t depth;
};

struct scale_metrics *scale_metrics_new(const struct scale_metrics_setup *setup)
{
    CHECK(setup->scrape_ns > 0, "no time between scrapes");
    struct scale_metrics *metrics = mem_alloc(1, sizeof *metrics);
    metrics->setup = *setup;
    metrics->depth = (uint32_t)(setup->delay_ns / setup->scrape_ns) + SPARE_SCRAPES;
    metrics->gauges =
        mem_alloc((size_t)metrics->depth * setup->slots + 1, sizeof *metrics->gauges);
    return metrics;
}

void scale_metrics_delete(struct scale_metrics *metrics)
{
    if (metrics != NULL) {
        mem_free(metrics->scrapes);
        mem_free(metrics->gauges);
        mem_free(metrics);
    }
}

struct scale_counters *scale_metrics_counters(struct scale_metrics *metrics)
{
    return &metrics->counters;
}

/* Several moves in one instant give the same sum in any order. */
static void integrate(struct scale_metrics *metrics, int64_t now_ns)
{
    const int64_t span_ns = now_ns - metrics->moved_ns;
    CHECK(span_ns >= 0, "INV-3: the clock goes back");
    if (span_ns > 0) {
        metrics->counters.in_flight_s += (double)span_ns * 1e-9 * metrics->in_flight;
        metrics->moved_ns = now_ns;
    }
}

void scale_metrics_move(struct scale_metrics *metrics, int64_t now_ns, int change)
{
    integrate(metrics, now_ns);
    CHECK(change >= 0 || metrics->in_flight >= (uint32_t)-change,
          "%u requests are in flight", metrics->in_flight);
    metrics->in_flight = (uint32_t)((int)metrics->in_flight + change);
}

uint32_t scale_metrics_in_flight(const struct scale_metrics *metrics)
{
    return metrics->in_flight;
}

/* ---- scrapes --------------------------------------------------------------------- */

/* Those that no window reaches any more go, half of all at a time at least. */
static void forget(struct scale_metrics *metrics, int64_t now_ns)
{
    const int64_t from_ns = now_ns - metrics->setup.keep_ns - metrics->setup.delay_ns -
                            2 * metrics->setup.scrape_ns;
    size_t old = 0;
    while (old + 1 < metrics->count && metrics->scrapes[old + 1].time_ns <= from_ns) {
        old++;
    }
    if (old > metrics->count / 2) {
        metrics->count -= old;
        memmove(metrics->scrapes, metrics->scrapes + old,
                metrics->count * sizeof *metrics->scrapes);
    }
}

static void pods_sum(const struct scale_metrics *metrics,
                     const struct scale_gauges *pods, struct scrape *scrape)
{
    for (uint32_t slot = 0; slot < metrics->setup.slots; slot++) {
        if (pods[slot].there) {
            scrape->pods++;
            scrape->running += pods[slot].running;
            scrape->waiting += pods[slot].waiting;
            scrape->kv_used += pods[slot].kv_used;
            scrape->busy += pods[slot].running > 0 ? 1 : 0;
        }
    }
}

void scale_metrics_scrape(struct scale_metrics *metrics, int64_t now_ns,
                          const struct scale_gauges *pods, uint32_t queued)
{
    const uint32_t slots = metrics->setup.slots;
    integrate(metrics, now_ns);
    forget(metrics, now_ns);
    struct scrape scrape = {
        .time_ns = now_ns,
        .number = metrics->made++,
        .counters = metrics->counters,
        .in_flight = metrics->in_flight,
        .queued = queued,
    };
    if (slots > 0) {
        pods_sum(metrics, pods, &scrape);
        memcpy(metrics->gauges + (size_t)(scrape.number % metrics->depth) * slots, pods,
               slots * sizeof *pods);
    }
    void *array = metrics->scrapes;
    const bool grown = mem_grow(&array, &metrics->capacity, metrics->count + 1,
                                sizeof *metrics->scrapes, SCRAPES_MAX);
    CHECK(grown, "%zu scrapes are kept", metrics->count);
    metrics->scrapes = array;
    metrics->scrapes[metrics->count++] = scrape;
}

/* ---- readings -------------------------------------------------------------------- */

/* The last one that is visible; NULL = none is. */
static const struct scrape *visible(const struct scale_metrics *metrics, int64_t now_ns)
{
    for (size_t i = metrics->count; i > 0; i--) {
        if (metrics->scrapes[i - 1].time_ns <= now_ns) {
            return &metrics->scrapes[i - 1];
        }
    }
    return NULL;
}

/* Where a window that ends with `last` begins: at the last scrape before it, or at the
 * first one there is. */
static const struct scrape *window_begin(const struct scale_metrics *metrics,
                                         const struct scrape *last, int64_t window_ns)
{
    const struct scrape *at = last;
    while (at > metrics->scrapes && at->time_ns > last->time_ns - window_ns) {
        at--;
    }
    return at;
}

static double pod_value(const struct scale_gauges *pod, enum scale_metric metric)
{
    switch ((int)metric) {
    case SCALE_RUNNING:
        return pod->running;
    case SCALE_WAITING:
        return pod->waiting;
    case SCALE_KV_USED:
        return pod->kv_used;
    default:
        return pod->running > 0 ? 1 : 0;
    }
}

static double sum_value(const struct scrape *scrape, enum scale_metric metric)
{
    switch ((int)metric) {
    case SCALE_RUNNING:
        return (double)scrape->running;
    case SCALE_WAITING:
        return (double)scrape->waiting;
    case SCALE_KV_USED:
        return scrape->kv_used;
    case SCALE_BUSY:
        return scrape->busy;
    case SCALE_QUEUED:
        return scrape->queued;
    default:
        return scrape->in_flight;
    }
}

/* Mean over the scrapes of the window, both ends included. */
static double window_mean(const struct scrape *first, const struct scrape *last,
                          enum scale_metric metric)
{
    double sum = 0;
    for (const struct scrape *at = first; at <= last; at++) {
        sum += sum_value(at, metric);
    }
    return sum / (double)(last - first + 1);
}

/* Who has a value of those that are there now. A pod that took the place of another has
 * none of its own yet. */
static void pods_read(const struct scale_metrics *metrics, const struct scrape *last,
                      enum scale_metric metric, const struct scale_pod *pods,
                      struct scale_reading *reading)
{
    const uint32_t slots = metrics->setup.slots;
    const bool kept = metrics->made - last->number <= metrics->depth;
    const struct scale_gauges *gauges =
        metrics->gauges + (size_t)(last->number % metrics->depth) * slots;
    for (uint32_t slot = 0; slot < slots; slot++) {
        if (!pods[slot].ready) {
            reading->unready += pods[slot].live ? 1 : 0;
        } else if (kept && gauges[slot].there &&
                   gauges[slot].incarnation == pods[slot].incarnation) {
            reading->pods++;
            reading->sum += pod_value(&gauges[slot], metric);
        } else {
            reading->missing++;
        }
    }
    reading->known = true;
}

static struct scale_reading value(bool known, double sum)
{
    return (struct scale_reading){.known = known, .sum = known ? sum : 0};
}

static struct scale_reading mean(int64_t sum, uint64_t count, double unit)
{
    return value(count > 0, count > 0 ? (double)sum * unit / (double)count : 0);
}

static struct scale_reading difference(const struct scrape *first,
                                       const struct scrape *last,
                                       enum scale_metric metric)
{
    const struct scale_counters *a = &first->counters;
    const struct scale_counters *b = &last->counters;
    const double span_s = (double)(last->time_ns - first->time_ns) * 1e-9;
    const bool passed = span_s > 0;
    switch ((int)metric) {
    case SCALE_IN_FLIGHT:
        return value(passed, passed ? (b->in_flight_s - a->in_flight_s) / span_s : 0);
    case SCALE_SEEN:
        return value(true, b->requests > a->requests ? 1 : 0);
    case SCALE_REQUESTS:
        return value(passed, passed ? (double)(b->requests - a->requests) / span_s : 0);
    case SCALE_PROMPT_TOKENS:
        return value(passed,
                     passed ? (double)(b->prompt_tokens - a->prompt_tokens) / span_s
                            : 0);
    case SCALE_OUTPUT_TOKENS:
        return value(passed,
                     passed ? (double)(b->output_tokens - a->output_tokens) / span_s
                            : 0);
    case SCALE_PROMPT_MEAN:
        return mean((int64_t)(b->asked_tokens - a->asked_tokens),
                    b->requests - a->requests, 1);
    case SCALE_OUTPUT_MEAN:
        return mean((int64_t)(b->output_tokens - a->output_tokens),
                    b->outputs - a->outputs, 1);
    case SCALE_TTFT:
        return mean(b->ttft_ns - a->ttft_ns, b->first_tokens - a->first_tokens, 1e-9);
    default:
        return mean(b->itl_ns - a->itl_ns, b->itl_gaps - a->itl_gaps, 1e-9);
    }
}

struct scale_reading scale_metrics_read(const struct scale_metrics *metrics,
                                        int64_t now_ns, bool at_once,
                                        const struct scale_query *query,
                                        const struct scale_pod *pods)
{
    const int64_t seen_ns = at_once ? now_ns : now_ns - metrics->setup.delay_ns;
    const struct scrape *last = visible(metrics, seen_ns);
    if (last == NULL) {
        return (struct scale_reading){.known = false};
    }
    const enum scale_source source = scale_metric_source(query->metric);
    const struct scrape *first = window_begin(metrics, last, query->window_ns);
    if (source == SCALE_POD) {
        struct scale_reading reading = {0};
        pods_read(metrics, last, query->metric, pods, &reading);
        if (query->window_ns > 0) {
            reading.sum = window_mean(first, last, query->metric);
        }
        return reading;
    }
    if (query->metric == SCALE_QUEUED ||
        (query->metric == SCALE_IN_FLIGHT && query->window_ns == 0)) {
        return value(true, window_mean(first, last, query->metric));
    }
    return difference(first, last, query->metric);
}
