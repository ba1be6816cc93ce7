/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.c: a list of chunks that double in size, filled from front to back.
 *
 * A fresh chunk comes zeroed from the system, often as untouched pages; `used_most`
 * remembers how far earlier runs dirtied it, so that only those bytes are cleared
 * again.
 */
#include "base/arena.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdint.h>
#include <string.h>

enum { CHUNK_BYTES_MIN = 64 * 1024, ALIGN_SMALL = 16, ALIGN_LARGE = 64 };

struct chunk {
    struct chunk *next;
    size_t bytes;     /* usable, from `first` */
    size_t used;      /* of them, in this run */
    size_t used_most; /* in any run */
    char *first;      /* aligned to ALIGN_LARGE */
};

struct arena {
    struct chunk *chunks;
    struct chunk *current; /* chunks after it are empty */
    size_t limit_bytes;
    size_t used_bytes; /* asked for, padding not counted */
};

struct arena *arena_new(size_t limit_bytes)
{
    struct arena *arena = mem_alloc(1, sizeof *arena);
    arena->limit_bytes = limit_bytes;
    return arena;
}

void arena_delete(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    struct chunk *chunk = arena->chunks;
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        mem_free(chunk);
        chunk = next;
    }
    mem_free(arena);
}

static struct chunk *chunk_new(size_t bytes)
{
    struct chunk *chunk = mem_alloc(sizeof *chunk + bytes + ALIGN_LARGE, 1);
    char *after = (char *)(chunk + 1);
    const size_t misfit = (uintptr_t)after % ALIGN_LARGE;
    chunk->first = after + (misfit == 0 ? 0 : ALIGN_LARGE - misfit);
    chunk->bytes = bytes;
    return chunk;
}

/* Room for `bytes` at this alignment, or NULL. */
static char *chunk_take(struct chunk *chunk, size_t bytes, size_t align)
{
    const size_t start = (chunk->used + align - 1) & ~(align - 1);
    if (start > chunk->bytes || bytes > chunk->bytes - start) {
        return NULL;
    }
    char *memory = chunk->first + start;
    chunk->used = start + bytes;
    if (start < chunk->used_most) {
        const size_t dirty = chunk->used_most - start;
        memset(memory, 0, dirty < bytes ? dirty : bytes);
    }
    if (chunk->used > chunk->used_most) {
        chunk->used_most = chunk->used;
    }
    return memory;
}

static char *take_from_new_chunk(struct arena *arena, size_t bytes, size_t align)
{
    struct chunk *last = arena->current;
    size_t chunk_bytes = last == NULL ? CHUNK_BYTES_MIN : 2 * last->bytes;
    if (chunk_bytes < bytes) {
        chunk_bytes = bytes;
    }
    struct chunk *chunk = chunk_new(chunk_bytes);
    if (last == NULL) {
        arena->chunks = chunk;
    } else {
        chunk->next = last->next;
        last->next = chunk;
    }
    arena->current = chunk;
    return chunk_take(chunk, bytes, align);
}

void *arena_alloc(struct arena *arena, size_t count, size_t element_bytes)
{
    size_t bytes = 0;
    CHECK(!__builtin_mul_overflow(count, element_bytes, &bytes),
          "%zu elements of %zu bytes exceed the address space", count, element_bytes);
    CHECK(bytes <= arena->limit_bytes - arena->used_bytes,
          "arena of %zu bytes is full: %zu used, %zu more asked for",
          arena->limit_bytes, arena->used_bytes, bytes);
    arena->used_bytes += bytes;
    const size_t align = bytes >= ALIGN_LARGE ? ALIGN_LARGE : ALIGN_SMALL;
    while (arena->current != NULL) {
        char *memory = chunk_take(arena->current, bytes, align);
        if (memory != NULL) {
            return memory;
        }
        if (arena->current->next == NULL) {
            break;
        }
        arena->current = arena->current->next;
    }
    return take_from_new_chunk(arena, bytes, align);
}

char *arena_strdup(struct arena *arena, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = arena_alloc(arena, bytes, 1);
    memcpy(copy, text, bytes);
    return copy;
}

void arena_reset(struct arena *arena)
{
    for (struct chunk *chunk = arena->chunks; chunk != NULL; chunk = chunk->next) {
        chunk->used = 0;
    }
    arena->current = arena->chunks;
    arena->used_bytes = 0;
}

size_t arena_used_bytes(const struct arena *arena)
{
    return arena->used_bytes;
}
