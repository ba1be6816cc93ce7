/* SPDX-License-Identifier: Apache-2.0
 *
 * kv_reports.c: a queue of runs of blocks, from all engines.
 *
 * All messages take the same time, so they arrive in the order in which they leave and
 * one queue is enough. On their way changes are runs; single block hashes are made when
 * they arrive. An evicted sequence loses its blocks from the end, a few at a time:
 * such removals are joined while their message is open.
 */
#include "sim/kv_reports.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { REPORTS_MAX = 1 << 26 };

struct report {
    struct kv_change change; /* no blocks: a chunk, whose key is in chain */
    int64_t arrival_ns;
    uint64_t message;
    uint32_t engine;
    uint32_t cleared; /* 1 = of the whole cache; no change */
};

struct source {
    struct kv_reports *owner;
    struct kv_listener listener;
    struct rng rng;
    uint32_t block_tokens;
    uint64_t messages; /* begun so far; the last one may be open */
    int64_t open_ns;   /* when the last one arrives */
    bool lost;         /* the last one */
};

struct kv_reports {
    struct kv_reports_setup setup;
    struct source *sources; /* by engine */
    struct report *queue;   /* [first, end) */
    size_t capacity;
    size_t first;
    size_t end;
    uint64_t *hashes; /* scratch of a delivery */
    size_t hash_capacity;
};

struct kv_reports *kv_reports_new(const struct kv_reports_setup *setup)
{
    struct kv_reports *reports = mem_alloc(1, sizeof *reports);
    reports->setup = *setup;
    reports->sources = mem_alloc(setup->engines, sizeof *reports->sources);
    return reports;
}

void kv_reports_delete(struct kv_reports *reports)
{
    if (reports != NULL) {
        mem_free(reports->sources);
        mem_free(reports->queue);
        mem_free(reports->hashes);
        mem_free(reports);
    }
}

/* ---- sending --------------------------------------------------------------------- */

static int64_t arrival_of(const struct kv_reports *reports)
{
    const struct kv_reports_config *config = &reports->setup.config;
    int64_t leaves_ns = *reports->setup.clock_ns;
    if (config->batch_interval_ns > 0) {
        const int64_t over_ns = leaves_ns % config->batch_interval_ns;
        leaves_ns += over_ns > 0 ? config->batch_interval_ns - over_ns : 0;
    }
    return leaves_ns + config->delay_ns;
}

/* Joins a removal to that of the blocks right behind it. */
static bool joined(const struct kv_reports *reports, const struct source *source,
                   const struct kv_change *change)
{
    struct report *last = &reports->queue[reports->end - 1];
    struct kv_change *behind = &last->change;
    const uint64_t tokens = (uint64_t)change->run.blocks * source->block_tokens;
    if (last->engine != (uint32_t)(source - reports->sources) ||
        last->message != source->messages - 1 || last->cleared != 0 || change->stored ||
        behind->stored || behind->run.key != change->run.key ||
        behind->run.offset != change->run.offset + tokens ||
        behind->chain !=
            block_run_hashes(&change->run, source->block_tokens, change->chain, NULL)) {
        return false;
    }
    behind->run.offset = change->run.offset;
    behind->run.blocks += change->run.blocks;
    behind->chain = change->chain;
    return true;
}

static void queue_append(struct kv_reports *reports, const struct report *report)
{
    if (reports->end == reports->capacity && reports->first > reports->end / 2) {
        reports->end -= reports->first;
        memmove(reports->queue, reports->queue + reports->first,
                reports->end * sizeof *report);
        reports->first = 0;
    }
    void *queue = reports->queue;
    const bool grown = mem_grow(&queue, &reports->capacity, reports->end + 1,
                                sizeof *report, REPORTS_MAX);
    CHECK(grown, "more than %d KV events on their way", REPORTS_MAX);
    reports->queue = queue;
    reports->queue[reports->end++] = *report;
}

/* The message that leaves now; false when it gets lost. */
static bool message_open(struct source *source, int64_t *arrival_ns)
{
    const struct kv_reports *reports = source->owner;
    *arrival_ns = arrival_of(reports);
    if (source->messages == 0 || source->open_ns != *arrival_ns) {
        const double loss_ratio = reports->setup.config.loss_ratio;
        source->messages++;
        source->open_ns = *arrival_ns;
        source->lost = loss_ratio > 0 && rng_unit(&source->rng) < loss_ratio;
    }
    return !source->lost;
}

void kv_reports_cleared(struct kv_reports *reports, uint32_t engine)
{
    struct source *source = &reports->sources[engine];
    int64_t arrival_ns = 0;
    if (message_open(source, &arrival_ns)) {
        const struct report report = {
            .arrival_ns = arrival_ns,
            .message = source->messages - 1,
            .engine = engine,
            .cleared = 1,
        };
        queue_append(reports, &report);
    }
}

static void on_change(void *context, const struct kv_change *change)
{
    struct source *source = context;
    struct kv_reports *reports = source->owner;
    int64_t arrival_ns = 0;
    if (!message_open(source, &arrival_ns) ||
        (reports->end > reports->first && joined(reports, source, change))) {
        return;
    }
    const struct report report = {
        .change = *change,
        .arrival_ns = arrival_ns,
        .message = source->messages - 1,
        .engine = (uint32_t)(source - reports->sources),
    };
    queue_append(reports, &report);
}

void kv_reports_chunk(struct kv_reports *reports, uint32_t engine, uint64_t key,
                      bool stored)
{
    struct source *source = &reports->sources[engine];
    int64_t arrival_ns = 0;
    if (!message_open(source, &arrival_ns)) {
        return;
    }
    const struct report report = {
        .change = {.chain = key, .stored = stored},
        .arrival_ns = arrival_ns,
        .message = source->messages - 1,
        .engine = engine,
    };
    queue_append(reports, &report);
}

const struct kv_listener *kv_reports_listener(struct kv_reports *reports,
                                              uint32_t engine, uint32_t block_tokens)
{
    CHECK(engine < reports->setup.engines, "engine %u of %u", engine,
          reports->setup.engines);
    struct source *source = &reports->sources[engine];
    source->owner = reports;
    source->listener = (struct kv_listener){source, on_change};
    source->block_tokens = block_tokens;
    rng_init(&source->rng, reports->setup.seed, "kv_events/loss", engine);
    return &source->listener;
}

/* ---- arriving -------------------------------------------------------------------- */

int64_t kv_reports_next_ns(const struct kv_reports *reports)
{
    return reports->first < reports->end ? reports->queue[reports->first].arrival_ns
                                         : INT64_MAX;
}

static void hand_over(struct kv_reports *reports, const struct report *report,
                      const struct kv_report_sink *sink)
{
    if (report->cleared != 0) {
        const struct kv_event event = {.kind = KV_EVENT_CLEARED,
                                       .message = report->message};
        sink->on_event(sink->context, report->engine, &event);
        return;
    }
    const struct kv_change *change = &report->change;
    const uint32_t count = change->run.blocks;
    if (count == 0) {
        const struct kv_event chunk = {
            .kind = change->stored ? KV_EVENT_STORED : KV_EVENT_REMOVED,
            .message = report->message,
            .blocks = &change->chain,
            .block_count = 1,
        };
        sink->on_event(sink->context, report->engine, &chunk);
        return;
    }
    void *hashes = reports->hashes;
    const bool grown =
        mem_grow(&hashes, &reports->hash_capacity, count, sizeof(uint64_t), UINT32_MAX);
    CHECK(grown, "a run of %u blocks", count);
    reports->hashes = hashes;
    (void)block_run_hashes(&change->run, reports->sources[report->engine].block_tokens,
                           change->chain, reports->hashes);
    const struct kv_event event = {
        .kind = change->stored ? KV_EVENT_STORED : KV_EVENT_REMOVED,
        .message = report->message,
        .parent = change->chain == block_chain_start(0) ? 0 : change->chain,
        .blocks = reports->hashes,
        .block_count = count,
    };
    sink->on_event(sink->context, report->engine, &event);
}

void kv_reports_deliver(struct kv_reports *reports, int64_t now_ns,
                        const struct kv_report_sink *sink)
{
    while (kv_reports_next_ns(reports) <= now_ns) {
        /* A copy: who is told may not grow the queue, but nothing forbids it. */
        const struct report report = reports->queue[reports->first++];
        hand_over(reports, &report, sink);
    }
    if (reports->first == reports->end) {
        reports->first = 0;
        reports->end = 0;
    }
}
