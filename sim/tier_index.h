/* SPDX-License-Identifier: Apache-2.0
 *
 * tier_index.h: what one tier behind the KV cache holds: chunks, least recently used
 * last.
 *
 * A tier is so many bytes of host memory, disk or another machine. Its unit is a chunk:
 * the KV of some hundred tokens, known by a chained hash of all tokens up to its end.
 * A chunk is on its way until its time has come, and may neither leave then nor while
 * somebody reads it. One hash look-up per chunk: they are few (a prompt of 8,192 tokens
 * has 32), and unlike GPU blocks each has a place of its own in the order of leaving.
 */
#ifndef STACKSIM_SIM_TIER_INDEX_H
#define STACKSIM_SIM_TIER_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#define TIER_ENTRY_NONE UINT32_MAX
#define TIER_ON_ITS_WAY INT64_MAX

struct tier_index;

/* Told of each chunk that leaves to make room. It must not call the index. */
struct tier_listener {
    void *context;
    void (*on_evict)(void *context, uint64_t key);
};

/* Room for bytes_max bytes. The listener is borrowed; NULL = nobody. */
struct tier_index *tier_index_new(uint64_t bytes_max,
                                  const struct tier_listener *listener);
void tier_index_delete(struct tier_index *index); /* NULL is legal */

/* The chunk's entry, on its way or here; TIER_ENTRY_NONE = neither. Changes nothing.
 * Entries stay the chunk's own until it leaves. */
uint32_t tier_index_find(const struct tier_index *index, uint64_t key);
/* Whether it can be read at now_ns. */
bool tier_index_here(const struct tier_index *index, uint32_t entry, int64_t now_ns);

/* A chunk of bytes > 0 that is not in the index, here from ready_ns on, or on its way
 * until tier_index_arrive. Those longest unused leave for it. TIER_ENTRY_NONE, and
 * nothing changes, when what may leave is not enough. */
uint32_t tier_index_add(struct tier_index *index, uint64_t key, uint64_t bytes,
                        int64_t now_ns, int64_t ready_ns);
void tier_index_arrive(struct tier_index *index, uint32_t entry, int64_t ready_ns);

/* It was used: now the last to leave. */
void tier_index_touch(struct tier_index *index, uint32_t entry);
/* It is read until then, and does not leave before. */
void tier_index_read(struct tier_index *index, uint32_t entry, int64_t until_ns);
/* Somebody will read it; counted. */
void tier_index_pin(struct tier_index *index, uint32_t entry);
void tier_index_unpin(struct tier_index *index, uint32_t entry);

uint64_t tier_index_bytes(const struct tier_index *index); /* held */
uint64_t tier_index_evictions(const struct tier_index *index);

/* Walks everything; CHECK failure when broken. */
void tier_index_check(const struct tier_index *index);

#endif
