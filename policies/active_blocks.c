/* SPDX-License-Identifier: Apache-2.0
 *
 * active_blocks.c: a count of users for each block and endpoint, and each request's own
 * copy of its hashes, for nobody repeats them at its end. Who has which of a prompt's
 * blocks in use is asked once for all endpoints: a search at each was 20 times slower
 * at 256 of them.
 */
#include "policies/active_blocks.h"

#include "base/hash.h"

#define NO_SEQUENCE UINT32_MAX
enum { BLOCKS_MAX = 1 << 30 }; /* of an endpoint: no bound but the prompts in flight */

struct active_sequence {
    uint64_t *hashes;
    uint32_t count;
    uint32_t capacity; /* kept for the next one */
    uint32_t own;
    uint32_t next_unused;
};

void active_blocks_init(struct active_blocks *active,
                        const struct policy_memory *memory)
{
    *active = (struct active_blocks){.memory = *memory, .unused = NO_SEQUENCE};
    block_table_init(&active->uses, memory);
    active->index = kv_index_new(memory);
    id_table_init(&active->counts, memory, sizeof(uint64_t));
}

void active_blocks_fini(struct active_blocks *active)
{
    const struct policy_memory *memory = &active->memory;
    for (uint32_t i = 0; i < active->sequence_count; i++) {
        memory->resize(memory->context, active->sequences[i].hashes, 0);
    }
    memory->resize(memory->context, active->sequences, 0);
    id_table_fini(&active->counts);
    block_table_fini(&active->uses);
    kv_index_delete(active->index);
}

size_t active_blocks_bytes(const struct active_blocks *active)
{
    return block_table_bytes(&active->uses) + kv_index_bytes(active->index) +
           id_table_bytes(&active->counts) +
           active->sequence_capacity * sizeof *active->sequences + active->hash_bytes;
}

static uint64_t *count_of(struct active_blocks *active, uint32_t endpoint_id)
{
    uint64_t *counts = id_table_items(&active->counts, endpoint_id + 1);
    return &counts[endpoint_id];
}

uint64_t active_blocks_count(struct active_blocks *active, uint32_t endpoint_id)
{
    return *count_of(active, endpoint_id);
}

static uint64_t key_of(uint64_t hash, uint32_t endpoint_id)
{
    return hash_pair(hash, endpoint_id);
}

static void tell(struct active_blocks *active, uint32_t endpoint_id,
                 enum kv_event_kind kind, const uint64_t *block)
{
    const struct kv_event event = {.kind = kind, .blocks = block, .block_count = 1};
    kv_index_apply(active->index, endpoint_id, &event);
}

static struct active_sequence *sequence_new(struct active_blocks *active,
                                            uint32_t *number)
{
    const struct policy_memory *memory = &active->memory;
    if (active->unused != NO_SEQUENCE) {
        *number = active->unused;
        active->unused = active->sequences[*number].next_unused;
        return &active->sequences[*number];
    }
    if (active->sequence_count == active->sequence_capacity) {
        const uint32_t capacity =
            active->sequence_capacity > 0 ? 2 * active->sequence_capacity : 64;
        active->sequences = memory->resize(memory->context, active->sequences,
                                           capacity * sizeof *active->sequences);
        active->sequence_capacity = capacity;
    }
    *number = active->sequence_count++;
    struct active_sequence *sequence = &active->sequences[*number];
    *sequence = (struct active_sequence){.own = 0};
    return sequence;
}

static void sequence_fill(struct active_blocks *active,
                          struct active_sequence *sequence,
                          const struct active_prompt *prompt)
{
    const struct policy_memory *memory = &active->memory;
    if (prompt->count > sequence->capacity) {
        active->hash_bytes +=
            (prompt->count - sequence->capacity) * sizeof *sequence->hashes;
        sequence->hashes = memory->resize(memory->context, sequence->hashes,
                                          prompt->count * sizeof *sequence->hashes);
        sequence->capacity = prompt->count;
    }
    if (prompt->count > 0) {
        memcpy(sequence->hashes, prompt->hashes,
               prompt->count * sizeof *sequence->hashes);
    }
    sequence->count = prompt->count;
    sequence->own = prompt->own;
}

uint32_t active_blocks_open(struct active_blocks *active, uint32_t endpoint_id,
                            const struct active_prompt *prompt)
{
    uint32_t number = 0;
    sequence_fill(active, sequence_new(active, &number), prompt);
    uint64_t *count = count_of(active, endpoint_id);
    *count += prompt->own;
    kv_index_allow(active->index, endpoint_id, BLOCKS_MAX);
    for (uint32_t i = 0; i < prompt->count; i++) {
        const uint64_t key = key_of(prompt->hashes[i], endpoint_id);
        block_table_reserve(&active->uses);
        struct block_entry *entry = block_table_at(&active->uses, key);
        if (entry->holders == 0) {
            *entry = (struct block_entry){.key = key, .holders = 1};
            active->uses.used++;
            ++*count;
            tell(active, endpoint_id, KV_EVENT_STORED, &prompt->hashes[i]);
        }
        entry->ref++;
    }
    return number;
}

void active_blocks_close(struct active_blocks *active, uint32_t endpoint_id,
                         uint32_t sequence)
{
    struct active_sequence *ended = &active->sequences[sequence];
    uint64_t *count = count_of(active, endpoint_id);
    *count -= ended->own;
    for (uint32_t i = 0; i < ended->count; i++) {
        const uint64_t key = key_of(ended->hashes[i], endpoint_id);
        struct block_entry *entry = block_table_at(&active->uses, key);
        CHECK(entry->holders == 1, "endpoint %u lost a block in use", endpoint_id);
        if (--entry->ref == 0) {
            block_table_remove(&active->uses, entry);
            --*count;
            tell(active, endpoint_id, KV_EVENT_REMOVED, &ended->hashes[i]);
        }
    }
    ended->next_unused = active->unused;
    active->unused = sequence;
}

uint32_t active_blocks_match(struct active_blocks *active,
                             const struct active_prompt *prompt,
                             const struct index_hit **hits)
{
    return kv_index_match(active->index, prompt->hashes, prompt->count, hits);
}
