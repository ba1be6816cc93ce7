/* SPDX-License-Identifier: Apache-2.0
 *
 * decode_set.c: binary heaps of last steps and of lengths, a histogram of block phases.
 *
 * The heaps hold copies of what they compare. In a large fleet a request has left the
 * caches by the time it ends, and a heap of pointers alone fetched one request per
 * level for every one that left: a fifth of all time with 1,024 engines.
 */
#include "sim/decode_set.h"

#include "base/check.h"
#include "base/mem.h"

enum { MEMBERS_MAX = 1 << 20 };

/* Which heap. */
enum order { BY_LAST_STEP, BY_LENGTH };

/* Least first, both words compared at once: by last step and admission, or by length,
 * most tokens first, where equals are equal to the only question asked. */
__extension__ typedef unsigned __int128 decode_key;
enum { WORD_BITS = 64 };

struct decode_entry {
    decode_key key;
    struct request *request;
};

static inline struct decode_entry entry_of(enum order order, struct request *request)
{
    const decode_key key =
        order == BY_LENGTH
            ? (decode_key)((uint64_t)INT64_MAX - (uint64_t)request->base)
            : (decode_key)request->last_step << WORD_BITS | request->admission;
    return (struct decode_entry){.key = key, .request = request};
}

static inline bool before(const struct decode_entry *a, const struct decode_entry *b)
{
    return a->key < b->key;
}

/* Members leave by length in any order, so they know their place there. The first by
 * last step is the one that leaves, but for preemptions and the like. */
static inline void put(struct decode_set *set, enum order order, uint32_t at,
                       const struct decode_entry *entry)
{
    set->heap[order][at] = *entry;
    if (order == BY_LENGTH) {
        entry->request->length_place = at;
    }
}

static inline uint32_t place_of(const struct decode_set *set, enum order order,
                                const struct request *request)
{
    if (order == BY_LENGTH) {
        return request->length_place;
    }
    uint32_t at = 0;
    while (set->heap[order][at].request != request) {
        at++;
    }
    return at;
}

static inline void sift_up(struct decode_set *set, enum order order, uint32_t at,
                           const struct decode_entry *entry)
{
    while (at > 0 && before(entry, &set->heap[order][(at - 1) / 2])) {
        put(set, order, at, &set->heap[order][(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(set, order, at, entry);
}

static inline void sift_down(struct decode_set *set, enum order order, uint32_t at,
                             const struct decode_entry *entry)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= set->count) {
            break;
        }
        if (child + 1 < set->count) {
            child += before(&set->heap[order][child + 1], &set->heap[order][child]);
        }
        if (!before(&set->heap[order][child], entry)) {
            break;
        }
        put(set, order, at, &set->heap[order][child]);
        at = child;
    }
    put(set, order, at, entry);
}

/* set->count does not count the request yet. */
static inline void heap_add(struct decode_set *set, enum order order,
                            struct request *request)
{
    void *heap = set->heap[order];
    const bool grown =
        mem_grow(&heap, &set->heap_capacity[order], (size_t)set->count + 1,
                 sizeof(struct decode_entry), MEMBERS_MAX);
    CHECK(grown, "%u decoding requests", set->count);
    set->heap[order] = heap;
    const struct decode_entry entry = entry_of(order, request);
    sift_up(set, order, set->count, &entry);
}

/* set->count does not count the request any more. */
static inline void heap_remove(struct decode_set *set, enum order order,
                               const struct request *request)
{
    const uint32_t at = place_of(set, order, request);
    const struct decode_entry last = set->heap[order][set->count];
    if (at == set->count) {
        return;
    }
    if (at > 0 && before(&last, &set->heap[order][(at - 1) / 2])) {
        sift_up(set, order, at, &last);
    } else {
        sift_down(set, order, at, &last);
    }
}

/* The request's key has grown by one. */
static inline void heap_delay(struct decode_set *set, enum order order,
                              struct request *request)
{
    const struct decode_entry entry = entry_of(order, request);
    sift_down(set, order, place_of(set, order, request), &entry);
}

/* value modulo block_tokens, never negative. */
static uint32_t phase_of(const struct decode_set *set, int64_t value)
{
    const int64_t modulus = (int64_t)set->block_tokens;
    const int64_t rest = value % modulus;
    return (uint32_t)(rest < 0 ? rest + modulus : rest);
}

void decode_set_init(struct decode_set *set, uint32_t block_tokens, bool knows_longest)
{
    *set = (struct decode_set){.block_tokens = block_tokens,
                               .knows_longest = knows_longest};
    set->phase = mem_alloc(block_tokens, sizeof(uint32_t));
}

void decode_set_fini(struct decode_set *set)
{
    mem_free(set->phase);
    mem_free(set->heap[BY_LAST_STEP]);
    mem_free(set->heap[BY_LENGTH]);
    *set = (struct decode_set){0};
}

void decode_set_add(struct decode_set *set, struct request *request, uint32_t computed,
                    uint32_t remaining)
{
    CHECK(remaining > 0, "request %llu joins with nothing to decode",
          (unsigned long long)request->record_id);
    request->base = (int64_t)computed - (int64_t)set->formed;
    request->last_step = set->formed + remaining;
    set->newest = request->admission > set->newest ? request->admission : set->newest;
    set->base_sum += request->base;
    set->phase[phase_of(set, request->base)]++;
    set->version++;
    heap_add(set, BY_LAST_STEP, request);
    if (set->knows_longest) {
        heap_add(set, BY_LENGTH, request);
    }
    set->count++;
}

void decode_set_remove(struct decode_set *set, struct request *request)
{
    request->computed = decode_set_computed(set, request);
    request->produced = decode_set_produced(set, request);
    set->base_sum -= request->base;
    set->phase[phase_of(set, request->base)]--;
    set->version++;
    set->count--;
    heap_remove(set, BY_LAST_STEP, request);
    if (set->knows_longest) {
        heap_remove(set, BY_LENGTH, request);
    }
    if (set->count == 0) {
        set->newest = 0;
    }
}

/* Its constants change; where it stands in the heaps does not yet. */
static void member_move(struct decode_set *set, struct request *request, int64_t tokens)
{
    set->phase[phase_of(set, request->base)]--;
    request->base += tokens;
    request->last_step -= (uint64_t)tokens;
    set->base_sum += tokens;
    set->phase[phase_of(set, request->base)]++;
    set->version++;
}

void decode_set_jump(struct decode_set *set, struct request *request, uint32_t tokens)
{
    member_move(set, request, tokens);
}

void decode_set_skip_unsorted(struct decode_set *set, struct request *request)
{
    request->skipped_step = set->formed + 1;
    member_move(set, request, -1);
}

void decode_set_sort(struct decode_set *set)
{
    for (int order = BY_LAST_STEP;
         order <= (set->knows_longest ? BY_LENGTH : BY_LAST_STEP); order++) {
        struct decode_entry *heap = set->heap[order];
        for (uint32_t at = set->count; at-- > 0;) {
            const struct decode_entry entry =
                entry_of((enum order)order, heap[at].request);
            sift_down(set, (enum order)order, at, &entry);
        }
    }
}

void decode_set_skip(struct decode_set *set, struct request *request)
{
    decode_set_skip_unsorted(set, request);
    heap_delay(set, BY_LAST_STEP, request);
    if (set->knows_longest) {
        heap_delay(set, BY_LENGTH, request);
    }
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

uint32_t decode_set_longest(const struct decode_set *set)
{
    if (set->count == 0 || !set->knows_longest) {
        return 0;
    }
    return decode_set_computed(set, set->heap[BY_LENGTH][0].request);
}

struct request *decode_set_first(const struct decode_set *set)
{
    return set->count == 0 ? NULL : set->heap[BY_LAST_STEP][0].request;
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
