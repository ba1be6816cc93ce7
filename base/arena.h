/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h: memory of one run, given back all at once (STYLE 3.3).
 */
#ifndef STACKSIM_BASE_ARENA_H
#define STACKSIM_BASE_ARENA_H

#include <stddef.h>

struct arena;

/* limit_bytes bounds the sum of all allocations; crossing it is a CHECK failure. */
struct arena *arena_new(size_t limit_bytes);
void arena_delete(struct arena *arena);

/* Zeroed, aligned to 64 bytes when count * element_bytes >= 64, else to 16. Lives until
 * arena_reset or arena_delete. */
void *arena_alloc(struct arena *arena, size_t count, size_t element_bytes);
char *arena_strdup(struct arena *arena, const char *text);

/* Forgets everything, keeps the chunks for the next run. */
void arena_reset(struct arena *arena);
size_t arena_used_bytes(const struct arena *arena);

#endif
