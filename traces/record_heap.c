/* SPDX-License-Identifier: Apache-2.0
 *
 * record_heap.c: a binary heap of pointers to nodes that keep their segment arrays.
 */
#include "traces/record_heap.h"

#include "base/mem.h"

#include <string.h>

enum { NODES_MAX = 1 << 28 };

struct node {
    struct trace_record record;
    struct segment *segments;
    size_t capacity;
    struct node *next_free;
};

struct record_heap {
    struct node **items;
    size_t count;
    size_t capacity;
    struct node *free;
    struct node *lent;
};

struct record_heap *record_heap_new(void)
{
    return mem_alloc(1, sizeof(struct record_heap));
}

static void node_delete(struct node *node)
{
    mem_free(node->segments);
    mem_free(node);
}

void record_heap_delete(struct record_heap *heap)
{
    if (heap == NULL) {
        return;
    }
    for (size_t i = 0; i < heap->count; i++) {
        node_delete(heap->items[i]);
    }
    while (heap->free != NULL) {
        struct node *const node = heap->free;
        heap->free = node->next_free;
        node_delete(node);
    }
    if (heap->lent != NULL) {
        node_delete(heap->lent);
    }
    mem_free(heap->items);
    mem_free(heap);
}

size_t record_heap_count(const struct record_heap *heap)
{
    return heap->count;
}

static bool comes_before(const struct node *a, const struct node *b)
{
    if (a->record.arrival_ns != b->record.arrival_ns) {
        return a->record.arrival_ns < b->record.arrival_ns;
    }
    return a->record.id < b->record.id;
}

static struct node *node_take(struct record_heap *heap)
{
    struct node *const node = heap->free;
    if (node == NULL) {
        return mem_alloc(1, sizeof(*node));
    }
    heap->free = node->next_free;
    return node;
}

static void node_fill(struct node *node, const struct trace_record *record)
{
    const size_t count = record->segment_count;
    if (count > node->capacity) {
        node->segments = mem_resize(node->segments, count, sizeof(*node->segments));
        node->capacity = count;
    }
    memcpy(node->segments, record->segments, count * sizeof(*node->segments));
    node->record = *record;
    node->record.segments = node->segments;
}

bool record_heap_push(struct record_heap *heap, const struct trace_record *record)
{
    void *memory = heap->items;
    if (!mem_grow(&memory, &heap->capacity, heap->count + 1, sizeof(struct node *),
                  NODES_MAX)) {
        return false;
    }
    heap->items = memory;
    struct node *const node = node_take(heap);
    node_fill(node, record);
    size_t at = heap->count++;
    while (at > 0 && comes_before(node, heap->items[(at - 1) / 2])) {
        heap->items[at] = heap->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->items[at] = node;
    return true;
}

const struct trace_record *record_heap_top(const struct record_heap *heap)
{
    return heap->count > 0 ? &heap->items[0]->record : NULL;
}

/* Fills the hole at the root with the last node. */
static void sink_last(struct record_heap *heap)
{
    struct node *const last = heap->items[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            comes_before(heap->items[child + 1], heap->items[child])) {
            child++;
        }
        if (!comes_before(heap->items[child], last)) {
            break;
        }
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = last;
}

const struct trace_record *record_heap_pop(struct record_heap *heap)
{
    if (heap->lent != NULL) {
        heap->lent->next_free = heap->free;
        heap->free = heap->lent;
        heap->lent = NULL;
    }
    if (heap->count == 0) {
        return NULL;
    }
    heap->lent = heap->items[0];
    sink_last(heap);
    return &heap->lent->record;
}
