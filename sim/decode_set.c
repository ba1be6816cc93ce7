/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_set.c: a binary heap of last steps and a histogram of block phases.
 */
#include "sim/decode_set.h"

#include "base/check.h"
#include "base/mem.h"

enum { MEMBERS_MAX = 1 << 20 };

static bool earlier(const struct request *a, const struct request *b)
{
    if (a->last_step != b->last_step) {
        return a->last_step < b->last_step;
    }
    return a->admission < b->admission;
}

static void put(struct decode_set *set, uint32_t at, struct request *request)
{
    set->heap[at] = request;
    request->heap_place = at;
}

static void sift_up(struct decode_set *set, uint32_t at, struct request *request)
{
    while (at > 0 && earlier(request, set->heap[(at - 1) / 2])) {
        put(set, at, set->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(set, at, request);
}

static void sift_down(struct decode_set *set, uint32_t at, struct request *request)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= set->count) {
            break;
        }
        if (child + 1 < set->count && earlier(set->heap[child + 1], set->heap[child])) {
            child++;
        }
        if (!earlier(set->heap[child], request)) {
            break;
        }
        put(set, at, set->heap[child]);
        at = child;
    }
    put(set, at, request);
}

/* value modulo block_tokens, never negative. */
static uint32_t phase_of(const struct decode_set *set, int64_t value)
{
    const int64_t modulus = (int64_t)set->block_tokens;
    const int64_t rest = value % modulus;
    return (uint32_t)(rest < 0 ? rest + modulus : rest);
}

void decode_set_init(struct decode_set *set, uint32_t block_tokens)
{
    *set = (struct decode_set){.block_tokens = block_tokens};
    set->phase = mem_alloc(block_tokens, sizeof(uint32_t));
}

void decode_set_fini(struct decode_set *set)
{
    mem_free(set->phase);
    mem_free(set->heap);
    *set = (struct decode_set){0};
}

void decode_set_add(struct decode_set *set, struct request *request, uint32_t computed,
                    uint32_t remaining)
{
    CHECK(remaining > 0, "request %llu joins with nothing to decode",
          (unsigned long long)request->record_id);
    void *heap = set->heap;
    const bool grown = mem_grow(&heap, &set->heap_capacity, (size_t)set->count + 1,
                                sizeof(struct request *), MEMBERS_MAX);
    CHECK(grown, "%u decoding requests", set->count);
    set->heap = heap;
    request->base = (int64_t)computed - (int64_t)set->formed;
    request->last_step = set->formed + remaining;
    set->newest = request->admission > set->newest ? request->admission : set->newest;
    set->base_sum += request->base;
    set->phase[phase_of(set, request->base)]++;
    set->version++;
    sift_up(set, set->count++, request);
}

void decode_set_remove(struct decode_set *set, struct request *request)
{
    request->computed = decode_set_computed(set, request);
    request->produced = decode_set_produced(set, request);
    set->base_sum -= request->base;
    set->phase[phase_of(set, request->base)]--;
    set->version++;
    struct request *last = set->heap[--set->count];
    if (last != request) {
        const uint32_t at = request->heap_place;
        if (at > 0 && earlier(last, set->heap[(at - 1) / 2])) {
            sift_up(set, at, last);
        } else {
            sift_down(set, at, last);
        }
    }
    if (set->count == 0) {
        set->newest = 0;
    }
}

void decode_set_skip(struct decode_set *set, struct request *request)
{
    set->phase[phase_of(set, request->base)]--;
    request->base--;
    request->last_step++;
    request->skipped_step = set->formed + 1;
    set->base_sum--;
    set->phase[phase_of(set, request->base)]++;
    set->version++;
    sift_down(set, request->heap_place, request);
}

uint32_t decode_set_computed(const struct decode_set *set,
                             const struct request *request)
{
    return (uint32_t)(request->base + (int64_t)set->formed);
}

uint32_t decode_set_produced(const struct decode_set *set,
                             const struct request *request)
{
    return request->output_tokens - (uint32_t)(request->last_step - set->formed);
}

uint64_t decode_set_context(const struct decode_set *set)
{
    return (uint64_t)(set->base_sum + (int64_t)(set->count * set->formed));
}

struct request *decode_set_first(const struct decode_set *set)
{
    return set->count == 0 ? NULL : set->heap[0];
}

/* Members that need a block when the step after `ahead` others is formed: those whose
 * computed tokens then fill their blocks exactly. */
static uint32_t crossing(const struct decode_set *set, uint64_t ahead)
{
    return set->phase[phase_of(set, -(int64_t)(set->formed + ahead))];
}

uint64_t decode_set_blocks(const struct decode_set *set, uint64_t steps)
{
    const uint64_t rounds = steps / set->block_tokens;
    const uint64_t rest = steps % set->block_tokens;
    uint64_t blocks = rounds * set->count; /* each member once per block_tokens */
    for (uint64_t ahead = 0; ahead < rest; ahead++) {
        blocks += crossing(set, ahead);
    }
    return blocks;
}

uint64_t decode_set_steps_within(const struct decode_set *set, uint64_t blocks,
                                 uint64_t steps_max)
{
    if (set->count == 0) {
        return steps_max;
    }
    const uint64_t rounds = blocks / set->count;
    if (rounds > steps_max / set->block_tokens) {
        return steps_max;
    }
    uint64_t left = blocks - rounds * set->count;
    uint64_t steps = rounds * set->block_tokens;
    for (uint64_t ahead = 0; ahead < set->block_tokens && steps < steps_max; ahead++) {
        const uint32_t taken = crossing(set, ahead);
        if (taken > left) {
            break;
        }
        left -= taken;
        steps++;
    }
    return steps < steps_max ? steps : steps_max;
}

void decode_set_advance(struct decode_set *set, uint64_t steps)
{
    set->formed += steps;
}
