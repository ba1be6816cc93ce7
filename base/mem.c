/* SPDX-License-Identifier: Apache-2.0
 *
 * mem.c: the one place that meets malloc's NULL.
 */
#include "base/mem.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

static size_t bytes_of(size_t count, size_t element_bytes)
{
    size_t bytes = 0;
    CHECK(!__builtin_mul_overflow(count, element_bytes, &bytes),
          "%zu elements of %zu bytes exceed the address space", count, element_bytes);
    return bytes;
}

void *mem_alloc(size_t count, size_t element_bytes)
{
    const size_t bytes = bytes_of(count, element_bytes);
    void *memory = calloc(bytes > 0 ? bytes : 1, 1);
    CHECK(memory != NULL, "out of memory: %zu bytes asked for", bytes);
    return memory;
}

void *mem_resize(void *memory, size_t count, size_t element_bytes)
{
    const size_t bytes = bytes_of(count, element_bytes);
    /* realloc(p, 0) may free p and return NULL; one byte keeps the pointer valid. */
    void *moved = realloc(memory, bytes > 0 ? bytes : 1);
    CHECK(moved != NULL, "out of memory: %zu bytes asked for", bytes);
    return moved;
}

void mem_free(void *memory)
{
    free(memory);
}

char *mem_strdup(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = mem_alloc(bytes, 1);
    memcpy(copy, text, bytes);
    return copy;
}

bool mem_grow(void **array, size_t *capacity, size_t need, size_t element_bytes,
              size_t max)
{
    if (need <= *capacity) {
        return true;
    }
    if (need > max) {
        return false;
    }
    enum { CAPACITY_MIN = 16 };
    size_t wanted = *capacity < CAPACITY_MIN ? CAPACITY_MIN : *capacity;
    while (wanted < need) {
        wanted = wanted > max / 2 ? max : 2 * wanted;
    }
    wanted = wanted < max ? wanted : max;
    *array = mem_resize(*array, wanted, element_bytes);
    *capacity = wanted;
    return true;
}
