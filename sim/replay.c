/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c: dependants hang in lists at their parents; each counts whom it waits for.
 */
#include "sim/replay.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

#include <string.h>

enum { RECORDS_MAX = 1 << 28 };
#define NOBODY UINT32_MAX
/* Where nobody recorded the think time, the service time of the parent is guessed
 * (spec/traces.md 3.4). */
static const int64_t service_base_ns = INT64_C(1000000000);
static const int64_t service_token_ns = INT64_C(25000000);

/* A dependant in the list of one of its parents. */
struct waiter {
    uint32_t index;
    uint32_t next;
};

struct held {
    struct trace_record record;
    uint32_t waits_for;
    uint32_t waiters; /* first of the list; NOBODY = none */
    bool root;        /* waits for nobody in this file: released by its arrival */
};

struct replay_queue {
    struct workload *workload;
    enum replay mode;
    uint64_t left; /* records that may still be taken; UINT64_MAX = all */
    struct arena *arena;
    struct map *by_id;
    struct held *held;
    size_t held_count;
    size_t held_capacity;
    struct waiter *waiters;
    size_t waiter_count;
    size_t waiter_capacity;
    size_t cursor;
};

static bool record_keep(struct replay_queue *replay, const struct trace_record *record,
                        struct err *err)
{
    uint32_t before = 0;
    if (map_get(replay->by_id, record->id, &before)) {
        return err_set(err, ERR_INPUT,
                       "%s: two requests have the id %llu; closed and hybrid replay "
                       "need unique ids, because parents are named by them",
                       workload_origin(replay->workload),
                       (unsigned long long)record->id);
    }
    void *array = replay->held;
    const bool grown = mem_grow(&array, &replay->held_capacity, replay->held_count + 1,
                                sizeof(struct held), RECORDS_MAX);
    CHECK(grown, "closed replay of more than %d records", (int)RECORDS_MAX);
    replay->held = array;
    struct held *held = &replay->held[replay->held_count];
    *held = (struct held){.record = *record, .waiters = NOBODY};
    struct segment *segments =
        arena_alloc(replay->arena, record->segment_count, sizeof(struct segment));
    memcpy(segments, record->segments, record->segment_count * sizeof(struct segment));
    held->record.segments = segments;
    held->record.model =
        record->model == NULL ? NULL : arena_strdup(replay->arena, record->model);
    held->record.tenant =
        record->tenant == NULL ? NULL : arena_strdup(replay->arena, record->tenant);
    held->record.adapter =
        record->adapter == NULL ? NULL : arena_strdup(replay->arena, record->adapter);
    map_put(replay->by_id, record->id, (uint32_t)replay->held_count);
    replay->held_count++;
    return true;
}

/* Parents that the file does not hold count as ended long ago. */
static void record_hang(struct replay_queue *replay, uint32_t index)
{
    struct held *held = &replay->held[index];
    for (uint32_t i = 0; i < held->record.parent_count; i++) {
        uint32_t parent = 0;
        if (!map_get(replay->by_id, held->record.parents[i], &parent) ||
            parent >= index) {
            continue;
        }
        void *array = replay->waiters;
        const bool grown =
            mem_grow(&array, &replay->waiter_capacity, replay->waiter_count + 1,
                     sizeof(struct waiter), (size_t)RECORDS_MAX * 2);
        CHECK(grown, "%zu dependencies", replay->waiter_count);
        replay->waiters = array;
        replay->waiters[replay->waiter_count] =
            (struct waiter){.index = index, .next = replay->held[parent].waiters};
        replay->held[parent].waiters = (uint32_t)replay->waiter_count++;
        held->waits_for++;
    }
    held->root = held->waits_for == 0;
}

static bool records_read(struct replay_queue *replay, struct err *err)
{
    while (replay->left > 0) {
        const struct trace_record *record = NULL;
        const enum workload_result result =
            workload_next(replay->workload, &record, err);
        if (result == WORKLOAD_ERROR) {
            return false;
        }
        if (result == WORKLOAD_END) {
            break;
        }
        if (!record_keep(replay, record, err)) {
            return false;
        }
        replay->left--;
    }
    for (uint32_t index = 0; index < replay->held_count; index++) {
        record_hang(replay, index);
    }
    return true;
}

bool replay_new(struct replay_queue **out, struct workload *workload, enum replay mode,
                uint64_t records_max, struct err *err)
{
    struct replay_queue *replay = mem_alloc(1, sizeof(*replay));
    replay->workload = workload;
    replay->mode = mode;
    replay->left = records_max == 0 ? UINT64_MAX : records_max;
    if (mode != REPLAY_OPEN) {
        replay->arena = arena_new(SIZE_MAX / 2);
        replay->by_id = map_new(1024, RECORDS_MAX);
        if (!records_read(replay, err)) {
            replay_delete(replay);
            return false;
        }
    }
    *out = replay;
    return true;
}

void replay_delete(struct replay_queue *replay)
{
    if (replay != NULL) {
        if (replay->arena != NULL) {
            arena_delete(replay->arena);
            map_delete(replay->by_id);
        }
        mem_free(replay->held);
        mem_free(replay->waiters);
        mem_free(replay);
    }
}

enum workload_result replay_next(struct replay_queue *replay,
                                 const struct trace_record **record, struct err *err)
{
    if (replay->mode == REPLAY_OPEN) {
        if (replay->left == 0) {
            return WORKLOAD_END;
        }
        replay->left--;
        return workload_next(replay->workload, record, err);
    }
    while (replay->cursor < replay->held_count) {
        const struct held *held = &replay->held[replay->cursor++];
        if (held->root) {
            *record = &held->record;
            return WORKLOAD_RECORD;
        }
    }
    return WORKLOAD_END;
}

static int64_t think_ns(const struct trace_record *child,
                        const struct trace_record *parent)
{
    if (child->think_ns != TRACE_THINK_NONE) {
        return child->think_ns;
    }
    const int64_t service_ns =
        service_base_ns + service_token_ns * (int64_t)parent->output_tokens;
    const int64_t gap_ns = child->arrival_ns - parent->arrival_ns - service_ns;
    return gap_ns > 0 ? gap_ns : 0;
}

void replay_ended(struct replay_queue *replay, uint64_t record_id, int64_t end_ns,
                  void (*release)(void *context, int64_t time_ns, uint32_t index),
                  void *context)
{
    uint32_t parent = 0;
    if (replay->mode == REPLAY_OPEN || !map_get(replay->by_id, record_id, &parent)) {
        return;
    }
    for (uint32_t at = replay->held[parent].waiters; at != NOBODY;
         at = replay->waiters[at].next) {
        struct held *child = &replay->held[replay->waiters[at].index];
        if (--child->waits_for > 0) {
            continue;
        }
        int64_t time_ns =
            end_ns + think_ns(&child->record, &replay->held[parent].record);
        if (replay->mode == REPLAY_HYBRID && time_ns < child->record.arrival_ns) {
            time_ns = child->record.arrival_ns;
        }
        release(context, time_ns, replay->waiters[at].index);
    }
}

const struct trace_record *replay_record(const struct replay_queue *replay,
                                         uint32_t index)
{
    CHECK(index < replay->held_count, "record %u of %zu", index, replay->held_count);
    return &replay->held[index].record;
}
