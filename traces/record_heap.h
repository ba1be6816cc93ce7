/* SPDX-License-Identifier: Apache-2.0
 *
 * record_heap.h: records waiting for their turn, ordered by (arrival_ns, id).
 *
 * Holds copies: segments too, but not strings. Nodes are recycled, so a stream that
 * keeps a few thousand records waiting allocates a few thousand times in all.
 */
#ifndef STACKSIM_TRACES_RECORD_HEAP_H
#define STACKSIM_TRACES_RECORD_HEAP_H

#include "traces/record.h"

#include <stdbool.h>
#include <stddef.h>

struct record_heap;

struct record_heap *record_heap_new(void);
void record_heap_delete(struct record_heap *heap);

size_t record_heap_count(const struct record_heap *heap);
/* False when a ceiling of 2^28 records is reached. */
bool record_heap_push(struct record_heap *heap, const struct trace_record *record);
/* The first, or NULL; borrowed until the next push or pop. */
const struct trace_record *record_heap_top(const struct record_heap *heap);
/* Removes the first and lends it until the next pop. */
const struct trace_record *record_heap_pop(struct record_heap *heap);

#endif
