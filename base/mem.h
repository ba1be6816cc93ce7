/* SPDX-License-Identifier: Apache-2.0
 *
 * mem.h: heap memory that never returns NULL, and arrays that grow to a ceiling.
 *
 * A simulator that runs out of memory has no better answer than to say so and stop, so
 * these print what was asked for and abort. Input-sized growth always names a ceiling
 * (STYLE 3.4); what happens at the ceiling is the caller's business.
 */
#ifndef STACKSIM_BASE_MEM_H
#define STACKSIM_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory for count elements; count 0 gives a unique pointer. Free with
 * mem_free. Multiplication is checked. */
void *mem_alloc(size_t count, size_t element_bytes);

/* As realloc; new bytes are not zeroed. */
void *mem_resize(void *memory, size_t count, size_t element_bytes);

/* mem_free(NULL) is legal. */
void mem_free(void *memory);

/* Copies a string; the caller owns it. */
char *mem_strdup(const char *text);

/* Makes room for `need` elements in *array: doubles *capacity, at most to `max`.
 * Returns false and changes nothing when need > max. *array may move. */
bool mem_grow(void **array, size_t *capacity, size_t need, size_t element_bytes,
              size_t max);

#endif
